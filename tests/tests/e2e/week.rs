//! A week of two simulated cars: twenty drives, nights at the charger, fills,
//! weather that is there and weather that is not, and a phone that is offline
//! for an hour and then sends its backlog out of order.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use e2e::open_meteo::{OpenMeteo, Reply};
use e2e::{Database, Engine, Server, Settings, binary};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::on_both_engines;

on_both_engines! {
    a_week_comes_out_as_it_was_driven_and_twice_the_same
}

async fn a_week_comes_out_as_it_was_driven_and_twice_the_same(engine: Engine) -> anyhow::Result<()> {
    let Some(first) = figures_of_a_week(engine).await? else { return Ok(()) };
    let second = figures_of_a_week(engine).await?;
    assert_eq!(Some(first), second);
    Ok(())
}

/// What a fresh receiver makes of the week, without what differs from run to
/// run; `None` where the engine is not at hand. The command compares it with
/// the truth.
async fn figures_of_a_week(engine: Engine) -> anyhow::Result<Option<Value>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    // Good weather, then a service that is left alone for half a minute.
    let service = OpenMeteo::start(&[
        Reply::Weather,
        Reply::Weather,
        Reply::Status(503, None),
        Reply::Status(503, None),
    ])
    .await?;
    let settings =
        Settings::default().set("TRIP_TIMEOUT_SECONDS", "2").set("ID_KEY", "the same in every run");
    let mut server = Server::start(service.asked_by(settings).database(&database)).await?;
    let simulate = Command::new(binary()?)
        .args(["simulate", "--days", "7", "--vehicles", "2", "--check", "--interval-ms", "5000"])
        .args(["--start-time", "2025-03-03T00:00:00Z", "--timeout-seconds", "120"])
        .args(["--url", &format!("http://{}", server.address())])
        .env_remove("TORQUE_API_TOKEN")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), simulate).await.context("simulate")??;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));

    let trips = listed(&server, "trips").await?;
    let with_weather = trips.iter().filter(|trip| !trip["weather"].is_null()).count();
    assert!((1..trips.len()).contains(&with_weather), "{with_weather} of {} trips", trips.len());
    assert!(trips.iter().all(|trip| trip["status"] == "closed"));
    let figures = json!({
        "trips": trips.into_iter().map(without_chance).collect::<Vec<_>>(),
        "charging": listed(&server, "charging").await?.into_iter().map(without_chance).collect::<Vec<_>>(),
        "refuels": listed(&server, "refuels").await?.into_iter().map(without_chance).collect::<Vec<_>>(),
        "vehicles": listed(&server, "vehicles").await?,
    });
    let events = server.stop().await?;
    let weather: Vec<&Value> =
        events.iter().filter(|event| event["operation"] == "external_api_weather").collect();
    assert!(weather.iter().any(|event| event["success"] == true));
    assert!(weather.iter().any(|event| event["error"]["code"] == "E102"), "{weather:?}");
    Ok(Some(figures))
}

async fn listed(server: &Server, what: &str) -> anyhow::Result<Vec<Value>> {
    let page = server.api(&format!("/api/{what}?limit=500")).await?;
    let list = page.as_object().and_then(|page| page.values().find_map(Value::as_array));
    Ok(list.with_context(|| format!("a list: {page}"))?.clone())
}

/// Without ids, and what depends on when something came or was asked for.
fn without_chance(mut row: Value) -> Value {
    for name in ["trip_id", "last_received_ms", "duplicates", "finalization_number", "weather"] {
        row.as_object_mut().and_then(|row| row.remove(name));
    }
    row
}
