//! Vectors on what a trip did.

use serde_json::{Value, json};
use trip_calculator::{
    rules::{
        energy, fuel, live, number,
        readings::Column,
        refuel, split,
        summary::{Summary, Trip, summarize},
    },
    settings::Settings,
};

use crate::cases::{Table, check, number as num, raw, settings};

const ZERO: &str = "0 is a value, not missing";
const NOT_FINITE: &str = "non-finite values are no values";
const SORTED: &str = "unordered readings are sorted first";
const ROUNDS_TO_ZERO: &str = "an integral that rounds to zero falls back to SOC";
const UP_TO_ENTRY: &str = "integrate only up to gas entry";

fn summary(trip: &Trip, table: &Table, settings: &Settings) -> Summary {
    summarize(trip, table, settings, &|_| {}).expect("columns are as long as times")
}

/// Epoch milliseconds within January 2026 of a time such as
/// `2026-01-03T15:00:01.500000+00:00`.
fn milliseconds(text: &str) -> i64 {
    let part = |from: usize, to: usize| -> f64 { text[from..to].parse().expect("digits") };
    let seconds = text[17..].trim_end_matches("+00:00").parse::<f64>().expect("seconds");
    let minutes = (part(8, 10) * 24.0 + part(11, 13)) * 60.0 + part(14, 16);
    ((minutes * 60.0 + seconds) * 1000.0).round() as i64
}

fn points(input: &Value, key: &str) -> Vec<Value> {
    input[key].as_array().expect("a list of readings").clone()
}

#[test]
fn gas_mode_entry() {
    let ours = [
        ("gas_mode_entry-019", json!(0), ZERO),
        ("gas_mode_entry-044", json!(11), ZERO),
        ("gas_mode_entry-046", json!(1), ZERO),
        ("gas_mode_entry-067", json!(4), ZERO),
        ("gas_mode_entry-078", json!(3), ZERO),
        ("gas_mode_entry-079", json!(13), ZERO),
    ];
    check("trip.json", "gas_mode_entry", &ours, |input| {
        let mut set = Vec::new();
        for (theirs, key) in [("soc_threshold", "gas_soc_percent"), ("rpm_threshold", "engine_running_rpm")] {
            set.extend(num(&input[theirs]).map(|value| (key, value.to_string())));
        }
        let table = Table::new(&points(input, "points"), |index, _| index as i64);
        let entry = summary(&Trip::default(), &table, &settings(&set)).transition;
        json!(entry.map(|transition| transition.time_ms))
    });
}

#[test]
fn electric_gas_miles() {
    check("trip.json", "electric_gas_miles", &[], |input| {
        // Without a start the reference raises; our rule is not asked then.
        let (Some(start), Some(end)) = (num(&input["trip_start_odometer"]), num(&input["trip_end_odometer"]))
        else {
            return Value::Null;
        };
        let found = split::by_odometers(num(&input["gas_entry_odometer"]), start, end);
        json!([found.electric_miles, found.gas_miles])
    });
}

#[test]
fn gas_mpg() {
    let ours = [("gas_mpg-030", json!(null), NOT_FINITE), ("gas_mpg-033", json!(null), NOT_FINITE)];
    check("trip.json", "gas_mpg", &ours, |input| {
        let miles =
            num(&input["end_odometer"]).zip(num(&input["start_odometer"])).map(|(end, start)| end - start);
        let levels = (num(&input["start_fuel_level"]), num(&input["end_fuel_level"]));
        json!(fuel::mpg(miles, levels.0, levels.1, &Settings::default()))
    });
}

#[test]
fn fuel_consumed_gallons() {
    let ours = [("fuel_consumed_gallons-015", json!(null), NOT_FINITE)];
    check("trip.json", "fuel_consumed_gallons", &ours, |input| {
        let levels = (num(&input["start_fuel_percent"]), num(&input["end_fuel_percent"]));
        json!(fuel::consumed_gallons(levels.0, levels.1, &Settings::default()))
    });
}

#[test]
fn fuel_percent_to_gallons() {
    check("trip.json", "fuel_percent_to_gallons", &[], |input| {
        json!(fuel::gallons(raw(&input["percent"]), Settings::default().tank_gallons))
    });
}

#[test]
fn kwh_per_mile() {
    let ours = [("kwh_per_mile-030", json!(null), NOT_FINITE)];
    check("trip.json", "kwh_per_mile", &ours, |input| {
        let (kwh, miles) = (num(&input["kwh_used"]), num(&input["electric_miles"]));
        json!(energy::per_mile(kwh, miles, &Settings::default()))
    });
}

#[test]
fn average_temp() {
    let ours = [("average_temp-012", json!(1.0), NOT_FINITE)];
    check("trip.json", "average_temp", &ours, |input| {
        let table = Table::new(&points(input, "points"), |index, _| index as i64);
        json!(summary(&Trip::default(), &table, &Settings::default()).ambient_f)
    });
}

#[test]
fn soc_to_kwh() {
    check("trip.json", "soc_to_kwh", &[], |input| {
        json!(energy::soc_kwh(raw(&input["soc_percent"]), Settings::default().battery_kwh))
    });
}

#[test]
fn energy_from_soc_change() {
    check("trip.json", "energy_from_soc_change", &[], |input| {
        let (start, end) = (num(&input["start_soc"]), num(&input["end_soc"]));
        json!(energy::by_soc(start, end, Settings::default().battery_kwh))
    });
}

#[test]
fn electric_kwh() {
    let ours = [
        ("electric_kwh-010", json!(15.0), SORTED),
        ("electric_kwh-012", json!(10.0), SORTED),
        ("electric_kwh-023", json!(null), ROUNDS_TO_ZERO),
        ("electric_kwh-025", json!(null), NOT_FINITE),
        ("electric_kwh-028", json!(null), ROUNDS_TO_ZERO),
        ("electric_kwh-034", json!(0.05), SORTED),
        ("electric_kwh-035", json!(0.76), SORTED),
        ("electric_kwh-037", json!(0.74), SORTED),
        ("electric_kwh-039", json!(0.63), SORTED),
        ("electric_kwh-040", json!(0.9), SORTED),
        ("electric_kwh-041", json!(0.7), SORTED),
        ("electric_kwh-047", json!(0.33), SORTED),
        ("electric_kwh-051", json!(0.19), SORTED),
        ("electric_kwh-052", json!(0.13), SORTED),
        ("electric_kwh-054", json!(0.04), SORTED),
        ("electric_kwh-056", json!(0.54), SORTED),
    ];
    let settings = settings(&[("max_gap_seconds", "86400".into())]);
    check("trip.json", "electric_kwh", &ours, |input| {
        let points = points(input, "points");
        let time = |_: usize, point: &Value| milliseconds(point["timestamp"].as_str().expect("a time"));
        let mut table = Table::new(&points, time);
        table.columns.insert("odometer_miles".into(), vec![10.0; points.len()]);
        let trip = Trip { start_odometer: Some(0.0), ..Trip::default() };
        json!(summary(&trip, &table, &settings).electric_kwh)
    });
}

#[test]
fn integrate_power() {
    check("trip.json", "integrate_power", &[], |input| {
        let readings = points(input, "readings");
        let time = |reading: &Value| milliseconds(reading[0].as_str().expect("a time"));
        let times: Vec<_> = readings.iter().map(time).collect();
        let power = Column(readings.iter().map(|reading| raw(&reading[1])).collect());
        json!(energy::by_power(&times, &power, 86_400.0))
    });
}

#[test]
fn smooth_fuel() {
    let ours = [("smooth_fuel-002", json!(null), "what cannot be computed is absent")];
    check("trip.json", "smooth_fuel", &ours, |input| {
        let readings: Vec<_> = points(input, "readings").iter().map(raw).collect();
        let window = input["window_size"].as_u64().unwrap_or(10);
        json!(refuel::smooth(&readings, usize::try_from(window).expect("small")))
    });
}

#[test]
fn refuel_detect() {
    let ours =
        [("refuel_detect-019", json!(false), NOT_FINITE), ("refuel_detect-020", json!(false), NOT_FINITE)];
    check("trip.json", "refuel_detect", &ours, |input| {
        let (current, previous) = (num(&input["current"]), num(&input["previous"]));
        json!(refuel::is_refuel(current, previous, Settings::default().refuel_min_points))
    });
}

#[test]
fn python_round() {
    check("trip.json", "python_round", &[], |input| {
        let digits = usize::try_from(input["digits"].as_u64().expect("digits")).expect("small");
        json!(number::round(raw(&input["x"]), digits))
    });
}

#[test]
fn live_trip_stats() {
    let ours = [
        ("live_trip_stats-005", json!({"miles_driven": 10.0, "kwh_per_mile": 0.184}), ZERO),
        (
            "live_trip_stats-007",
            json!({"kwh_used": 9.2, "kwh_per_mile": 0.9199999999999999, "in_gas_mode": true}),
            ZERO,
        ),
    ];
    check("trip.json", "live_trip_stats", &ours, |input| {
        let point = |value: &Value| live::Point {
            odometer_miles: num(&value["odometer_miles"]),
            soc_percent: num(&value["state_of_charge"]),
            fuel_percent: num(&value["fuel_level_percent"]),
            engine_rpm: num(&value["engine_rpm"]),
        };
        let ends = (point(&input["first"]), point(&input["latest"]));
        let found = live::figures(&ends.0, &ends.1, &Settings::default());
        json!({
            "miles_driven": found.miles_driven,
            "kwh_used": found.kwh_used,
            "kwh_per_mile": found.kwh_per_mile,
            "in_gas_mode": found.in_gas_mode,
            "fuel_used_gallons": found.fuel_used_gallons,
        })
    });
}

#[test]
fn trip_finalize() {
    let first_known = json!({"distance_miles": 40.0, "electric_miles": 20.0, "gas_miles": 20.0,
        "gas_mpg": 40.0, "electric_kwh_used": 5.89, "kwh_per_mile": 0.294});
    let gas_from_start = json!({"gas_mode_entered": true, "gas_mode_entry_time_s": 0.0,
        "soc_at_gas_transition": 0.0, "fuel_level_at_gas_entry": 50.0, "fuel_level_at_end": 47.3,
        "electric_miles": 0.0, "gas_miles": 10.0, "gas_mpg": 40.0,
        "fuel_used_gallons": 0.25142940000000025,
        "soc_transitions": [{"soc_at_transition": 0.0, "odometer_miles": 50000.0, "ambient_temp_f": null}]});
    let ours = [
        ("trip_finalize-008", first_known.clone(), "the first known odometer is the start"),
        ("trip_finalize-009", first_known, ZERO),
        ("trip_finalize-013", gas_from_start, ZERO),
        ("trip_finalize-020", json!({"gas_mpg": 40.0}), "gas MPG uses the trip's gas miles"),
        ("trip_finalize-026", json!({"electric_kwh_used": 1.66, "kwh_per_mile": 0.332}), UP_TO_ENTRY),
        ("trip_finalize-027", json!({"electric_kwh_used": 1.51, "kwh_per_mile": 0.24}), UP_TO_ENTRY),
        ("trip_finalize-029", json!({"electric_kwh_used": 3.72, "kwh_per_mile": 0.729}), UP_TO_ENTRY),
        ("trip_finalize-031", json!({"electric_kwh_used": 0.04}), UP_TO_ENTRY),
        ("trip_finalize-034", json!({"electric_kwh_used": 0.15, "kwh_per_mile": 0.15}), UP_TO_ENTRY),
    ];
    let settings = settings(&[("max_gap_seconds", "86400".into())]);
    check("trip.json", "trip_finalize", &ours, |input| {
        let time = |_: usize, point: &Value| (raw(&point["t"]) * 1000.0) as i64;
        let table = Table::new(&points(input, "telemetry"), time);
        let trip = Trip {
            start_odometer: num(&input["trip"]["start_odometer"]),
            start_soc: num(&input["trip"]["start_soc"]),
            previous_fuel_percent: None,
        };
        in_words_of_the_reference(&summary(&trip, &table, &settings))
    });
}

fn in_words_of_the_reference(found: &Summary) -> Value {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let transition = found.transition;
    let transitions: Vec<_> = transition
        .iter()
        .map(|t| json!({"soc_at_transition": t.soc_percent, "odometer_miles": t.odometer, "ambient_temp_f": t.ambient_f}))
        .collect();
    json!({
        "end_time_s": found.end_time_ms.map(seconds),
        "end_odometer": found.end_odometer,
        "distance_miles": found.distance.map(|(miles, _)| miles),
        "ambient_temp_avg_f": found.ambient_f,
        "gas_mode_entered": transition.is_some(),
        "gas_mode_entry_time_s": transition.map(|t| seconds(t.time_ms)),
        "soc_at_gas_transition": transition.and_then(|t| t.soc_percent),
        "fuel_level_at_gas_entry": found.fuel_at_entry,
        "fuel_level_at_end": found.fuel_at_end,
        "electric_miles": found.split.electric_miles,
        "gas_miles": found.split.gas_miles,
        "gas_mpg": found.gas_mpg,
        "fuel_used_gallons": found.fuel_used_gallons,
        "electric_kwh_used": found.electric_kwh,
        "kwh_per_mile": found.kwh_per_mile,
        "soc_transitions": transitions,
    })
}
