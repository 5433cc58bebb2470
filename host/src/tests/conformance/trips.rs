//! What trips did, by the compiled calculator.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use vectors::{Group, Ours, Report, milliseconds, number, raw};

use super::{AT_MS, NOT_FINITE, ZERO, components};
use crate::plugin_host::{PluginSet, Point, SocTransition, Summary, Trip, TripReadings};

const SORTED: &str = "unordered readings are sorted first";
const ROUNDS_TO_ZERO: &str = "an integral that rounds to zero falls back to SOC";
const UP_TO_ENTRY: &str = "integrate only up to gas entry";

pub(super) async fn ask(report: &mut Report, defaults: &Arc<PluginSet>) {
    gas_mode_entry(report, defaults).await;
    average_temp(report, defaults).await;
    live_trip_stats(report, defaults).await;
    soc_floor(report, defaults).await;
    // The reference has no limit to a gap.
    let without_gaps = components("max_gap_seconds = 86400").await;
    electric_kwh(report, &without_gaps).await;
    trip_finalize(report, &without_gaps).await;
}

/// Readings from JSON objects; `time` gives each its time.
fn readings(points: &Value, time: impl Fn(usize, &Value) -> i64) -> TripReadings {
    let points = points.as_array().expect("a list of readings");
    let mut columns = BTreeMap::new();
    for (index, point) in points.iter().enumerate() {
        for (name, value) in point.as_object().expect("a reading is an object") {
            let column: &mut Vec<f64> =
                columns.entry(name.clone()).or_insert_with(|| vec![f64::NAN; points.len()]);
            column[index] = raw(value);
        }
    }
    let times_ms = points.iter().enumerate().map(|(index, point)| time(index, point)).collect();
    TripReadings { times_ms, columns }
}

/// A millisecond from one reading to the next.
fn in_order(index: usize, _: &Value) -> i64 {
    i64::try_from(index).expect("a short trip")
}

fn trip(start_odometer_miles: Option<f64>, start_soc: Option<f64>) -> Trip {
    Trip { start_time_ms: 0, start_odometer_miles, start_soc, previous_fuel_level_percent: None }
}

async fn summary(plugins: &PluginSet, trip: Trip, readings: TripReadings) -> Summary {
    plugins.calculate("a trip", trip, Arc::new(readings), AT_MS).await.expect("a summary").summary
}

async fn gas_mode_entry(report: &mut Report, defaults: &Arc<PluginSet>) {
    let ours = [("019", 0), ("044", 11), ("046", 1), ("067", 4), ("078", 3), ("079", 13)]
        .map(|(number, index)| Ours::instead(&format!("gas_mode_entry-{number}"), json!(index), ZERO));
    let group = Group::read("trip.json", "gas_mode_entry");
    let mut by_settings = BTreeMap::from([(String::new(), defaults.clone())]);
    let mut answers = Vec::new();
    for input in group.inputs() {
        let settings = thresholds(input);
        if !by_settings.contains_key(&settings) {
            by_settings.insert(settings.clone(), components(&settings).await);
        }
        let found =
            summary(&by_settings[&settings], trip(None, None), readings(&input["points"], in_order)).await;
        answers.push(json!(found.soc_transition.map(|transition| transition.time_ms)));
    }
    report.compare(&group, &ours, &answers);
}

/// The settings that a case asks for.
fn thresholds(input: &Value) -> String {
    let set = |theirs: &str, key: &str| number(&input[theirs]).map(|value| format!("{key} = {value}\n"));
    let set = [set("soc_threshold", "gas_soc_percent"), set("rpm_threshold", "engine_running_rpm")];
    set.into_iter().flatten().collect()
}

async fn average_temp(report: &mut Report, plugins: &PluginSet) {
    let ours = [Ours::instead("average_temp-012", json!(1.0), NOT_FINITE)];
    let group = Group::read("trip.json", "average_temp");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let found = summary(plugins, trip(None, None), readings(&input["points"], in_order)).await;
        answers.push(json!(found.ambient_temp_avg_f));
    }
    report.compare(&group, &ours, &answers);
}

async fn electric_kwh(report: &mut Report, plugins: &PluginSet) {
    let sorted = [
        ("010", 15.0),
        ("012", 10.0),
        ("034", 0.05),
        ("035", 0.76),
        ("037", 0.74),
        ("039", 0.63),
        ("040", 0.9),
        ("041", 0.7),
        ("047", 0.33),
        ("051", 0.19),
        ("052", 0.13),
        ("054", 0.04),
        ("056", 0.54),
    ];
    let absent = [("023", ROUNDS_TO_ZERO), ("025", NOT_FINITE), ("028", ROUNDS_TO_ZERO)];
    let id = |number: &str| format!("electric_kwh-{number}");
    let sorted = sorted.map(|(number, kwh)| Ours::instead(&id(number), json!(kwh), SORTED));
    let absent = absent.map(|(number, why)| Ours::instead(&id(number), Value::Null, why));
    let ours: Vec<_> = sorted.into_iter().chain(absent).collect();
    let group = Group::read("trip.json", "electric_kwh");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let time = |_: usize, point: &Value| milliseconds(point["timestamp"].as_str().expect("a time"));
        let mut readings = readings(&input["points"], time);
        readings.columns.remove("timestamp");
        // Only the energy is asked: ten miles, all of them electric.
        let miles = vec![10.0; readings.times_ms.len()];
        readings.columns.insert("odometer_miles".into(), miles);
        answers.push(json!(summary(plugins, trip(Some(0.0), None), readings).await.electric_kwh_used));
    }
    report.compare(&group, &ours, &answers);
}

async fn trip_finalize(report: &mut Report, plugins: &PluginSet) {
    let first_known = json!({"distance_miles": 40.0, "electric_miles": 20.0, "gas_miles": 20.0,
        "gas_mpg": 40.0, "electric_kwh_used": 5.89, "kwh_per_mile": 0.294});
    let gas_from_start = json!({"gas_mode_entered": true, "gas_mode_entry_time_s": 0.0,
        "soc_at_gas_transition": 0.0, "fuel_level_at_gas_entry": 50.0, "fuel_level_at_end": 47.3,
        "electric_miles": 0.0, "gas_miles": 10.0, "gas_mpg": 40.0,
        "fuel_used_gallons": 0.25142940000000025,
        "soc_transitions": [{"soc_at_transition": 0.0, "odometer_miles": 50000.0, "ambient_temp_f": null}]});
    let used = |kwh: f64, per_mile: f64| json!({"electric_kwh_used": kwh, "kwh_per_mile": per_mile});
    let ours = [
        ("008", first_known.clone(), "the first known odometer is the start"),
        ("009", first_known, ZERO),
        ("013", gas_from_start, ZERO),
        ("020", json!({"gas_mpg": 40.0}), "gas MPG uses the trip's gas miles"),
        ("026", used(1.66, 0.332), UP_TO_ENTRY),
        ("027", used(1.51, 0.24), UP_TO_ENTRY),
        ("029", used(3.72, 0.729), UP_TO_ENTRY),
        ("031", json!({"electric_kwh_used": 0.04}), UP_TO_ENTRY),
        ("034", used(0.15, 0.15), UP_TO_ENTRY),
    ];
    let ours = ours.map(|(number, changes, why)| Ours::but(&format!("trip_finalize-{number}"), changes, why));
    let group = Group::read("trip.json", "trip_finalize");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let time = |_: usize, point: &Value| (raw(&point["t"]) * 1000.0) as i64;
        let readings = readings(&input["telemetry"], time);
        let given = &input["trip"];
        let trip = trip(number(&given["start_odometer"]), number(&given["start_soc"]));
        answers.push(in_words_of_the_reference(&summary(plugins, trip, readings).await));
    }
    report.compare(&group, &ours, &answers);
}

fn in_words_of_the_reference(found: &Summary) -> Value {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let transition = |t: &SocTransition| {
        json!({"soc_at_transition": t.soc_percent, "odometer_miles": t.odometer_miles,
            "ambient_temp_f": t.ambient_temp_f})
    };
    json!({
        "end_time_s": found.end_time_ms.map(seconds),
        "end_odometer": found.end_odometer_miles,
        "distance_miles": found.distance_miles,
        "ambient_temp_avg_f": found.ambient_temp_avg_f,
        "gas_mode_entered": found.gas_mode_entered,
        "gas_mode_entry_time_s": found.gas_mode_entry_time_ms.map(seconds),
        "soc_at_gas_transition": found.soc_at_gas_transition,
        "fuel_level_at_gas_entry": found.fuel_level_at_gas_entry,
        "fuel_level_at_end": found.fuel_level_at_end,
        "electric_miles": found.electric_miles,
        "gas_miles": found.gas_miles,
        "gas_mpg": found.gas_mpg,
        "fuel_used_gallons": found.fuel_used_gallons,
        "electric_kwh_used": found.electric_kwh_used,
        "kwh_per_mile": found.kwh_per_mile,
        "soc_transitions": found.soc_transition.iter().map(transition).collect::<Vec<_>>(),
    })
}

async fn live_trip_stats(report: &mut Report, plugins: &PluginSet) {
    let driven = json!({"miles_driven": 10.0, "kwh_per_mile": 0.184});
    let emptied = json!({"kwh_used": 9.2, "kwh_per_mile": 0.9199999999999999, "in_gas_mode": true});
    let ours =
        [Ours::but("live_trip_stats-005", driven, ZERO), Ours::but("live_trip_stats-007", emptied, ZERO)];
    let group = Group::read("trip.json", "live_trip_stats");
    let point = |value: &Value| Point {
        odometer_miles: number(&value["odometer_miles"]),
        state_of_charge: number(&value["state_of_charge"]),
        fuel_level_percent: number(&value["fuel_level_percent"]),
        engine_rpm: number(&value["engine_rpm"]),
    };
    let mut answers = Vec::new();
    for input in group.inputs() {
        let (first, latest) = (point(&input["first"]), point(&input["latest"]));
        answers.push(json!(plugins.figures_of(first, latest, AT_MS).await.expect("figures")));
    }
    report.compare(&group, &ours, &answers);
}

async fn soc_floor(report: &mut Report, plugins: &PluginSet) {
    let empty =
        json!({"average_soc": 0.0, "min_soc": 0.0, "max_soc": 0.0, "count": 1, "histogram": {"0": 1}});
    let with_an_empty_one = json!({"average_soc": 14.8, "min_soc": 0.0, "count": 6,
        "histogram": {"0": 1, "16": 1, "17": 2, "18": 1, "19": 1}});
    let ours = [Ours::but("soc_floor-003", empty, ZERO), Ours::but("soc_floor-006", with_an_empty_one, ZERO)];
    let group = Group::read("trip.json", "soc_floor");
    let transition = |value: &Value| SocTransition {
        time_ms: 0,
        soc_percent: number(&value["soc_at_transition"]),
        ambient_temp_f: number(&value["ambient_temp_f"]),
        odometer_miles: None,
    };
    let mut answers = Vec::new();
    for input in group.inputs() {
        let transitions = input["transitions"].as_array().expect("a list").iter().map(transition).collect();
        let found = plugins.floor_of(transitions, AT_MS).await.expect("a floor");
        let bars = found.histogram.iter().map(|bar| (bar.soc_percent.to_string(), json!(bar.transitions)));
        answers.push(json!({
            "average_soc": found.mean_soc_percent,
            "min_soc": found.min_soc_percent,
            "max_soc": found.max_soc_percent,
            "count": found.transitions,
            "histogram": bars.collect::<serde_json::Map<_, _>>(),
            "temperature_correlation": found.by_temperature.map(|found| json!({
                "cold_avg_soc": found.cold_soc_percent,
                "warm_avg_soc": found.warm_soc_percent,
                "cold_count": found.cold_transitions,
                "warm_count": found.warm_transitions,
            })),
        }));
    }
    report.compare(&group, &ours, &answers);
}
