//! Built-in questions: an ordinary upload, vehicle and trip, and a vehicle that
//! has none yet. What the right answers are is the plugins' business.

use std::collections::BTreeMap;

use serde_json::json;

use super::bindings::costs::Usage;
use super::bindings::live::Point;
use super::bindings::routes::{Ends, Place};
use super::bindings::sampling::Facts;
use super::bindings::tiers::VehicleStats;
use super::bindings::trips::{SocTransition, Trip};
use super::bindings::weather::Sample;
use super::questions::{Ask as _, CalculatorQuestion, Event, PolicyQuestion, TierQuestion};
use super::readings::TripReadings;
use super::world::TripCalculator;

/// When they are asked: 2026-01-01T00:00:00Z.
pub(super) const AT_MS: i64 = 1_767_225_600_000;

pub(super) fn policy() -> Vec<PolicyQuestion> {
    vec![PolicyQuestion::Decide { facts: facts(), event: event() }]
}

pub(super) fn tier() -> Vec<TierQuestion> {
    vec![TierQuestion::Classify { stats: stats() }, TierQuestion::Classify { stats: first_day() }]
}

pub(super) fn calculator() -> Vec<CalculatorQuestion> {
    use CalculatorQuestion as Question;
    vec![
        Question::Summarize { trip: trip(), readings: readings() },
        Question::FiguresOf { first: point(60.0, 1000.0), latest: point(40.0, 1012.0) },
        Question::Condition { code: Some(61) },
        Question::Assess { samples: vec![sample()] },
        Question::Sessions { readings: readings() },
        Question::CostOf { usage: usage() },
        Question::FloorOf { transitions: vec![transition()] },
        Question::Predict { state_of_charge: 60.0, recent_kwh_per_mile: 0.3 },
        Question::MatchRoute { trip: ends(), known: vec![ends()] },
    ]
}

/// What a calculator is asked, with trips of several lengths.
pub(super) fn trips() -> Vec<(String, CalculatorQuestion)> {
    let mut questions = Vec::new();
    for (length, count, interval_ms) in
        [("half an hour", 31, 60_000), ("2 hours, a reading a second", 7200, 1000)]
    {
        let readings = drive(count, interval_ms);
        let summarize = CalculatorQuestion::Summarize { trip: trip(), readings: readings.clone() };
        questions.push((format!("summarize, {length}"), summarize));
        questions.push((format!("sessions, {length}"), CalculatorQuestion::Sessions { readings }));
    }
    let others = calculator().into_iter().filter_map(|question| {
        use CalculatorQuestion as Question;
        let function = TripCalculator::function(&question);
        let timed = matches!(question, Question::Summarize { .. } | Question::Sessions { .. });
        (!timed).then(|| (function.to_owned(), question))
    });
    questions.extend(others);
    questions
}

/// An event with a few fields.
fn event() -> Event {
    let fields =
        [("operation", json!("telemetry_upload")), ("duration_ms", json!(12.5)), ("success", json!(true))];
    Event(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
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

/// What every vehicle is at first: all zero, and no means.
fn first_day() -> VehicleStats {
    VehicleStats {
        total_trips: 0,
        total_miles: 0.0,
        account_age_days: 0,
        avg_kwh_per_mile: None,
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

/// Half an hour on the battery, one reading a minute.
fn readings() -> TripReadings {
    drive(31, 60_000)
}

/// A drive on the battery, at 24 mph.
fn drive(count: u32, interval_ms: u32) -> TripReadings {
    let minutes = |index| f64::from(index) * f64::from(interval_ms) / 60_000.0;
    let column = |value: fn(f64) -> f64| (0..count).map(|index| value(minutes(index))).collect();
    let columns: [(&str, Vec<f64>); 6] = [
        ("odometer_miles", column(|minute| 1000.0 + 0.4 * minute)),
        ("state_of_charge", column(|minute| 60.0 - 0.5 * minute)),
        ("fuel_level_percent", column(|_| 80.0)),
        ("engine_rpm", column(|_| 0.0)),
        ("ambient_temp_f", column(|_| 68.0)),
        ("hv_battery_power_kw", column(|_| 8.0)),
    ];
    TripReadings {
        times_ms: (0..count).map(|index| AT_MS + i64::from(index) * i64::from(interval_ms)).collect(),
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

fn transition() -> SocTransition {
    SocTransition {
        time_ms: AT_MS,
        soc_percent: Some(17.5),
        ambient_temp_f: Some(68.0),
        odometer_miles: Some(1012.0),
    }
}

fn ends() -> Ends {
    let place = |latitude| Place { latitude, longitude: -121.5 };
    Ends { start: place(37.2), end: place(37.4) }
}

fn usage() -> Usage {
    Usage { electric_miles: Some(12.0), electric_kwh: Some(3.6), gas_miles: Some(0.0), gas_gallons: None }
}
