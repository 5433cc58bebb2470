//! What `GET /metrics` says, and what Prometheus says of it, of the alert rules
//! and of the dashboard.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Server, Settings, get, http_client, project_root, promtool};
use serde_json::Value;

use crate::volt::{Phone, now_ms};

/// At most a second old, as the receiver gives them; and how long to wait for
/// what is counted a moment later.
const PATIENCE: Duration = Duration::from_secs(60);

/// Samples by name and labels, as they are written.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

async fn metrics(server: &Server) -> anyhow::Result<String> {
    let answer = http_client()?.get(format!("http://{}/metrics", server.address())).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// Waits until the metrics fulfil the condition.
async fn wait_for(
    server: &Server,
    what: &str,
    condition: impl Fn(&BTreeMap<&str, f64>) -> bool,
) -> anyhow::Result<String> {
    let begun = Instant::now();
    loop {
        let text = metrics(server).await?;
        if condition(&samples(&text)) {
            return Ok(text);
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many events there are with an operation, an outcome, a code and a tier,
/// in the words of the metrics.
fn counted(events: &[Value]) -> BTreeMap<String, f64> {
    let mut counted = BTreeMap::new();
    for event in events {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let [operation, outcome, code, tier] = [
            &event["operation"],
            &event["outcome"],
            &event["error"]["code"],
            &event["vehicle_context"]["usage_tier"],
        ]
        .map(text);
        let name = format!(
            "volttracker_events_total{{operation=\"{operation}\",outcome=\"{outcome}\",code=\"{code}\",usage_tier=\"{tier}\"}}"
        );
        *counted.entry(name).or_default() += 1.0;
    }
    counted
}

#[tokio::test]
async fn counters_are_those_of_the_events_and_a_scrape_has_none() -> anyhow::Result<()> {
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    let settings = Settings::default().set("DEPLOYMENT_ID", "prod-1").set("TRIP_TIMEOUT_SECONDS", "2");
    let mut server = Server::start(settings).await?;
    let readings: Vec<_> = (0..10).map(|minute| phone.full_reading(start_ms, minute)).collect();
    for reading in &readings {
        assert!(server.upload(reading).await?.is_ok());
    }
    server.upload("eml=a%40b.c&kc=900").await?;
    let target = format!("/torque/upload?{}", readings[0]);
    get(server.address(), &target, &[("x-volttracker-fault", "panic")]).await?;
    server.api("/api/trips/none").await?;
    server.wait_for_operation("trip_finalization", 1).await?;

    let text = wait_for(&server, "all events", |samples| {
        samples["volttracker_events_received_total"] == server.events().len() as f64
            && samples["volttracker_events_kept"] == server.events().len() as f64
    })
    .await?;
    let events = server.stop().await?;
    let before_stop: Vec<_> =
        events.iter().filter(|event| event["operation"] != "service_stop").cloned().collect();
    assert!(before_stop.iter().all(|event| event["route"] != "/metrics"), "a scrape has no event");
    let samples = samples(&text);
    let told: BTreeMap<String, f64> = samples
        .iter()
        .filter(|(name, value)| name.starts_with("volttracker_events_total{") && **value > 0.0)
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    assert_eq!(told, counted(&before_stop));
    assert_eq!(samples["volttracker_errors_total{code=\"E500\",category=\"system\"}"], 1.0);
    assert_eq!(samples["volttracker_errors_total{code=\"E400\",category=\"business_logic\"}"], 1.0);
    assert_eq!(samples["volttracker_unfinished_trips{status=\"failed\"}"], 0.0);
    assert!(samples["volttracker_write_batch_size_sum"] >= 11.0, "{text}");
    assert!(text.contains("deployment_id=\"prod-1\""), "{text}");
    let finalized =
        "volttracker_event_duration_seconds_count{operation=\"trip_finalization\",outcome=\"success\"}";
    assert_eq!(samples[finalized], 1.0);
    Ok(())
}

#[tokio::test]
async fn prometheus_understands_the_metrics_and_finds_nothing_amiss() -> anyhow::Result<()> {
    let server = Server::start(Settings::default().set("FEATURE_WEATHER", "true")).await?;
    let answer = http_client()?.get(format!("http://{}/metrics", server.address())).send().await?;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await?;
    let described = |name: &str| {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            text.contains(&format!("# TYPE {family} histogram\n")).then_some(family)
        });
        let family = family.unwrap_or(name);
        text.contains(&format!("# HELP {family} ")) && text.contains(&format!("# TYPE {family} "))
    };
    for name in samples(&text).keys() {
        let name = name.split('{').next().unwrap_or_default();
        assert!(described(name), "{name} has no HELP or TYPE");
    }
    if let Some(said) = promtool(&["check", "metrics"], &text)? {
        assert_eq!(said, "", "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn who_may_read_may_read_the_metrics() -> anyhow::Result<()> {
    let settings = Settings::default().set("TORQUE_API_TOKEN", "a-token").set("ADMIN_TOKEN", "an-admin");
    let server = Server::start(settings).await?;
    for (token, status) in
        [(None, 401), (Some("wrong"), 401), (Some("a-token"), 200), (Some("an-admin"), 200)]
    {
        let mut request = http_client()?.get(format!("http://{}/metrics", server.address()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await?.status().as_u16(), status, "{token:?}");
    }
    Ok(())
}

#[tokio::test]
async fn metrics_are_read_also_while_the_store_is_locked() -> anyhow::Result<()> {
    let phone = Phone::new(1, now_ms());
    let mut server = Server::start(Settings::default()).await?;
    let mut lock = server.look().await?;
    lock.execute("BEGIN IMMEDIATE").await?;
    assert!(!server.upload(&phone.reading(now_ms(), "kc=900")).await?.is_ok());
    let failed = "volttracker_errors_total{code=\"E200\",category=\"database\"}";
    wait_for(&server, "E200", |samples| samples[failed] == 1.0).await?;
    lock.execute("ROLLBACK").await?;
    server.stop().await?;
    Ok(())
}

#[test]
fn every_alert_fires_when_it_should_and_is_quiet_when_all_is_well() -> anyhow::Result<()> {
    let alerts = project_root().join("docs/alerts");
    let file = |name: &str| alerts.join(name).to_string_lossy().into_owned();
    promtool(&["check", "rules", "--lint-fatal", &file("volttracker.rules.yml")], "")?;
    promtool(&["test", "rules", &file("volttracker.trials.yml")], "")?;
    Ok(())
}

#[test]
fn every_query_of_the_dashboard_is_well_formed() -> anyhow::Result<()> {
    let dashboard = std::fs::read_to_string(project_root().join("docs/grafana/volttracker.json"))?;
    let dashboard: Value = serde_json::from_str(&dashboard)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = dashboard["annotations"]["list"].as_array().context("annotations")?;
    let rules = targets.chain(annotations).enumerate().map(|(number, target)| {
        let query = target["expr"].as_str().context("a query")?;
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        Ok(format!("  - record: query:{number}\n    expr: |\n      {query}\n"))
    });
    let rules: String = rules.collect::<anyhow::Result<_>>()?;
    let file = tempfile::Builder::new().suffix(".yml").tempfile()?;
    std::fs::write(&file, format!("groups:\n- name: dashboard\n  rules:\n{rules}"))?;
    promtool(&["check", "rules", &file.path().to_string_lossy()], "")?;
    Ok(())
}
