//! Codes of the taxonomy that only a store, a neighbour or a calculator in an
//! odd state provokes: each by the path on which it is raised. Those that
//! clients and plugins provoke are beside what they do.

use std::time::Duration;

use anyhow::Context as _;
use e2e::open_meteo::{OpenMeteo, Reply};
use e2e::{Database, Engine, Inbox, Look, Server, Settings, get, guest, raw};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

const ADMIN: &str = "an-admin-token-of-some-length";
/// What the store of a test refuses: a reading at this time.
const REFUSED_MS: i64 = 1_767_312_345_678;

on_both_engines! {
    what_the_store_refuses_is_quarantined_and_its_neighbours_are_kept
    a_trip_that_goes_on_while_it_is_finalized_is_finalized_again
    a_trip_whose_claim_another_host_took_is_not_closed_by_this_one
    a_trip_whose_readings_are_gone_keeps_its_figures
}

/// The events of an operation that carry this code, first or further.
fn with_code(events: &[Value], operation: &str, code: &str) -> Vec<Value> {
    let carries = |event: &Value| {
        let further = event["further_error_codes"].as_array().into_iter().flatten();
        further.chain([&event["error"]["code"]]).any(|other| other == code)
    };
    events.iter().filter(|event| event["operation"] == operation && carries(event)).cloned().collect()
}

async fn what_the_store_refuses_is_quarantined_and_its_neighbours_are_kept(
    engine: Engine,
) -> anyhow::Result<()> {
    // What metrics say may be a second old, and SQLite waits two for a lock: that
    // the others wait behind the first is not always seen in time.
    for _ in 0..10 {
        let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
        let mut server = Server::start(Settings::default().database(&database)).await?;
        let mut look = server.look().await?;
        look.execute(match engine {
            Engine::Sqlite => {
                "CREATE TRIGGER odd BEFORE INSERT ON readings WHEN NEW.time_ms = 1767312345678
                 BEGIN SELECT RAISE(ABORT, 'odd'); END"
            }
            Engine::Postgres => "ALTER TABLE readings ADD CONSTRAINT odd CHECK (time_ms <> 1767312345678)",
        })
        .await?;
        if one_is_refused_among_others(&server, &mut look, engine).await? {
            return refused_is_told_and_its_neighbours_are_kept(server, look).await;
        }
        server.stop().await?;
    }
    anyhow::bail!("uploads were never seen to wait together and be acknowledged")
}

/// Uploads one that the store refuses together with another, behind a first one
/// that waits for a lock; whether they were seen to wait, and all were acknowledged.
async fn one_is_refused_among_others(
    server: &Server,
    look: &mut Look,
    engine: Engine,
) -> anyhow::Result<bool> {
    look.hold_writes(engine).await?;
    let phone = Phone::new(1, REFUSED_MS);
    let upload = |time_ms| {
        let (address, query) = (server.address(), phone.reading(time_ms, "kc=900"));
        tokio::spawn(async move { e2e::upload(address, &query).await })
    };
    let mut uploads = vec![upload(REFUSED_MS - 1000)];
    let mut wait = metrics_say(server, "volttracker_write_batch_size_count 1", &uploads[0]).await?;
    uploads.extend([upload(REFUSED_MS), upload(REFUSED_MS + 1000)]);
    wait &= metrics_say(server, "volttracker_write_queue_length 2", &uploads[0]).await?;
    look.execute("ROLLBACK").await?;
    for answer in uploads {
        wait &= answer.await??.is_ok();
    }
    Ok(wait)
}

async fn refused_is_told_and_its_neighbours_are_kept(
    mut server: Server,
    mut look: Look,
) -> anyhow::Result<()> {
    assert_eq!(server.trips().await?[0]["readings"], 2, "its neighbours are kept");
    let quarantined = look.number("SELECT COUNT(*) FROM quarantine WHERE code = 'E202'").await?;
    assert_eq!(quarantined, 1);
    let events = server.stop().await?;
    let [refused] = with_code(&events, "telemetry_upload", "E202").try_into().expect("one that is refused");
    assert_eq!(
        (&refused["outcome"], &refused["error"]["code"], &refused["http_status"]),
        (&json!("rejected"), &json!("E202"), &json!(200))
    );
    assert_eq!(refused["error"]["exception_type"], "StoreError", "{refused}");
    let retried = with_code(&events, "telemetry_upload", "E203");
    let kept: Vec<_> = retried.iter().filter(|event| event["success"] == true).collect();
    assert_eq!(kept.len(), 1, "{retried:?}");
    assert_eq!(
        (&kept[0]["error"]["code"], &kept[0]["technical_metrics"]["batch_retried"]),
        (&json!("E203"), &json!(true))
    );
    Ok(())
}

/// Waits until the metrics have this line; whether they have before the upload is
/// answered.
async fn metrics_say<T>(server: &Server, line: &str, upload: &JoinHandle<T>) -> anyhow::Result<bool> {
    while !upload.is_finished() {
        let metrics = get(server.address(), "/metrics", &[]).await?.body;
        if metrics.lines().any(|other| other == line) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(false)
}

#[tokio::test]
async fn a_profile_whose_name_no_index_takes_is_quarantined() -> anyhow::Result<()> {
    let Some(database) = Database::fresh(Engine::Postgres).await? else { return Ok(()) };
    let mut server = Server::start(Settings::default().database(&database)).await?;
    // Too long for a page of an index, and too odd to be compressed.
    let mut random = e2e::Random::new(7);
    let name: String = (0..12_000).map(|_| char::from(b'g' + random.below(20) as u8)).collect();
    let time_ms = now_ms();
    assert!(server.upload(&Phone::new(1, time_ms).profile(time_ms, &name)).await?.is_ok());
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 1);
    let events = server.stop().await?;
    let [refused] = with_code(&events, "telemetry_upload", "E202").try_into().expect("one that is refused");
    assert_eq!((&refused["outcome"], &refused["upload_kind"]), (&json!("rejected"), &json!("profile")));
    Ok(())
}

/// A receiver that finalizes a trip of one reading, and waits for a weather
/// service that says nothing; the trip's phone.
async fn amid_a_finalization(
    database: &Database,
    patience_seconds: &str,
) -> anyhow::Result<(Server, OpenMeteo, Phone, i64)> {
    let service = OpenMeteo::start(&[Reply::Silence]).await?;
    let settings = service
        .asked_by(Settings::default().set("TRIP_TIMEOUT_SECONDS", "1").database(database))
        .set("WEATHER_API_MAX_RETRIES", "1")
        .set("WEATHER_API_TIMEOUT", patience_seconds);
    let server = Server::start(settings).await?;
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    assert!(server.upload(&phone.full_reading(start_ms, 0)).await?.is_ok());
    service.is_asked().await?;
    Ok((server, service, phone, start_ms))
}

async fn a_trip_that_goes_on_while_it_is_finalized_is_finalized_again(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let (mut server, _service, phone, start_ms) = amid_a_finalization(&database, "5").await?;
    assert!(server.upload(&phone.full_reading(start_ms, 5)).await?.is_ok());
    let [outdated, end] = server.wait_for_operation("trip_finalization", 2).await?.try_into().expect("two");
    assert_eq!((&outdated["outcome"], &outdated["error"]["code"]), (&json!("rejected"), &json!("E205")));
    assert_eq!((&end["success"], &end["finalization_number"]), (&json!(true), &json!(1)));
    assert_eq!(end["business_metrics"]["telemetry_points"], 2);
    server.stop().await?;
    Ok(())
}

async fn a_trip_whose_claim_another_host_took_is_not_closed_by_this_one(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    // SQLite has one host, and there the test is the other one.
    let mut other = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "3600").database(&database);
            Some(Server::start(settings).await?)
        }
    };
    let (mut server, _service, ..) = amid_a_finalization(&database, "10").await?;
    let mut look = server.look().await?;
    if let Some(other) = &mut other {
        // As if the claim had run out: the one that holds it does not know.
        look.execute(
            "UPDATE trips SET lease_until_ms = 0, quiet_since_ms = 0, last_received_ms = last_received_ms - 7200000",
        )
        .await?;
        let end = other.wait_for_operation("trip_finalization", 1).await?.remove(0);
        assert_eq!((&end["success"], &end["finalization_number"]), (&json!(true), &json!(1)), "{end}");
    } else {
        look.execute("UPDATE trips SET lease_owner = 'another host'").await?;
    }

    let late = server.wait_for_operation("trip_finalization", 1).await?.remove(0);
    assert_eq!((&late["outcome"], &late["error"]["code"]), (&json!("rejected"), &json!("E204")), "{late}");
    assert_eq!(late["error"]["severity"], "info");
    let lost = look.number("SELECT COUNT(*) FROM trips WHERE finalization_number > 1").await?;
    assert_eq!(lost, 0, "one host has finalized it, at most");
    server.stop().await?;
    if let Some(mut other) = other {
        let events = other.stop().await?;
        assert_eq!(with_code(&events, "trip_finalization", "E204"), Vec::<Value>::new());
    }
    Ok(())
}

async fn a_trip_whose_readings_are_gone_keeps_its_figures(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "1").set("ADMIN_TOKEN", ADMIN);
    let mut server = Server::start(settings.database(&database)).await?;
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    for minute in [0, 5] {
        assert!(server.upload(&phone.full_reading(start_ms, minute)).await?.is_ok());
    }
    let end = server.wait_for("its end", |events| {
        events.iter().any(|event| event["business_metrics"]["telemetry_points"] == 2)
    });
    end.await?;
    let before = server.trips().await?.remove(0);
    server.look().await?.execute("DELETE FROM readings WHERE time_ms > 0").await?;
    let id = before["trip_id"].as_str().context("an id")?;
    let request =
        format!("POST /api/trips/{id}/recalculate HTTP/1.0\r\nAuthorization: Bearer {ADMIN}\r\n\r\n");
    let answer = raw(server.address(), request.as_bytes()).await?;
    let body: Value = serde_json::from_str(&answer.body)?;
    assert_eq!((answer.status, &body["code"]), (409, &json!("E402")), "{answer:?}");
    assert_eq!(server.trips().await?.remove(0), before);
    let events = server.stop().await?;
    for operation in ["trip_recalculation", "api_request"] {
        let [told] = with_code(&events, operation, "E402").try_into().expect("one of each");
        assert_eq!(told["outcome"], "rejected", "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_calculator_that_fails_says_in_which_stage() -> anyhow::Result<()> {
    for (stage, code) in [("process_gas_mode", "E404"), ("calculate_basics", "E405")] {
        let inbox = Inbox::fresh()?;
        inbox.put("trip-calculator", &guest("guest-plain-calculator")?)?;
        let settings = format!("[trip-calculator]\nsettings = {{ in_call = 'fail_in_{stage}' }}\n");
        std::fs::write(inbox.path().join("plugins.toml"), settings)?;
        let settings = Settings::default().set("PLUGIN_DIR", inbox.path()).set("TRIP_TIMEOUT_SECONDS", "1");
        let mut server = Server::start(settings).await?;
        let time_ms = now_ms() - 600_000;
        assert!(server.upload(&Phone::new(1, time_ms).reading(time_ms, "kc=900")).await?.is_ok());
        let end = server.wait_for_operation("trip_finalization", 1).await?.remove(0);
        assert_eq!((&end["outcome"], &end["error"]["code"]), (&json!("failure"), &json!(code)), "{end}");
        assert_eq!(end["error"]["message"], format!("the calculator failed in the stage {stage}"));
        assert_eq!(end["error"]["exception_message"], "told to");
        server.stop().await?;
    }
    Ok(())
}
