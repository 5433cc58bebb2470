//! A hundred thousand operations of every kind at once, with failures among
//! them: the ledger adds up to the event.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use e2e::open_meteo::{OpenMeteo, Reply};
use e2e::{Inbox, Load, Server, Settings, built, variant};
use serde_json::Value;
use tokio::sync::watch;

use crate::account::ledger_adds_up;
use crate::volt::Phone;

const OPERATIONS: u64 = 100_000;
const CONNECTIONS: u32 = 64;
const SWAPS: u64 = 20;
const POLICY: &str = "sampling-policy";
/// Readings after which a phone begins a new trip.
const A_TRIP: u32 = 150;
/// One upload of so many cannot be stored, for one of two reasons.
const BAD: u32 = 10;
/// Years before any test: an account older than 30 days, weather of the archive.
const LONG_AGO_MS: i64 = 1_600_000_000_000;

#[tokio::test]
async fn the_ledger_of_a_hundred_thousand_mixed_operations_adds_up() -> anyhow::Result<()> {
    let weather = OpenMeteo::start(&failing_now_and_then()).await?;
    let inbox = Inbox::fresh()?;
    let settings = Settings::default()
        .set("PLUGIN_DIR", inbox.path())
        .set("LOG_SAMPLE_TELEMETRY", "0.05")
        .set("SAMPLING_UNIT", "request")
        .set("TRIP_TIMEOUT_SECONDS", "2");
    let mut server = Server::start(weather.asked_by(settings)).await?;

    let (count, mut sent_so_far) = watch::channel(0_u64);
    let count = Arc::new(count);
    let load = Load::start(server.address(), CONNECTIONS, move |connection, number| {
        count.send_modify(|sent| *sent += 1);
        upload(connection, number)
    });
    for swap in 1..=SWAPS {
        sent_so_far.wait_for(|sent| *sent >= OPERATIONS * swap / (SWAPS + 1)).await?;
        let number = u8::try_from(swap % 2)?;
        inbox.put(POLICY, &variant(&built(POLICY)?, number))?;
        server.wait_for_count("plugin_swap", 3 + usize::try_from(swap)?).await?;
    }
    sent_so_far.wait_for(|sent| *sent >= OPERATIONS).await?;
    let sent = load.stop().await;
    let failed: Vec<_> = sent.iter().filter_map(|sent| sent.failure.as_ref()).take(5).collect();
    assert!(failed.is_empty(), "{failed:?}");
    // Trips end meanwhile; those that are still open when it stops have no event.
    server.wait_for_count("trip_finalization", 1).await?;
    let stopped = server.terminate().await?;
    assert!(stopped.status.success(), "{}", server.stderr());

    let events = stopped.events;
    println!("{} uploads, {} events kept", sent.len(), events.len());
    ledger_adds_up(&events);
    each_event_is_told_once(&events);
    every_operation_is_counted(&mut server, &weather, &events, sent.len()).await
}

/// What cannot be stored is acknowledged as well, and every trip has a place.
fn upload(connection: u32, number: u32) -> String {
    let (trip, point) = (i64::from(number / A_TRIP), i64::from(number % A_TRIP));
    let start_ms = LONG_AGO_MS + trip * 3_600_000 + i64::from(connection);
    let phone = Phone::new(connection, start_ms);
    // Each phone is somewhere else, so that each asks for its own weather.
    let place = f64::from(connection) / 2.0;
    let parameters = format!("kc=900&kff1005={}&kff1006=37.25", place - 121.5);
    match number % (2 * BAD) {
        // Quarantine keeps the same text once.
        7 => phone.reading(0, &format!("{parameters}&k1f={number}")),
        17 => phone.header(start_ms + point * 1000),
        _ => phone.reading(start_ms + point * 1000, &parameters),
    }
}

/// Failures of each kind that does not stop the asking, among answers.
fn failing_now_and_then() -> Vec<Reply> {
    let round = [
        Reply::Weather,
        Reply::WrongTypes,
        Reply::Status(404, None),
        Reply::Weather,
        Reply::Empty,
        Reply::Truncated,
        Reply::Status(503, None),
    ];
    round.repeat(20)
}

fn each_event_is_told_once(events: &[Value]) {
    let ids: BTreeSet<_> = events.iter().filter_map(|event| event["request_id"].as_str()).collect();
    assert_eq!(ids.len(), events.len(), "an event is told twice, or has no identity");
}

/// Each operation that the outside knows of was received by the ledger once:
/// uploads from what was sent, all else, of which every event is kept, from
/// what was told and what the outside saw of it.
async fn every_operation_is_counted(
    server: &mut Server,
    weather: &OpenMeteo,
    events: &[Value],
    uploads: usize,
) -> anyhow::Result<()> {
    let (stop, _) = events.split_last().context("a stop has its event")?;
    let others: Vec<_> = events.iter().filter(|event| !is(event, "telemetry_upload")).collect();
    let told = |operation: &str| others.iter().filter(|event| is(event, operation)).count();
    // The stop's own event goes behind its totals.
    let received = stop["events_received"].as_u64().context("a total")?;
    assert_eq!(received, (uploads + others.len() - 1) as u64, "{stop}");
    let attempts: u64 = others.iter().filter_map(|event| event["attempts"].as_u64()).sum();
    assert_eq!(attempts, weather.asked().len() as u64, "requests for the weather");
    assert!(others.iter().any(|event| is(event, "external_api_weather") && event["success"] == false));
    assert_eq!(told("plugin_swap") as u64, 3 + SWAPS);
    let closed = others.iter().filter(|event| is(event, "trip_finalization") && event["success"] == true);
    let finalized = server.look().await?.number("SELECT SUM(finalization_number) FROM trips").await?;
    assert_eq!(closed.count() as i64, finalized);
    let quarantined = server.look().await?.number("SELECT COUNT(*) FROM quarantine").await?;
    let rejected = events.iter().filter(|event| is(event, "telemetry_upload") && event["success"] == false);
    assert_eq!(rejected.count() as i64, quarantined, "failures are always kept");
    Ok(())
}

fn is(event: &Value, operation: &str) -> bool {
    event["operation"] == operation
}
