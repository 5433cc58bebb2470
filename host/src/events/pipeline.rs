//! What happens to a finished event: tier, count, policy, coin, sink. All of
//! it off the operation's path, behind bounded queues. What shadows say of it
//! is waited for in `waiting`, and changes nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::details::Details;
use super::ledger::{Counts, Ledger, Totals};
use super::lookup::Lookup;
use super::names::{Business, Reason, Timing};
use super::record::{Operation, Record, SamplingRecord};
use super::shadow::ShadowVerdict;
use super::sink::{KeptEvent, Sinks};
use super::taxonomy::{Code, Failure};
use super::waiting::{Beside, Decided, Verdict, Waiting};
use crate::config::{Config, SamplingUnit};
use crate::identity::IdentityKey;
use crate::live::Live;
use crate::plugin_host::{self, Facts, PluginError, PluginErrorKind, Shadowed, Slot, Summary};
use crate::supervision::{PanicPoint, caught, guarded};

/// Event tasks: one that waits for a slow policy leaves the other free.
const TASKS: usize = 2;
/// Finished events that wait for one task.
const QUEUE: usize = 4096;
/// Events that a task takes at once.
const HANDFUL: usize = 256;
/// Events are not urgent: after a handful a task lets some gather, so that it
/// is woken for each handful and not for each event.
const PAUSE: Duration = Duration::from_millis(5);

/// Whether a drain got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything is with the sinks.
    Fully,
    /// Time ran out first.
    TimedOut,
}

pub(super) struct Pipeline {
    shared: Arc<Shared>,
    queues: [mpsc::Sender<Job>; TASKS],
    next: AtomicUsize,
}

/// A finished event, and the trip that a shadow is asked about.
pub(super) struct Finished {
    pub(super) record: Box<Record>,
    pub(super) trip: Option<Box<Shadowed<Summary>>>,
}

/// Where an event is while it is decided on: a panic leaves it there.
enum InHand {
    Finished(Box<Record>),
    /// Somebody is asked about it.
    Asked(Arc<Lookup>),
    /// It is decided, or taken out after a panic.
    Nothing,
}

impl InHand {
    fn take(&mut self) -> Option<Box<Record>> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Finished(record) => Some(record),
            Self::Asked(event) => Some(event.into_record()),
            Self::Nothing => None,
        }
    }

    /// The event for others to look at.
    fn ask(&mut self, key: &IdentityKey) -> Option<Arc<Lookup>> {
        let event = Lookup::new(self.take()?, key.clone());
        *self = Self::Asked(event.clone());
        Some(event)
    }
}

enum Job {
    Event(Finished),
    Flush(oneshot::Sender<()>),
}

pub(super) struct Shared {
    ledger: Arc<Ledger>,
    sinks: Sinks,
    key: IdentityKey,
    unit: SamplingUnit,
    telemetry_rate: f64,
    trip_rate: f64,
    slow_threshold_ms: f64,
    /// Whom events tell what runs.
    live: Live,
    /// There is no time left to ask.
    in_a_hurry: AtomicBool,
    fault: PanicPoint,
}

impl Pipeline {
    pub(super) fn start(config: &Config, key: IdentityKey, sinks: Sinks) -> Self {
        let shared = Arc::new(Shared {
            ledger: Arc::default(),
            sinks,
            key,
            unit: config.sampling.sampling_unit,
            telemetry_rate: config.sampling.telemetry_rate(config.service.environment),
            trip_rate: config.sampling.log_sample_trip,
            slow_threshold_ms: config.sampling.log_slow_threshold_ms,
            live: Live::new(config.trips.timeout()),
            in_a_hurry: AtomicBool::new(false),
            fault: PanicPoint::default(),
        });
        let queues = std::array::from_fn(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(work(shared.clone(), receiver));
            sender
        });
        Self { shared, queues, next: AtomicUsize::new(0) }
    }

    /// Takes a finished event. Never blocks: with full queues the event is
    /// kept without asking the policy.
    pub(super) fn hand_over(&self, mut finished: Finished) {
        self.shared.ledger.received();
        // Most events are let go, and nobody reads them: those that are kept are
        // cleaned when they are written. What waits must not be large.
        if finished.record.is_long() {
            finished.record.clean(&self.shared.key);
        }
        if finished.record.operation.always_kept() {
            return self.shared.emit(finished.record, Verdict::always(Reason::ALWAYS_KEPT), None);
        }
        // Those of a trip stay in order: what charges was seen idle before.
        let first = match &finished.record.trace_id {
            Some(trace) => {
                let mut hasher = DefaultHasher::new();
                trace.hash(&mut hasher);
                usize::from(hasher.finish().to_le_bytes()[0])
            }
            None => self.next.fetch_add(1, Ordering::Relaxed),
        };
        let mut job = Job::Event(finished);
        for offset in 0..TASKS {
            match self.queues[(first + offset) % TASKS].try_send(job) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
                    job = back;
                }
            }
        }
        if let Job::Event(finished) = job {
            self.shared.emit(finished.record, Verdict::always(Reason::POLICY_OVERLOAD), None);
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.ledger.counts
    }

    /// Events that wait, by event task.
    pub(super) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.queues.iter().map(|queue| queue.max_capacity() - queue.capacity())
    }

    pub(super) fn totals(&self) -> Totals {
        self.shared.ledger.totals()
    }

    pub(super) fn sinks(&self) -> &Sinks {
        &self.shared.sinks
    }

    #[cfg(test)]
    pub(super) fn fault(&self) -> &PanicPoint {
        &self.shared.fault
    }

    pub(super) fn live(&self) -> &Live {
        &self.shared.live
    }

    /// Waits for all events that were handed over. After half of the time
    /// nobody is asked any more: what is left is kept.
    pub(super) async fn drain(&self, by: Instant) -> Drained {
        let flush = async {
            for queue in self.queues.iter() {
                let (done, flushed) = oneshot::channel();
                if queue.send(Job::Flush(done)).await.is_ok() {
                    // A task that ended has nothing left to flush.
                    flushed.await.ok();
                }
            }
        };
        let half = by.saturating_duration_since(Instant::now()) / 2;
        let hurry = async {
            tokio::time::sleep(half).await;
            self.shared.in_a_hurry.store(true, Ordering::Relaxed);
            std::future::pending().await
        };
        tokio::select! {
            flushed = tokio::time::timeout_at(by.into(), flush) => match flushed {
                Ok(()) => Drained::Fully,
                Err(_) => Drained::TimedOut,
            },
            never = hurry => never,
        }
    }
}

async fn work(shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(HANDFUL);
    let mut waiting = Waiting::default();
    loop {
        let taking = queue.recv_many(&mut jobs, HANDFUL);
        let over = if waiting.is_empty() {
            taking.await == 0
        } else {
            // What waits must not wait for the next event.
            tokio::time::timeout(PAUSE, taking).await == Ok(0)
        };
        if over {
            return waiting.end(&shared).await;
        }
        for job in jobs.drain(..) {
            match job {
                Job::Event(event) => {
                    waiting.extend(shared.process(event).await);
                    waiting.look(&shared);
                }
                Job::Flush(done) => {
                    waiting.end(&shared).await;
                    // Nobody may be waiting any more; then nobody minds.
                    done.send(()).ok();
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        waiting.look(&shared);
    }
}

impl Shared {
    /// Decides on an event, and lets it go or emits it; comes back with one
    /// that is kept and whose shadows have not answered yet. One that a panic
    /// leaves undecided is kept.
    async fn process(&self, Finished { record, trip }: Finished) -> Option<Decided> {
        if self.in_a_hurry.load(Ordering::Relaxed) {
            self.emit(record, Verdict::always(Reason::POLICY_OVERLOAD), None);
            return None;
        }
        let mut in_hand = InHand::Finished(record);
        let decided = guarded("an event task", pin!(self.decide(&mut in_hand, trip.map(|trip| *trip)))).await;
        decided.unwrap_or_else(|panicked| {
            if let Some(mut record) = in_hand.take() {
                record.note(Failure::from(panicked));
                self.emit(record, Verdict::always(Reason::POLICY_ERROR), None);
            }
            None
        })
    }

    async fn decide(&self, in_hand: &mut InHand, trip: Option<Shadowed<Summary>>) -> Option<Decided> {
        let InHand::Finished(record) = in_hand else { return None };
        let tier = self.classify(record).await;
        self.follow_trip(record).await;
        let (coin, facts) = (self.coin(record), self.facts(record));
        let plugins = record.service.plugins.clone();
        let facts_again = plugins.shadow(Slot::SamplingPolicy).map(|_| facts.clone());
        let at_ms = record.timestamp.as_millisecond();
        let event = in_hand.ask(&self.key)?;
        self.fault.strike();
        let started = Instant::now();
        let answer = plugins.decide(facts, event.clone(), at_ms).await;
        let policy_ms = started.elapsed().as_secs_f64() * 1e3;
        let probability = answer.as_ref().ok().map(|verdict| verdict.probability);
        let noted = answer.as_ref().err().map(|error| Code::from(error.kind));
        let verdict = Verdict::from(answer);
        let kept = coin < verdict.probability;
        let served = plugin_host::Decided { probability, coin, kept };
        let beside = facts_again.and_then(|facts| plugins.shadow_decide(facts, event.clone(), at_ms, served));
        *in_hand = InHand::Nothing;
        self.ledger.counts.count(event.record(), noted);
        if !kept {
            self.ledger.sampled_out();
            return None;
        }
        let beside = Beside { tier, verdict: beside, trip };
        let mut decided = Decided::new(event, verdict, policy_ms, beside);
        if decided.is_awaited() {
            return Some(decided);
        }
        self.emit_decided(decided);
        None
    }

    /// Asks for the tier; comes back with what was asked beside it. Without an
    /// answer the event has none: the host knows no thresholds.
    async fn classify(&self, record: &mut Record) -> Option<Shadowed<String>> {
        let stats = record.vehicle_context.as_ref().and_then(|vehicle| vehicle.stats)?;
        let at_ms = record.timestamp.as_millisecond();
        let started = Instant::now();
        let plugins = record.service.plugins.clone();
        let tier = plugins.classify(stats, at_ms).await;
        record.performance_breakdown.add_since(Timing::USAGE_TIER, started);
        let beside = plugins.shadow_classify(stats, at_ms, tier.as_deref().ok());
        match tier {
            Ok(tier) => {
                if let Some(vehicle) = &mut record.vehicle_context {
                    vehicle.usage_tier = Some(tier);
                }
            }
            Err(error) => record.note(Failure::from(&error)),
        }
        beside
    }

    /// Tells the live view of a trip's upload or end, and says of an upload
    /// whether charging started with it.
    async fn follow_trip(&self, record: &mut Record) {
        let is_set = |flag| record.business_metrics.is_set(flag);
        let question = match &record.details {
            Details::Finalization(trip) if record.success => return self.live.ended(&trip.trip_id),
            Details::Upload(upload) if record.success && !is_set(Business::DUPLICATE_READING) => {
                self.live.saw(upload, is_set(Business::TRIP_CREATED))
            }
            _ => None,
        };
        let Some(question) = question else { return };
        let started = Instant::now();
        let plugins = record.service.plugins.clone();
        let at_ms = record.timestamp.as_millisecond();
        let answer = plugins.sessions(Arc::new(question.reading()), 0, at_ms).await;
        record.performance_breakdown.add_since(Timing::CHARGING_STARTED, started);
        match answer {
            Ok(sessions) => {
                let started = self.live.judged(&question, !sessions.is_empty());
                record.business_metrics.set(Business::CHARGING_STARTED, started);
            }
            Err(error) => {
                self.live.pause();
                record.note(Failure::from(&error));
            }
        }
    }

    fn facts(&self, record: &Record) -> Facts {
        let vehicle = record.vehicle_context.as_ref();
        Facts {
            operation: record.operation.as_str().to_owned(),
            success: record.success,
            duration_ms: record.duration_ms,
            slow_threshold_ms: self.slow_threshold_ms,
            base_rate: match record.operation {
                Operation::TelemetryUpload | Operation::ApiRequest => self.telemetry_rate,
                Operation::TripFinalization => self.trip_rate,
                Operation::ExternalApiWeather
                | Operation::TripRecalculation
                | Operation::CsvImport
                | Operation::ChargingSession
                | Operation::PluginSwap
                | Operation::ServiceStart
                | Operation::ServiceStop => 1.0,
            },
            business_flags: record.business_metrics.flags().map(str::to_owned).collect(),
            usage_tier: vehicle.and_then(|vehicle| vehicle.usage_tier.clone()),
            account_age_days: vehicle.and_then(|vehicle| Some(vehicle.stats.as_ref()?.account_age_days)),
        }
    }

    /// Hands an event that is kept to the sinks, with what its shadows have said
    /// by now.
    pub(super) fn emit_decided(&self, decided: Decided) {
        self.hand_to_sinks(|| decided.into_parts());
    }

    /// Emits an event that nobody decides on.
    fn emit(&self, record: Box<Record>, verdict: Verdict, shadow: Option<ShadowVerdict>) {
        self.ledger.counts.count(&record, None);
        self.hand_to_sinks(|| (record, verdict, shadow));
    }

    /// Emits an event, which counts it. Who does may be dropping it because of
    /// a panic, or have others in hand: none gets out of here.
    fn hand_to_sinks(&self, event: impl FnOnce() -> (Box<Record>, Verdict, Option<ShadowVerdict>)) {
        let kept = caught("the writing of an event", || {
            let (record, verdict, shadow) = event();
            let (operation, timestamp) = (record.operation, record.timestamp);
            let line = line(record, verdict, shadow, &self.key)?;
            Ok::<_, serde_json::Error>(KeptEvent::new(operation, timestamp, line, &self.ledger))
        });
        match kept {
            Ok(Ok(event)) => return self.sinks.emit(&event),
            Ok(Err(error)) => tracing::error!(%error, "an event could not be written as JSON"),
            Err(_) => {}
        }
        self.ledger.lost_by_sink();
    }

    /// A number from 0 up to 1 that is the same for all that stays or goes
    /// together, and the same whatever the probability: what is kept at 0.05
    /// is kept at 0.25 too.
    fn coin(&self, record: &Record) -> f64 {
        match (self.unit, &record.trace_id) {
            (SamplingUnit::Trace, Some(trace)) => self.key.fraction(trace.as_bytes()),
            _ => self.key.fraction(record.request_id.as_bytes()),
        }
    }
}

/// The line of an event, with what was wanted of it.
fn line(
    mut record: Box<Record>,
    verdict: Verdict,
    shadow: Option<ShadowVerdict>,
    key: &IdentityKey,
) -> Result<Vec<u8>, serde_json::Error> {
    let policy = verdict.by_policy.then(|| record.service.plugins.identity(Slot::SamplingPolicy));
    record.sampling = Some(SamplingRecord {
        probability: verdict.probability,
        rate: 1.0 / verdict.probability,
        policy: policy.map(|policy| policy.name.clone()),
        policy_version: policy.map(|policy| policy.version.clone()),
        reason: verdict.reason,
        shadow,
    });
    record.write_line(key)
}

impl From<&PluginError> for Failure {
    fn from(error: &PluginError) -> Self {
        Failure::new(error.kind.into(), format!("the plugin in slot {} failed", error.slot.as_str()))
            .caused_by("PluginError", &error.message)
    }
}

impl From<PluginErrorKind> for Code {
    fn from(kind: PluginErrorKind) -> Self {
        match kind {
            PluginErrorKind::Trapped => Code::E410,
            PluginErrorKind::DeadlineExceeded => Code::E411,
            PluginErrorKind::Rejected => Code::E412,
            PluginErrorKind::MemoryLimit => Code::E413,
            PluginErrorKind::Nonsense => Code::E414,
        }
    }
}
