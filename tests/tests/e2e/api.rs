//! What a driver's page or script gets: trips found, shown, exported, deleted
//! and calculated again; vehicles and their names; figures.

use anyhow::Context as _;
use e2e::{Database, Engine, Server, Settings, http_client};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    trips_are_found_shown_and_exported
    a_trip_is_calculated_again_and_deleted_by_the_administrator_only
    a_trip_that_is_not_over_is_not_calculated_again
    vehicles_have_names_and_figures
}

const ADMIN: &str = "an-admin-token";

/// A receiver with a drive of half an hour that is closed.
async fn with_drive(engine: Engine) -> anyhow::Result<Option<(Server, String)>> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(None) };
    let settings = Settings::default().set("TRIP_TIMEOUT_SECONDS", "1").set("ADMIN_TOKEN", ADMIN);
    let server = Server::start(settings.database(&database)).await?;
    let start_ms = now_ms() - 3_600_000;
    let phone = Phone::new(1, start_ms);
    let queries = (0..30).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 8).await?;
    let ended = server
        .wait_for("the whole trip's end", |events| {
            events.iter().any(|event| event["business_metrics"]["telemetry_points"] == 30)
        })
        .await?;
    let end = ended.iter().find(|event| event["business_metrics"]["telemetry_points"] == 30);
    let trip = end.and_then(|event| event["trip_id"].as_str()).context("a trip")?.to_owned();
    Ok(Some((server, trip)))
}

struct Got {
    status: u16,
    content_type: String,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

async fn send(
    server: &Server,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> anyhow::Result<Got> {
    let url = format!("http://{}{path}", server.address());
    let mut request = http_client()?.request(method.parse()?, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await?;
    let header = response.headers().get("content-type");
    let content_type = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Got { status: response.status().as_u16(), content_type, text: response.text().await? })
}

async fn get(server: &Server, path: &str) -> anyhow::Result<Got> {
    send(server, "GET", path, None, None).await
}

async fn trips_are_found_shown_and_exported(engine: Engine) -> anyhow::Result<()> {
    let Some((mut server, trip)) = with_drive(engine).await? else { return Ok(()) };
    for (filter, found) in [
        ("mode=gas", 1),
        ("mode=electric", 0),
        ("status=closed&min_distance_miles=10", 1),
        ("max_distance_miles=10", 0),
        ("from=2100-01-01T00:00:00Z", 0),
        ("to=2100-01-01T00:00:00Z", 1),
    ] {
        let page = get(&server, &format!("/api/trips?{filter}")).await?.json();
        assert_eq!(page["trips"].as_array().map(Vec::len), Some(found), "{filter}: {page}");
    }
    for (query, code) in
        [("mode=nuclear", "E003"), ("limit=0", "E004"), ("from=yesterday", "E003"), ("colour=red", "E003")]
    {
        let refused = get(&server, &format!("/api/trips?{query}")).await?;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(code)), "{query}");
        assert_eq!(refused.content_type, "application/problem+json");
    }

    let all = get(&server, &format!("/api/trips/{trip}/readings")).await?.json();
    let readings = all["readings"].as_array().context("readings")?;
    assert_eq!(readings.len(), 30);
    assert!(readings[0]["odometer_miles"].is_f64() && readings[0]["time"].is_string());
    let few = get(&server, &format!("/api/trips/{trip}/readings?points=5")).await?.json();
    assert!((3..=5).contains(&few["readings"].as_array().map_or(0, Vec::len)), "{few}");

    let export = async |format| get(&server, &format!("/api/trips/{trip}/export?format={format}")).await;
    let csv = export("csv").await?;
    assert_eq!((csv.status, csv.text.lines().count()), (200, 31));
    assert_eq!(export("gpx").await?.text.matches("<trkpt ").count(), 30);
    assert_eq!(export("geojson").await?.json()["features"].as_array().map(Vec::len), Some(30));
    assert_eq!(export("json").await?.json(), all);
    assert_eq!(export("pdf").await?.json()["code"], "E003");
    assert_eq!(get(&server, &format!("/api/trips/{trip}/export")).await?.json()["code"], "E002");
    assert_eq!(get(&server, "/api/trips/nowhere/readings").await?.status, 404);
    let nowhere = get(&server, "/api/journeys").await?;
    assert_eq!((nowhere.status, &nowhere.json()["code"]), (404, &json!("E400")));

    let events = server.stop().await?;
    let asked: Vec<&Value> = events.iter().filter(|event| event["operation"] == "api_request").collect();
    let as_long = asked.iter().find(|event| event["response_size_bytes"] == csv.text.len());
    let exported = as_long.context("an event as long as the file")?;
    assert_eq!(exported["route"], "/api/trips/{id}/export");
    assert_eq!((&exported["trip_id"], &exported["http_status"]), (&json!(trip), &json!(200)));
    let refused = asked.iter().filter(|event| event["outcome"] == "rejected").count();
    assert_eq!(refused, 7);
    Ok(())
}

async fn a_trip_is_calculated_again_and_deleted_by_the_administrator_only(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some((mut server, trip)) = with_drive(engine).await? else { return Ok(()) };
    let path = format!("/api/trips/{trip}");
    let again = format!("{path}/recalculate");
    assert_eq!(send(&server, "DELETE", &path, None, None).await?.status, 401);
    assert_eq!(send(&server, "POST", &again, Some("wrong"), None).await?.status, 401);

    let before = get(&server, &path).await?.json();
    let after = send(&server, "POST", &again, Some(ADMIN), None).await?;
    assert_eq!(after.status, 200, "{}", after.text);
    let number = |trip: &Value| trip["finalization_number"].as_i64().unwrap_or_default();
    assert_eq!(number(&after.json()), number(&before) + 1);
    assert_eq!(after.json()["summary"], before["summary"]);
    let [done] = server.wait_for_operation("trip_recalculation", 1).await?.try_into().expect("one");
    assert_eq!((&done["trip_id"], &done["success"]), (&json!(trip), &json!(true)));
    assert!(done["distance_miles"].is_f64() && done["parent_request_id"].is_string());
    assert_eq!(done["vehicle_context"]["total_trips"], 1, "replaced, not added");

    let nowhere = "/api/trips/00000000-0000-7000-8000-000000000000";
    let unknown = send(&server, "POST", &format!("{nowhere}/recalculate"), Some(ADMIN), None).await?;
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("E400")));

    assert_eq!(send(&server, "DELETE", &path, Some(ADMIN), None).await?.status, 204);
    assert_eq!(get(&server, &path).await?.status, 404);
    assert_eq!(send(&server, "DELETE", &path, Some(ADMIN), None).await?.status, 404);
    let events = server.stop().await?;
    let deleted = events.iter().find(|event| event["method"] == "DELETE" && event["http_status"] == 204);
    assert_eq!(deleted.context("an event")?["trip_id"], json!(trip));
    let stop = events.last().context("a last event")?;
    let total = |name: &str| stop[name].as_u64().unwrap_or_default();
    assert_eq!(
        total("events_received"),
        total("events_kept") + total("events_sampled_out") + total("events_lost_by_sink")
    );
    Ok(())
}

async fn a_trip_that_is_not_over_is_not_calculated_again(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let mut server = Server::start(Settings::default().set("ADMIN_TOKEN", ADMIN).database(&database)).await?;
    let time_ms = now_ms();
    assert!(server.upload(&Phone::new(1, time_ms).reading(time_ms, "kc=900")).await?.is_ok());
    let open = get(&server, "/api/trips?status=open").await?.json();
    let id = open["trips"][0]["trip_id"].as_str().context("a trip")?;
    let refused = send(&server, "POST", &format!("/api/trips/{id}/recalculate"), Some(ADMIN), None).await?;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("E403")));
    let events = server.stop().await?;
    let told = events.iter().find(|event| event["operation"] == "trip_recalculation").context("an event")?;
    assert_eq!((&told["outcome"], &told["error"]["code"]), (&json!("rejected"), &json!("E403")));
    Ok(())
}

async fn vehicles_have_names_and_figures(engine: Engine) -> anyhow::Result<()> {
    let Some((mut server, _)) = with_drive(engine).await? else { return Ok(()) };
    let vehicles = get(&server, "/api/vehicles").await?.json();
    let id = vehicles["vehicles"][0]["vehicle_id"].as_str().context("a vehicle")?.to_owned();
    let path = format!("/api/vehicles/{id}");
    assert_eq!(send(&server, "PUT", &path, None, Some(json!({ "name": "Sparky" }))).await?.status, 401);
    let named = send(&server, "PUT", &path, Some(ADMIN), Some(json!({ "name": "Sparky" }))).await?;
    assert_eq!((named.status, &named.json()["name"]), (200, &json!("Sparky")));
    assert_eq!(get(&server, &path).await?.json()["name"], "Sparky");
    for (body, code) in [
        (json!({ "name": 5 }), "E303"),
        (json!({ "title": "x" }), "E303"),
        (json!({ "name": "" }), "E004"),
        (json!({ "name": "x".repeat(101) }), "E004"),
        (json!({ "name": "x".repeat(20_000) }), "E006"),
        (json!({ "name": "a\u{0}b" }), "E003"),
    ] {
        let refused = send(&server, "PUT", &path, Some(ADMIN), Some(body.clone())).await?;
        assert_eq!(refused.json()["code"], code, "{body}: {}", refused.text);
    }
    let efficiency = get(&server, &format!("/api/efficiency?vehicle_id={id}")).await?.json();
    assert_eq!((&efficiency["trips"], &efficiency["trips_with_gas"]), (&json!(1), &json!(1)));
    assert!(efficiency["electric_miles"].as_f64().is_some_and(|miles| miles > 5.0), "{efficiency}");
    let weather = get(&server, "/api/weather-correlation").await?.json();
    assert_eq!(weather["trips"], 0, "no weather was asked for");
    server.stop().await?;
    Ok(())
}
