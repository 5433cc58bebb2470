//! Which events are kept in production: of an old account, whose uploads are
//! ordinary.

mod classes;

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Server, Settings, upload_all};
use serde_json::Value;

use crate::volt::Phone;

/// Years before any test: an account older than 30 days.
const LONG_AGO_MS: i64 = 1_600_000_000_000;

fn production() -> Settings {
    Settings::default()
        .set("ENVIRONMENT", "production")
        .set("ID_KEY", "a key that never changes")
        // However slow this machine is, no upload is to be kept for it.
        .set("LOG_SLOW_THRESHOLD_MS", "600000")
}

#[tokio::test]
async fn of_the_ordinary_uploads_one_in_twenty_is_kept_and_stands_for_twenty() -> anyhow::Result<()> {
    const ORDINARY: usize = 600;
    /// Between these the count of 600 coins of 5 % lies in all but 1 of
    /// 10,000 runs (exact binomial quantiles).
    const LIKELY: std::ops::RangeInclusive<usize> = 12..=53;
    let mut server = Server::start(production().set("SAMPLING_UNIT", "request")).await?;
    let phone = Phone::new(1, LONG_AGO_MS);
    assert!(server.upload(&phone.reading(LONG_AGO_MS, "kc=900")).await?.is_ok());
    let queries = (1..=ORDINARY).map(|n| phone.reading(LONG_AGO_MS + n as i64 * 1000, "kc=900")).collect();
    upload_all(server.address(), queries, 8).await?;
    let events = server.stop().await?;

    let uploads: Vec<_> = events.iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    let (critical, ordinary): (Vec<_>, Vec<_>) =
        uploads.into_iter().partition(|event| event["business_metrics"]["trip_created"] == true);
    assert_eq!(critical.len(), 1);
    assert_eq!(critical[0]["sampling"]["reason"], "critical_event");
    assert_eq!(critical[0]["sampling"]["rate"], 1.0);
    assert!(LIKELY.contains(&ordinary.len()), "{} kept", ordinary.len());
    for event in &ordinary {
        assert_eq!(event["sampling"]["reason"], "base_rate", "{event}");
        assert_eq!(event["sampling"]["probability"], 0.05);
        assert_eq!(event["sampling"]["rate"], 20.0);
    }
    let stop = events.last().expect("a stop has its event");
    // The start, an activation in each slot, the upload that opened the trip,
    // and the kept ordinary ones.
    assert_eq!(stop["events_kept"], 1 + 3 + 1 + ordinary.len());
    assert_eq!(stop["events_sampled_out"], ORDINARY - ordinary.len());
    Ok(())
}

#[tokio::test]
async fn the_ordinary_uploads_of_a_trip_stay_or_go_together_and_a_higher_rate_only_adds() -> anyhow::Result<()>
{
    const TRIPS: usize = 40;
    let few = kept_trips("0.2", TRIPS).await?;
    let more = kept_trips("0.5", TRIPS).await?;
    // The key is fixed, and so is every coin.
    assert!(!few.is_empty() && few.len() < more.len() && more.len() < TRIPS, "{few:?} {more:?}");
    assert!(few.is_subset(&more), "{few:?} {more:?}");
    Ok(())
}

/// The traces whose ordinary uploads were kept.
async fn kept_trips(rate: &str, trips: usize) -> anyhow::Result<BTreeSet<String>> {
    const ORDINARY: usize = 3;
    let settings = production().set("LOG_SAMPLE_TELEMETRY", rate).set("SAMPLING_UNIT", "trace");
    let mut server = Server::start(settings).await?;
    let phones: Vec<_> = (0..trips).map(|n| Phone::new(1, LONG_AGO_MS + n as i64 * 1_000_000)).collect();
    let readings = |number: usize| -> anyhow::Result<Vec<String>> {
        phones
            .iter()
            .map(|phone| Ok(phone.reading(phone.session.parse::<i64>()? + number as i64 * 1000, "kc=900")))
            .collect()
    };
    for number in 0..=ORDINARY {
        upload_all(server.address(), readings(number)?, 4).await?;
    }
    let mut kept = BTreeMap::<String, usize>::new();
    for event in server.stop().await? {
        if event["sampling"]["reason"] == "base_rate" {
            *kept.entry(trace(&event)).or_default() += 1;
        }
    }
    assert!(kept.values().all(|&count| count == ORDINARY), "{kept:?}");
    Ok(kept.into_keys().collect())
}

fn trace(event: &Value) -> String {
    event["trace_id"].as_str().unwrap_or_default().to_owned()
}
