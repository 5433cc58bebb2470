//! Trips that run, as readers follow them, and the upload with which charging
//! starts.

use std::time::Duration;

use anyhow::Context as _;
use e2e::{Server, Settings};
use serde_json::{Value, json};

use crate::volt::{Phone, now_ms};

const MINUTE_MS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// A reader of `/api/live`.
struct Listener {
    response: reqwest::Response,
    text: String,
}

impl Listener {
    async fn new(server: &Server, query: &str) -> anyhow::Result<Self> {
        let url = format!("http://{}/api/live{query}", server.address());
        let response = e2e::http_client()?.get(url).send().await?.error_for_status()?;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, text: String::new() })
    }

    /// Reads on until an event of that name with such data comes.
    async fn hears(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let listening = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |field: &str| event.lines().find_map(|line| line.strip_prefix(field));
                    let found = (field("event: "), field("data: ").map(serde_json::from_str));
                    let rest = rest.to_owned();
                    if let (Some(told), Some(data)) = found {
                        let (told, data): (_, Value) = (told.to_owned(), data?);
                        self.text = rest;
                        if told == name && is_it(&data) {
                            return Ok(data);
                        }
                    } else {
                        self.text = rest;
                    }
                }
                let chunk = self.response.chunk().await?.context("the stream ended")?;
                self.text.push_str(std::str::from_utf8(&chunk)?);
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.with_context(|| format!("waited for {name}"))?
    }
}

#[tokio::test]
async fn a_listener_hears_of_a_trip_its_figures_and_its_end() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("TRIP_TIMEOUT_SECONDS", "3")).await?;
    let mut listener = Listener::new(&server, "").await?;
    let stranger = Listener::new(&server, "?vehicle_id=nobody").await?;
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let queries = (0..4).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 1).await?;

    let at_minute_3 = |trip: &Value| trip["time_ms"] == start_ms + 3 * MINUTE_MS;
    let trip = listener.hears("trip", at_minute_3).await?;
    assert_eq!((&trip["figures"]["in_gas_mode"], &trip["charging"]), (&json!(false), &json!(false)));
    let miles = trip["figures"]["miles_driven"].as_f64().context("miles")?;
    assert!((miles - 1.8).abs() < 0.01, "{miles}");
    assert_eq!((&trip["latitude"], &trip["state_of_charge"]), (&json!(37.25), &json!(35.2)));
    let ended = listener.hears("trip_ended", |_| true).await?;
    assert_eq!(ended["trip_id"], trip["trip_id"]);
    let vehicle = trip["vehicle_id"].as_str().context("a vehicle")?;
    let gone = server.api(&format!("/api/live/{vehicle}")).await?;
    assert_eq!(gone["code"], "E400");

    server.stop().await?;
    let last = tokio::time::timeout(PATIENCE, stranger.response.text()).await??;
    assert!(!last.contains("event: trip\n"), "of another vehicle nothing is told: {last}");
    Ok(())
}

#[tokio::test]
async fn a_restart_does_not_forget_where_a_running_trip_began() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let queries = (0..3).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 1).await?;
    let vehicle = server.trips().await?[0]["vehicle_id"].as_str().context("a vehicle")?.to_owned();
    server.kill().await?;

    let mut server = Server::start(Settings::default().data_of(&server)).await?;
    let path = format!("/api/live/{vehicle}");
    assert_eq!(server.api(&path).await?["code"], "E400", "nothing was heard of it yet");
    assert!(server.upload(&phone.full_reading(start_ms, 10)).await?.is_ok());
    server.wait_for_count("telemetry_upload", 1).await?;
    let trip = server.api(&path).await?;
    let miles = trip["figures"]["miles_driven"].as_f64().with_context(|| format!("miles in {trip}"))?;
    assert!((miles - 6.0).abs() < 0.01, "{miles}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_running_trip_shows_its_range_by_the_trips_before_it() -> anyhow::Result<()> {
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "3");
    let mut server = Server::start(settings.set("FEATURE_PREDICTIVE_RANGE", "true")).await?;
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let queries = (0..10).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 1).await?;
    let [first] = server.wait_for_operation("trip_finalization", 1).await?.try_into().expect("one trip");
    let kwh_per_mile = first["business_metrics"]["kwh_per_mile"].as_f64().context("a consumption")?;
    let mut listener = Listener::new(&server, "").await?;
    let next = Phone { session: "next".to_owned(), ..phone };
    assert!(server.upload(&next.full_reading(now_ms(), 0)).await?.is_ok());
    let trip = listener.hears("trip", |_| true).await?;
    let miles = trip["predicted_range_miles"].as_f64().with_context(|| format!("a range in {trip}"))?;
    // 40 % of charge, of which the engine leaves 25 to the battery.
    assert!((miles - 0.15 * 18.4 / kwh_per_mile).abs() <= 0.051, "{miles}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn listeners_are_few_and_keep_nobody_waiting() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut listeners = Vec::new();
    for _ in 0..32 {
        listeners.push(Listener::new(&server, "").await?);
    }
    let refused = e2e::get(server.address(), "/api/live", &[]).await?;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    // Nobody reads, and the uploads go on.
    let phone = Phone::new(1, now_ms());
    for second in 0..20 {
        assert!(server.upload(&phone.reading(now_ms() + second, "kc=900")).await?.is_ok());
    }
    drop(listeners.pop());
    let place_is_free = async {
        while Listener::new(&server, "").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, place_is_free).await.context("a place that was left")?;
    let stopped = server.terminate().await?;
    assert!(stopped.status.success() && stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    Ok(())
}

#[tokio::test]
async fn the_upload_with_which_charging_starts_says_so_and_is_kept() -> anyhow::Result<()> {
    let settings = Settings::default().set("LOG_SAMPLE_TELEMETRY", "0").set("TRIP_TIMEOUT_SECONDS", "600");
    let mut server = Server::start(settings).await?;
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let plugs = [(1, 0.0), (1, 0.3), (1, 3.3), (1, 0.2), (1, 3.3), (0, 0.0), (1, 3.3), (1, 3.3)];
    for (minute, (status, kw)) in (0..).zip(plugs) {
        let charger = format!("k220057={status}&k22006e={kw}&k22005b=50");
        assert!(server.upload(&phone.reading(start_ms + minute * MINUTE_MS, &charger)).await?.is_ok());
    }
    let started = |event: &&Value| event["business_metrics"]["charging_started"] == true;
    let all = "both starts";
    server.wait_for(all, |events| events.iter().filter(started).count() >= 2).await?;
    let vehicle = server.trips().await?[0]["vehicle_id"].as_str().context("a vehicle")?.to_owned();
    assert_eq!(server.api(&format!("/api/live/{vehicle}")).await?["charging"], true);
    let events = server.stop().await?;
    let told: Vec<_> = events.iter().filter(started).collect();
    let [first, second] = told.try_into().expect("two starts");
    let at = |event: &Value| {
        let time = event["reading_time"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        time.map(|time| (time.as_millisecond() - start_ms) / MINUTE_MS)
    };
    assert_eq!((at(first), at(second)), (Some(2), Some(6)));
    assert_eq!(second["sampling"]["reason"], "critical_event");
    Ok(())
}
