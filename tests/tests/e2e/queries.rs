//! Questions about events, asked as an operator asks them: over HTTP and with
//! `volttracker events`, of a receiver that lived through what they are about.

mod commands;
mod following;

use std::time::Duration;

use anyhow::Context as _;
use e2e::{Database, Engine, Server, Settings};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    what_happened_can_be_found_counted_and_traced
    kept_events_are_all_in_the_store_after_a_stop
}

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A receiver whose trips end soon, and that keeps all events.
async fn start(engine: Engine) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    let settings = Settings::default().database(&database).set("TRIP_TIMEOUT_SECONDS", "1");
    Ok(Some(Server::start(settings.set("DEPLOYMENT_ID", "first")).await?))
}

/// A trip of three readings that has ended; its last event.
async fn drive(server: &Server, phone: u32) -> anyhow::Result<Value> {
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(phone, start_ms);
    let queries = [0, 1, 2].map(|minute| phone.full_reading(start_ms, minute)).to_vec();
    e2e::upload_all(server.address(), queries, 1).await?;
    let events = server.wait_for_operation("trip_finalization", 1).await?;
    events.first().cloned().context("an event")
}

/// Asks over HTTP; the status and the answer.
async fn ask(server: &Server, question: &Value) -> anyhow::Result<(u16, Value)> {
    let url = format!("http://{}/api/events/query", server.address());
    let response = e2e::http_client()?.post(url).json(question).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

/// Waits until the store has so many events that a filter wants: they get there
/// a moment after they are told.
async fn wait_for_stored(server: &Server, filter: &Value, count: usize) -> anyhow::Result<Vec<Value>> {
    let asking = async {
        loop {
            let (status, answer) = ask(server, &json!({"filter": filter, "order": "timestamp"})).await?;
            anyhow::ensure!(status == 200, "{answer}");
            let events = answer["events"].as_array().context("events")?;
            if events.len() >= count {
                return Ok(events.clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("waited for {count} of {filter}"))?
}

async fn what_happened_can_be_found_counted_and_traced(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let finalization = drive(&server, 1).await?;
    assert!(server.upload("v=9&time=1").await?.is_ok(), "what can never be stored is quarantined");
    let stored = wait_for_stored(&server, &json!({"operation": "trip_finalization"}), 1).await?;
    assert_eq!(stored, std::slice::from_ref(&finalization), "it is stored as it was told");

    let trace_id = finalization["trace_id"].as_str().context("a trace")?;
    let uploads = wait_for_stored(&server, &json!({"operation": "telemetry_upload"}), 4).await?;
    let trace = server.api(&format!("/api/events/trace/{trace_id}")).await?;
    let operations: Vec<_> =
        trace["events"].as_array().context("events")?.iter().map(|event| &event["operation"]).collect();
    assert_eq!(operations, ["telemetry_upload", "telemetry_upload", "telemetry_upload", "trip_finalization"]);
    let id = finalization["request_id"].as_str().context("an id")?;
    assert_eq!(server.api(&format!("/api/events/{id}")).await?, finalization);

    let question = json!({"filter": {"operation": "telemetry_upload"}, "group_by": ["success"], "figures": ["count", "max(duration_ms)"]});
    let (_, answer) = ask(&server, &question).await?;
    let slowest = |success: bool| {
        let durations = uploads
            .iter()
            .filter(|event| event["success"] == success)
            .map(|event| event["duration_ms"].as_f64());
        durations.flatten().fold(0.0, f64::max)
    };
    let figures = |count: f64, success: bool| {
        json!([
            {"figure": "count", "value": count, "sample_size": count as u64, "estimated_total": count},
            {"figure": "max(duration_ms)", "value": slowest(success), "sample_size": count as u64, "estimated_total": count},
        ])
    };
    assert_eq!(
        answer["groups"],
        json!([
            {"by": {"success": true}, "figures": figures(3.0, true)},
            {"by": {"success": false}, "figures": figures(1.0, false)},
        ])
    );
    let failures = server.api("/api/events/dashboards/failures-by-deployment").await?;
    assert_eq!(failures["groups"][0]["by"], json!({"service.deployment_id": "first"}));
    assert_eq!(failures["matched"], json!({"sample_size": 1, "estimated_total": 1.0}));
    let later = "/api/events/dashboards/failures-by-deployment?since=2100-01-01T00:00:00Z";
    assert_eq!(server.api(later).await?["groups"], json!([]));
    let durations = server.api("/api/events/dashboards/duration-by-operation").await?;
    assert!(durations["groups"].as_array().is_some_and(|groups| groups.len() >= 4), "{durations}");

    // Reading of events is told like any reading.
    let reads = wait_for_stored(&server, &json!({"route": "/api/events/{request_id}"}), 1).await?;
    assert_eq!((&reads[0]["operation"], &reads[0]["http_status"]), (&json!("api_request"), &json!(200)));
    server.stop().await?;
    Ok(())
}

async fn kept_events_are_all_in_the_store_after_a_stop(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let settings = Settings::default().database(&database);
    let mut first = Server::start(settings.clone().set("DEPLOYMENT_ID", "first")).await?;
    let start_ms = now_ms();
    let phone = Phone::new(1, start_ms);
    let queries = (0..300).map(|n| phone.reading(start_ms + n, "kc=900")).collect();
    e2e::upload_all(first.address(), queries, 8).await?;
    let told = first.stop().await?;
    let stop = told.last().context("a stop has its event")?;
    assert_eq!(stop["sinks"]["store"], json!({"delivered": told.len() - 1, "lost": 0, "waiting": 0}));

    let mut second = Server::start(settings.data_of(&first)).await?;
    let question = json!({"filter": {"service.deployment_id": "first"}, "figures": "count"});
    let (_, answer) = ask(&second, &question).await?;
    assert_eq!(answer["matched"]["sample_size"], told.len());
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_told_where_it_is_wrong() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut answers = Vec::new();
    for question in [
        json!({"filter": {"duration_ms": {"$above": 5}}}),
        json!({"filter": {"$or": [{"success": false}, {"timestamp": {"$gte": "yesterday"}}]}}),
        json!({"filter": {}, "limit": 1001}),
    ] {
        let (status, answer) = ask(&server, &question).await?;
        assert_eq!((status, &answer["status"]), (400, &json!(400)));
        answers.push(answer);
    }
    let url = format!("http://{}/api/events", server.address());
    let client = e2e::http_client()?;
    let no_json = client.post(format!("{url}/query")).body("{").send().await?;
    answers.push(no_json.json().await?);
    for path in [
        "/nobody",
        "/trace/nobody",
        "/trace/%00",
        "/dashboards/nobody",
        "/dashboards/weather-failures?since=now",
    ] {
        answers.push(client.get(format!("{url}{path}")).send().await?.json().await?);
    }
    insta::assert_json_snapshot!(answers);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn events_are_for_those_who_may_read() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("TORQUE_API_TOKEN", "a-token")).await?;
    let client = e2e::http_client()?;
    let url = format!("http://{}/api/events", server.address());
    for path in ["/nobody", "/trace/nobody", "/tail", "/dashboards/weather-failures"] {
        assert_eq!(client.get(format!("{url}{path}")).send().await?.status(), 401, "{path}");
    }
    let asked = || client.post(format!("{url}/query")).json(&json!({}));
    assert_eq!(asked().send().await?.status(), 401);
    assert_eq!(asked().bearer_auth("a-token").send().await?.status(), 200);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn without_a_store_of_events_there_is_nothing_to_ask_but_what_comes() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("EVENT_SINKS", "stdout")).await?;
    let (status, answer) = ask(&server, &json!({})).await?;
    assert_eq!((status, &answer["code"]), (404, &json!("E400")));
    let mut follower = following::Follower::new(&server, r#"{"operation": "telemetry_upload"}"#).await?;
    server.upload(&Phone::new(1, now_ms()).reading(now_ms(), "kc=900")).await?;
    assert_eq!(follower.hears().await?["outcome"], "success");
    assert!(!server.data_dir().join("events.db").exists());
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_damaged_store_of_events_stops_the_start_and_says_what_to_do() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    server.stop().await?;
    let file = server.data_dir().join("events.db");
    std::fs::write(&file, "no database".repeat(1000))?;
    let refused = Server::refused(Settings::default().data_of(&server)).await?;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("events.db there can be removed"), "{}", refused.stderr);
    std::fs::remove_file(&file)?;
    let mut again = Server::start(Settings::default().data_of(&server)).await?;
    again.stop().await?;
    Ok(())
}
