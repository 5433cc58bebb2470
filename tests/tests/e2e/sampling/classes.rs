//! How much is kept of each class of vehicles: what the host's coin makes of
//! the default policy, held against exact binomial intervals.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use e2e::{Server, Settings, upload_all};

use super::{LONG_AGO_MS, production};
use crate::volt::{Phone, now_ms};

/// Trips with which the default rules call a vehicle heavy.
const HEAVY_TRIPS: usize = 100;
/// Uploads of a trip, the one included that opens it and is always kept.
const UPLOADS_A_TRIP: usize = 200;
/// Trips of each vehicle while it is counted.
const TRIPS: usize = 6;
const TRIP_MS: i64 = 86_400_000;

/// A class of vehicles: which phones, and what is kept of their ordinary events.
struct Class {
    reason: &'static str,
    phones: RangeInclusive<u32>,
    share: f64,
    /// When their accounts began.
    since_ms: i64,
}

/// Heavy, new and other vehicles, 10, 20 and 70 % of all.
fn classes() -> [Class; 3] {
    let lately = now_ms() - 7 * TRIP_MS;
    [
        Class { reason: "heavy_user", phones: 1..=1, share: 1.0, since_ms: LONG_AGO_MS },
        Class { reason: "new_user", phones: 2..=3, share: 0.25, since_ms: lately },
        Class { reason: "base_rate", phones: 4..=10, share: 0.05, since_ms: LONG_AGO_MS },
    ]
}

impl Class {
    fn ordinary(&self) -> usize {
        self.phones.clone().count() * TRIPS * (UPLOADS_A_TRIP - 1)
    }
}

/// What was kept of the uploads that no override decided, by the reason told:
/// events, and how many they stand for.
type Kept = BTreeMap<String, (usize, f64)>;

#[tokio::test]
async fn of_each_class_of_vehicles_its_share_is_kept_and_stands_for_all() -> anyhow::Result<()> {
    // A right coin leaves one of three intervals of 99.9 % in one run of a few
    // hundred, and does so twice in one of a hundred thousand.
    let (first, cut) = run().await?;
    if let Err(outside) = shares_are_likely(&first) {
        println!("once more: {outside}");
        let (second, _) = run().await?;
        shares_are_likely(&second).map_err(|again| anyhow::anyhow!("{outside}; and again: {again}"))?;
    }
    println!("kept {first:?}, the volume is cut by {:.1} %", cut * 100.0);
    assert!(cut >= 0.8, "the volume is cut by {cut}");
    Ok(())
}

fn shares_are_likely(kept: &Kept) -> Result<(), String> {
    for class in classes() {
        let (events, total) = kept.get(class.reason).copied().unwrap_or_default();
        let likely = likely(class.ordinary(), class.share);
        // A sum of rates is rounded, as each of them is.
        let weighted =
            (*likely.start() as f64 - 1e-6) / class.share..=(*likely.end() as f64 + 1e-6) / class.share;
        if !likely.contains(&events) {
            return Err(format!("{}: {events} events are kept, {likely:?} would be likely", class.reason));
        }
        if !weighted.contains(&total) {
            return Err(format!("{}: they stand for {total}, {weighted:?} would be likely", class.reason));
        }
    }
    Ok(())
}

/// What was kept of each class, and by how much the volume of uploads' events
/// was cut.
async fn run() -> anyhow::Result<(Kept, f64)> {
    let settings = production().set("SAMPLING_UNIT", "request").in_a_fresh_folder()?;
    live_through_the_past(&settings).await?;
    let mut server = Server::start(settings).await?;
    for trip in 0..TRIPS {
        let phones = || {
            classes().into_iter().flat_map(move |class| {
                // The past has a trip a day, from the account's first day on.
                let day = if class.since_ms == LONG_AGO_MS { HEAVY_TRIPS + trip } else { trip };
                let start_ms = class.since_ms + i64::try_from(day).unwrap_or_default() * TRIP_MS + 3_600_000;
                class.phones.map(move |number| (Phone::new(number, start_ms), start_ms))
            })
        };
        // What opens a trip comes first, so that it is one event a trip.
        let opening = phones().map(|(phone, start_ms)| phone.reading(start_ms, "kc=900")).collect();
        upload_all(server.address(), opening, 4).await?;
        let ordinary = (1..UPLOADS_A_TRIP as i64).flat_map(|second| {
            phones().map(move |(phone, start_ms)| phone.reading(start_ms + second * 1000, "kc=900"))
        });
        let answers = upload_all(server.address(), ordinary.collect(), 8).await?;
        assert!(answers.iter().all(e2e::Answer::is_ok));
    }
    let events = server.stop().await?;
    let uploads: Vec<_> = events.iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    let sent =
        classes().iter().map(|class| class.phones.clone().count()).sum::<usize>() * TRIPS * UPLOADS_A_TRIP;
    let cut = 1.0 - uploads.len() as f64 / sent as f64;
    let mut kept = Kept::new();
    for event in uploads.into_iter().filter(|event| event["sampling"]["reason"] != "critical_event") {
        assert_eq!(event["success"], true, "{event}");
        let (events, total) =
            kept.entry(event["sampling"]["reason"].as_str().unwrap_or_default().to_owned()).or_default();
        *events += 1;
        *total += event["sampling"]["rate"].as_f64().unwrap_or_default();
    }
    Ok((kept, cut))
}

/// The heavy vehicle's closed trips, and the old accounts' first ones.
async fn live_through_the_past(settings: &Settings) -> anyhow::Result<()> {
    let mut server = Server::start(settings.clone().set("TRIP_TIMEOUT_SECONDS", "1")).await?;
    let mut past = Vec::new();
    for class in classes().iter().filter(|class| class.since_ms == LONG_AGO_MS) {
        for number in class.phones.clone() {
            let trips = if class.reason == "heavy_user" { HEAVY_TRIPS } else { 1 };
            past.extend((0..trips).map(|trip| {
                let start_ms = class.since_ms + i64::try_from(trip).unwrap_or_default() * TRIP_MS;
                Phone::new(number, start_ms).reading(start_ms, "kc=900")
            }));
        }
    }
    let trips = past.len();
    upload_all(server.address(), past, 4).await?;
    let finalized = server.wait_for_operation("trip_finalization", trips).await?;
    assert!(finalized.iter().all(|event| event["success"] == true));
    server.stop().await?;
    Ok(())
}

/// Where the number of heads among `coins` lies in 99.9 % of all cases: exact
/// quantiles of the binomial distribution.
fn likely(coins: usize, share: f64) -> RangeInclusive<usize> {
    if share >= 1.0 {
        return coins..=coins;
    }
    let ln_factorials: Vec<f64> = std::iter::once(0.0)
        .chain((1..=coins).scan(0.0, |sum, n| {
            *sum += (n as f64).ln();
            Some(*sum)
        }))
        .collect();
    let probability = |heads: usize| {
        let ways = ln_factorials[coins] - ln_factorials[heads] - ln_factorials[coins - heads];
        (ways + heads as f64 * share.ln() + (coins - heads) as f64 * (1.0 - share).ln()).exp()
    };
    let quantile = |tail: f64| {
        let mut below = 0.0;
        (0..=coins).find(|&heads| {
            below += probability(heads);
            below >= tail
        })
    };
    quantile(0.0005).unwrap_or(0)..=quantile(0.9995).unwrap_or(coins)
}

#[test]
fn quantiles_are_those_of_the_binomial_distribution() {
    // Summed by another program.
    assert_eq!(likely(600, 0.05), 14..=49);
    assert_eq!(likely(10, 1.0), 10..=10);
}
