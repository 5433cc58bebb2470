//! The one wasmtime engine and its clock. No slot, plugin or call is known here.

use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often the engine looks up whether a computing plugin is past its
/// deadline. A plugin that computes for longer yields to other tasks this
/// often, so it never holds a worker thread.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The most linear memory that a slot can be given, in MB.
pub(super) const MAX_MEMORY_MB: u64 = 1024;

/// The most instances that a slot can be given.
pub(super) const MAX_POOL_SIZE: u64 = 32;

/// Linear memories and tables that one component may have, so that none takes
/// the pool's from the others. Few have more than one memory.
const MEMORIES_PER_COMPONENT: u32 = 2;
const TABLES_PER_COMPONENT: u32 = 4;

/// Core modules that one component may instantiate. Those of interpreted
/// plugins are linked of dozens.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;

/// Three slots, two sets at once while one replaces the other, a shadow in
/// each, and room for the instances on which a new one is tried.
const MAX_INSTANCES: u32 = 3 * (2 * 32 + 2) + 16;

/// Whether an engine counts how much plugins compute. It costs time, so the
/// one of a receiver does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fuel {
    Counted,
    NotCounted,
}

/// The engine, with its ticker running. The ticker ends with the last plugin
/// set: it holds the engine weakly.
pub(super) fn start(fuel: Fuel) -> wasmtime::Result<Engine> {
    let mut config = config();
    config.consume_fuel(fuel == Fuel::Counted);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling()));
    let engine = Engine::new(&config).or_else(|error| {
        // The pool reserves about 1 TB of addresses. Where a limit forbids
        // that, instances cost more to make but behave the same.
        tracing::warn!(%error, "no memory pool for plugins: making each instance on its own");
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config)
    })?;
    let weak = engine.weak();
    std::thread::Builder::new().name("plugin-ticker".into()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = weak.upgrade() else { break };
            engine.increment_epoch();
        }
    })?;
    Ok(engine)
}

/// An engine that runs nothing: its code is for the others, also for those with
/// a pool, which has no say in what code is.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Plugins are pure: the same input gives the same bits everywhere.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // No async in the contract, so no bookkeeping for it.
        .concurrency_support(false);
    config
}

fn pooling() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let megabytes = usize::try_from(MAX_MEMORY_MB).unwrap_or(usize::MAX >> 20);
    pool.total_component_instances(MAX_INSTANCES)
        .total_stacks(MAX_INSTANCES)
        .total_memories(MAX_INSTANCES * MEMORIES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .total_tables(MAX_INSTANCES * TABLES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .total_core_instances(MAX_INSTANCES * CORE_INSTANCES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memory_size(megabytes << 20)
        // What a small plugin touches stays resident between instances:
        // clearing it is cheaper than asking the kernel for new pages.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10);
    pool
}
