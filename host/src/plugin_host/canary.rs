//! The built-in questions that a plugin answers before it is published. What
//! the right answer is, is the plugin's business; that there is a sound one,
//! and the same one twice, is asked here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bindings::costs::Usage;
use super::bindings::live::Point;
use super::bindings::sampling::Facts;
use super::bindings::tiers::VehicleStats;
use super::bindings::trips::Trip;
use super::bindings::weather::Sample;
use super::error::{MayBeLate, Problem};
use super::imports::{EventFields, FieldValue};
use super::pool::Pool;
use super::readings::TripReadings;
use super::world::{SamplingPolicy, TripCalculator, UsageTier, World};

/// 2026-01-01T00:00:00Z.
const AT_MS: i64 = 1_767_225_600_000;

/// A world that has questions to try its plugins on.
pub(super) trait Canary: World {
    /// Asks them; the error says which one went wrong, and how.
    fn try_out(pool: &Pool<Self>) -> impl Future<Output = Result<(), Problem>> + Send;
}

impl Canary for SamplingPolicy {
    async fn try_out(pool: &Pool<Self>) -> Result<(), Problem> {
        let first = pool.decide(facts(), Arc::new(Upload), AT_MS).await;
        let again = pool.decide(facts(), Arc::new(Upload), AT_MS).await;
        same("decide", first, again)
    }
}

impl Canary for UsageTier {
    async fn try_out(pool: &Pool<Self>) -> Result<(), Problem> {
        let first = pool.classify(stats(), AT_MS).await;
        let again = pool.classify(stats(), AT_MS).await;
        same("classify", first, again)
    }
}

impl Canary for TripCalculator {
    async fn try_out(pool: &Pool<Self>) -> Result<(), Problem> {
        let readings = Arc::new(readings());
        let summary = async || {
            let calculated = pool.summarize(trip(), Arc::clone(&readings), AT_MS).await;
            calculated.map(|calculation| calculation.summary)
        };
        same("summarize", summary().await, summary().await)?;
        let (first, latest) = (point(60.0, 1000.0), point(40.0, 1012.0));
        answered("figures-of", pool.figures_of(first, latest, AT_MS).await)?;
        answered("condition", pool.condition(Some(61), AT_MS).await)?;
        answered("assess", pool.assess(vec![sample()], AT_MS).await)?;
        answered("sessions", pool.sessions(readings.clone(), AT_MS).await)?;
        answered("cost-of", pool.cost_of(usage(), AT_MS).await)
    }
}

fn same<T: PartialEq, E: MayBeLate>(
    function: &str,
    first: Result<T, E>,
    again: Result<T, E>,
) -> Result<(), Problem> {
    match (first, again) {
        (Ok(first), Ok(again)) if first == again => Ok(()),
        (Ok(_), Ok(_)) => {
            Err(format!("answers `{function}` differently when asked the same again: plugins must be pure")
                .into())
        }
        (Err(error), _) | (_, Err(error)) => failed(function, &error),
    }
}

fn answered<T, E: MayBeLate>(function: &str, answer: Result<T, E>) -> Result<(), Problem> {
    answer.map_or_else(|error| failed(function, &error), |_| Ok(()))
}

fn failed(function: &str, error: &impl MayBeLate) -> Result<(), Problem> {
    Err(Problem { text: format!("fails a trial call of `{function}`: {error}"), late: error.is_late() })
}

/// An event with a few fields.
struct Upload;

impl EventFields for Upload {
    fn get(&self, path: &str) -> Option<FieldValue> {
        match path {
            "operation" => Some(FieldValue::Text("telemetry_upload".into())),
            "duration_ms" => Some(FieldValue::Number(12.5)),
            "success" => Some(FieldValue::Flag(true)),
            _ => None,
        }
    }
}

fn facts() -> Facts {
    Facts {
        operation: "telemetry_upload".into(),
        success: true,
        duration_ms: 12.5,
        slow_threshold_ms: 1000.0,
        base_rate: 0.05,
        business_flags: vec!["trip_created".into()],
        usage_tier: Some("regular".into()),
        account_age_days: Some(45),
    }
}

fn stats() -> VehicleStats {
    VehicleStats {
        total_trips: 120,
        total_miles: 1500.5,
        account_age_days: 200,
        avg_kwh_per_mile: Some(0.31),
        avg_gas_mpg: None,
    }
}

fn trip() -> Trip {
    Trip {
        start_time_ms: AT_MS,
        start_odometer_miles: Some(1000.0),
        start_soc: Some(60.0),
        previous_fuel_level_percent: Some(80.0),
    }
}

/// Half an hour on the battery: one reading a minute, 0.4 miles each.
fn readings() -> TripReadings {
    let column = |value: fn(f64) -> f64| (0..31).map(|minute| value(f64::from(minute))).collect();
    let columns: [(&str, Vec<f64>); 6] = [
        ("odometer_miles", column(|minute| 1000.0 + 0.4 * minute)),
        ("state_of_charge", column(|minute| 60.0 - 0.5 * minute)),
        ("fuel_level_percent", column(|_| 80.0)),
        ("engine_rpm", column(|_| 0.0)),
        ("ambient_temp_f", column(|_| 68.0)),
        ("hv_battery_power_kw", column(|_| 8.0)),
    ];
    TripReadings {
        times_ms: (0..31).map(|minute| AT_MS + minute * 60_000).collect(),
        columns: BTreeMap::from(columns.map(|(name, values)| (name.to_owned(), values))),
    }
}

fn point(state_of_charge: f64, odometer_miles: f64) -> Point {
    Point {
        odometer_miles: Some(odometer_miles),
        state_of_charge: Some(state_of_charge),
        fuel_level_percent: Some(80.0),
        engine_rpm: Some(0.0),
    }
}

fn sample() -> Sample {
    Sample {
        temperature_f: Some(50.0),
        precipitation_in: Some(0.02),
        wind_speed_mph: Some(12.0),
        is_raining: true,
        conditions: "Light Rain".into(),
    }
}

fn usage() -> Usage {
    Usage { electric_miles: Some(12.0), electric_kwh: Some(3.6), gas_miles: Some(0.0), gas_gallons: None }
}
