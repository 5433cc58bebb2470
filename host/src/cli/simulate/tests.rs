//! The command line, and a whole run to an in-process server.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use clap::Parser;
use serde_json::json;

use super::*;
use crate::simulate::{Drive, DriveSpec, Identity};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    simulate: SimulateArgs,
}

fn args(words: &[&str]) -> Result<SimulateArgs, clap::Error> {
    let line = ["simulate"].iter().chain(words);
    Command::try_parse_from(line).map(|command| command.simulate)
}

#[test]
fn defaults_are_those_of_the_help() {
    let args = args(&[]).unwrap();
    assert_eq!(args.url, "http://127.0.0.1:8080");
    assert_eq!((args.vehicles, args.minutes, args.interval_ms, args.seed), (1, 40, 2_000, 1));
    assert_eq!((args.initial_soc, args.speed_up, args.timeout_seconds), (60.0, None, 120));
    assert_eq!((args.days, DRIVE_SPEED_UP), (None, 60.0));
    assert!(!args.json && !args.check && args.start_time.is_none());
}

#[test]
fn values_that_make_no_drive_are_refused() {
    for words in [
        ["--vehicles", "0"],
        ["--minutes", "0"],
        ["--minutes", "241"],
        ["--initial-soc", "101"],
        ["--initial-soc", "NaN"],
        ["--interval-ms", "150"],
        ["--interval-ms", "0"],
        ["--speed-up", "-1"],
        ["--days", "0"],
        ["--days", "32"],
        ["--start-time", "yesterday"],
    ] {
        assert!(args(&words).is_err(), "{words:?}");
    }
}

#[test]
fn the_drive_ends_now_unless_told_otherwise() {
    let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
    let ends_now = start_ms(&args(&["--minutes", "30"]).unwrap(), now).unwrap();
    assert_eq!(ends_now, now.as_millisecond() - 30 * 60_000);
    let told = args(&["--start-time", "2026-01-03T11:00:00+01:00"]).unwrap();
    assert_eq!(start_ms(&told, now).unwrap(), now.as_millisecond() + 22 * 3_600_000);
    let late = args(&["--start-time", "2026-01-03T11:30:00Z"]).unwrap();
    assert!(start_ms(&late, now).unwrap_err().to_string().contains("24 hours"));
}

#[test]
fn days_end_now_and_have_no_length_or_charge_of_one_drive() {
    let now: Timestamp = "2026-01-08T12:00:00Z".parse().unwrap();
    let week = args(&["--days", "7"]).unwrap();
    assert_eq!(start_ms(&week, now).unwrap(), now.as_millisecond() - 7 * 86_400_000);
    assert!(args(&["--days", "7", "--minutes", "20"]).is_err());
    assert!(args(&["--days", "7", "--initial-soc", "20"]).is_err());
}

#[test]
fn an_https_address_is_refused_with_what_to_do() {
    let error = server_address("https://example.com").unwrap_err().to_string();
    assert!(error.contains("no TLS") && error.contains("http://127.0.0.1:8080"), "{error}");
    assert!(server_address("ftp://example.com").is_err());
    assert!(server_address("localhost:8080").is_err());
    assert!(server_address("http://localhost:8080/").is_ok());
}

/// A server that keeps every upload and lists one closed trip with the given figures.
async fn server(trip: serde_json::Value) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    let upload = move |uri: Uri| async move {
        kept.lock().unwrap().push(uri.to_string());
        "OK!"
    };
    let trips = move || async move { axum::Json(json!({ "trips": [trip], "next_cursor": null })) };
    let app = Router::new().route("/torque/upload", get(upload)).route("/api/trips", get(trips));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

const START: &str = "2025-06-01T08:00:00Z";

/// The trip an exact server would list for `--minutes 1 --seed 1` from [`START`].
fn exact_trip() -> serde_json::Value {
    let truth =
        Drive::simulate(DriveSpec { seed: 1, minutes: 1, initial_soc_percent: 60.0, interval_ms: 2_000 })
            .truth;
    let start_ms = START.parse::<Timestamp>().unwrap().as_millisecond();
    json!({
        "session_id": Identity::new(1, 1, start_ms).session_id().to_string(),
        "status": "closed", "start_time_ms": start_ms, "readings": truth.readings,
        "summary": {
            "distance_miles": truth.distance_miles, "electric_miles": truth.electric_miles,
            "gas_miles": 0.0, "gas_mode_entered": false, "electric_kwh_used": truth.electric_kwh,
            "kwh_per_mile": truth.kwh_per_mile, "ambient_temp_avg_f": truth.ambient_avg_f,
        },
    })
}

async fn run_against(trip: serde_json::Value) -> (anyhow::Result<()>, Vec<String>) {
    let (url, asked) = server(trip).await;
    let words = ["--minutes", "1", "--speed-up", "0", "--check", "--timeout-seconds", "0"];
    let mut args = args(&words).unwrap();
    args.url = url;
    args.token = None;
    args.start_time = Some(START.parse().unwrap());
    let outcome = run(args).await;
    let asked = asked.lock().unwrap().clone();
    (outcome, asked)
}

#[tokio::test]
async fn a_whole_drive_is_uploaded_and_an_exact_server_passes_the_check() {
    let (outcome, asked) = run_against(exact_trip()).await;
    outcome.unwrap();
    let readings = asked.iter().filter(|uri| uri.contains("&kff1005=")).count();
    assert_eq!((readings, asked.len()), (31, 36));
    assert!(asked[0].contains("notice=Trip%20started"));
    assert!(asked[2].contains("defaultUnit05=%C2%B0C"), "{}", asked[2]);
}

#[tokio::test]
async fn a_server_that_lost_a_reading_fails_the_check() {
    let mut trip = exact_trip();
    trip["readings"] = json!(30);
    let error = run_against(trip).await.0.unwrap_err().to_string();
    assert!(error.ends_with("allowed: readings"), "{error}");
}

#[tokio::test]
async fn a_trip_that_stays_open_is_an_error_that_names_its_session() {
    let mut trip = exact_trip();
    trip["status"] = json!("open");
    let session = trip["session_id"].as_str().unwrap().to_owned();
    let error = run_against(trip).await.0.unwrap_err().to_string();
    assert!(error.contains(&session) && error.contains("--timeout-seconds"), "{error}");
}
