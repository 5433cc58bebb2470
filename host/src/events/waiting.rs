//! Events that are decided and wait a moment for what shadows say of them. The
//! event tasks go on meanwhile; nothing that was decided changes here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decision::Decider;
use super::lookup::Lookup;
use super::names::{Reason, Timing};
use super::record::Record;
use super::shadow::{ShadowTier, ShadowVerdict};
use super::taxonomy::Failure;
use crate::plugin_host::{self, PluginError, Shadowed, Summary};

/// How long an event waits for what a shadow says of it.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long one waits that tells of a trip: there are few, and they are large.
const TRIP_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at those that wait.
const LOOK: Duration = Duration::from_millis(5);

/// What the policy, or the host in its place, wants.
pub(super) struct Verdict {
    pub(super) probability: f64,
    pub(super) reason: Cow<'static, str>,
    pub(super) by_policy: bool,
    /// Why it is the host.
    failure: Option<Failure>,
}

impl Verdict {
    pub(super) fn always(reason: Reason) -> Self {
        Self { probability: 1.0, reason: reason.name.into(), by_policy: false, failure: None }
    }
}

impl From<Result<plugin_host::Verdict, PluginError>> for Verdict {
    fn from(answer: Result<plugin_host::Verdict, PluginError>) -> Self {
        match answer {
            Ok(plugin_host::Verdict { probability, reason }) => {
                Self { probability, reason: reason.into(), by_policy: true, failure: None }
            }
            Err(error) => Self { failure: Some(Failure::from(&error)), ..Self::always(Reason::POLICY_ERROR) },
        }
    }
}

/// What shadows were asked of an event.
pub(super) struct Beside {
    pub(super) tier: Option<Shadowed<String>>,
    pub(super) verdict: Option<Shadowed<plugin_host::Verdict>>,
    pub(super) trip: Option<Shadowed<Summary>>,
}

/// An event that is kept.
pub(super) struct Decided {
    /// Shared with the shadow, which sees what the policy saw.
    event: Arc<Lookup>,
    verdict: Verdict,
    policy_ms: f64,
    beside: Beside,
    until: Instant,
}

impl Decided {
    pub(super) fn new(event: Arc<Lookup>, verdict: Verdict, policy_ms: f64, beside: Beside) -> Self {
        let patience = if beside.trip.is_some() { TRIP_PATIENCE } else { PATIENCE };
        Self { event, verdict, policy_ms, beside, until: Instant::now() + patience }
    }

    /// Whether a shadow may still say something of it.
    pub(super) fn is_awaited(&mut self) -> bool {
        fn still<T>(asked: &mut Option<Shadowed<T>>) -> bool {
            asked.as_mut().is_some_and(|asked| !asked.is_over())
        }
        let Beside { tier, verdict, trip } = &mut self.beside;
        still(tier) || still(verdict) || still(trip)
    }

    /// The event with all that was said of it, and what was wanted of it.
    pub(super) fn into_parts(self) -> (Box<Record>, Verdict, Option<ShadowVerdict>) {
        let Self { event, mut verdict, policy_ms, beside, .. } = self;
        let mut record = event.into_record();
        record.performance_breakdown.add(Timing::SAMPLING_POLICY, policy_ms);
        if let Some(failure) = verdict.failure.take() {
            record.note(failure);
        }
        if let Some(vehicle) = &mut record.vehicle_context {
            vehicle.shadow_tier = beside.tier.and_then(Shadowed::take).map(ShadowTier::from);
        }
        record.set_shadow_trip(beside.trip.and_then(Shadowed::take));
        (record, verdict, beside.verdict.and_then(Shadowed::take).map(ShadowVerdict::from))
    }
}

/// Those that wait; as many as shadows have room for questions.
#[derive(Default)]
pub(super) struct Waiting {
    events: Vec<Decided>,
    looked: Option<Instant>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn extend(&mut self, decided: Option<Decided>) {
        self.events.extend(decided);
    }

    /// Emits those that have waited long enough, if there was no look at them
    /// just now.
    pub(super) fn look(&mut self, decider: &Decider) {
        if self.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now >= looked + LOOK) {
            self.emit_if(decider, |event| now >= event.until);
            self.looked = Some(now);
        }
    }

    /// Emits all of them, each as soon as it is complete and none later than
    /// after the usual patience.
    pub(super) async fn end(&mut self, decider: &Decider) {
        let until = Instant::now() + PATIENCE;
        while !self.is_empty() {
            self.emit_if(decider, |_| Instant::now() >= until);
            if !self.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    fn emit_if(&mut self, decider: &Decider, no_longer: impl Fn(&Decided) -> bool) {
        for mut event in std::mem::take(&mut self.events) {
            if no_longer(&event) || !event.is_awaited() {
                decider.emit_decided(event);
            } else {
                self.events.push(event);
            }
        }
    }
}
