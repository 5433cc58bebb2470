//! A real drive: every request of a phone's log, in the order received. The log
//! is not part of the repository; without it this is skipped, but not in CI.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/torque-drive.queries");

/// The log's lines, or `None` where it is not at hand.
pub(super) fn log() -> Option<String> {
    match std::fs::read_to_string(Path::new(LOG)) {
        Ok(log) => Some(log),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{LOG}: {error}");
            println!("SKIPPED: {LOG}: {error}");
            None
        }
    }
}

#[test]
fn every_request_of_a_real_drive_is_read() {
    let Some(log) = log() else { return };
    let mut kinds = BTreeMap::new();
    for line in log.lines() {
        let upload = decode(Catalogue::volt_gen2(), line.as_bytes(), b"", RECEIVED_MS)
            .expect("a request of a real phone");
        *kinds.entry(upload.kind().as_str()).or_insert(0) += 1;
        match upload.content {
            Content::Reading(reading) => check(&reading, line),
            Content::DefaultUnits { units, conflicts } => {
                assert!(units.len() > 100);
                assert_eq!(conflicts, []);
            }
            Content::Profile(profile) => assert_eq!(profile.name.as_deref(), Some("Van")),
            Content::Notice { text, .. } => assert_eq!(text, "Trip started"),
            Content::UserUnits(units) => assert!(units.len() > 400),
        }
    }
    let expected =
        [("default_units", 1), ("notice", 1), ("profile", 1), ("telemetry", 526), ("user_units", 1)];
    assert_eq!(kinds, BTreeMap::from(expected));
}

fn check(reading: &Reading, line: &str) {
    assert!(reading.fields.iter().all(|(_, value)| value.is_finite()), "{line}");
    assert!(reading.fields.is_sorted_by_key(|&(name, _)| name), "{line}");
    assert!(!reading.position_dropped && reading.get("latitude").is_some(), "{line}");
    let speed = reading.get("speed_mph").expect("a speed in every reading");
    assert!((0.0..70.0).contains(&speed), "{speed} mph in a van: {line}");
}

/// Prints how long reading a full request takes: run with
/// `cargo test --release -- --ignored --nocapture time_to_read`.
#[test]
#[ignore = "measures, and says nothing on a busy machine"]
fn time_to_read_a_full_request() {
    let Some(log) = log() else { return };
    let full: Vec<&[u8]> = log
        .lines()
        .filter(|line| line.split('&').count() >= 85 && line.contains("&kff1005="))
        .map(str::as_bytes)
        .collect();
    let mut best = f64::MAX;
    for _ in 0..50 {
        let started = std::time::Instant::now();
        for line in &full {
            let upload = decode(Catalogue::volt_gen2(), std::hint::black_box(line), b"", RECEIVED_MS);
            std::hint::black_box(upload).expect("a reading");
        }
        let count = u32::try_from(full.len()).expect("a short log");
        best = best.min(started.elapsed().as_secs_f64() / f64::from(count));
    }
    println!("{:.2} µs per request of 85 to 95 parameters", best * 1e6);
}
