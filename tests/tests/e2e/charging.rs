//! Charging, fuel and costs: from readings to rows of the API and events.

use anyhow::Context as _;
use e2e::{Database, Engine, Server, Settings};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    a_night_at_the_charger_is_a_trip_without_miles_and_one_session
    a_session_within_a_drive_ends_with_its_plug
    a_late_reading_lengthens_a_session_and_adds_none
    a_fill_between_two_trips_is_kept_with_the_second
    a_drive_on_both_shows_its_transition_its_cost_and_the_battery
    trips_between_the_same_places_share_a_route_and_know_their_range
}

const MINUTE_MS: i64 = 60_000;

async fn a_night_at_the_charger_is_a_trip_without_miles_and_one_session(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 600 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let night = (0..=500).map(|minute| {
        let soc = 20.0 + f64::from(minute) * 0.1;
        at_charger(&phone, start_ms + i64::from(minute) * MINUTE_MS, 3.3, soc)
    });
    e2e::upload_all(server.address(), night.collect(), 4).await?;
    let trip = finalization_of(&server, 501).await?;
    assert_eq!(
        (&trip["distance_miles"], &trip["business_metrics"]["charging_sessions"]),
        (&json!(0.0), &json!(1))
    );
    assert_eq!(trip["vehicle_context"]["total_trips"], 1);

    let [told] = server.wait_for_operation("charging_session", 1).await?.try_into().expect("one session");
    assert_eq!((&told["trip_id"], &told["trace_id"]), (&trip["trip_id"], &trip["session_id"]));
    assert_eq!(told["parent_request_id"], trip["request_id"]);
    assert_eq!((&told["charge_type"], &told["peak_power_kw"]), (&json!("L2"), &json!(3.3)));
    assert_eq!((&told["complete"], &told["revised"]), (&json!(false), &json!(false)));
    assert_eq!((&told["start_soc"], &told["end_soc"]), (&json!(20.0), &json!(70.0)));
    assert_eq!(told["charging_minutes"], 500.0);
    // Half of 18.4 kWh, at 0.12 $.
    let cost = |value: &Value| format!("{:.3}", value.as_f64().unwrap_or_default());
    assert_eq!(told["business_metrics"]["kwh_added"], 9.2);
    assert_eq!(cost(&told["business_metrics"]["charging_cost"]), "1.104");
    assert_eq!(told["latitude"], 37.12, "cut to two decimals");
    assert_eq!(told["sampling"]["probability"], 1.0);

    let sessions = server.api("/api/charging").await?;
    let [session] = list(&sessions["charging_sessions"])?.try_into().expect("one row");
    assert_eq!((&session["kwh_added"], cost(&session["cost_usd"])), (&json!(9.2), "1.104".to_owned()));
    assert_eq!(session["start_time_ms"], start_ms);
    let trip_id = trip["trip_id"].as_str().context("an id")?;
    let curves = server.api(&format!("/api/trips/{trip_id}/charging")).await?;
    let curve = list(&curves["charging_sessions"][0]["curve"])?;
    assert!((60..=120).contains(&curve.len()), "{} points", curve.len());
    assert_eq!((&curve[0]["time_ms"], &curve[0]["power_kw"]), (&json!(start_ms), &json!(3.3)));
    server.stop().await?;
    Ok(())
}

async fn a_session_within_a_drive_ends_with_its_plug(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let at = |minute: i64| start_ms + minute * MINUTE_MS;
    let mut queries: Vec<String> = (0..10).map(|minute| phone.full_reading(start_ms, minute)).collect();
    // Plugged in, waiting for cheap energy, charging, fading, unplugged.
    let powers = [0.0, 0.2, 1.4, 1.4, 0.3, 1.3];
    queries.extend((10..).zip(powers).map(|(minute, kw)| at_charger(&phone, at(minute), kw, minute as f64)));
    queries.extend((16..20).map(|minute| phone.full_reading(start_ms, minute)));
    e2e::upload_all(server.address(), queries, 3).await?;
    let trip = finalization_of(&server, 20).await?;
    assert_eq!(trip["gas_mode_entered"], true);
    let [told] = server.wait_for_operation("charging_session", 1).await?.try_into().expect("one session");
    assert_eq!((&told["complete"], &told["charge_type"]), (&json!(true), &json!("L1-high")));
    assert_eq!((&told["start_soc"], &told["end_soc"]), (&json!(12.0), &json!(15.0)));
    assert_eq!(told["avg_power_kw"], 1.1);
    server.stop().await?;
    Ok(())
}

async fn a_late_reading_lengthens_a_session_and_adds_none(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 100 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let at = |minute: i64, soc| at_charger(&phone, start_ms + minute * MINUTE_MS, 7.0, soc);
    let first = vec![at(0, 40.0), at(1, 41.0), at(2, 42.0)];
    e2e::upload_all(server.address(), first.clone(), 1).await?;
    finalization_of(&server, 3).await?;

    // Sent again, they are duplicates; and a late one is not.
    e2e::upload_all(server.address(), first, 1).await?;
    assert!(server.upload(&at(10, 50.0)).await?.is_ok());
    finalization_of(&server, 4).await?;
    // A reading that says nothing of the session changes nothing of it.
    assert!(server.upload(&phone.reading(start_ms + 11 * MINUTE_MS, "kc=0")).await?.is_ok());
    finalization_of(&server, 5).await?;

    let sessions = list(&server.api("/api/charging").await?["charging_sessions"])?;
    let [session] = sessions.try_into().expect("one row");
    assert_eq!((&session["start_soc_percent"], &session["end_soc_percent"]), (&json!(40.0), &json!(50.0)));
    let events = server.stop().await?;
    let told: Vec<_> = events.iter().filter(|event| event["operation"] == "charging_session").collect();
    let [first, second] = told.try_into().expect("told twice, as it was and as it is");
    assert_eq!((&first["revised"], &first["finalization_number"]), (&json!(false), &json!(1)));
    assert_eq!((&second["revised"], &second["finalization_number"]), (&json!(true), &json!(2)));
    assert_eq!((&first["start_time"], &second["end_soc"]), (&second["start_time"], &json!(50.0)));
    Ok(())
}

async fn a_fill_between_two_trips_is_kept_with_the_second(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 200 * MINUTE_MS;
    for (session_ms, level) in [(start_ms, 30.0), (start_ms + 100 * MINUTE_MS, 80.0)] {
        let phone = Phone { session: session_ms.to_string(), ..Phone::new(1, start_ms) };
        let reading = |minute: i64| {
            let here = "kff1005=-121.567&kff1006=37.129";
            phone.reading(session_ms + minute * MINUTE_MS, &format!("k2f={level}&{here}"))
        };
        e2e::upload_all(server.address(), (0..5).map(reading).collect(), 1).await?;
        server
            .wait_for("the trip's end", |events| {
                events.iter().any(|event| {
                    event["operation"] == "trip_finalization"
                        && event["session_id"] == session_of(events, session_ms)
                })
            })
            .await?;
    }
    let refuels = list(&server.api("/api/refuels").await?["refuels"])?;
    let [refuel] = refuels.try_into().expect("one fill");
    assert_eq!(
        (&refuel["level_before_percent"], &refuel["level_after_percent"]),
        (&json!(30.0), &json!(80.0))
    );
    assert_eq!((&refuel["latitude"], &refuel["longitude"]), (&json!(37.129), &json!(-121.567)));
    assert_eq!(refuel["time_ms"], start_ms + 100 * MINUTE_MS);
    // Half of 9.3122 gallons, at 3.50 $.
    assert_eq!(format!("{:.3}", refuel["gallons"].as_f64().context("a number")?), "4.656");
    assert_eq!(refuel["cost_usd"], 16.3);
    let events = server.stop().await?;
    let detected = |event: &&Value| event["business_metrics"]["refuel_detected"] == true;
    assert_eq!(events.iter().filter(detected).count(), 1);
    Ok(())
}

async fn a_drive_on_both_shows_its_transition_its_cost_and_the_battery(engine: Engine) -> anyhow::Result<()> {
    let Some(mut server) = start(engine).await? else { return Ok(()) };
    let start_ms = now_ms() - 60 * MINUTE_MS;
    let phone = Phone::new(1, start_ms);
    let queries = (0..30).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 4).await?;
    let end = finalization_of(&server, 30).await?;
    let trips = server.trips().await?;
    let metrics = &end["business_metrics"];
    assert_eq!(trips[0]["cost"]["total_cost"], metrics["total_cost"]);
    let kwh = metrics["electric_kwh_used"].as_f64().context("a number")?;
    let electric_cost = metrics["electric_cost"].as_f64().context("a number")?;
    assert!((electric_cost - kwh * 0.12).abs() <= 0.005, "{electric_cost} $ for {kwh} kWh");

    let vehicle = trips[0]["vehicle_id"].as_str().context("a vehicle")?;
    let floor = server.api(&format!("/api/soc-floor?vehicle_id={vehicle}")).await?;
    assert_eq!(floor["soc_floor"]["transitions"], 1);
    assert_eq!(floor["soc_floor"]["mean_soc_percent"], metrics["soc_at_gas_transition"]);
    let health = server.api(&format!("/api/vehicles/{vehicle}/battery-health")).await?;
    assert_eq!(health["battery_health"]["electric_miles"], 9.0);
    assert_eq!(health["battery_health"]["trips"], 1);
    assert_eq!(server.api("/api/vehicles/nobody/battery-health").await?["battery_health"], Value::Null);
    for (path, code) in [
        ("/api/soc-floor", "E002"),
        ("/api/soc-floor?vehicle=1", "E003"),
        ("/api/charging?limit=501", "E004"),
        ("/api/refuels?colour=red", "E003"),
        ("/api/trips/00000000-0000-0000-0000-000000000000/charging", "E400"),
        ("/api/trips/no-id/charging", "E400"),
    ] {
        assert_eq!(server.api(path).await?["code"], code, "{path}");
    }
    server.stop().await?;
    Ok(())
}

async fn trips_between_the_same_places_share_a_route_and_know_their_range(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let settings = settings().set("FEATURE_ROUTE_DETECTION", "true").set("FEATURE_PREDICTIVE_RANGE", "true");
    let mut server = Server::start(settings.database(&database)).await?;
    let start_ms = now_ms() - 300 * MINUTE_MS;
    let mut told = Vec::new();
    // The third is longer, and so ends elsewhere.
    for (trip, minutes) in (0..).zip([10, 10, 30]) {
        let session_ms = start_ms + trip * 90 * MINUTE_MS;
        let phone = Phone { session: session_ms.to_string(), ..Phone::new(1, start_ms) };
        let queries = (0..minutes).map(|minute| phone.full_reading(session_ms, minute)).collect();
        e2e::upload_all(server.address(), queries, 1).await?;
        told = server.wait_for_operation("trip_finalization", told.len() + 1).await?;
    }
    let [first, second, third] = &told[..] else { anyhow::bail!("three trips, not {}", told.len()) };
    assert!(first["route_id"].is_string());
    let route_trips = |event: &Value| event["business_metrics"]["route_trips"].clone();
    assert_eq!((&second["route_id"], route_trips(second)), (&first["route_id"], json!(2)));
    assert_ne!(third["route_id"], first["route_id"]);
    assert_eq!(route_trips(third), 1);
    // 40 % less 14.4, of which the engine leaves 25 to the battery.
    let kwh_per_mile = first["vehicle_context"]["recent_avg_efficiency_kwh_per_mile"].as_f64();
    let miles = first["business_metrics"]["predicted_range_miles"].as_f64().context("a range")?;
    let expected = 0.006 * 18.4 / kwh_per_mile.context("a consumption")?;
    assert!((miles - expected).abs() <= 0.051, "{miles}, not {expected}");

    let trips = server.trips().await?;
    assert_eq!((&trips[0]["route_id"], &trips[2]["route_id"]), (&third["route_id"], &first["route_id"]));
    let vehicle = trips[0]["vehicle_id"].as_str().context("a vehicle")?;
    let routes = list(&server.api(&format!("/api/vehicles/{vehicle}/routes")).await?["routes"])?;
    let counts: Vec<_> = routes.iter().map(|route| (&route["route_id"], &route["trips"])).collect();
    assert_eq!(counts, [(&third["route_id"], &json!(1)), (&first["route_id"], &json!(2))]);
    server.stop().await?;
    Ok(())
}

/// `None` where the engine is not at hand.
async fn start(engine: Engine) -> anyhow::Result<Option<Server>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    Ok(Some(Server::start(settings().database(&database)).await?))
}

fn settings() -> Settings {
    Settings::default().set("TRIP_TIMEOUT_SECONDS", "1").set("FEATURE_WEATHER", "false")
}

/// A reading of a car that stands at its charger.
fn at_charger(phone: &Phone, time_ms: i64, kw: f64, soc: f64) -> String {
    let here = "kff1005=-121.567&kff1006=37.129";
    let parameters = format!("{here}&kff1001=0&ka6=80000&k220057=1&k22006e={kw}&k22005b={soc}");
    format!("{}&{parameters}", phone.header(time_ms))
}

/// The session's id, by the uploads of it.
fn session_of(events: &[Value], session_ms: i64) -> Value {
    let session = session_ms.to_string();
    let of = |event: &&Value| {
        event["operation"] == "telemetry_upload"
            && event["reading_time"].as_str().is_some_and(|time| {
                time.parse::<jiff::Timestamp>().is_ok_and(|time| time.as_millisecond().to_string() == session)
            })
    };
    events.iter().find(of).map_or(Value::Bool(false), |event| event["session_id"].clone())
}

fn list(value: &Value) -> anyhow::Result<Vec<Value>> {
    Ok(value.as_array().with_context(|| format!("a list, not {value}"))?.clone())
}

/// Waits for the finalization that saw that many readings.
async fn finalization_of(server: &Server, readings: u32) -> anyhow::Result<Value> {
    let of = |event: &&Value| event["business_metrics"]["telemetry_points"] == readings;
    let events = server.wait_for("a finalization", |events| events.iter().any(|event| of(&event))).await?;
    events.iter().find(of).cloned().context("waited for")
}
