//! What happens to a finished event: tier, count, policy, coin, sink. All of
//! it off the operation's path, behind bounded queues. What shadows say of it
//! is waited for in `waiting`, and changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::details::Details;
use super::fields::Value;
use super::ledger::{Ledger, Totals};
use super::lookup::Lookup;
use super::record::{Operation, Record, SamplingRecord};
use super::shadow::ShadowVerdict;
use super::sink::{Sink, SinkFull};
use super::taxonomy::{Code, Failure};
use super::waiting::{Beside, Decided, Verdict, Waiting};
use crate::config::{Config, SamplingUnit};
use crate::identity::IdentityKey;
use crate::live::Live;
use crate::plugin_host::{self, Facts, PluginError, Shadowed, Slot, Summary};

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

#[derive(Clone)]
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    queues: Arc<[mpsc::Sender<Job>; TASKS]>,
    next: Arc<AtomicUsize>,
}

/// A finished event, and the trip that a shadow is asked about.
pub(super) struct Finished {
    pub(super) record: Record,
    pub(super) trip: Option<Shadowed<Summary>>,
}

enum Job {
    Event(Box<Finished>),
    Flush(oneshot::Sender<()>),
}

pub(super) struct Shared {
    ledger: Ledger,
    sink: Sink,
    key: IdentityKey,
    unit: SamplingUnit,
    telemetry_rate: f64,
    trip_rate: f64,
    slow_threshold_ms: f64,
    /// Whom events tell what runs.
    live: Live,
    /// There is no time left to ask.
    in_a_hurry: AtomicBool,
}

impl Pipeline {
    pub(super) fn start(config: &Config, key: IdentityKey, sink: Sink) -> Self {
        let shared = Arc::new(Shared {
            ledger: Ledger::default(),
            sink,
            key,
            unit: config.sampling.sampling_unit,
            telemetry_rate: config.sampling.telemetry_rate(config.service.environment),
            trip_rate: config.sampling.log_sample_trip,
            slow_threshold_ms: config.sampling.log_slow_threshold_ms,
            live: Live::new(config.trips.timeout()),
            in_a_hurry: AtomicBool::new(false),
        });
        let queues = std::array::from_fn(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(work(shared.clone(), receiver));
            sender
        });
        Self { shared, queues: Arc::new(queues), next: Arc::new(AtomicUsize::new(0)) }
    }

    /// Takes a finished event. Never blocks: with full queues the event is
    /// kept without asking the policy.
    pub(super) fn hand_over(&self, mut finished: Finished) {
        self.shared.ledger.received();
        finished.record.bound();
        if finished.record.operation.always_kept() {
            return self.shared.emit(finished.record, Verdict::always("always_kept"), None);
        }
        let mut job = Job::Event(Box::new(finished));
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..TASKS {
            match self.queues[(first + offset) % TASKS].try_send(job) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
                    job = back;
                }
            }
        }
        if let Job::Event(finished) = job {
            self.shared.emit(finished.record, Verdict::always("policy_overload"), None);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.shared.ledger.totals().without(self.shared.sink.lost())
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
                    waiting.extend(shared.process(*event).await);
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
    /// that is kept and whose shadows have not answered yet.
    async fn process(&self, Finished { mut record, trip }: Finished) -> Option<Decided> {
        if self.in_a_hurry.load(Ordering::Relaxed) {
            self.emit(record, Verdict::always("policy_overload"), None);
            return None;
        }
        let tier = self.classify(&mut record).await;
        self.follow_trip(&mut record).await;
        let coin = self.coin(&record);
        let facts = self.facts(&record);
        let plugins = record.service.plugins.clone();
        let facts_again = plugins.shadow(Slot::SamplingPolicy).map(|_| facts.clone());
        let at_ms = record.timestamp.as_millisecond();
        let event = Lookup::new(record);
        let started = Instant::now();
        let answer = plugins.decide(facts, event.clone(), at_ms).await;
        let policy_ms = started.elapsed().as_secs_f64() * 1e3;
        let probability = answer.as_ref().ok().map(|verdict| verdict.probability);
        let verdict = Verdict::from(answer);
        let kept = coin < verdict.probability;
        let served = plugin_host::Decided { probability, coin, kept };
        let beside = facts_again.and_then(|facts| plugins.shadow_decide(facts, event.clone(), at_ms, served));
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
        record.performance_breakdown.add_since("usage_tier", started);
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
        let is_set = |flag: &str| record.business_metrics.get(flag) == Some(&Value::Flag(true));
        let question = match &record.details {
            Details::Finalization(trip) if record.success => return self.live.ended(&trip.trip_id),
            Details::Upload(upload) if record.success && !is_set("duplicate_reading") => {
                self.live.saw(upload, is_set("trip_created"))
            }
            _ => None,
        };
        let Some(question) = question else { return };
        let started = Instant::now();
        let plugins = record.service.plugins.clone();
        let at_ms = record.timestamp.as_millisecond();
        let answer = plugins.sessions(Arc::new(question.reading()), 0, at_ms).await;
        record.performance_breakdown.add_since("charging_started", started);
        match answer {
            Ok(sessions) => {
                let started = self.live.judged(&question, !sessions.is_empty());
                record.business_metrics.set("charging_started", started);
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
                Operation::TelemetryUpload => self.telemetry_rate,
                Operation::TripFinalization => self.trip_rate,
                Operation::ChargingSession
                | Operation::ExternalApiWeather
                | Operation::PluginSwap
                | Operation::ServiceStart
                | Operation::ServiceStop => 1.0,
            },
            business_flags: record.business_metrics.flags().map(str::to_owned).collect(),
            usage_tier: vehicle.and_then(|vehicle| vehicle.usage_tier.clone()),
            account_age_days: vehicle.and_then(|vehicle| Some(vehicle.stats.as_ref()?.account_age_days)),
        }
    }

    /// Hands an event that is kept to the sink, with what its shadows have said
    /// by now.
    pub(super) fn emit_decided(&self, decided: Decided) {
        let (record, verdict, shadow) = decided.into_parts();
        self.emit(record, verdict, shadow);
    }

    fn emit(&self, mut record: Record, verdict: Verdict, shadow: Option<ShadowVerdict>) {
        let policy = verdict.by_policy.then(|| record.service.plugins.identity(Slot::SamplingPolicy));
        record.sampling = Some(SamplingRecord {
            probability: verdict.probability,
            rate: 1.0 / verdict.probability,
            policy: policy.map(|policy| policy.name.clone()),
            policy_version: policy.map(|policy| policy.version.clone()),
            reason: verdict.reason,
            shadow,
        });
        match record.write_line().map(|line| self.sink.emit(&line)) {
            Ok(Ok(())) => self.ledger.kept(),
            Ok(Err(SinkFull)) => self.ledger.lost_by_sink(),
            Err(error) => {
                self.ledger.lost_by_sink();
                tracing::error!(%error, "an event could not be written as JSON");
            }
        }
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

impl From<&PluginError> for Failure {
    fn from(error: &PluginError) -> Self {
        use crate::plugin_host::PluginErrorKind as Kind;
        let code = match error.kind {
            Kind::Trapped => Code::E410,
            Kind::DeadlineExceeded => Code::E411,
            Kind::Rejected => Code::E412,
            Kind::MemoryLimit => Code::E413,
            Kind::Nonsense => Code::E414,
        };
        Failure::new(code, format!("the plugin in slot {} failed", error.slot.as_str()))
            .caused_by("PluginError", &error.message)
    }
}
