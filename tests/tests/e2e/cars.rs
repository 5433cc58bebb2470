//! One phone in two cars: two vehicles, also when the profile that says so
//! comes behind the readings.

use std::path::Path;

use anyhow::{Context as _, ensure};
use e2e::{Database, Engine, Server, Settings, binary};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    two_cars_of_one_phone_are_two_vehicles_also_when_a_profile_comes_late
    a_log_is_imported_for_the_car_that_is_named
}

const MINUTE_MS: i64 = 60_000;

async fn two_cars_of_one_phone_are_two_vehicles_also_when_a_profile_comes_late(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 200 * MINUTE_MS;
    let first = Phone::new(1, start_ms);
    assert!(server.upload(&first.profile(start_ms, "Volt%20One")).await?.is_ok());
    drive(&server, &first, start_ms, 4).await?;
    let (later_ms, session) = (start_ms + 100 * MINUTE_MS, "later".to_owned());
    let second = Phone { session, ..first.clone() };
    drive(&server, &second, later_ms, 3).await?;
    let closed = finalizations(&server, 2).await?;
    assert_eq!(closed[0]["vehicle_id"], closed[1]["vehicle_id"], "nothing says otherwise yet");
    assert_eq!(vehicles(&server).await?, json!([["Volt One", 2, 3.0]]));

    assert!(server.upload(&second.profile(later_ms, "Volt%20Two")).await?.is_ok());
    let again = finalizations(&server, 3).await?.remove(2);
    let seen = |name: &str| (again[name].clone(), closed[1][name].clone());
    let ((trip, trip_before), (vehicle, vehicle_before)) = (seen("trip_id"), seen("vehicle_id"));
    assert_eq!((&trip, &again["finalization_number"]), (&trip_before, &json!(2)));
    assert_ne!(vehicle, vehicle_before);
    assert_eq!(again["profile_name"], "Volt Two");
    assert_eq!(vehicles(&server).await?, json!([["Volt One", 1, 1.8], ["Volt Two", 1, 1.2]]));

    // Late for one, and the next drive of the other.
    assert!(server.upload(&second.full_reading(later_ms, 5)).await?.is_ok());
    let third = Phone { session: "third".to_owned(), ..first.clone() };
    let third_ms = later_ms + 50 * MINUTE_MS;
    assert!(server.upload(&third.profile(third_ms, "Volt%20One")).await?.is_ok());
    drive(&server, &third, third_ms, 2).await?;
    finalizations(&server, 5).await?;
    assert_eq!(vehicles(&server).await?, json!([["Volt One", 2, 2.4], ["Volt Two", 1, 3.0]]));
    let of_second = server.api(&format!("/api/trips?vehicle_id={}", text(&vehicle))).await?;
    assert_eq!(of_second["trips"].as_array().map(Vec::len), Some(1));

    let events = server.stop().await?;
    let profiles: Vec<_> = events.iter().filter(|event| event["upload_kind"] == "profile").collect();
    let of = |profile: &Value| [profile["vehicle_id"].clone(), profile["trip_id"].clone()];
    let expected = [[&vehicle_before, &Value::Null], [&vehicle, &trip], [&vehicle_before, &Value::Null]];
    assert_eq!(
        profiles.iter().map(|profile| of(profile)).collect::<Vec<_>>(),
        expected.map(|of| of.map(Value::clone))
    );
    Ok(())
}

async fn a_log_is_imported_for_the_car_that_is_named(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let time_ms = now_ms();
    for (session, name) in [("first", "Volt%20One"), ("second", "Volt%20Two")] {
        let phone = Phone { session: session.to_owned(), ..Phone::new(1, time_ms) };
        assert!(server.upload(&phone.profile(time_ms, name)).await?.is_ok());
        assert!(server.upload(&phone.reading(time_ms, "kc=900")).await?.is_ok());
    }
    finalizations(&server, 2).await?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("trackLog.csv");
    let rows = "GPS Time,Device Time,Latitude,Longitude,Engine RPM(rpm)\n\
                -,03-Jan-2026 23:00:00.000,37.25,-121.5,900\n\
                -,03-Jan-2026 23:00:01.000,37.26,-121.5,900\n";
    std::fs::write(&log, rows)?;
    let imported = import(&server, "Volt Two", &log).await?;
    assert_eq!((&imported["imported"], &imported["trips_created"]), (&json!(2), &json!(1)), "{imported}");
    let again = import(&server, "Volt Two", &log).await?;
    assert_eq!((&again["imported"], &again["duplicates"]), (&json!(0), &json!(2)), "{again}");
    finalizations(&server, 3).await?;
    let trips: Vec<_> =
        vehicles(&server).await?.as_array().into_iter().flatten().map(|of| of[1].clone()).collect();
    assert_eq!(trips, [1, 2], "the log is a drive of the second car");
    server.stop().await?;
    Ok(())
}

/// `None` where the engine is not at hand.
async fn start(engine: Engine) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "1").database(&database);
    Ok(Some(Server::start(settings).await?))
}

async fn drive(server: &Server, phone: &Phone, start_ms: i64, minutes: u32) -> anyhow::Result<()> {
    let queries = (0..minutes).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 1).await?;
    Ok(())
}

/// The ends of trips, when there are that many.
async fn finalizations(server: &Server, count: usize) -> anyhow::Result<Vec<Value>> {
    let events = server.wait_for_operation("trip_finalization", count).await?;
    ensure!(events.len() == count, "{count} ends, and not {}", events.len());
    Ok(events)
}

/// Name, trips and miles of each vehicle, by their names.
async fn vehicles(server: &Server) -> anyhow::Result<Value> {
    let answer = server.api("/api/vehicles").await?;
    let vehicles = answer["vehicles"].as_array().context("vehicles")?;
    let mut shown: Vec<_> =
        vehicles.iter().map(|of| json!([of["profile_name"], of["total_trips"], of["total_miles"]])).collect();
    shown.sort_by_key(|of| of[0].to_string());
    Ok(Value::Array(shown))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn import(server: &Server, vehicle: &str, log: &Path) -> anyhow::Result<Value> {
    let url = format!("http://{}", server.address());
    let mut command = Command::new(binary()?);
    command.args(["import", "--server", &url, "--json", "--vehicle", vehicle]).arg(log).kill_on_drop(true);
    let output = command.output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
