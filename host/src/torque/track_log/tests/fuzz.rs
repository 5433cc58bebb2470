//! Any bytes at all: they are read or refused, nothing panics, every number that
//! comes out is finite, every time is one, and a second look sees the same.

use super::*;
use crate::tests::fuzz::{Target, about, seen};

fn track_log() -> Target {
    let text = include_str!("../../../../../tests/vectors/csv.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let group = |name: &str| vectors["groups"][name]["cases"].as_array().expect("cases").clone();
    let mut corpus: Vec<Vec<u8>> =
        group("csv_parse").iter().map(|case| case["in"]["text"].as_str().expect("a log").into()).collect();
    corpus.extend(group("csv_timestamp").iter().map(|case| {
        let time = case["in"]["value"].as_str().expect("a time");
        format!("GPS Time;Device Time;Altitude\n{time};03-Jan-2026 15:55:17.889;1\n{time};{time};2\n").into()
    }));
    Target { name: "track log", corpus, words: &WORDS, take: read_any }
}

const WORDS: [&str; 40] = [
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\"",
    "\0",
    "\u{feff}",
    "GPS Time,",
    "Device Time,",
    "\nGPS Time, Device Time, Latitude,Longitude\n",
    "Latitude",
    "Longitude",
    "Engine RPM(rpm)",
    "Speed (OBD)(mph)",
    "Speed (OBD)(km/h)",
    "Trip Distance(miles)",
    "Engine Coolant Temperature(°C)",
    "!! SOC(Raw)(%)",
    "GPS Speed (Meters/second)",
    "Charger Power(W)",
    "(",
    ")",
    "-",
    "∞",
    "-∞",
    "NaN",
    "0",
    "91",
    "1e308",
    "37,5",
    "Sat Jan 03 15:55:17 PST 2026",
    "03-Jan-2026 15:55:17.889",
    "2026-01-07 10:15:00",
    "2026-01-07T10:15:00Z",
    "13/02/2024 12:30:45",
    "01.02.2024 12:30:45",
    "1767312345678",
    "GMT-03:30",
    "driver@b.example",
];

fn read_any(input: &[u8]) -> u64 {
    let Ok((logged, bad)) = read(input) else {
        return seen(read(input).expect_err("as before").to_string());
    };
    for one in &logged {
        let reading = &one.reading;
        assert!((100_000_000_000..=RECEIVED_MS + 86_400_000).contains(&reading.time_ms));
        assert!(reading.fields.iter().all(|(_, value)| value.is_finite()), "{reading:?}");
        assert!(reading.fields.is_sorted_by(|a, b| a.0 < b.0));
        assert!(reading.unknown.is_sorted_by(|a, b| a.0 < b.0));
        assert!(!reading.unknown_to_json().contains("\\u0000"));
        let mut told = reading.clone();
        told.redact(&by_shape(|_| "hidden".to_owned()));
        assert!(!format!("{told:?}").contains("driver@b.example"), "{told:?}");
    }
    assert!(bad.is_sorted_by(|a, b| a.0 < b.0), "{bad:?}");
    let again = read(input).expect("as before");
    assert!(again == (logged.clone(), bad.clone()));
    let fields: usize = logged.iter().map(|one| one.reading.fields.len()).max().unwrap_or_default();
    let dropped = logged.iter().any(|one| one.dropped_values_count > 0);
    let reasons: std::collections::BTreeSet<_> = bad.iter().map(|(_, reason)| *reason).collect();
    seen((about(logged.len()), about(fields), dropped, reasons))
}

#[test]
fn odd_logs_are_read_or_refused() {
    track_log().briefly();
}

#[test]
#[ignore = "takes as long as it is given: just fuzz"]
fn fuzz_track_log() {
    track_log().at_length();
}
