//! What shadows say of an event, as it is written: beside what decided, and
//! without any weight.

use schemars::JsonSchema;
use serde::Serialize;

use super::taxonomy::{Code, Failure};
use crate::plugin_host::{Said, Summary, Trouble, Verdict};

/// The tier that a shadow names, or how it failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShadowTier {
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// How it failed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Code>,
    /// The component: SHA-256 in hex.
    digest: String,
}

impl From<Said<String>> for ShadowTier {
    fn from(Said { digest, answer }: Said<String>) -> Self {
        let (tier, error_code) = answer_or_code(answer);
        Self { tier, error_code, digest }
    }
}

/// The verdict of a shadow, or how it failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct ShadowVerdict {
    /// With what probability it would keep the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How it failed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Code>,
    /// The component: SHA-256 in hex.
    digest: String,
}

impl From<Said<Verdict>> for ShadowVerdict {
    fn from(Said { digest, answer }: Said<Verdict>) -> Self {
        let (verdict, error_code) = answer_or_code(answer);
        let (probability, reason) = verdict.map(|verdict| (verdict.probability, verdict.reason)).unzip();
        Self { probability, reason, error_code, digest }
    }
}

/// A trip's figures as a shadow sees them, or how it failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShadowTrip {
    /// The component: SHA-256 in hex.
    digest: String,
    /// How it failed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Code>,
    #[serde(flatten)]
    figures: Option<Figures>,
}

/// The figures that an event tells, by the names that it tells its own.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Figures {
    /// Last known odometer: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_odometer: Option<f64>,
    /// Distance: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_miles: Option<f64>,
    /// What the distance comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_source: Option<String>,
    /// Miles on the battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    electric_miles: Option<f64>,
    /// Miles on the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_miles: Option<f64>,
    /// Whether the engine took over.
    gas_mode_entered: bool,
    /// Mean ambient temperature by the car: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_temp_f: Option<f64>,
    /// Fuel level when the engine took over: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel_level_at_gas_entry: Option<f64>,
    /// Last known fuel level: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel_level_at_end: Option<f64>,
    /// State of charge when the engine took over: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    soc_at_gas_transition: Option<f64>,
    /// Energy taken from the battery: kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    electric_kwh_used: Option<f64>,
    /// Energy for a mile on the battery: kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    kwh_per_mile: Option<f64>,
    /// Miles on the engine for a US gallon.
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_mpg: Option<f64>,
    /// Fuel burnt: US gallons.
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel_used_gallons: Option<f64>,
    /// Whether the tank was filled.
    refuel_detected: bool,
}

impl From<Said<Summary>> for ShadowTrip {
    fn from(Said { digest, answer }: Said<Summary>) -> Self {
        let (summary, error_code) = answer_or_code(answer);
        Self { digest, error_code, figures: summary.map(Figures::from) }
    }
}

impl From<Summary> for Figures {
    fn from(summary: Summary) -> Self {
        Self {
            end_odometer: summary.end_odometer_miles,
            distance_miles: summary.distance_miles,
            distance_source: summary.distance_source,
            electric_miles: summary.electric_miles,
            gas_miles: summary.gas_miles,
            gas_mode_entered: summary.gas_mode_entered,
            avg_temp_f: summary.ambient_temp_avg_f,
            fuel_level_at_gas_entry: summary.fuel_level_at_gas_entry,
            fuel_level_at_end: summary.fuel_level_at_end,
            soc_at_gas_transition: summary.soc_at_gas_transition,
            electric_kwh_used: summary.electric_kwh_used,
            kwh_per_mile: summary.kwh_per_mile,
            gas_mpg: summary.gas_mpg,
            fuel_used_gallons: summary.fuel_used_gallons,
            refuel_detected: !summary.refuels.is_empty(),
        }
    }
}

fn answer_or_code<T>(answer: Result<T, Trouble>) -> (Option<T>, Option<Code>) {
    match answer {
        Ok(answer) => (Some(answer), None),
        Err(trouble) => (None, Some(Failure::from(&trouble).code)),
    }
}
