//! Calls of a trip calculator: stages, failures, and the further interfaces.

use std::collections::BTreeMap;

use super::super::{Calculation, Point, Sample, SummarizeError, Trip, TripReadings, Usage};
use super::*;

fn trip(start_soc: f64) -> Trip {
    Trip {
        start_time_ms: AT_MS,
        start_odometer_miles: None,
        start_soc: Some(start_soc),
        previous_fuel_level_percent: None,
    }
}

fn readings(count: u32) -> Arc<TripReadings> {
    let miles = (0..count).map(|index| 100.0 + f64::from(index)).collect();
    Arc::new(TripReadings {
        times_ms: (0..count).map(|index| AT_MS + i64::from(index) * 1000).collect(),
        columns: BTreeMap::from([("odometer_miles".to_owned(), miles)]),
    })
}

async fn summarize(start_soc: f64) -> Result<Calculation, SummarizeError> {
    let set = host().await.pin();
    set.calculate("a trip", trip(start_soc), readings(3), AT_MS).await
}

fn names(stages: &[(String, f64)]) -> Vec<&str> {
    assert!(stages.iter().all(|(_, ms)| *ms >= 0.0));
    stages.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_trip_is_summarized_stage_by_stage() {
    let calculation = summarize(60.0).await.expect("summary");
    let summary = calculation.summary;
    assert_eq!(summary.end_time_ms, Some(AT_MS + 2000));
    assert_eq!(summary.distance_miles, Some(2.0));
    assert_eq!(names(&calculation.stages), ["calculate_basics", "process_gas_mode"]);
}

#[tokio::test]
async fn the_calculators_own_failure_names_its_stage() {
    match summarize(-1.0).await.expect_err("failure") {
        SummarizeError::Failed { stage, message, stages } => {
            assert_eq!((stage.as_str(), message.as_str()), ("process_gas_mode", "told to"));
            assert_eq!(names(&stages), ["calculate_basics", "process_gas_mode"]);
        }
        SummarizeError::Plugin { error, .. } => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_broken_calculator_tells_how_far_it_came() {
    for (start_soc, code) in [(-2.0, "E410"), (-3.0, "E414"), (-4.0, "E414")] {
        match summarize(start_soc).await.expect_err("error") {
            SummarizeError::Plugin { error, stages } => {
                assert_eq!(error.code(), code, "{error}");
                assert_eq!(names(&stages), ["calculate_basics", "process_gas_mode"]);
            }
            failed @ SummarizeError::Failed { .. } => panic!("{failed}"),
        }
    }
}

#[tokio::test]
async fn a_days_readings_fit_in_the_default_memory() {
    let set = host().await.pin();
    let summary = set.calculate("a trip", trip(60.0), readings(86_400), AT_MS).await;
    assert_eq!(summary.expect("summary").summary.distance_miles, Some(86_399.0));
}

#[tokio::test]
async fn the_further_interfaces_answer() {
    let set = host().await.pin();
    let point = |odometer_miles| Point {
        odometer_miles: Some(odometer_miles),
        state_of_charge: None,
        fuel_level_percent: None,
        engine_rpm: None,
    };
    let figures = set.figures_of(point(1.0), point(4.0), AT_MS).await;
    assert_eq!(figures.expect("figures").miles_driven, Some(3.0));
    let condition = set.condition(Some(61), AT_MS).await;
    assert_eq!(condition.expect("condition"), "Code 61");
    let sample = Sample {
        temperature_f: None,
        precipitation_in: None,
        wind_speed_mph: None,
        is_raining: false,
        conditions: "Clear".into(),
    };
    let impact = set.assess(vec![sample], AT_MS).await.expect("impact");
    assert_eq!(impact.expect("samples").conditions, "Clear");
    assert_eq!(set.assess(vec![], AT_MS).await.expect("impact"), None);
    let sessions = set.sessions(readings(3), 0, AT_MS).await;
    assert_eq!(sessions.expect("sessions"), []);
    let usage = Usage { electric_miles: None, electric_kwh: None, gas_miles: None, gas_gallons: Some(2.0) };
    let cost = set.cost_of(usage, AT_MS).await.expect("cost");
    assert_eq!(cost.total_cost, 6.0);
    let floor = set.floor_of(vec![], AT_MS).await.expect("floor");
    assert_eq!((floor.transitions, floor.histogram), (0, vec![]));
}
