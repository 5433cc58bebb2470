//! Events at a collector, read there by the protocol's published definitions.

use std::collections::HashSet;
use std::time::Duration;

use e2e::collector::{Closed, Collector, Reply};
use e2e::{Server, Settings, get};
use serde_json::{Value, json};

use super::{MOST_WAITING, account, upload, wait_for_sink};
use crate::volt::{Phone, now_ms};

/// The value of an attribute, with its type; null where there is none.
fn attribute<'a>(owner: &'a Value, key: &str) -> &'a Value {
    let mut attributes = owner["attributes"].as_array().into_iter().flatten();
    attributes.find(|attribute| attribute["key"] == key).map_or(&Value::Null, |attribute| &attribute["value"])
}

fn text(text: impl Into<String>) -> Value {
    json!({"stringValue": text.into()})
}

fn is_event(record: &Value, operation: &str) -> bool {
    record["eventName"] == format!("volttracker.{operation}")
}

#[tokio::test]
async fn an_upload_arrives_with_the_names_and_types_of_opentelemetry() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    let phone = Phone::new(1, now_ms());
    let target = format!("/torque/upload?{}", phone.reading(now_ms(), "kc=900"));
    assert_eq!(get(server.address(), &target, &[]).await?.status, 200);
    let record = collector.wait_for(|record| is_event(record, "telemetry_upload")).await?;
    let event = server.wait_for_operation("telemetry_upload", 1).await?.remove(0);

    for (name, value) in [
        ("http.request.method", text("GET")),
        ("http.route", event["route"].as_str().map(text).into()),
        ("http.response.status_code", json!({"intValue": "200"})),
        ("client.address", text("127.0.0.1")),
        ("feature_flag.weather_integration", json!({"boolValue": false})),
        ("success", json!({"boolValue": true})),
        ("outcome", text("success")),
        ("request_id", event["request_id"].as_str().map(text).into()),
        ("duration_ms", json!({"doubleValue": event["duration_ms"]})),
        ("sampling.rate", json!({"doubleValue": 1.0})),
        ("business_metrics.trip_created", json!({"boolValue": true})),
        ("vehicle_context.usage_tier", event["vehicle_context"]["usage_tier"].as_str().map(text).into()),
        ("service.plugins.usage-tier.generation", json!({"intValue": "1"})),
        (
            "performance_breakdown.db_queue_ms",
            json!({"doubleValue": event["performance_breakdown"]["db_queue_ms"]}),
        ),
    ] {
        assert_eq!(attribute(&record, name), &value, "{name}: {record:#}");
    }
    for said_otherwise in
        ["method", "http_status", "remote_addr", "operation", "timestamp", "trace_id", "error.type"]
    {
        assert_eq!(attribute(&record, said_otherwise), &Value::Null, "{said_otherwise}");
    }
    assert_eq!(
        (&record["severityNumber"], &record["severityText"]),
        (&json!("SEVERITY_NUMBER_INFO"), &json!("info"))
    );
    assert_eq!(record["traceId"], base64_of_uuid(event["trace_id"].as_str().expect("a session")));
    let began: jiff::Timestamp = event["timestamp"].as_str().expect("a time").parse()?;
    assert_eq!(record["timeUnixNano"], began.as_nanosecond().to_string());
    let paths = leaves(&event) - ["operation", "timestamp", "trace_id"].len();
    let service = leaves(&event["service"]) - leaves(&event["service"]["plugins"]);
    let attributes = record["attributes"].as_array().map(Vec::len);
    assert_eq!(attributes, Some(paths - service), "nothing of it is left out: {record:#}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_resource_says_which_process_it_is_and_a_request_has_the_operators_headers() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let settings =
        Settings::default().set("ENVIRONMENT", "staging").set("REGION", "eu-1").set("APP_VERSION", "1.2");
    let mut server = Server::start(collector.sent_to_by(settings)).await?;
    let start = server.wait_for_operation("service_start", 1).await?.remove(0);
    collector.was_asked(1).await?;
    server.stop().await?;
    let request = collector.requests().remove(0);
    let logs = &request.message["resourceLogs"][0];
    for (name, value) in [
        ("service.name", "volttracker"),
        ("service.version", "1.2"),
        ("service.instance.id", start["service"]["instance_id"].as_str().expect("an id")),
        ("deployment.environment.name", "staging"),
        ("cloud.region", "eu-1"),
        ("service.deployment_id", start["service"]["deployment_id"].as_str().expect("an id")),
    ] {
        assert_eq!(attribute(&logs["resource"], name), &text(value), "{name}: {logs:#}");
    }
    assert_eq!(logs["scopeLogs"][0]["scope"]["name"], "volttracker");
    let head = request.head.to_lowercase();
    assert!(head.contains("x-key: hunter3,and more\r\n"), "{head}");
    assert!(head.contains("authorization: basic "), "{head}");
    Ok(())
}

#[tokio::test]
async fn a_rejected_upload_has_its_error_and_severity() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    server.upload("v=9&kc=900").await?;
    let record = collector.wait_for(|record| is_event(record, "telemetry_upload")).await?;
    let event = server.wait_for_operation("telemetry_upload", 1).await?.remove(0);
    let code = event["error"]["code"].as_str().expect("a code");
    assert_eq!(attribute(&record, "error.type"), &text(code));
    assert_eq!(attribute(&record, "error.code"), &Value::Null);
    assert_eq!(attribute(&record, "error.category"), &text("validation"));
    assert_eq!(
        (&record["severityNumber"], &record["severityText"]),
        (&json!("SEVERITY_NUMBER_WARN"), &json!("warning"))
    );
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_stop_flushes_the_last_events_too() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    upload(&server, 1, 100).await?;
    let events = server.stop().await?;
    let (delivered, lost) = account(&events, "otlp");
    assert_eq!((collector.taken().len(), lost), (delivered + 1, 0));
    assert!(is_event(&collector.taken()[delivered], "service_stop"));
    Ok(())
}

/// A megabyte of events finds room, all others are lost while the collector is
/// away: uploads go on meanwhile, and it has every other event afterwards.
async fn goes_on(
    server: &mut Server,
    open: impl FnOnce() -> anyhow::Result<Collector>,
) -> anyhow::Result<()> {
    upload(server, 1, 400).await?;
    let sink = wait_for_sink(server, "otlp", |sink| sink["lost"].as_u64() > Some(0)).await?;
    assert!(sink["waiting"].as_u64() <= Some(MOST_WAITING), "{sink}");
    let collector = open()?;
    wait_for_sink(server, "otlp", |sink| sink["waiting"] == 0).await?;
    upload(server, 2, 20).await?;
    let (delivered, lost) = account(&server.stop().await?, "otlp");
    assert!(lost > 0);
    // What was taken and answered too late for the sender comes again.
    let taken: HashSet<_> =
        collector.taken().iter().map(|record| attribute(record, "request_id").to_string()).collect();
    assert_eq!(taken.len(), delivered + 1, "the stop counts itself out");
    let said = server.stderr();
    assert_eq!(said.matches("the collector does not take events").count(), 1, "{said}");
    assert_eq!(said.matches("the collector takes events again").count(), 1, "{said}");
    assert!(said.contains("http://127.0.0.1:") && !said.contains("hunter"), "{said}");
    Ok(())
}

fn small(settings: Settings) -> Settings {
    settings.set("EVENT_BUFFER_MB", "1").set("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
}

#[tokio::test]
async fn a_collector_that_refuses_connections_keeps_nobody_waiting() -> anyhow::Result<()> {
    let closed = Closed::new()?;
    let mut server = Server::start(small(closed.sent_to_by(Settings::default())?)).await?;
    goes_on(&mut server, || closed.open()).await
}

#[tokio::test]
async fn a_collector_that_hangs_keeps_nobody_waiting() -> anyhow::Result<()> {
    in_trouble(Reply::Silence).await
}

#[tokio::test]
async fn a_collector_that_is_unwell_keeps_nobody_waiting() -> anyhow::Result<()> {
    in_trouble(Reply::Status(503, None)).await
}

async fn in_trouble(reply: Reply) -> anyhow::Result<()> {
    let collector = Collector::start()?;
    collector.reply(reply);
    let mut server = Server::start(small(collector.sent_to_by(Settings::default()))).await?;
    goes_on(&mut server, || {
        assert_eq!(collector.taken().len(), 0);
        collector.reply(Reply::Take);
        Ok(collector)
    })
    .await
}

#[tokio::test]
async fn a_collector_that_asks_for_a_pause_gets_it() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    collector.reply(Reply::Status(429, Some(3)));
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    collector.was_asked(1).await?;
    let asked = std::time::Instant::now();
    collector.reply(Reply::Take);
    collector.wait_for(|record| is_event(record, "service_start")).await?;
    assert!(asked.elapsed() > Duration::from_millis(2800), "{:?}", asked.elapsed());
    let (_, lost) = account(&server.stop().await?, "otlp");
    assert_eq!(lost, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_collector_refuses_for_good_is_lost_and_not_sent_again() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    collector.reply(Reply::Status(400, None));
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    let sink = wait_for_sink(&server, "otlp", |sink| sink["lost"].as_u64() >= Some(4)).await?;
    assert_eq!(sink["delivered"], 0);
    collector.reply(Reply::Partly(1));
    let asked = collector.requests().len();
    upload(&server, 1, 10).await?;
    wait_for_sink(&server, "otlp", |sink| sink["waiting"] == 0).await?;
    let partly = collector.requests().len();
    collector.reply(Reply::Take);
    let (delivered, lost) = account(&server.stop().await?, "otlp");
    assert_eq!(collector.taken().len(), delivered + 1);
    assert!(partly > asked && lost >= 4 + partly - asked, "{lost} lost");
    Ok(())
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_collector_that_hangs_and_counts_what_is_lost() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    collector.reply(Reply::Silence);
    let mut server = Server::start(collector.sent_to_by(Settings::default())).await?;
    upload(&server, 1, 30).await?;
    let stopped = server.terminate().await?;
    assert!(stopped.status.success());
    assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    let (delivered, lost) = account(&stopped.events, "otlp");
    assert_eq!((delivered, lost), (0, stopped.events.len() - 1));
    Ok(())
}

/// How many values an event has, each path of an object for itself.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.values().map(leaves).sum(),
        _ => 1,
    }
}

/// The bytes of a UUID as JSON has them.
fn base64_of_uuid(uuid: &str) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hex: Vec<u32> = uuid.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let bits: Vec<u32> = hex.iter().flat_map(|digit| (0..4).rev().map(move |bit| digit >> bit & 1)).collect();
    let mut text: String = bits
        .chunks(6)
        .map(|six| (0..6).fold(0, |digit, bit| digit << 1 | six.get(bit).unwrap_or(&0)))
        .map(|digit| char::from(DIGITS[digit as usize]))
        .collect();
    text.push_str("==");
    text.into()
}
