//! What each slot's shadow is asked beside the plugin that serves, and how the
//! two answers are compared.

use std::sync::Arc;

use serde_json::Value;

use super::super::bindings::sampling::{Facts, Verdict};
use super::super::bindings::tiers::VehicleStats;
use super::super::bindings::trips::{Summary, Trip};
use super::super::health::Trouble;
use super::super::imports::EventFields;
use super::super::prepared::Ready;
use super::super::readings::TripReadings;
use super::super::set::PluginSet;
use super::super::{PluginError, Slot};
use super::Shadowed;

/// Numbers that differ by no more than this part of themselves are the same:
/// another order of additions is no other rule.
const SAME: f64 = 1e-9;

/// What became of an event without its shadow.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    /// The policy's probability; nothing if it failed.
    pub probability: Option<f64>,
    /// Where the coin fell, 0 up to 1: kept is what has a higher probability.
    pub coin: f64,
    /// Whether it is kept.
    pub kept: bool,
}

/// The shadow of a slot, and its instances.
macro_rules! shadow_of {
    ($set:expr, $Slot:ident) => {{
        let shadow = $set.shadows.0.get(&Slot::$Slot)?;
        let Ready::$Slot(pool) = &shadow.candidate.plugin.ready else { return None };
        (shadow, Arc::clone(pool))
    }};
}

impl PluginSet {
    /// Asks the shadow for a tier, beside the answer that serves. Nobody waits
    /// for it, here and below.
    pub fn shadow_classify(
        &self,
        stats: VehicleStats,
        at_ms: i64,
        served: Option<&str>,
    ) -> Option<Shadowed<String>> {
        let (shadow, pool) = shadow_of!(self, UsageTier);
        let served = served.map(str::to_owned);
        let call = async move { pool.classify(stats, at_ms).await.map(|said| said.tier).map_err(broke) };
        shadow.ask(call, None, move |tier, tally| tally.compared(Some(tier) == served.as_ref()))
    }

    /// Asks the shadow for a verdict on an event.
    pub fn shadow_decide(
        &self,
        facts: Facts,
        event: Arc<dyn EventFields>,
        at_ms: i64,
        served: Decided,
    ) -> Option<Shadowed<Verdict>> {
        let (shadow, pool) = shadow_of!(self, SamplingPolicy);
        let call = async move { pool.decide(facts, event, at_ms).await.map_err(broke) };
        shadow.ask(call, None, move |verdict, tally| {
            tally.compared(served.probability.is_some_and(|served| same(served, verdict.probability)));
            tally.kept(served.kept, served.coin < verdict.probability);
        })
    }

    /// Asks the shadow what a trip did.
    pub fn shadow_summarize(
        &self,
        trip_id: &str,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
        served: Option<&Summary>,
    ) -> Option<Shadowed<Summary>> {
        let (shadow, pool) = shadow_of!(self, TripCalculator);
        let served = served.cloned();
        let call = async move {
            let calculated = pool.summarize(trip, readings, at_ms).await;
            calculated.map(|calculation| calculation.summary).map_err(|error| Trouble::from(&error))
        };
        shadow.ask(call, Some(trip_id.to_owned()), move |summary, tally| {
            tally.compared(served.is_some_and(|served| same_figures(&served, summary)));
        })
    }
}

fn broke(error: PluginError) -> Trouble {
    Trouble::Plugin(error)
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME * one.abs().max(other.abs())
}

fn same_figures(one: &Summary, other: &Summary) -> bool {
    match (serde_json::to_value(one), serde_json::to_value(other)) {
        (Ok(one), Ok(other)) => same_values(&one, &other),
        _ => false,
    }
}

fn same_values(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| same(one, other))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_values(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same_values(one, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_the_same_but_for_the_last_bits() {
        let trip = json!({"miles": 12.5, "refuels": [{"gallons": 0.1 + 0.2}], "source": "odometer"});
        let with =
            |gallons: f64| json!({"miles": 12.5, "refuels": [{"gallons": gallons}], "source": "odometer"});
        assert!(same_values(&trip, &with(0.3)));
        assert!(!same_values(&trip, &with(0.300_001)));
        assert!(!same_values(&trip, &json!({"miles": 12.5, "refuels": [], "source": "odometer"})));
        assert!(!same_values(&trip, &json!({"miles": 12.5})));
        assert!(same(0.0, 0.0) && !same(0.0, 1e-300) && !same(0.05, 0.25));
    }
}
