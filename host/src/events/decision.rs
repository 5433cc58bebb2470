//! What is decided on a finished event: tier, count, policy, coin. One that is
//! kept goes to the sinks. When, and by whom, is `pipeline`'s; what shadows say of
//! it is waited for in `waiting`, and changes nothing.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use uuid::Uuid;

use super::details::Details;
use super::ledger::Ledger;
use super::lookup::Lookup;
use super::names::{Business, Reason, Timing};
use super::pipeline::Finished;
use super::record::{Operation, Record, SamplingRecord};
use super::shadow::ShadowVerdict;
use super::sink::{KeptEvent, Sinks};
use super::taxonomy::{Code, Failure};
use super::waiting::{Beside, Decided, Verdict};
use crate::config::{Config, SamplingUnit};
use crate::identity::IdentityKey;
use crate::live::{ChargerQuestion, Live};
use crate::plugin_host::{self, Facts, PluginError, PluginErrorKind, Shadowed, Slot, Summary};
use crate::supervision::{PanicPoint, caught, guarded};

/// Decides on finished events, and hands those that are kept to the sinks.
pub(super) struct Decider {
    pub(super) ledger: Arc<Ledger>,
    pub(super) sinks: Sinks,
    pub(super) key: IdentityKey,
    unit: SamplingUnit,
    telemetry_rate: f64,
    trip_rate: f64,
    slow_threshold_ms: f64,
    /// Whom events tell what runs.
    pub(super) live: Live,
    /// There is no time left to ask.
    in_a_hurry: AtomicBool,
    pub(super) fault: PanicPoint,
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

/// What is done with an event follows upon each other: where one thing ends the
/// next begins, and the time is read once for both.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the last thing ended.
    fn lap_ms(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before).as_secs_f64() * 1e3
    }
}

impl Decider {
    pub(super) fn new(config: &Config, key: IdentityKey, sinks: Sinks) -> Self {
        Self {
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
        }
    }

    /// There is no time left to ask: what comes is kept.
    pub(super) fn hurry(&self) {
        self.in_a_hurry.store(true, Ordering::Relaxed);
    }

    /// Decides on an event, and lets it go or emits it; comes back with one
    /// that is kept and whose shadows have not answered yet. One that a panic
    /// leaves undecided is kept.
    pub(super) async fn process(&self, finished: Finished) -> Option<Decided> {
        let Finished { record, trip, charger } = finished;
        if self.in_a_hurry.load(Ordering::Relaxed) {
            self.emit(record, Verdict::always(Reason::POLICY_OVERLOAD), None);
            return None;
        }
        let mut in_hand = InHand::Finished(record);
        // Pinned where it is made: it is large.
        let decided = guarded("an event task", pin!(self.decide(&mut in_hand, trip, charger))).await;
        decided.unwrap_or_else(|panicked| {
            if let Some(mut record) = in_hand.take() {
                record.note(Failure::from(panicked));
                self.emit(record, Verdict::always(Reason::POLICY_ERROR), None);
            }
            None
        })
    }

    async fn decide(
        &self,
        in_hand: &mut InHand,
        trip: Option<Box<Shadowed<Summary>>>,
        charger: Option<Box<ChargerQuestion>>,
    ) -> Option<Decided> {
        let InHand::Finished(record) = in_hand else { return None };
        let mut clock = Clock::start();
        let tier = self.classify(record, &mut clock).await;
        if let Some(question) = charger {
            self.ask_of_charger(record, *question, &mut clock).await;
        }
        let (coin, facts) = (self.coin(record), self.facts(record));
        let at_ms = record.timestamp.as_millisecond();
        let event = in_hand.ask(&self.key)?;
        let plugins = &event.record().service.plugins;
        let facts_again = plugins.shadow(Slot::SamplingPolicy).map(|_| facts.clone());
        self.fault.strike();
        let answer = plugins.decide(facts, event.clone(), at_ms).await;
        let policy_ms = clock.lap_ms();
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
        let beside = Beside { tier, verdict: beside, trip: trip.map(|trip| *trip) };
        let mut decided = Decided::new(event, verdict, policy_ms, beside);
        if decided.is_awaited() {
            return Some(decided);
        }
        self.emit_decided(decided);
        None
    }

    /// Asks for the tier; comes back with what was asked beside it. Without an
    /// answer the event has none: the host knows no thresholds.
    async fn classify(&self, record: &mut Record, clock: &mut Clock) -> Option<Shadowed<String>> {
        let stats = record.vehicle_context.as_ref().and_then(|vehicle| vehicle.stats)?;
        let at_ms = record.timestamp.as_millisecond();
        let tier = record.service.plugins.classify(stats, at_ms).await;
        record.performance_breakdown.add(Timing::USAGE_TIER, clock.lap_ms());
        let beside = record.service.plugins.shadow_classify(stats, at_ms, tier.as_deref().ok());
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

    /// Tells the live view of a trip's upload or end, in the order in which they
    /// end; comes back with a question where charging may have started.
    pub(super) fn follow_trip(&self, record: &Record, ended: Instant) -> Option<ChargerQuestion> {
        let is_set = |flag| record.business_metrics.is_set(flag);
        match &record.details {
            Details::Finalization(trip) if record.success => {
                self.live.ended(&trip.trip_id);
                None
            }
            Details::Upload(upload) if record.success && !is_set(Business::DUPLICATE_READING) => {
                self.live.saw(upload, is_set(Business::TRIP_CREATED), ended)
            }
            _ => None,
        }
    }

    /// Says of an upload whether charging started with it.
    async fn ask_of_charger(&self, record: &mut Record, question: ChargerQuestion, clock: &mut Clock) {
        let at_ms = record.timestamp.as_millisecond();
        let reading = Arc::new(question.reading());
        let answer = record.service.plugins.sessions(reading, 0, at_ms).await;
        record.performance_breakdown.add(Timing::CHARGING_STARTED, clock.lap_ms());
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
            usage_tier: vehicle.and_then(|vehicle| vehicle.usage_tier.as_deref()).map(str::to_owned),
            account_age_days: vehicle.and_then(|vehicle| Some(vehicle.stats.as_ref()?.account_age_days)),
        }
    }

    /// Hands an event that is kept to the sinks, with what its shadows have said
    /// by now.
    pub(super) fn emit_decided(&self, decided: Decided) {
        self.hand_to_sinks(|| decided.into_parts());
    }

    /// Emits an event that nobody decides on.
    pub(super) fn emit(&self, record: Box<Record>, verdict: Verdict, shadow: Option<ShadowVerdict>) {
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
            (SamplingUnit::Trace, Some(trace)) => {
                // As the text that events say.
                self.key.fraction(trace.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes())
            }
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
