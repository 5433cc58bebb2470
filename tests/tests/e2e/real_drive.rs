//! A real phone's log of a drive of 44 minutes, sent as it was received.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use e2e::{Database, Engine, Server, Settings, upload_all};
use serde_json::Value;

use crate::on_both_engines;

on_both_engines! {
    a_drive_sent_twice_is_one_trip_with_every_value_of_the_log
}

/// Seen from the project's folder.
const LOG: &str = "../shared/data/torque-drive.queries";
const REQUESTS: usize = 530;
const READINGS: usize = 526;

async fn a_drive_sent_twice_is_one_trip_with_every_value_of_the_log(engine: Engine) -> anyhow::Result<()> {
    let Some(queries) = log()? else { return Ok(()) };
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "2").database(&database);
    let mut server = Server::start(settings).await?;

    let answers = upload_all(server.address(), queries.clone(), 4).await?;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), REQUESTS);
    server.wait_for_operation("telemetry_upload", REQUESTS).await?;
    let closed = server.wait_for("the trip's end", |events| finalization(events).is_some()).await?;
    let finalization = finalization(&closed).context("waited for")?;
    is_the_drive(finalization);
    let trip = the_only_trip(&server).await?;
    assert_eq!((&trip["status"], &trip["duplicates"]), (&Value::from("closed"), &Value::from(0)));
    every_value_is_kept(&server, &queries).await?;

    // The phone sends its whole backlog again, in any order.
    let answers = upload_all(server.address(), shuffled(queries, 7), 4).await?;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), REQUESTS);
    let uploads = server.wait_for_operation("telemetry_upload", 2 * REQUESTS).await?;
    let mut expected = trip.clone();
    expected["duplicates"] = READINGS.into();
    let mut again = the_only_trip(&server).await?;
    // When something was last received is all that may differ.
    ensure!(again["last_received_ms"].as_i64() >= trip["last_received_ms"].as_i64(), "time runs backwards");
    again["last_received_ms"] = trip["last_received_ms"].clone();
    assert_eq!(again, expected);

    let repeated: Vec<_> =
        uploads[REQUESTS..].iter().filter(|event| event["upload_kind"] == "telemetry").collect();
    assert_eq!(repeated.len(), READINGS);
    for upload in repeated {
        assert_eq!(upload["business_metrics"]["duplicate_reading"], true);
        assert_eq!(upload["business_metrics"]["conflicting_reading"], false);
        assert_eq!(upload["business_metrics"]["trip_reopened"], false);
        assert_eq!(upload["vehicle_context"], context_of_upload(finalization));
    }
    let all = server.stop().await?;
    let ends = all.iter().filter(|event| event["business_metrics"]["telemetry_points"] == READINGS).count();
    assert_eq!(ends, 1, "the drive is finalized once");
    Ok(())
}

/// The lines of the log; `None` where it is not on this machine.
fn log() -> anyhow::Result<Option<Vec<String>>> {
    let path = e2e::project_root().join(LOG);
    if !path.exists() {
        ensure!(std::env::var_os("CI").is_none(), "CI runs need {}", path.display());
        println!("SKIPPED: {} is not on this machine", path.display());
        return Ok(None);
    }
    let queries: Vec<_> = std::fs::read_to_string(&path)?.lines().map(str::to_owned).collect();
    ensure!(queries.len() == REQUESTS, "{} has {} lines", path.display(), queries.len());
    Ok(Some(queries))
}

/// The finalization that saw all readings: on a slow machine one may come
/// before.
fn finalization(events: &[Value]) -> Option<&Value> {
    events.iter().find(|event| {
        event["operation"] == "trip_finalization" && event["business_metrics"]["telemetry_points"] == READINGS
    })
}

fn is_the_drive(finalization: &Value) {
    assert_eq!(finalization["success"], true, "{finalization}");
    let minutes = finalization["trip_duration_minutes"].as_f64().unwrap_or_default();
    assert!((minutes - 43.7).abs() <= 0.05, "{minutes} minutes");
    let miles = finalization["distance_miles"].as_f64().unwrap_or_default();
    // The phone's own count, and the sum of its speeds over time.
    for km in [39.74, 40.5] {
        assert!((miles / (km * MILES_PER_KM) - 1.0).abs() <= 0.03, "{miles} miles, not about {km} km");
    }
    assert!(finalization["distance_source"].as_str().is_some_and(|source| !source.is_empty()));
    // A petrol van has no battery to drive on: the split is unknown, not 0.
    assert_eq!(finalization.get("electric_miles"), None);
    assert_eq!(finalization.get("gas_miles"), None);
    assert_eq!(finalization["profile_name"], "Van");
    assert_eq!(finalization["vehicle_context"]["total_trips"], 1);
}

/// What an upload's event says of the vehicle after that finalization.
fn context_of_upload(finalization: &Value) -> Value {
    let mut context = finalization["vehicle_context"].clone();
    if let Some(context) = context.as_object_mut() {
        context.retain(|name, _| !name.starts_with("recent_avg_") && name != "sample_size_trips");
    }
    context
}

async fn the_only_trip(server: &Server) -> anyhow::Result<Value> {
    let trips = server.trips().await?;
    assert_eq!(trips.len(), 1);
    assert_eq!(trips[0]["readings"], READINGS);
    assert_eq!(server.api("/api/status").await?["store"]["vehicles"], 1);
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 0);
    Ok(trips[0].clone())
}

/// PID, field, factor and offset, written down from the protocol's
/// description: all of its table that the log contains.
const MAPPED: [(&str, &str, f64, f64); 19] = [
    ("ff1005", "longitude", 1.0, 0.0),
    ("ff1006", "latitude", 1.0, 0.0),
    ("ff1001", "speed_mph", MILES_PER_KM, 0.0),
    ("ff1007", "gps_bearing_deg", 1.0, 0.0),
    ("ff1010", "altitude_m", 1.0, 0.0),
    ("ff1239", "gps_accuracy_m", 1.0, 0.0),
    ("ff123a", "gps_satellites", 1.0, 0.0),
    ("ff1204", "trip_distance_miles", MILES_PER_KM, 0.0),
    ("ff1271", "trip_fuel_used_gallons", 1.0 / 3.785_411_784, 0.0),
    ("c", "engine_rpm", 1.0, 0.0),
    ("d", "vehicle_speed_mph", MILES_PER_KM, 0.0),
    ("11", "throttle_position", 1.0, 0.0),
    ("4", "engine_load_percent", 1.0, 0.0),
    ("42", "battery_voltage", 1.0, 0.0),
    ("5", "coolant_temp_f", 1.8, 32.0),
    ("f", "intake_air_temp_f", 1.8, 32.0),
    ("46", "ambient_temp_f", 1.8, 32.0),
    ("21", "distance_mil_on_miles", MILES_PER_KM, 0.0),
    ("2f", "fuel_level_percent", 1.0, 0.0),
];
const MILES_PER_KM: f64 = 1.0 / 1.609_344;
const TANK_GALLONS: f64 = 9.3122;
/// A single-precision overflow: finite, and no value.
const OVERFLOW: f64 = 3e38;

/// The reading in one query, by rules of this test's own.
fn decode(query: &str) -> Option<(i64, BTreeMap<String, f64>)> {
    let mut time_ms = None;
    let mut fields = BTreeMap::new();
    let mut is_reading = false;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if key == "time" {
            time_ms = value.parse().ok();
        }
        let Some(pid) = key.strip_prefix('k') else { continue };
        is_reading = true;
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite() && number.abs() < OVERFLOW);
        let known = MAPPED.iter().find(|(known, ..)| *known == pid);
        if let Some(((_, field, factor, offset), number)) = known.zip(number) {
            fields.insert((*field).to_owned(), number * factor + offset);
        }
    }
    if let Some(level) = fields.get("fuel_level_percent") {
        fields.insert("fuel_remaining_gallons".to_owned(), level / 100.0 * TANK_GALLONS);
    }
    Some((time_ms?, fields)).filter(|_| is_reading)
}

async fn every_value_is_kept(server: &Server, queries: &[String]) -> anyhow::Result<()> {
    let expected: BTreeMap<_, _> = queries.iter().filter_map(|query| decode(query)).collect();
    assert_eq!(expected.len(), READINGS);
    let readings = server.look().await?.readings().await?;
    assert_eq!(readings.len(), READINGS);
    let mut compared = 0;
    for (time_ms, kept) in readings {
        let sent = expected.get(&time_ms).with_context(|| format!("nobody sent a reading at {time_ms}"))?;
        let names = |fields: &BTreeMap<String, f64>| fields.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&kept), names(sent), "at {time_ms}");
        for (field, value) in sent {
            let difference = (kept[field] - value).abs();
            assert!(
                difference <= 1e-9 * value.abs().max(1.0),
                "{field} at {time_ms}: {} {value}",
                kept[field]
            );
            compared += 1;
        }
    }
    assert!(compared > READINGS * MAPPED.len() * 9 / 10, "{compared} values");
    Ok(())
}

/// Fisher and Yates, with a small generator: the same order in every run.
fn shuffled(mut items: Vec<String>, seed: u64) -> Vec<String> {
    let mut state = seed;
    for index in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or_default() % (index + 1);
        items.swap(index, other);
    }
    items
}
