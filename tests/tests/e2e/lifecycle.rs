//! From the first reading of a trip to its last finalization, as the API and
//! the events show it.

use anyhow::Context as _;
use e2e::{Database, Engine, Server, Settings};
use serde_json::Value;

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    a_late_reading_opens_its_trip_again_and_counts_it_once
    one_session_text_of_two_devices_is_two_trips
    a_profile_that_comes_late_names_its_trip
    of_two_readings_at_one_time_the_first_stays
    a_reading_for_a_trip_closed_too_long_ago_is_quarantined_and_changes_nothing
}

async fn a_late_reading_opens_its_trip_again_and_counts_it_once(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine, 1).await? else { return Ok(()) };
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    let queries = [0, 1, 2].map(|minute| phone.full_reading(start_ms, minute)).to_vec();
    e2e::upload_all(server.address(), queries, 3).await?;
    let first = finalization_of(&server, 3).await?;
    assert_eq!(first["finalization_number"], 1);
    assert_eq!(miles(&first), "1.200");

    assert!(server.upload(&phone.full_reading(start_ms, 5)).await?.is_ok());
    let second = finalization_of(&server, 4).await?;
    assert_eq!(second["finalization_number"], 2);
    assert_eq!(second["trip_id"], first["trip_id"]);
    assert_eq!(miles(&second), "3.000");
    assert_eq!(second["vehicle_context"]["total_trips"], 1);
    assert_eq!(second["vehicle_context"]["total_miles"], 3.0, "replaced, not added");
    let trips = server.trips().await?;
    assert_eq!(trips.len(), 1);
    assert_eq!((&trips[0]["status"], &trips[0]["readings"]), (&Value::from("closed"), &Value::from(4)));
    let events = server.stop().await?;
    let reopened = |event: &&Value| event["business_metrics"]["trip_reopened"] == true;
    assert_eq!(events.iter().filter(reopened).count(), 1);
    Ok(())
}

async fn one_session_text_of_two_devices_is_two_trips(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine, 120).await? else { return Ok(()) };
    let time_ms = now_ms();
    for number in [1, 2] {
        let phone = Phone::new(number, time_ms);
        assert!(server.upload(&phone.reading(time_ms, "kc=900")).await?.is_ok());
    }
    let trips = server.trips().await?;
    assert_eq!(trips.len(), 2);
    assert_eq!(trips[0]["session_id"], trips[1]["session_id"]);
    assert_ne!(trips[0]["vehicle_id"], trips[1]["vehicle_id"]);
    assert_ne!(trips[0]["trip_id"], trips[1]["trip_id"]);
    server.stop().await?;
    Ok(())
}

async fn a_profile_that_comes_late_names_its_trip(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine, 120).await? else { return Ok(()) };
    let time_ms = now_ms();
    let phone = Phone::new(1, time_ms);
    assert!(server.upload(&phone.reading(time_ms, "kc=900")).await?.is_ok());
    assert_eq!(server.trips().await?[0]["profile_name"], Value::Null);
    assert!(server.upload(&phone.profile(time_ms + 10, "Volt%20LTZ")).await?.is_ok());
    let trips = server.trips().await?;
    assert_eq!((trips.len(), &trips[0]["profile_name"]), (1, &Value::from("Volt LTZ")));
    assert_eq!(trips[0]["readings"], 1, "a profile is no reading");
    server.stop().await?;
    Ok(())
}

async fn of_two_readings_at_one_time_the_first_stays(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine, 120).await? else { return Ok(()) };
    let time_ms = now_ms();
    let phone = Phone::new(1, time_ms);
    for rpm in ["kc=900", "kc=900", "kc=900", "kc=1500"] {
        assert!(server.upload(&phone.reading(time_ms, rpm)).await?.is_ok());
    }
    let trips = server.trips().await?;
    assert_eq!((trips.len(), &trips[0]["readings"]), (1, &Value::from(1)));
    assert_eq!(trips[0]["duplicates"], 3);
    assert_eq!(trips[0]["conflicting_readings"], 1);
    let readings = server.look().await?.readings().await?;
    assert_eq!(readings[0].1.get("engine_rpm"), Some(&900.0));
    let events = server.stop().await?;
    let conflicting = |event: &&Value| event["business_metrics"]["conflicting_reading"] == true;
    assert_eq!(events.iter().filter(conflicting).count(), 1);
    Ok(())
}

async fn a_reading_for_a_trip_closed_too_long_ago_is_quarantined_and_changes_nothing(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(mut server) = start(engine, 1).await? else { return Ok(()) };
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    assert!(server.upload(&phone.full_reading(start_ms, 0)).await?.is_ok());
    finalization_of(&server, 1).await?;
    let closed = server.trips().await?;
    server.look().await?.execute("UPDATE trips SET closed_ms = 1").await?;

    let long_ago_ms = start_ms - 40 * 86_400_000;
    assert!(server.upload(&phone.reading(long_ago_ms, "kc=900")).await?.is_ok());
    let [_, late] = server.wait_for_operation("telemetry_upload", 2).await?.try_into().expect("two uploads");
    assert_eq!((&late["error"]["code"], &late["outcome"]), (&Value::from("E401"), &Value::from("rejected")));
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 1);
    let mut after = server.trips().await?;
    after[0]["last_received_ms"] = closed[0]["last_received_ms"].clone();
    assert_eq!(after, closed);

    // A reading that is not kept makes no account older.
    let next = Phone { session: "next".to_owned(), ..phone };
    assert!(server.upload(&next.reading(now_ms(), "kc=900")).await?.is_ok());
    let uploads = server.wait_for_operation("telemetry_upload", 3).await?;
    assert_eq!(uploads[2]["vehicle_context"]["account_age_days"], 0);
    server.stop().await?;
    Ok(())
}

/// `None` where the engine is not at hand.
async fn start(engine: Engine, trip_timeout_seconds: u32) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    let settings =
        Settings::default().set("TRIP_TIMEOUT_SECONDS", trip_timeout_seconds.to_string()).database(&database);
    let server = Server::start(settings).await?;
    let wanted = if engine == Engine::Sqlite { "sqlite" } else { "postgres" };
    assert_eq!(server.api("/api/status").await?["database"], wanted);
    Ok(Some(server))
}

/// To three decimals: the odometer came in kilometres.
fn miles(finalization: &Value) -> String {
    format!("{:.3}", finalization["distance_miles"].as_f64().unwrap_or_default())
}

/// Waits for the finalization that saw that many readings.
async fn finalization_of(server: &Server, readings: u32) -> anyhow::Result<Value> {
    let of = |event: &&Value| event["business_metrics"]["telemetry_points"] == readings;
    let events = server.wait_for("a finalization", |events| events.iter().any(|event| of(&event))).await?;
    events.iter().find(of).cloned().context("waited for")
}
