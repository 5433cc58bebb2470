//! Trips that are given up before anything of them is loaded, and keep no other
//! trip from being summarized.

use e2e::{Database, Engine, Server, Settings};
use serde_json::Value;

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    a_trip_that_is_too_large_is_given_up_and_no_plugin_is_to_blame
    a_trip_that_ended_every_process_that_tried_is_given_up
}

async fn a_trip_that_is_too_large_is_given_up_and_no_plugin_is_to_blame(
    engine: Engine,
) -> anyhow::Result<()> {
    let grown = "UPDATE trips SET reading_count = 86401 WHERE reading_count = 2";
    given_up(engine, grown, "E501").await
}

async fn a_trip_that_ended_every_process_that_tried_is_given_up(engine: Engine) -> anyhow::Result<()> {
    let tried = "UPDATE trips SET attempts = 5 WHERE reading_count = 2";
    given_up(engine, tried, "E500").await
}

/// Of two trips one is made hopeless, and both end.
async fn given_up(engine: Engine, make_hopeless: &'static str, code: &str) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let settings = Settings::default().database(&database).set("TRIP_TIMEOUT_SECONDS", "3600");
    let mut server = Server::start(settings).await?;
    let time_ms = now_ms();
    for (phone, seconds) in [(1, 0), (2, 0), (2, 1)] {
        let query = Phone::new(phone, time_ms).reading(time_ms + 1000 * seconds, "kc=900");
        assert!(server.upload(&query).await?.is_ok());
    }
    let mut look = server.look().await?;
    look.execute(make_hopeless).await?;
    look.execute("UPDATE trips SET last_received_ms = last_received_ms - 7200000, quiet_since_ms = 0")
        .await?;

    let mut ends = server.wait_for_operation("trip_finalization", 2).await?;
    ends.sort_by_key(|event| event["success"] == true);
    let [hopeless, ordinary] = ends.try_into().expect("two trips");
    assert_eq!(ordinary["success"], true);
    assert_eq!((&hopeless["error"]["code"], &hopeless["outcome"]), (&code.into(), &"failure".into()));
    assert_eq!(hopeless["technical_metrics"]["gave_up"], true);
    assert_eq!(hopeless["business_metrics"].get("telemetry_points"), None, "nothing of it was loaded");
    let trips = server.trips().await?;
    let status = |event: &Value| {
        let trip = trips.iter().find(|trip| trip["trip_id"] == event["trip_id"]);
        trip.map_or(Value::Null, |trip| trip["status"].clone())
    };
    assert_eq!((status(&hopeless), status(&ordinary)), ("failed".into(), "closed".into()));
    let events = server.stop().await?;
    let ends = events.iter().filter(|event| event["operation"] == "trip_finalization").count();
    assert_eq!(ends, 2, "it is not tried again");
    assert!(!events.iter().any(|event| event["swap"] == "rollback"));
    Ok(())
}
