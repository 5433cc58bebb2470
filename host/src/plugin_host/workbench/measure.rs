//! What the calls of a plugin cost, on built-in questions.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::bindings::identity::PluginInfo;
use super::super::load;
use super::super::pool::Pool;
use super::super::questions::Ask;
use super::super::samples::AT_MS;
use super::*;

/// Calls before those that count.
const WARM_UP: usize = 10;
/// Calls that count, unless they take longer than [`LONGEST`].
const CALLS: usize = 10_000;
const LONGEST: Duration = Duration::from_millis(500);
/// Calls that count at the least.
const FEWEST: usize = 20;

/// Where the instances of a measurement came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// Made and configured for each call, which is part of its time.
    Fresh,
    /// Used again.
    Pooled,
}

/// The calls of one function.
#[derive(Debug)]
pub struct Measurement {
    /// The function, and what it was asked.
    pub question: String,
    /// Where its instances came from.
    pub instances: Instances,
    /// How long each call took, in ascending order; not empty.
    times: Vec<Duration>,
}

impl Measurement {
    /// Number of calls.
    pub fn calls(&self) -> usize {
        self.times.len()
    }

    /// The time within which this percentage of the calls ended: 0 to 100.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent.min(100) / 100]
    }
}

/// What a component costs.
#[derive(Debug)]
pub struct Measured {
    /// What it calls itself.
    pub name: String,
    /// What it calls its version.
    pub version: String,
    /// Size of the file: bytes.
    pub size_bytes: usize,
    /// Time to compile it.
    pub compile: Duration,
    /// The most linear memory that an instance had: bytes.
    pub memory_bytes: usize,
    /// The instances that the slot uses.
    pub used: Instances,
    /// Each function with each kind of instances.
    pub measurements: Vec<Measurement>,
}

impl Workbench {
    /// Measures a component in a slot.
    ///
    /// # Errors
    /// What keeps it out of the slot, or a call that failed.
    pub async fn measure(&self, slot: Slot, file: &Path) -> Result<Measured, Refusal> {
        let measured = in_world_of!(slot, W => self.measure_in::<W>(file).await);
        measured.map_err(refused(slot, file))
    }

    async fn measure_in<W: Ask>(&self, file: &Path) -> Result<Measured, Unfit> {
        let bytes = self.read(W::SLOT, file).await?;
        let size_bytes = bytes.len();
        let started = Instant::now();
        let component = compile(&self.engine, bytes).await?;
        let compile = started.elapsed();
        let recycle_after = self.settings(W::SLOT).limits.recycle_after;
        let used = if recycle_after == 1 { Instances::Fresh } else { Instances::Pooled };
        let mut measurements = Vec::new();
        let fresh = self.calls::<W>(&component, Instances::Fresh, &mut measurements).await?;
        let pooled = self.calls::<W>(&component, Instances::Pooled, &mut measurements).await?;
        let usage = [fresh.1, pooled.1].map(|pool| pool.template().usage().peak_memory_bytes());
        let PluginInfo { name, version, .. } = fresh.0;
        let memory_bytes = usage[0].max(usage[1]);
        Ok(Measured { name, version, size_bytes, compile, memory_bytes, used, measurements })
    }

    /// Calls every function; adds the times.
    async fn calls<W: Ask>(
        &self,
        component: &Component,
        instances: Instances,
        measurements: &mut Vec<Measurement>,
    ) -> Result<(PluginInfo, Pool<W>), Unfit> {
        let mut settings = self.settings(W::SLOT);
        settings.limits.recycle_after = match instances {
            Instances::Fresh => 1,
            Instances::Pooled => u64::MAX,
        };
        let (info, pool) = load::start::<W>(component, settings).await?;
        for (question, asked) in W::workload() {
            let times = time_calls(&pool, &asked).await.map_err(|problem| vec![problem])?;
            measurements.push(Measurement { question, instances, times });
        }
        Ok((info, pool))
    }
}

async fn time_calls<W: Ask>(pool: &Pool<W>, question: &W::Question) -> Result<Vec<Duration>, String> {
    let began = Instant::now();
    let mut times = Vec::new();
    for call in 0..WARM_UP + CALLS {
        let question = question.clone();
        let function = W::function(&question);
        let started = Instant::now();
        let answer = W::ask(pool, question, AT_MS).await;
        let time = started.elapsed();
        answer.map_err(|error| format!("fails a call of `{function}`: {error}"))?;
        if call >= WARM_UP {
            times.push(time);
        }
        if began.elapsed() > LONGEST && times.len() >= FEWEST {
            break;
        }
    }
    times.sort_unstable();
    Ok(times)
}
