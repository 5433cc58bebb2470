//! A real drive of a petrol van: 40.5 km by its GPS track, no odometer. The
//! data is not in the repository; without it the test says so, and fails in CI.

use std::{fs, path::Path};

use trip_calculator::{
    rules::{
        distance::Origin,
        summary::{Summary, Trip, summarize},
    },
    settings::Settings,
};

use crate::made_up::Table;

const KM_PER_MILE: f64 = 1.609_344;
const PIDS: [(&str, &str, f64); 5] = [
    ("kff1006", "latitude", 1.0),
    ("kff1005", "longitude", 1.0),
    ("kff1204", "trip_distance_miles", 1.0 / KM_PER_MILE),
    ("k2f", "fuel_level_percent", 1.0),
    ("kc", "engine_rpm", 1.0),
];

fn drive() -> Option<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/torque-drive.queries");
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
        eprintln!("SKIPPED: {} is missing", path.display());
        return None;
    };
    let mut table = Table::default();
    for line in text.lines().filter(|line| line.contains("&kff1006=")) {
        let field = |name: &str| {
            let pairs = line.split('&').filter_map(|pair| pair.split_once('='));
            let value = pairs.rev().find(|(key, _)| *key == name);
            value.and_then(|(_, value)| value.parse::<f64>().ok())
        };
        table.times.push(field("time").expect("a reading has a time") as i64);
        for (pid, column, factor) in PIDS {
            let value = field(pid).map_or(f64::NAN, |value| value * factor);
            table.columns.entry(column.into()).or_default().push(value);
        }
    }
    Some(table)
}

fn summary(table: &Table, previous_fuel_percent: Option<f64>) -> Summary {
    let trip = Trip { previous_fuel_percent, ..Trip::default() };
    summarize(&trip, table, &Settings::default(), &|_| {}).expect("columns are as long as times")
}

#[test]
fn a_real_drive_is_as_long_as_its_track() {
    let Some(mut table) = drive() else { return };
    assert_eq!(table.times.len(), 526);

    for origin in [Origin::TripDistance, Origin::Gps] {
        let (miles, found) = summary(&table, None).distance.expect("the van moved");
        let km = miles * KM_PER_MILE;
        assert_eq!(found, origin);
        assert!((km / 40.5 - 1.0).abs() < 0.03, "{km} km by {origin:?}");
        table.columns.remove("trip_distance_miles");
    }
}

#[test]
fn a_real_petrol_car_has_no_split_and_no_fill() {
    let Some(table) = drive() else { return };

    let found = summary(&table, Some(47.0));

    assert_eq!((found.split.electric_miles, found.split.gas_miles), (None, None));
    assert_eq!((found.transition, found.electric_kwh, found.gas_mpg), (None, None, None));
    assert_eq!(found.fills, []);
}

#[test]
fn a_fill_before_a_real_drive_is_seen() {
    let Some(table) = drive() else { return };

    let found = summary(&table, Some(10.0));

    assert_eq!(found.fills.len(), 1);
    // The first reading has no fuel level yet.
    assert_eq!(found.fills[0].time_ms, table.times[1]);
}
