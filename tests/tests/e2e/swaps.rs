//! A policy that is replaced again and again while uploads pour in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Inbox, Load, Sent, Server, Settings, built, guest, percentile, variant};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::plugins::{ADMIN, admin};
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

/// From the rename to the first upload that the new policy decided on, on a
/// machine that does nothing else.
#[tokio::test]
#[ignore = "times that a busy machine does not keep: `just soak`"]
async fn soak_first_decision_of_a_swapped_policy() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", inbox.path())).await?;
    let start_ms = now_ms();
    let query = move |connection: u32, number: u32| {
        Phone::new(connection, start_ms).reading(start_ms + i64::from(number) * 1000, "kc=900")
    };
    let load = Load::start(server.address(), 1, query);
    let policy = built(POLICY)?;
    let mut renamed = Vec::new();
    for round in 0..11 {
        // Of each two the second is a return to what is compiled.
        for component in [variant(&policy, round + 1), policy.clone()] {
            renamed.push(Timestamp::now());
            inbox.put(POLICY, &component)?;
            // The three of the start come first.
            server.wait_for_count("plugin_swap", 3 + renamed.len()).await?;
            assert!(server.upload(&query(1, u32::from(round))).await?.is_ok());
        }
    }
    load.stop().await;
    let events = server.stop().await?;
    let mut times = [Vec::new(), Vec::new()];
    // The folder was filled just before the start: its first change is waited
    // out, since somebody may still write.
    for (swap, renamed) in renamed.iter().enumerate().skip(2) {
        let mut decided = events.iter().filter(|event| decided_by(event) == Some(swap as u64 + 2));
        let first = decided.next().and_then(|event| event["timestamp"].as_str()).context("a decision")?;
        times[swap % 2].push(first.parse::<Timestamp>()?.duration_since(*renamed).as_millis());
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [new, cached] = times;
    println!("a new policy: {new:?} ms, one that is compiled: {cached:?} ms");
    assert!(new[5] < 500 && cached[5] < 50);
    Ok(())
}

/// The generation of the policy that decided on an upload.
fn decided_by(event: &Value) -> Option<u64> {
    let is_upload = event["operation"] == "telemetry_upload";
    event["service"]["plugins"][POLICY]["generation"].as_u64().filter(|_| is_upload)
}

/// Swaps between a shadow's beginning and its end, and as many until the next.
const SHADOW_FOR: usize = 10;
/// Threads and files that come and go with the work of a moment.
const SLACK: usize = 8;
/// An account that is older than the policy's new ones: its ordinary events go.
const LONG_AGO_MS: i64 = 1_600_000_000_000;

/// What a receiver takes of the machine after the first tenth of the swaps, and
/// after all, with an upload between any two of them and a shadow that comes and
/// goes.
#[tokio::test]
#[ignore = "10,000 swaps: `just soak`"]
async fn soak_many_swaps() -> anyhow::Result<()> {
    let swaps = std::env::var("SOAK_SWAPS").ok().map_or(Ok(10_000), |count| count.parse())?;
    let inbox = Inbox::fresh()?;
    let settings = Settings::default()
        .set("PLUGIN_DIR", inbox.path())
        .set("ADMIN_TOKEN", ADMIN)
        .set("LOG_SAMPLE_TELEMETRY", "0");
    let mut server = Server::start(settings).await?;
    let versions = [built(POLICY)?, variant(&built(POLICY)?, 1)];
    let phone = Phone::new(1, LONG_AGO_MS);
    // Those of the start come first.
    let (mut told, mut warm) = (3, None);
    for swap in 1..=swaps {
        inbox.put(POLICY, &versions[swap % 2])?;
        told += 1;
        server.wait_for_count("plugin_swap", told).await?;
        let reading = phone.reading(LONG_AGO_MS + i64::try_from(swap)?, "kc=900");
        assert!(server.upload(&reading).await?.is_ok(), "{}", server.stderr());
        if swap % SHADOW_FOR == 0 {
            told += 1;
            come_or_go(&server, swap / SHADOW_FOR % 2 == 1).await?;
        }
        // Its shadow has just gone, as at the end.
        if swap >= swaps / 10 && swap % (2 * SHADOW_FOR) == 0 && warm.is_none() {
            warm = Some(taken(&server)?);
        }
    }
    let (warm, end) = (warm.context("as many swaps as a shadow needs")?, taken(&server)?);
    println!("{swaps} swaps: {warm:?} after a tenth of them, {end:?} after all");
    assert!(end.bytes < warm.bytes + warm.bytes / 10 + (8 << 20), "{warm:?} {end:?}");
    assert!(end.threads <= warm.threads + SLACK && end.files <= warm.files + SLACK, "{warm:?} {end:?}");
    server.stop().await?;
    Ok(())
}

async fn come_or_go(server: &Server, come: bool) -> anyhow::Result<()> {
    let path = format!("{POLICY}/shadow");
    let answer = match come {
        true => admin(server, Method::PUT, &path, variant(&built(POLICY)?, 2)).await?,
        false => admin(server, Method::DELETE, &path, Vec::new()).await?,
    };
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// What a receiver takes of the machine.
#[derive(Debug)]
struct Taken {
    bytes: u64,
    threads: usize,
    files: usize,
}

fn taken(server: &Server) -> anyhow::Result<Taken> {
    let process = server.process()?;
    let (threads, files) = (process.threads()?, process.open_files()?);
    Ok(Taken { bytes: process.resident_bytes()?, threads, files })
}
