//! What a wide event holds.

use std::collections::HashSet;

use anyhow::Context as _;
use e2e::{Server, Settings, binary, project_root, violation};
use serde_json::Value;
use tokio::process::Command;

use crate::volt::{Phone, now_ms};

const MINUTES: u32 = 30;
/// What a reader may count on in a rich event.
const LEAVES: usize = 60;

#[tokio::test]
async fn the_binary_prints_the_published_schema_which_refuses_what_is_not_in_it() -> anyhow::Result<()> {
    let printed = Command::new(binary()?).args(["events", "schema"]).output().await?;
    let published = std::fs::read_to_string(project_root().join("docs/event-schema.json"))?;
    assert!(printed.status.success() && printed.stdout == published.as_bytes());

    let mut server = Server::start(Settings::default()).await?;
    assert!(!server.upload("eml=a%40b.example&v=9&id=1&session=no+session").await?.body.is_empty());
    for event in server.stop().await? {
        assert_eq!(violation(&event), None);
        let mut odd = event.clone();
        odd["an_odd_key"] = true.into();
        assert!(violation(&odd).is_some(), "{odd}");
        let mut unknown = event;
        unknown["duration_ms"] = Value::Null;
        assert!(violation(&unknown).is_some(), "{unknown}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_upload_and_its_trips_end_are_wide_and_name_the_plugins() -> anyhow::Result<()> {
    let start_ms = now_ms() - i64::from(MINUTES) * 60_000;
    let phone = Phone::new(1, start_ms);
    let mut server = Server::start(Settings::default().set("TRIP_TIMEOUT_SECONDS", "1")).await?;
    assert!(server.upload(&phone.profile(start_ms, "Volt")).await?.is_ok());
    let queries = (0..MINUTES).map(|minute| phone.full_reading(start_ms, minute)).collect();
    e2e::upload_all(server.address(), queries, 4).await?;
    server
        .wait_for("the trip's end", |events| {
            events.iter().any(|event| event["business_metrics"]["telemetry_points"] == MINUTES)
        })
        .await?;
    let events = server.stop().await?;

    let end = events.iter().find(|event| event["business_metrics"]["telemetry_points"] == MINUTES);
    let end = end.context("waited for")?;
    let uploads: Vec<_> = events.iter().filter(|event| event["upload_kind"] == "telemetry").collect();
    assert_eq!(uploads.len(), usize::try_from(MINUTES)?);
    for event in uploads.into_iter().chain([end]) {
        assert_eq!(event["success"], true, "{event}");
        is_wide(event);
        names_the_plugins(event);
        assert!(event["session_id"].is_string());
        assert_eq!(event["trace_id"], event["session_id"]);
    }
    // The drive is what it was made to be.
    assert_eq!(end["gas_mode_entered"], true);
    assert_eq!(end["electric_miles"], 9.0);
    assert_eq!(end["profile_name"], "Volt");
    Ok(())
}

#[tokio::test]
async fn every_line_is_an_event_with_an_id_of_its_own() -> anyhow::Result<()> {
    let phone = Phone::new(2, now_ms());
    let mut server = Server::start(Settings::default()).await?;
    let queries = (0..50).map(|minute| phone.full_reading(now_ms(), minute)).collect();
    e2e::upload_all(server.address(), queries, 8).await?;
    server.upload("k5=1").await?;
    let events = server.stop().await?;

    let ids: HashSet<_> = events.iter().filter_map(|event| event["request_id"].as_str()).collect();
    assert_eq!(ids.len(), events.len());
    assert_eq!(events.len(), 1 + 3 + 50 + 1 + 1, "start, activations, uploads, the refused one, stop");
    for event in &events {
        assert!(event.is_object(), "{event}");
        assert_eq!(event["schema_version"], 1);
        for field in ["operation", "timestamp", "outcome"] {
            assert!(event[field].is_string(), "{field}: {event}");
        }
        names_the_plugins(event);
    }
    Ok(())
}

fn is_wide(event: &Value) {
    let mut leaves = Vec::new();
    collect_leaves(event, &mut leaves);
    assert!(leaves.len() >= LEAVES, "{} fields: {event}", leaves.len());
    for leaf in leaves {
        assert!(!leaf.is_null(), "{event}");
        // A number that is not finite has no form in JSON but null or a text.
        assert!(leaf.as_str().is_none_or(|text| !matches!(text, "NaN" | "inf" | "-inf" | "Infinity")));
    }
}

fn collect_leaves<'e>(value: &'e Value, leaves: &mut Vec<&'e Value>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| collect_leaves(value, leaves)),
        Value::Array(items) => items.iter().for_each(|value| collect_leaves(value, leaves)),
        leaf => leaves.push(leaf),
    }
}

fn names_the_plugins(event: &Value) {
    for slot in ["trip-calculator", "usage-tier", "sampling-policy"] {
        let plugin = &event["service"]["plugins"][slot];
        for field in ["name", "version"] {
            assert!(plugin[field].as_str().is_some_and(|text| !text.is_empty()), "{slot} {field}: {event}");
        }
        let digest = plugin["digest"].as_str().unwrap_or_default();
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{slot}: {digest}"
        );
        assert!(plugin["generation"].as_u64().is_some_and(|generation| generation >= 1), "{slot}: {event}");
    }
}
