//! Input that no car sends: no rule panics, everything found is finite, and a
//! day of readings is quick.

use std::{cell::RefCell, time::Instant};

use trip_calculator::{
    rules::{
        charging, live,
        readings::Readings,
        summary::{Summary, Trip, summarize},
    },
    settings::Settings,
};

use crate::made_up::Table;

const COLUMNS: [&str; 12] = [
    "odometer_miles",
    "trip_distance_miles",
    "latitude",
    "longitude",
    "engine_rpm",
    "state_of_charge",
    "fuel_level_percent",
    "ambient_temp_f",
    "hv_battery_power_kw",
    "charger_status",
    "charger_power_kw",
    "charger_power_w",
];
const ODD: [f64; 11] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    0.0,
    -0.0,
    1.0,
    20.0,
    1e18,
];

fn table(count: usize, value: impl Fn(usize, usize) -> f64) -> Table {
    let column = |place: usize| (0..count).map(|row| value(place, row)).collect();
    Table {
        times: (0..count as i64).map(|row| row * 1000).collect(),
        columns: COLUMNS.iter().enumerate().map(|(place, name)| ((*name).into(), column(place))).collect(),
    }
}

fn numbers(summary: &Summary) -> Vec<f64> {
    let transition = summary.transition.unwrap_or_default();
    let mut numbers: Vec<f64> = [
        summary.end_odometer,
        summary.distance.map(|(miles, _)| miles),
        summary.ambient_f,
        transition.soc_percent,
        transition.ambient_f,
        transition.odometer,
        summary.fuel_at_entry,
        summary.fuel_at_end,
        summary.split.electric_miles,
        summary.split.gas_miles,
        summary.gas_mpg,
        summary.fuel_used_gallons,
        summary.electric_kwh,
        summary.kwh_per_mile,
        summary.settled_fuel,
    ]
    .into_iter()
    .flatten()
    .collect();
    for fill in &summary.fills {
        let refuel = &fill.refuel;
        numbers.extend([refuel.before_percent, refuel.after_percent, refuel.gallons]);
        numbers.extend(fill.odometer);
    }
    numbers
}

fn run(trip: &Trip, table: &Table) {
    let settings = Settings::default();
    let summary = summarize(trip, table, &settings, &|_| {}).expect("columns are as long as times");
    assert!(numbers(&summary).iter().all(|number| number.is_finite()), "{summary:?}");
    let readings = Readings::new(table);
    let charger = charging::charger(&readings).expect("columns are as long as times");
    for session in charging::sessions(readings.times(), &charger, &settings) {
        let figures = &session.figures;
        let numbers = [figures.peak_kw, figures.mean_kw].into_iter();
        let numbers = numbers.chain(session.kwh_added).chain(session.cost);
        assert!(numbers.into_iter().all(f64::is_finite), "{session:?}");
    }
}

#[test]
fn odd_values_in_every_column_are_survived() {
    // A fixed sequence of pseudo-random choices: the same in every run.
    let pick = |seed: usize| ODD[seed.wrapping_mul(2_654_435_761) / 7 % ODD.len()];
    for round in 0..500 {
        let trip = Trip {
            start_odometer: Some(pick(round)).filter(|value| value.is_finite()),
            start_soc: None,
            previous_fuel_percent: Some(pick(round + 1)).filter(|value| value.is_finite()),
        };
        let table = table(round % 60, |place, row| pick(round * 7919 + place * 104_729 + row * 31));
        run(&trip, &table);
    }
}

#[test]
fn one_odd_value_throughout_is_survived() {
    for value in ODD {
        run(&Trip::default(), &table(50, |_, _| value));
    }
}

#[test]
fn times_at_the_ends_of_time_are_survived() {
    let mut table = table(4, |_, row| row as f64 * 7.0);
    table.times = vec![i64::MAX, i64::MIN, 0, i64::MIN];

    run(&Trip::default(), &table);
}

#[test]
fn live_figures_of_odd_values_are_finite() {
    let point = |value| live::Point {
        odometer_miles: Some(value),
        soc_percent: Some(value),
        fuel_percent: Some(value),
        engine_rpm: Some(value),
    };
    for (first, latest) in ODD.iter().flat_map(|a| ODD.iter().map(move |b| (*a, *b))) {
        let found = live::figures(&point(first), &point(latest), &Settings::default());
        let numbers = [found.miles_driven, found.kwh_used, found.kwh_per_mile, found.fuel_used_gallons];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{first} to {latest}: {found:?}");
    }
}

#[test]
fn without_readings_all_stages_run_and_nothing_is_found() {
    let stages = RefCell::new(Vec::new());
    let note = |stage: &str| stages.borrow_mut().push(stage.to_owned());

    let found = summarize(&Trip::default(), &Table::default(), &Settings::default(), &note);

    assert_eq!(found, Ok(Summary::default()));
    assert_eq!(stages.into_inner(), ["calculate_basics", "process_gas_mode", "calculate_efficiency"]);
}

#[test]
fn a_column_of_the_wrong_length_names_the_stage() {
    let mut table = table(5, |_, _| 1.0);
    table.columns.insert("engine_rpm".into(), vec![1.0; 4]);

    let failure = summarize(&Trip::default(), &table, &Settings::default(), &|_| {})
        .expect_err("a column is too short");

    assert_eq!(failure.stage, "process_gas_mode");
    assert_eq!(failure.message, "column `engine_rpm` has 4 values for 5 readings");
}

#[test]
fn a_day_of_readings_is_quick() {
    let table = table(86_400, |place, row| (row as f64 / 100.0).sin() * 10.0 + place as f64);
    let start = Instant::now();

    run(&Trip::default(), &table);

    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_day_of_readings_within_a_second_is_quick() {
    let mut table = table(86_400, |_, row| (row / 1000) as f64);
    table.times = (0..86_400).map(|row| row / 100).collect();
    let start = Instant::now();

    run(&Trip::default(), &table);

    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
