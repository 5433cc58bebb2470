//! What one instance sees of the world: nothing but its call. No file,
//! environment, network or true clock is reachable from here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use super::Slot;
use super::console::{Console, OutputLog};
use super::error::{PluginError, PluginErrorKind};
use super::imports::Stages;
use super::moment::{FixedClock, Moment, SeededRandom};
use super::settings::Limits;
use super::usage::Spent;

/// Bytes that a plugin may hand to the host at once: in an answer, or in an
/// argument of an import.
const MAX_HANDOVER_BYTES: usize = 4 << 20;

/// Handles that one instance may hold at once: its event or readings, and
/// WASI streams.
const MAX_HANDLES: usize = 1024;

/// Units of computing that a call has where they are counted: more than a
/// deadline leaves time for.
const ALL_FUEL: u64 = u64::MAX;

/// The state of one instance's store.
pub(super) struct Sandbox {
    slot: Slot,
    limits: Limits,
    wasi: WasiCtx,
    table: ResourceTable,
    stages: Stages,
    memory: MemoryLimit,
    console: Console,
    moment: Arc<Moment>,
    begun: Instant,
    metered: bool,
}

impl Sandbox {
    /// A store with an empty world, within the limits. One store holds one
    /// instance: a store never frees the instances that were made in it.
    pub(super) fn store(engine: &Engine, slot: Slot, limits: Limits) -> Store<Self> {
        let console = Console::default();
        let moment = Arc::new(Moment::default());
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let sandbox = Self {
            slot,
            limits,
            wasi: empty_wasi(&console, &moment),
            table,
            stages: Stages::default(),
            memory: MemoryLimit::new(limits.memory_bytes),
            console,
            moment,
            begun: Instant::now(),
            metered: false,
        };
        let mut store = Store::new(engine, sandbox);
        // Refused by the engine that counts no fuel: the one of a receiver.
        store.data_mut().metered = store.set_fuel(ALL_FUEL).is_ok();
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(MAX_HANDOVER_BYTES);
        // Yielding at each tick, not only ending at the deadline, keeps a
        // long calculation from holding up what else runs on its thread.
        store.epoch_deadline_callback(|context| {
            let Self { begun, limits, .. } = context.data();
            let late = begun.elapsed() >= limits.deadline;
            Ok(if late { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        store
    }

    /// Sets the store up for one call at `at_ms` (epoch milliseconds). Every
    /// call needs it: the epoch deadline is relative to now, and a call must
    /// not see what the one before it left.
    pub(super) fn begin(store: &mut Store<Self>, at_ms: i64) {
        store.set_epoch_deadline(1);
        if store.data().metered {
            store.set_fuel(ALL_FUEL).expect("it was set before");
        }
        let sandbox = store.data_mut();
        sandbox.begun = Instant::now();
        sandbox.moment.set(at_ms);
        sandbox.memory.denied_bytes = None;
        sandbox.console.clear();
        sandbox.stages = Stages::default();
    }

    /// When the call that has begun is to have ended.
    pub(super) fn deadline(store: &Store<Self>) -> Deadline {
        let Self { begun, limits, .. } = store.data();
        Deadline { at: *begun + limits.deadline, after: limits.deadline }
    }

    /// What the call that now ends has used.
    pub(super) fn spent(store: &Store<Self>) -> Spent {
        let sandbox = store.data();
        Spent {
            time: sandbox.begun.elapsed(),
            memory_bytes: sandbox.memory_bytes(),
            // Looked at only where it is counted: an error costs as much as a call.
            fuel: if sandbox.metered { store.get_fuel().ok().map(|left| ALL_FUEL - left) } else { None },
        }
    }

    /// Ends a call: logs what it printed, and tells a failure in words.
    pub(super) fn end<R>(&mut self, outcome: Outcome<R>, log: &OutputLog) -> Result<R, PluginError> {
        log.report(self.slot, &self.console);
        let (kind, message) = match outcome {
            Ok(Ok(answer)) => match self.stages.misuse() {
                None => return Ok(answer),
                Some(misuse) => (PluginErrorKind::Nonsense, misuse),
            },
            Ok(Err(error)) => self.explain(&error),
            Err(elapsed) => (PluginErrorKind::DeadlineExceeded, format!("no answer within {elapsed}")),
        };
        Err(PluginError::new(self.slot, kind, message))
    }

    fn explain(&self, error: &wasmtime::Error) -> (PluginErrorKind, String) {
        if let Some(bytes) = self.memory.denied_bytes {
            let (wanted, limit) = (bytes.div_ceil(1 << 20), self.limits.memory_bytes >> 20);
            let message = format!("wanted {wanted} MB of linear memory, may have {limit} MB");
            return (PluginErrorKind::MemoryLimit, message);
        }
        if error.downcast_ref() == Some(&Trap::Interrupt) {
            let message = format!("still computing after {}", Milliseconds(self.limits.deadline));
            return (PluginErrorKind::DeadlineExceeded, message);
        }
        let cause = match error.downcast_ref::<I32Exit>() {
            Some(exit) => format!("ended itself with status {}", exit.0),
            None => error.root_cause().to_string(),
        };
        // The engine's error for it has no public type.
        if cause.contains("fuel allocated for hostcalls") {
            let message = format!("hands over more than {} MB at once", MAX_HANDOVER_BYTES >> 20);
            return (PluginErrorKind::Nonsense, message);
        }
        let printed = self.console.text();
        let message = if printed.is_empty() {
            cause
        } else {
            let printed: String = printed.chars().take(300).collect();
            format!("{cause}; it printed: {printed}")
        };
        (PluginErrorKind::Trapped, message)
    }

    /// Linear memory that the instance has: bytes.
    fn memory_bytes(&self) -> usize {
        self.memory.used_bytes
    }

    /// Whether the call has asked for the time or for a random number.
    pub(super) fn looked_at_moment(&self) -> bool {
        self.moment.was_looked_at()
    }

    /// The handles that the instance holds.
    pub(super) fn handles(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The handles that the instance holds; what `wide-events` works on.
    pub(super) fn wide_events(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The handles that the instance holds; what `readings` works on.
    pub(super) fn readings(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The stages of the call; what `progress` works on.
    pub(super) fn progress(&mut self) -> &mut Stages {
        &mut self.stages
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A duration in milliseconds, for messages.
pub(super) struct Milliseconds(pub(super) Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

/// When a call is to have ended, and how long after its begin that is.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    after: Duration,
}

/// What a call came to: an answer, a trap, or no end within the time given.
pub(super) type Outcome<R> = Result<wasmtime::Result<R>, Milliseconds>;

/// Waits for a call no longer than until its deadline: the guard against plugins
/// that sleep. (Those that compute are ended by the engine's epochs.)
pub(super) async fn within<R>(
    deadline: Deadline,
    call: impl Future<Output = wasmtime::Result<R>>,
) -> Outcome<R> {
    let mut call = pin!(call);
    // Nearly all end at once: no timer is made for those.
    if let Poll::Ready(ended) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        return Ok(ended);
    }
    tokio::time::timeout_at(deadline.at.into(), call).await.map_err(|_| Milliseconds(deadline.after))
}

fn empty_wasi(console: &Console, moment: &Arc<Moment>) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(console.clone())
        .stderr(console.clone())
        .wall_clock(FixedClock(Arc::clone(moment)))
        .monotonic_clock(FixedClock(Arc::clone(moment)))
        .secure_random(SeededRandom(Arc::clone(moment)))
        .insecure_random(SeededRandom(Arc::clone(moment)))
        // Hash maps of guests take their keys from it, once for an instance:
        // constant, or answers would depend on the instance.
        .insecure_random_seed(0x5eed)
        .max_random_size(64 << 10)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    wasi.build()
}

/// Caps the linear memory of an instance, all its memories together, and
/// remembers a denial: guests end in an ordinary trap after one.
struct MemoryLimit {
    limit_bytes: usize,
    used_bytes: usize,
    denied_bytes: Option<usize>,
}

/// Entries of a guest's function table.
const MAX_TABLE_ENTRIES: usize = 20_000;

impl MemoryLimit {
    fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, denied_bytes: None }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used_bytes.saturating_add(desired - current);
        let granted = total <= self.limit_bytes;
        if granted {
            self.used_bytes = total;
        } else {
            self.denied_bytes = Some(total);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ENTRIES)
    }
}
