//! Input that no driver's phone should send, but something does: each has its
//! code and its event, nothing of it is lost, and none of it makes the app send
//! it for ever.

mod doors;
mod forms;
mod quarantined;
mod values;
mod who_drives;

use std::path::Path;

use e2e::{Database, Engine, Server, Settings, raw};
use serde_json::{Value, json};

/// Who sends: nothing of it may be told or kept.
const ID: &str = "00c0ffeedeadbeefdeadbeef00c0ffee";
const EMAIL: &str = "driver@example.com";
/// What nearly every upload begins with.
const HEADER: &str = "eml=driver@example.com&v=9&session=1767312000000&id=00c0ffeedeadbeefdeadbeef00c0ffee";
/// The second of January 2026: epoch milliseconds.
const TIME_MS: i64 = 1_767_312_345_678;

/// A reading with these parameters.
fn reading(parameters: &str) -> String {
    format!("{HEADER}&time={TIME_MS}&{parameters}")
}

/// Settings under which a device has the same pseudonym in every run.
fn settings() -> Settings {
    Settings::default()
        .set("ID_KEY", "the same in every run")
        .set("TRIP_TIMEOUT_SECONDS", "3600")
        // The machine may be busy.
        .set("LOG_SLOW_THRESHOLD_MS", "60000")
}

/// A server on this engine, or `None` where it is not at hand.
async fn server_on(engine: Engine) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    Server::start(settings().database(&database)).await.map(Some)
}

async fn server() -> anyhow::Result<Server> {
    Server::start(settings()).await
}

/// Stops the server. The event of its only upload is returned as a snapshot
/// can hold it; and nothing that the server said or kept names who sent it.
async fn told(mut server: Server) -> anyhow::Result<Value> {
    let events = server.stop().await?;
    no_output_contains(&server, &events, &[ID, EMAIL]);
    nothing_kept_contains(&server, &[ID, EMAIL]).await?;
    let uploads: Vec<_> =
        events.into_iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    let [event] = uploads.try_into().expect("one upload");
    Ok(as_snapshot(event))
}

/// What the server said: its events, and its standard error.
fn no_output_contains(server: &Server, events: &[Value], secrets: &[&str]) {
    let stderr = server.stderr();
    for secret in secrets {
        assert!(!stderr.contains(secret), "{secret} in {stderr}");
        for event in events {
            assert!(!event.to_string().contains(secret), "{secret} in {event}");
        }
    }
}

/// What the server kept: its files, and the rows that are not in one of them.
async fn nothing_kept_contains(server: &Server, secrets: &[&str]) -> anyhow::Result<()> {
    let rows = match server.engine() {
        Engine::Sqlite => Vec::new(),
        Engine::Postgres => server.look().await?.everything().await?,
    };
    assert!(server.engine() == Engine::Sqlite || rows.iter().any(|row| row.contains("usage-tier")));
    for secret in secrets {
        assert!(!is_kept(server.data_dir(), secret)?, "{secret} is in a file");
        assert!(!rows.iter().any(|row| row.contains(secret)), "{secret} is in a table");
    }
    Ok(())
}

/// Whether any file in this folder of the server contains this text.
fn is_kept(dir: &Path, text: &str) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            is_kept(&path, text)?
        } else {
            std::fs::read(&path)?.windows(text.len()).any(|window| window == text.as_bytes())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What differs from run to run is named and not shown.
fn as_snapshot(mut event: Value) -> Value {
    const VOLATILE: [&str; 8] = [
        "request_id",
        "trip_id",
        "timestamp",
        "duration_ms",
        "reading_lag_ms",
        "service",
        "account_age_days",
        "policy_version",
    ];
    for group in ["", "vehicle_context", "sampling"] {
        let fields = if group.is_empty() { Some(&mut event) } else { event.get_mut(group) };
        for (name, value) in fields.and_then(Value::as_object_mut).into_iter().flatten() {
            if VOLATILE.contains(&name.as_str()) {
                *value = json!(format!("[{name}]"));
            }
        }
    }
    for (_, time) in event["performance_breakdown"].as_object_mut().into_iter().flatten() {
        *time = json!("[ms]");
    }
    event
}

/// `POST` of a body, with the query and the content type given.
async fn post(server: &Server, query: &str, content_type: &str, body: &str) -> anyhow::Result<e2e::Answer> {
    let head = format!(
        "POST /torque/upload?{query} HTTP/1.0\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw(server.address(), [head.as_bytes(), body.as_bytes()].concat().as_slice()).await
}

/// How many readings the only trip has.
async fn readings(server: &Server) -> anyhow::Result<Value> {
    let trips = server.trips().await?;
    assert_eq!(trips.len(), 1);
    Ok(trips[0]["readings"].clone())
}
