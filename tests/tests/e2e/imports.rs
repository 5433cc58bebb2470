//! Track logs that are imported: what an upload of the same drive would have
//! made, once, whichever way and however often it comes.

mod refusals;
mod stops;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Database, Engine, Server, Settings, binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::on_both_engines;

on_both_engines! {
    an_imported_log_is_what_the_upload_of_its_drives_is
    a_file_that_overlaps_an_earlier_one_doubles_nothing
}

const DEVICE: &str = "00c0ffeedeadbeefdeadbeef00c0ffee";
const PATIENCE: Duration = Duration::from_secs(120);
/// The drives: five hours apart, the second begins where the first did.
const STARTS: [&str; 2] = ["2026-01-03T23:00:00Z", "2026-01-04T04:00:00Z"];
/// Rows of one of them: ten minutes, the first second included.
const ROWS: u64 = 601;

async fn an_imported_log_is_what_the_upload_of_its_drives_is(engine: Engine) -> anyhow::Result<()> {
    let (Some(mut uploaded), Some(mut imported)) = (start(engine).await?, start(engine).await?) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let log = drive(&uploaded, &folder).await?;
    let first = import(&imported, &["--device-id", DEVICE], &log).await?;
    assert_eq!(numbers(&first), [2 * ROWS, 2 * ROWS, 0, 0, 0, 2, 2], "{first}");

    let trips = [closed_trips(&uploaded).await?, closed_trips(&imported).await?];
    assert_eq!(trips[0].len(), 2);
    assert_eq!(trips[0], trips[1], "the same figures");
    assert_eq!(readings(&uploaded).await?, readings(&imported).await?, "to the last bit");

    let again = import(&imported, &["--device-id", DEVICE], &log).await?;
    assert_eq!(numbers(&again), [2 * ROWS, 0, 2 * ROWS, 0, 0, 2, 0], "{again}");
    // Of an upload the unknown PIDs are known by other names.
    let known = import(&uploaded, &["--vehicle", "Volt 1"], &log).await?;
    assert_eq!(numbers(&known), [2 * ROWS, 0, 2 * ROWS, 2 * ROWS, 0, 2, 0], "{known}");
    let vehicle = uploaded.trips().await?[0]["vehicle_id"].clone();
    let named = import(&uploaded, &["--vehicle", vehicle.as_str().context("an id")?], &log).await?;
    assert_eq!(numbers(&named), numbers(&known));
    assert_eq!(closed_trips(&imported).await?, trips[1], "a duplicate opens no trip again");

    let events = imported.stop().await?;
    let imports: Vec<_> = events.iter().filter(|event| event["operation"] == "csv_import").collect();
    assert_eq!(imports.len(), 2, "an event an import");
    assert_eq!(shown(imports[0]), shown_first());
    let secret = |event: &Value| event.to_string().contains(DEVICE);
    assert!(!events.iter().any(secret));
    let told = uploaded.stop().await?;
    let of = told.iter().find(|event| event["operation"] == "csv_import").context("an import")?;
    assert_eq!(of["vehicle_id"], vehicle, "an import is of the vehicle of the uploads");
    Ok(())
}

fn shown_first() -> Value {
    serde_json::json!({
        "method": "POST", "route": "/api/import", "http_status": 200, "has_token": false,
        "file_rows": 2 * ROWS, "imported_rows": 2 * ROWS, "duplicate_rows": 0, "conflicting_rows": 0,
        "late_rows": 0, "bad_rows": 0, "trips": 2, "trips_created": 2, "success": true, "outcome": "success",
        "first_reading_time": "2026-01-03T23:00:00Z", "last_reading_time": "2026-01-04T04:10:00Z",
    })
}

/// The fields of an import's event that are the same in every run.
fn shown(event: &Value) -> Value {
    let expected = shown_first();
    let names = expected.as_object().into_iter().flatten().map(|(name, _)| name);
    names.map(|name| (name.clone(), event[name].clone())).collect()
}

async fn a_file_that_overlaps_an_earlier_one_doubles_nothing(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let whole = tokio::fs::read_to_string(&drive(&server, &folder).await?).await?;
    let lines: Vec<_> = whole.lines().collect();
    let part = |name: &str, lines: &[&str]| -> anyhow::Result<PathBuf> {
        let path = folder.path().join(name);
        std::fs::write(&path, [&[lines_header(&whole)], lines].concat().join("\n"))?;
        Ok(path)
    };
    // The middle of the first drive, then all up to it, then the whole: in none
    // of them does a drive begin where it did in another.
    let steps = [
        part("middle.csv", &lines[200..400])?,
        part("begin.csv", &lines[1..300])?,
        part("all.csv", &lines[1..])?,
    ];
    let mut imported = 0;
    for file in &steps {
        let counts = import(&server, &["--device-id", DEVICE], file).await?;
        imported += counts["imported"].as_u64().unwrap_or_default();
        assert_eq!(counts["bad"], 0);
    }
    assert_eq!(imported, 2 * ROWS, "each row once");
    let vehicle = |event: &Value| event["vehicle_id"].clone();
    let events = server.wait_for_operation("csv_import", 3).await?;
    let trips = server.api(&format!("/api/trips?vehicle_id={}", text(&vehicle(&events[0])))).await?;
    assert_eq!(trips["trips"].as_array().map(Vec::len), Some(2), "each drive is one trip");
    server.stop().await?;
    Ok(())
}

fn lines_header(log: &str) -> &str {
    log.lines().next().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `None` where the engine is not at hand.
async fn start(engine: Engine) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "3").database(&database);
    Ok(Some(Server::start(settings).await?))
}

/// Drives both drives with one car, uploads them, and gives what its phone
/// logged of them: one file.
async fn drive(server: &Server, folder: &TempDir) -> anyhow::Result<PathBuf> {
    let mut whole = String::new();
    for start in STARTS {
        let log = folder.path().join("drive.csv");
        let output = run(&[
            "simulate",
            "--speed-up",
            "0",
            "--minutes",
            "10",
            "--seed",
            "4",
            "--interval-ms",
            "1000",
            "--initial-soc",
            "22",
            "--start-time",
            start,
            "--url",
            &format!("http://{}", server.address()),
            "--track-log",
            path(&log)?,
        ])
        .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        whole.push_str(&tokio::fs::read_to_string(&log).await?);
    }
    let log = folder.path().join("trackLog.csv");
    tokio::fs::write(&log, whole).await?;
    Ok(log)
}

/// Runs the program to its end.
async fn run(arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).env_remove("TORQUE_API_TOKEN").stdin(Stdio::null()).kill_on_drop(true);
    Ok(tokio::time::timeout(PATIENCE, command.output()).await.context("it does not end")??)
}

/// Imports a file as an operator would; gives what became of it.
async fn import(server: &Server, whose: &[&str], file: &Path) -> anyhow::Result<Value> {
    let url = format!("http://{}", server.address());
    let output = run(&[&["import", "--json", "--server", &url], whose, &[path(file)?]].concat()).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("temporary folders are UTF-8")
}

/// Rows, imported, duplicates, conflicting, bad, trips, new trips.
fn numbers(counts: &Value) -> [u64; 7] {
    ["rows", "imported", "duplicates", "conflicting", "bad", "trips_count", "trips_created"]
        .map(|name| counts[name].as_u64().unwrap_or(u64::MAX))
}

/// Waits until both trips are closed; without what belongs to one receiver.
async fn closed_trips(server: &Server) -> anyhow::Result<Vec<Value>> {
    let closed = |events: &Vec<Value>| {
        events.iter().filter(|event| event["operation"] == "trip_finalization").count() >= 2
    };
    server.wait_for("both trips' ends", closed).await?;
    let mut trips = server.trips().await?;
    for trip in &mut trips {
        assert_eq!(trip["status"], "closed", "{trip}");
        let trip = trip.as_object_mut().context("a trip is an object")?;
        for own in [
            "trip_id",
            "vehicle_id",
            "session_id",
            "profile_name",
            "last_received_ms",
            "finalization_number",
            "duplicates",
            "conflicting_readings",
        ] {
            trip.remove(own).with_context(|| format!("a trip has {own}"))?;
        }
    }
    Ok(trips)
}

/// Every reading by its time, its numbers to the bit.
async fn readings(server: &Server) -> anyhow::Result<BTreeMap<i64, BTreeMap<String, u64>>> {
    let readings = server.look().await?.readings().await?;
    let bits =
        |fields: BTreeMap<String, f64>| fields.into_iter().map(|(name, n)| (name, n.to_bits())).collect();
    Ok(readings.into_iter().map(|(time_ms, fields)| (time_ms, bits(fields))).collect())
}
