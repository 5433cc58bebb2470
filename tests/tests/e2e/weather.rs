//! The weather along a trip: asked of a stand-in when the trip ends, told, kept,
//! and remembered; and nothing of it holds up an upload or a trip.

mod failures;

use e2e::open_meteo::{OpenMeteo, Reply};
use e2e::{Database, Engine, Server, Settings};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

/// The third of March 2020, 10:20: epoch milliseconds. Only the archive knows it.
const LONG_AGO_MS: i64 = 1_583_230_800_000;

/// Settings under which a trip ends soon.
fn settings() -> Settings {
    Settings::default()
        .set("ID_KEY", "the same in every run")
        .set("TRIP_TIMEOUT_SECONDS", "1")
        // The machine may be busy.
        .set("LOG_SLOW_THRESHOLD_MS", "60000")
}

/// A drive of 20 minutes, all of it within one place of weather.
async fn drive(server: &Server, number: u32, start_ms: i64) -> anyhow::Result<()> {
    let phone = Phone::new(number, start_ms);
    for minute in [0, 1, 20] {
        let time_ms = start_ms + minute * 60_000;
        let reading = phone.reading(time_ms, "kff1005=-121.502&kff1006=37.2481&kff1204=3");
        assert!(server.upload(&reading).await?.is_ok());
    }
    Ok(())
}

/// Waits for that many ends of trips.
async fn ends(server: &Server, count: usize) -> anyhow::Result<Vec<Value>> {
    server.wait_for_operation("trip_finalization", count).await
}

fn of(events: &[Value], operation: &str) -> Vec<Value> {
    events.iter().filter(|event| event["operation"] == operation).cloned().collect()
}

/// The only request to the service, as a snapshot can hold it.
fn only_request(events: &[Value]) -> Value {
    let [request] = of(events, "external_api_weather").try_into().expect("one request");
    as_snapshot(request)
}

/// What differs from run to run is named and not shown.
fn as_snapshot(mut event: Value) -> Value {
    for name in ["request_id", "parent_request_id", "timestamp", "duration_ms", "service"] {
        assert!(!event[name].is_null(), "{name}: {event}");
        event[name] = json!(format!("[{name}]"));
    }
    for (_, time) in event["performance_breakdown"].as_object_mut().into_iter().flatten() {
        *time = json!("[ms]");
    }
    if let Some(url) = event["url"].as_str() {
        let (_, path) = url.split_once("/v1/").expect("an address of the service");
        event["url"] = json!(format!("[address]/v1/{path}"));
    }
    event
}

on_both_engines! {
    the_weather_along_a_trip_is_told_and_kept
}

async fn the_weather_along_a_trip_is_told_and_kept(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let service = OpenMeteo::start(&[]).await?;
    let mut server = Server::start(service.asked_by(settings()).database(&database)).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    let end = ends(&server, 1).await?.remove(0);
    let trip = server.api(&format!("/api/trips/{}", end["trip_id"].as_str().unwrap_or_default())).await?;
    let events = server.stop().await?;

    assert_eq!(
        [
            &end["weather_temp_f"],
            &end["weather_conditions"],
            &end["weather_impact_factor"],
            &end["extreme_weather"]
        ],
        [&json!(28.4), &json!("Light Snow"), &json!(1.3), &json!(true)]
    );
    assert_eq!(end["feature_flags"]["weather_integration"], true);
    assert!(end["performance_breakdown"]["fetch_weather_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert_eq!(
        trip["weather"],
        json!({"temperature_f": 28.4, "precipitation_in": 0.02, "wind_speed_mph": 18.0,
            "conditions": "Light Snow", "factor": 1.3, "extreme": true})
    );
    // Three points in one place and one hour are one request.
    let requests = of(&events, "external_api_weather");
    assert_eq!(requests[0]["trace_id"], end["session_id"]);
    assert_eq!(requests[0]["parent_request_id"], end["request_id"]);
    insta::assert_json_snapshot!("a_request_that_is_answered", only_request(&events));
    assert_eq!(service.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_a_place_and_an_hour_is_not_asked_for_again() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[]).await?;
    let mut server = Server::start(service.asked_by(settings())).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    ends(&server, 1).await?;
    // Another car, and then the first trip again, longer by a late reading.
    drive(&server, 2, LONG_AGO_MS + 5_000).await?;
    ends(&server, 2).await?;
    let late = Phone::new(1, LONG_AGO_MS);
    let late = late.reading(LONG_AGO_MS + 1_500_000, "kff1005=-121.502&kff1006=37.2481");
    assert!(server.upload(&late).await?.is_ok());
    let [first, second, again] = ends(&server, 3).await?.try_into().expect("three ends");
    for end in [&first, &second, &again] {
        assert_eq!(end["weather_temp_f"], 28.4, "{end}");
    }
    assert_eq!(
        (&second["technical_metrics"]["weather_requests"], &again["finalization_number"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(of(&server.stop().await?, "external_api_weather").len(), 1);
    assert_eq!(service.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_happened_just_now_is_asked_of_the_forecast() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[]).await?;
    let mut server = Server::start(service.asked_by(settings())).await?;
    drive(&server, 1, now_ms() - 1_200_000).await?;
    let end = ends(&server, 1).await?.remove(0);
    assert_eq!(end["weather_temp_f"], 28.4);
    for asked in service.asked() {
        assert!(asked.starts_with("/v1/forecast?"), "{asked}");
    }
    let events = server.stop().await?;
    let request = &of(&events, "external_api_weather")[0];
    assert_eq!(request["technical_metrics"]["weather_source"], "forecast");
    assert_eq!(request["sampling"]["reason"], "always_kept");
    Ok(())
}

#[tokio::test]
async fn a_request_is_told_whatever_is_sampled_and_says_whose_it_is() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[Reply::Status(503, None)]).await?;
    let settings = settings().set("LOG_SAMPLE_TELEMETRY", "0").set("LOG_SAMPLE_TRIP", "0");
    let mut server = Server::start(service.asked_by(settings)).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    let request = server.wait_for_operation("external_api_weather", 1).await?.remove(0);
    server.stop().await?;
    assert_eq!(
        request["sampling"],
        json!({"probability": 1.0, "rate": 1.0, "reason": "always_kept"}),
        "no policy is asked"
    );
    for id in ["trace_id", "parent_request_id"] {
        assert!(request[id].as_str().is_some_and(|text| text.len() == 36), "{id}: {request}");
    }
    assert_ne!(request["parent_request_id"], request["request_id"]);
    assert_eq!(request["feature_flags"]["weather_integration"], true);
    assert_eq!((&request["attempts"], &request["peer_service"]), (&json!(2), &json!("open_meteo")));
    let times = request["performance_breakdown"].as_object().expect("times");
    let attempts: Vec<_> = times.keys().filter(|name| name.starts_with("request_attempt_")).collect();
    assert_eq!(attempts, ["request_attempt_1_ms", "request_attempt_2_ms"]);
    assert_eq!(request["service"]["name"], "volttracker", "the key is the envelope's");
    assert_eq!(request.to_string().matches("\"service\":").count(), 1);
    Ok(())
}

#[tokio::test]
async fn nobody_is_asked_about_a_trip_without_a_fix_or_with_the_feature_off() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[]).await?;
    let asked = service.asked_by(settings());
    let mut without_fix = Server::start(asked.clone()).await?;
    let phone = Phone::new(1, LONG_AGO_MS);
    assert!(without_fix.upload(&phone.reading(LONG_AGO_MS, "kc=900")).await?.is_ok());
    let end = ends(&without_fix, 1).await?.remove(0);
    assert_eq!((&end["success"], &end["technical_metrics"]["weather_points"]), (&json!(true), &json!(0)));
    without_fix.stop().await?;

    let mut off = Server::start(asked.set("FEATURE_WEATHER", "false")).await?;
    drive(&off, 2, LONG_AGO_MS).await?;
    let end = ends(&off, 1).await?.remove(0);
    assert_eq!(end["feature_flags"]["weather_integration"], false);
    assert_eq!(end["performance_breakdown"].get("fetch_weather_ms"), None);
    assert_eq!(off.trips().await?[0]["weather"], Value::Null);
    off.stop().await?;
    assert_eq!(service.asked(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start_and_not_told() -> anyhow::Result<()> {
    let settings = settings().set("FEATURE_WEATHER", "true").set("WEATHER_API_URL", "hunter2");
    let refused = Server::refused(settings).await?;
    assert!(refused.stderr.contains("WEATHER_API_URL"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    Ok(())
}
