//! Secrets in every place that a client can reach, and then a search of all that
//! the receiver said, sent and kept: events in every sink, logs, files, tables.

mod places;
mod search;

use e2e::collector::Collector;
use e2e::open_meteo::OpenMeteo;
use e2e::{Database, Engine, Server, Settings, raw};
use serde_json::Value;

use crate::on_both_engines;
use crate::volt::now_ms;
use places::Doors;
use search::{Searched, everything_of};

/// Tokens of the receiver, and those that somebody guessed or mistyped.
const TOKEN: &str = "Up10ad-t0ken-4711";
const ADMIN: &str = "Adm1n-t0ken-of-the-house";
const GUESS: &str = "gu3ssed-t0ken-0815";
/// Who drives: the device, an account, and a device whose id has no shape.
const DEVICE: &str = "00c0ffee1dea4bad9badcafe5eed7a11";
const EMAIL: &str = "drv.7f3a9@mailbox.example";
const ODD_DEVICE: &str = "Annas-Pixel-6a";
/// Where: a latitude and a longitude, to ten centimetres, that are no seconds of a
/// time in a log.
const PLACE: [&str; 2] = ["64.248193", "-121.502847"];

/// What must be found nowhere; of what could be told in parts, a part. The token
/// that opens the uploads' door is the first.
const SECRETS: [&str; 6] = [TOKEN, ADMIN, GUESS, "00c0ffee1dea", "drv.7f3a9", "pixel-6a"];
/// What must not be in events and logs; a reading has it.
const POSITIONS: [&str; 2] = ["64.2481", "121.5028"];

on_both_engines! {
    no_secret_is_told_or_kept_wherever_a_client_puts_it
    without_a_token_of_its_own_a_receiver_keeps_none_either
}

/// A receiver with every sink on, which says all it can.
async fn talkative(
    database: &Database,
    collector: &Collector,
    weather: &OpenMeteo,
) -> anyhow::Result<Settings> {
    let settings = collector.sent_to_by(weather.asked_by(Settings::default().database(database)));
    Ok(settings
        .set("EVENT_SINKS", "stdout,store,file,otlp")
        .set(
            "RUST_LOG",
            "debug,volttracker=trace,hyper=trace,axum=trace,tower=trace,reqwest=trace,sqlx=trace",
        )
        .set("TRIP_TIMEOUT_SECONDS", "1")
        .set("FEATURE_ROUTE_DETECTION", "true")
        .set("ADMIN_TOKEN", ADMIN))
}

async fn no_secret_is_told_or_kept_wherever_a_client_puts_it(engine: Engine) -> anyhow::Result<()> {
    nothing_leaks(engine, Doors::Locked).await
}

async fn without_a_token_of_its_own_a_receiver_keeps_none_either(engine: Engine) -> anyhow::Result<()> {
    nothing_leaks(engine, Doors::Open).await
}

async fn nothing_leaks(engine: Engine, doors: Doors) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let (collector, weather) = (Collector::start()?, OpenMeteo::start(&[]).await?);
    let mut settings = talkative(&database, &collector, &weather).await?;
    if doors == Doors::Locked {
        settings = settings.set("TORQUE_API_TOKEN", TOKEN);
    }
    let mut server = Server::start(settings).await?;
    let requests = places::requests(doors, now_ms() - 600_000);
    for request in &requests {
        // Whatever the answer is, the search comes later.
        let answer = raw(server.address(), request).await;
        let hung_up = request.starts_with(b"PRI ");
        anyhow::ensure!(answer.is_ok() || hung_up, "{}: {answer:?}", String::from_utf8_lossy(request));
    }
    server.wait_for_operation("trip_finalization", places::TRIPS).await?;
    let mut searched = asked_of(&server).await?;
    let events = server.stop().await?;
    everything_of(&server, &events, &collector, &mut searched).await?;

    assert_told(&events, requests.len());
    search::assert_sound(&searched);
    // Without one of its own, a receiver cannot know what is a token in a request
    // that does not send it as one; what is sent as one is the guess.
    let secrets = if doors == Doors::Locked { &SECRETS[..] } else { &SECRETS[1..] };
    let found = searched.iter().flat_map(|place| place.found(secrets)).collect::<Vec<_>>();
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    let told = searched.iter().filter(|place| !place.holds_readings);
    let found = told.flat_map(|place| place.found(&POSITIONS)).collect::<Vec<_>>();
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    assert!(weather.asked().iter().all(|asked| !asked.contains(POSITIONS[0])), "{:?}", weather.asked());
    Ok(())
}

/// What a receiver says of itself while it runs.
async fn asked_of(server: &Server) -> anyhow::Result<Vec<Searched>> {
    let mut searched = Vec::new();
    for path in ["/metrics", "/api/status", "/api/plugins"] {
        let request = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {ADMIN}\r\n\r\n");
        let answer = raw(server.address(), request.as_bytes()).await?;
        anyhow::ensure!(answer.status == 200, "{path}: {answer:?}");
        searched.push(Searched::new(path, answer.body.as_bytes()));
    }
    Ok(searched)
}

/// Nothing was searched in vain: every request has its event, quarantine has
/// some, and where a position was told it was cut.
fn assert_told(events: &[Value], requests: usize) {
    let count = |operation: &str| events.iter().filter(|event| event["operation"] == operation).count();
    let told = count("telemetry_upload") + count("api_request") + count("csv_import");
    assert!(told + places::WITHOUT_EVENT >= requests, "{told} events of {requests} requests");
    assert!(events.iter().any(|event| event["latitude"] == 64.25), "a position, cut");
    assert!(count("external_api_weather") > 0);
    for code in ["E001", "E003", "E300", "E301", "E303"] {
        assert!(events.iter().any(|event| event["error"]["code"] == code), "no event of {code}");
    }
}
