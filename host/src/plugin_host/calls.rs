//! Each call of a plugin: lease an instance, call within the deadline, check
//! the answer. Whom to ask, and what a failure means, is `set`'s.

use std::pin::pin;
use std::sync::Arc;

use super::answers;
use super::bindings::charging::Session;
use super::bindings::costs::{Cost, Usage};
use super::bindings::live::{Figures, Point};
use super::bindings::routes::Ends;
use super::bindings::sampling::{Facts, Verdict};
use super::bindings::soc_floor::Floor;
use super::bindings::tiers::VehicleStats;
use super::bindings::trips::{Failure, SocTransition, Summary, Trip};
use super::bindings::weather::{Impact, Sample};
use super::error::{PluginError, SummarizeError};
use super::imports::{EventFields, EventHandle, ReadingsHandle};
use super::pool::{Pool, bounded};
use super::readings::TripReadings;
use super::sandbox::within;
use super::world::{SamplingPolicy, TripCalculator, UsageTier};

/// A summary alone, and the time that each stage of it took in milliseconds.
pub(super) struct Summarized {
    pub(super) summary: Summary,
    pub(super) stages: Vec<(String, f64)>,
}

/// A tier, and whether it may be another one at another time.
pub(super) struct Classified {
    pub(super) tier: String,
    pub(super) depends_on_time: bool,
}

/// One call that takes no handle: lease, call within the deadline, end, check
/// the answer.
macro_rules! call {
    ($pool:expr, $at_ms:expr, $interface:ident . $function:ident ( $($argument:expr),* ), $check:expr) => {{
        let mut lease = $pool.lease($at_ms).await?;
        let deadline = lease.deadline();
        let (store, exports) = lease.parts();
        let outcome = within(deadline, pin!(exports.$interface.$function(store, $($argument),*))).await;
        let answer = lease.end(outcome)?;
        $check(&answer).map_err(Self::nonsense)?;
        Ok(answer)
    }};
}

impl Pool<UsageTier> {
    pub(super) async fn classify(&self, stats: VehicleStats, at_ms: i64) -> Result<Classified, PluginError> {
        let mut lease = self.lease(at_ms).await?;
        let deadline = lease.deadline();
        let (store, exports) = lease.parts();
        let outcome = within(deadline, pin!(exports.tiers.call_classify(store, stats))).await;
        let depends_on_time = lease.depends_on_time();
        let tier = lease.end(outcome)?;
        answers::tier(&tier).map_err(Self::nonsense)?;
        Ok(Classified { tier, depends_on_time })
    }
}

impl Pool<SamplingPolicy> {
    pub(super) async fn decide(
        &self,
        facts: Facts,
        event: Arc<dyn EventFields>,
        at_ms: i64,
    ) -> Result<Verdict, PluginError> {
        let mut lease = self.lease(at_ms).await?;
        let deadline = lease.deadline();
        let event = lease.lend(EventHandle(event))?;
        let (store, exports) = lease.parts();
        let outcome =
            within(deadline, pin!(exports.sampling.call_decide(store, &facts, event.borrow()))).await;
        lease.take_back(event);
        let verdict = lease.end(outcome)?;
        answers::verdict(&verdict).map_err(Self::nonsense)?;
        Ok(verdict)
    }
}

impl Pool<TripCalculator> {
    pub(super) async fn summarize(
        &self,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
    ) -> Result<Summarized, SummarizeError> {
        let mut stages = Vec::new();
        let called = self.summary(trip, readings, at_ms, &mut stages).await;
        match called {
            Ok(Ok(summary)) => Ok(Summarized { summary, stages }),
            Ok(Err(failure)) => Err(SummarizeError::Failed {
                stage: bounded(&failure.stage, 48),
                message: bounded(&failure.message, 1000),
                stages,
            }),
            Err(error) => Err(SummarizeError::Plugin { error, stages }),
        }
    }

    /// The call itself; `stages` are known also when it fails.
    async fn summary(
        &self,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
        stages: &mut Vec<(String, f64)>,
    ) -> Result<Result<Summary, Failure>, PluginError> {
        let mut lease = self.lease(at_ms).await?;
        let deadline = lease.deadline();
        let readings = lease.lend(ReadingsHandle::since(readings, 0))?;
        let (store, exports) = lease.parts();
        let call = exports.trips.call_summarize(store, trip, readings.borrow());
        let outcome = within(deadline, call).await;
        lease.take_back(readings);
        *stages = lease.stages();
        let answer = lease.end(outcome)?;
        if let Ok(summary) = &answer {
            answers::summary(summary).map_err(Self::nonsense)?;
        }
        Ok(answer)
    }

    pub(super) async fn sessions(
        &self,
        readings: Arc<TripReadings>,
        from: usize,
        at_ms: i64,
    ) -> Result<Vec<Session>, PluginError> {
        let mut lease = self.lease(at_ms).await?;
        let deadline = lease.deadline();
        let readings = lease.lend(ReadingsHandle::since(readings, from))?;
        let (store, exports) = lease.parts();
        let call = exports.charging.call_sessions(store, readings.borrow());
        let outcome = within(deadline, call).await;
        lease.take_back(readings);
        let sessions = lease.end(outcome)?;
        answers::sessions(&sessions).map_err(Self::nonsense)?;
        Ok(sessions)
    }

    pub(super) async fn figures_of(
        &self,
        first: Point,
        latest: Point,
        at_ms: i64,
    ) -> Result<Figures, PluginError> {
        call!(self, at_ms, live.call_figures_of(first, latest), answers::figures)
    }

    pub(super) async fn condition(&self, code: Option<i32>, at_ms: i64) -> Result<String, PluginError> {
        call!(self, at_ms, weather.call_condition(code), |text: &String| answers::condition(text))
    }

    pub(super) async fn assess(
        &self,
        samples: Vec<Sample>,
        at_ms: i64,
    ) -> Result<Option<Impact>, PluginError> {
        call!(self, at_ms, weather.call_assess(&samples), |impact: &Option<Impact>| {
            impact.as_ref().map_or(Ok(()), answers::impact)
        })
    }

    pub(super) async fn cost_of(&self, usage: Usage, at_ms: i64) -> Result<Cost, PluginError> {
        call!(self, at_ms, costs.call_cost_of(usage), answers::cost)
    }

    pub(super) async fn floor_of(
        &self,
        transitions: Vec<SocTransition>,
        at_ms: i64,
    ) -> Result<Floor, PluginError> {
        call!(self, at_ms, soc_floor.call_floor_of(&transitions), answers::floor)
    }

    pub(super) async fn predict(
        &self,
        state_of_charge: f64,
        recent_kwh_per_mile: f64,
        at_ms: i64,
    ) -> Result<Option<f64>, PluginError> {
        call!(self, at_ms, range.call_predict(state_of_charge, recent_kwh_per_mile), |miles: &Option<f64>| {
            answers::range(*miles)
        })
    }

    pub(super) async fn match_route(
        &self,
        trip: Ends,
        known: &[Ends],
        at_ms: i64,
    ) -> Result<Option<u32>, PluginError> {
        call!(self, at_ms, routes.call_match_route(trip, known), |index: &Option<u32>| {
            answers::route(*index, known.len())
        })
    }
}
