//! Candidates that run beside the plugins of a set: asked the same, compared,
//! counted. They decide nothing, and nobody waits for them: each computes on a
//! thread of its own, for a bounded part of the time, what found room in a
//! bounded queue. How one comes and goes is told in `activation`.

mod questions;
mod tally;
mod thread;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::Slot;
use super::health::{Health, Trouble};
use super::meter::{CallStatus, Meter};
use super::pool::{MemoryStatus, PoolStatus};
use super::prepared::{Prepared, Ready};
use super::set::PluginSet;
use tally::{Tally, TallyStatus};
use thread::Job;

pub use questions::Decided;

/// The shadows of a plugin set: at most one for each slot.
#[derive(Clone, Default)]
pub(super) struct Shadows(BTreeMap<Slot, Shadow>);

/// A candidate beside one plugin. Clones share its counts.
#[derive(Clone)]
struct Shadow {
    candidate: Arc<Running>,
    /// Of this pair: another plugin in the slot begins another.
    tally: Arc<Tally>,
}

/// A candidate that is asked.
struct Running {
    plugin: Prepared,
    since: Timestamp,
    meter: Meter,
    health: Health,
    jobs: mpsc::Sender<Job>,
    ended: watch::Sender<bool>,
}

/// What an operator sees of a shadow.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowStatus {
    /// What it calls itself.
    pub name: String,
    /// What it calls its version.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of its settings, in hex.
    pub settings_digest: String,
    /// When it began.
    pub since: Timestamp,
    /// What the operator set: limits, and `settings` of the plugin.
    pub set: Value,
    /// How it compares with the plugin that serves, since that one does.
    #[serde(flatten)]
    pub compared: TallyStatus,
    /// How its calls went.
    pub calls: CallStatus,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// Its instances; one works at a time.
    pub pool: PoolStatus,
    /// Their memory.
    pub memory: MemoryStatus,
}

/// What a shadow says.
#[derive(Debug, Clone, PartialEq)]
pub struct Said<T> {
    /// The component's SHA-256, in hex.
    pub digest: String,
    /// Its answer, or how it failed.
    pub answer: Result<T, Trouble>,
}

/// What a shadow was asked, and says as soon as it can.
pub struct Shadowed<T> {
    said: Awaited<T>,
    tally: Arc<Tally>,
}

enum Awaited<T> {
    Still(oneshot::Receiver<Said<T>>),
    Over(Option<Said<T>>),
}

impl<T> Shadowed<T> {
    /// Whether it has said all that it ever will.
    pub fn is_over(&mut self) -> bool {
        if let Awaited::Still(said) = &mut self.said {
            self.said = match said.try_recv() {
                Ok(said) => Awaited::Over(Some(said)),
                Err(oneshot::error::TryRecvError::Closed) => Awaited::Over(None),
                Err(oneshot::error::TryRecvError::Empty) => return false,
            };
        }
        true
    }

    /// What it has said by now. Nobody waits any longer: what comes later is
    /// counted all the same.
    pub fn take(mut self) -> Option<Said<T>> {
        self.is_over();
        match self.said {
            Awaited::Over(said) => said,
            Awaited::Still(_) => {
                self.tally.late();
                None
            }
        }
    }
}

impl Shadow {
    /// Asks in the background, unless there is no room: then it is skipped.
    /// `compare` counts a good answer; with a subject, failures of the same one
    /// count once.
    fn ask<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Trouble>> + Send + 'static,
        subject: Option<String>,
        compare: impl FnOnce(&T, &Tally) + Send + 'static,
    ) -> Option<Shadowed<T>> {
        let (told, said) = oneshot::channel();
        let Self { candidate, tally } = self.clone();
        let job = async move {
            let started = Instant::now();
            let answer = call.await;
            candidate.judge(started.elapsed(), answer.as_ref().err(), subject.as_deref());
            if let Ok(answer) = &answer {
                compare(answer, &tally);
            }
            // Often nobody waits any more.
            told.send(Said { digest: candidate.plugin.digest.clone(), answer }).ok();
        };
        if self.candidate.jobs.try_send(Box::pin(job)).is_err() {
            self.tally.skipped();
            return None;
        }
        Some(Shadowed { said: Awaited::Still(said), tally: Arc::clone(&self.tally) })
    }

    fn status(&self) -> ShadowStatus {
        let Running { plugin, since, meter, health, .. } = &*self.candidate;
        let (pool, memory) = plugin.ready.status();
        ShadowStatus {
            name: plugin.about.name.clone(),
            version: plugin.about.version.clone(),
            digest: plugin.digest.clone(),
            settings_digest: plugin.settings.digest(),
            since: *since,
            set: plugin.settings.as_json(),
            compared: self.tally.status(),
            calls: meter.status(),
            failures_in_a_row: health.in_a_row(),
            pool,
            memory,
        }
    }
}

impl Running {
    /// Counts a call; one failure in a row too many is its last.
    fn judge(&self, time: Duration, trouble: Option<&Trouble>, subject: Option<&str>) {
        let broken = match trouble {
            Some(Trouble::Plugin(error)) => Some(error.kind),
            _ => None,
        };
        self.meter.count(time, broken);
        match trouble {
            None => self.health.succeeded(),
            Some(trouble) => self.health.failed(trouble.clone(), subject),
        }
        if self.health.is_failing() {
            self.end();
        }
    }

    fn end(&self) {
        self.ended.send_replace(true);
    }
}

impl Shadows {
    /// These, with this plugin in the place of its slot's shadow.
    pub(super) fn with(&self, plugin: Prepared, alarm: &Arc<Notify>) -> std::io::Result<Self> {
        let slot = plugin.slot();
        let (ended, ending) = watch::channel(false);
        let candidate = Running {
            jobs: thread::start(slot, ending)?,
            since: Timestamp::now(),
            meter: Meter::new(),
            health: Health::new(plugin.settings.limits.failures_before_rollback, Arc::clone(alarm)),
            plugin,
            ended,
        };
        let mut shadows = self.clone();
        shadows.0.insert(slot, Shadow { candidate: Arc::new(candidate), tally: Arc::default() });
        Ok(shadows)
    }

    /// These, without that of a slot.
    pub(super) fn without(&self, slot: Slot) -> Self {
        let mut shadows = self.clone();
        shadows.0.remove(&slot);
        shadows
    }

    /// Another plugin serves the slot of one: what was counted was of the one
    /// before. What serves itself has no use as its own shadow.
    pub(super) fn beside_another(&mut self, serving: &Prepared) {
        let slot = serving.slot();
        let Some(shadow) = self.0.get_mut(&slot) else { return };
        shadow.tally = Arc::default();
        let Running { plugin, .. } = &*shadow.candidate;
        if plugin.digest == serving.digest && plugin.settings == serving.settings {
            self.0.remove(&slot);
        }
    }

    /// Ends those that `next` does not have, and lets go of their instances
    /// unless they serve there.
    pub(super) fn end_for(&self, next: &PluginSet) {
        for (slot, Shadow { candidate, .. }) in &self.0 {
            let goes_on = next.shadows.0.get(slot);
            if goes_on.is_some_and(|shadow| Arc::ptr_eq(&shadow.candidate, candidate)) {
                continue;
            }
            candidate.end();
            if !candidate.plugin.ready.serves(next) {
                candidate.plugin.ready.retire();
            }
        }
    }

    pub(super) fn status(&self, slot: Slot) -> Option<ShadowStatus> {
        self.0.get(&slot).map(Shadow::status)
    }
}

impl PluginSet {
    /// What runs beside the plugin in a slot, as a plugin that could serve it.
    pub fn shadow(&self, slot: Slot) -> Option<&Prepared> {
        self.shadows.0.get(&slot).map(|shadow| &shadow.candidate.plugin)
    }

    /// The shadow of a slot failed too often: how it failed last.
    pub fn shadow_trouble(&self, slot: Slot) -> Option<Trouble> {
        self.shadows.0.get(&slot)?.candidate.health.trouble()
    }
}

/// Does the same with the instances of any slot.
macro_rules! of {
    ($ready:expr, $pool:ident => $does:expr) => {
        match $ready {
            Ready::SamplingPolicy($pool) => $does,
            Ready::UsageTier($pool) => $does,
            Ready::TripCalculator($pool) => $does,
        }
    };
}

impl Ready {
    fn status(&self) -> (PoolStatus, MemoryStatus) {
        of!(self, pool => (pool.status(), pool.memory()))
    }

    fn retire(&self) {
        of!(self, pool => pool.retire());
    }

    /// Whether it is these instances that serve.
    fn serves(&self, set: &PluginSet) -> bool {
        match self {
            Ready::SamplingPolicy(pool) => Arc::ptr_eq(pool, &set.sampling_policy.pool),
            Ready::UsageTier(pool) => Arc::ptr_eq(pool, &set.usage_tier.pool),
            Ready::TripCalculator(pool) => Arc::ptr_eq(pool, &set.trip_calculator.pool),
        }
    }
}
