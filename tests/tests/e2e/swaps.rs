//! A policy that is replaced again and again while uploads pour in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Inbox, Load, Sent, Server, Settings, built, guest, percentile, variant};
use serde_json::Value;
use tokio::time::Instant;

use crate::volt::{Phone, now_ms};

const POLICY: &str = "sampling-policy";
const CONNECTIONS: u32 = 64;
const SWAPS: usize = 20;

#[tokio::test]
async fn no_upload_fails_and_no_event_mixes_plugins_while_the_policy_is_swapped() -> anyhow::Result<()> {
    let run = swap_under_load(Duration::from_secs(5)).await?;
    println!("{} uploads, p99 {:?}", run.during.len(), percentile(&run.during, 99));
    Ok(())
}

/// What the soak measures, on a machine that does nothing else.
#[tokio::test]
#[ignore = "a minute of full load: `just soak`"]
async fn soak_swaps_under_load() -> anyhow::Result<()> {
    let run = swap_under_load(Duration::from_secs(30)).await?;
    let (without, during) = (percentile(&run.before, 99), percentile(&run.during, 99));
    println!("{} uploads, p99 {without:?} without swaps, {during:?} with", run.during.len());
    assert!(during <= without * 2, "p99 {during:?} with swaps, {without:?} without");
    Ok(())
}

struct Run {
    before: Vec<Sent>,
    during: Vec<Sent>,
}

/// Uploads for `time` without swaps, then for `time` with them.
async fn swap_under_load(time: Duration) -> anyhow::Result<Run> {
    let inbox = Inbox::fresh()?;
    // Its events are kept or not each for itself, so that both policies have some.
    let settings = Settings::default().set("PLUGIN_DIR", inbox.path()).set("SAMPLING_UNIT", "request");
    let mut server = Server::start(settings).await?;
    let start_ms = now_ms();
    let query = move |connection: u32, number: u32| {
        let phone = Phone::new(connection, start_ms);
        phone.reading(start_ms + i64::from(number) * 1000, "kc=900")
    };
    let load = Load::start(server.address(), CONNECTIONS, query);
    tokio::time::sleep(time).await;
    let began = Instant::now();
    let versions = [guest("guest-wayward-policy")?, built(POLICY)?];
    for swap in 0..SWAPS {
        inbox.put(POLICY, &versions[swap % 2])?;
        // The three of the start come first.
        server.wait_for_count("plugin_swap", 3 + swap + 1).await?;
        tokio::time::sleep_until(began + time * (u32::try_from(swap)? + 1) / u32::try_from(SWAPS)?).await;
    }
    let sent = load.stop().await;
    let failed: Vec<_> = sent.iter().filter_map(|sent| sent.failure.as_ref()).take(5).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let events = server.stop().await?;
    no_event_mixes(&events)?;
    let (before, during) = sent.into_iter().partition(|sent| sent.at < began);
    Ok(Run { before, during })
}

/// What belongs together, by generation, as the swaps told it.
fn no_event_mixes(events: &[Value]) -> anyhow::Result<()> {
    let swaps = events.iter().filter(|event| event["operation"] == "plugin_swap" && event["slot"] == POLICY);
    let mut activated = BTreeMap::new();
    for swap in swaps {
        assert_eq!(swap["swap"], "activation", "{swap}");
        let to = &swap["to"];
        activated.insert(to["generation"].as_u64().context("a generation")?, to.clone());
    }
    assert_eq!(activated.len(), 1 + SWAPS);
    let mut seen = BTreeMap::<String, usize>::new();
    let mut generations = BTreeSet::new();
    for event in events {
        let policy = &event["service"]["plugins"][POLICY];
        let generation = policy["generation"].as_u64().context("a generation")?;
        assert_eq!(policy, &activated[&generation], "{event}");
        generations.insert(generation);
        if let Some(asked) = event["sampling"]["policy"].as_str() {
            assert_eq!(
                (asked, event["sampling"]["policy_version"].as_str()),
                (policy["name"].as_str().unwrap_or_default(), policy["version"].as_str())
            );
            *seen.entry(asked.to_owned()).or_default() += 1;
        }
    }
    assert!(seen.len() == 2 && generations.len() > 10, "{seen:?} {generations:?}");
    Ok(())
}

/// Memory after the first tenth of the swaps, and after all.
#[tokio::test]
#[ignore = "10,000 swaps: `just soak`"]
async fn soak_many_swaps() -> anyhow::Result<()> {
    let swaps = std::env::var("SOAK_SWAPS").ok().map_or(Ok(10_000), |count| count.parse())?;
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", inbox.path())).await?;
    let versions = [variant(&built(POLICY)?, 1), built(POLICY)?];
    let mut warm = 0;
    for swap in 0..swaps {
        inbox.put(POLICY, &versions[swap % 2])?;
        server.wait_for_count("plugin_swap", 3 + swap + 1).await?;
        if swap + 1 == swaps / 10 {
            warm = server.resident_bytes()?;
        }
    }
    let end = server.resident_bytes()?;
    println!("{swaps} swaps: {} KB after a tenth of them, {} KB after all", warm >> 10, end >> 10);
    assert!(end < warm + warm / 10 + (8 << 20), "from {warm} to {end} bytes");
    server.stop().await?;
    Ok(())
}
