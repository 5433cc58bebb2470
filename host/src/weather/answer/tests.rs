//! Answers of every kind, fit and unfit.

use super::*;
use crate::tests::fuzz::{Target, about, seen};

/// An answer of the real service, cut to three hours.
const REAL: &str = r#"{"latitude":37.25,"longitude":-121.5,"generationtime_ms":0.07,"utc_offset_seconds":0,
    "timezone":"GMT","timezone_abbreviation":"GMT","elevation":96.0,
    "hourly_units":{"time":"iso8601","temperature_2m":"°F","precipitation":"inch","wind_speed_10m":"mp/h",
        "weather_code":"wmo code"},
    "hourly":{"time":["2026-01-05T12:00","2026-01-05T13:00","2026-01-05T14:00"],
        "temperature_2m":[42.1,43.0,null],"precipitation":[0.000,0.012,null],"wind_speed_10m":[12.0,13.4,null],
        "weather_code":[3,61,null]}}"#;

/// The fifth of January 2026, noon.
const NOON: i64 = 491_004;

fn unfit(body: &str) -> String {
    parse(body.as_bytes()).expect_err("not fit").to_string()
}

#[test]
fn each_hour_has_what_the_answer_says_of_it() {
    let hours = parse(REAL.as_bytes()).expect("fit");
    assert_eq!(hours.keys().copied().collect::<Vec<_>>(), [NOON, NOON + 1], "an hour of nulls says nothing");
    let wet = Hour {
        temperature_f: Some(43.0),
        precipitation_in: Some(0.012),
        wind_speed_mph: Some(13.4),
        weather_code: Some(61),
    };
    assert_eq!(hours[&(NOON + 1)], wet);
    assert!(wet.is_raining() && !hours[&NOON].is_raining());
}

#[test]
fn an_answer_in_other_units_or_another_zone_is_unfit() {
    assert_eq!(unfit(&REAL.replace("°F", "°C")), "temperature_2m is °C, not °F");
    assert_eq!(unfit(&REAL.replace("mp/h", "km/h")), "wind_speed_10m is km/h, not mp/h");
    let zoned = REAL.replace("\"utc_offset_seconds\":0", "\"utc_offset_seconds\":-28800");
    assert_eq!(unfit(&zoned), "utc_offset_seconds is -28800, not 0");
}

#[test]
fn an_answer_that_breaks_off_is_told_from_one_that_is_wrong() {
    let half = &REAL[..REAL.len() / 2];
    assert!(matches!(parse(half.as_bytes()), Err(Unfit::BrokenOff(_))));
    assert!(matches!(parse(b""), Err(Unfit::BrokenOff(_))));
    for wrong in
        ["{}", "[]", "null", "<html>", r#"{"hourly":{"time":[1]}}"#, &REAL.replace("43.0", "\"mild\"")]
    {
        assert!(matches!(parse(wrong.as_bytes()), Err(Unfit::Other(_))), "{wrong}");
    }
}

#[test]
fn what_cannot_be_is_left_out() {
    let odd = REAL.replace("0.012", "-0.012").replace("13.4", "-1").replace("2026-01-05T12:00", "noon");
    let hours = parse(odd.as_bytes()).expect("fit");
    assert_eq!(hours.len(), 1);
    assert_eq!((hours[&(NOON + 1)].precipitation_in, hours[&(NOON + 1)].wind_speed_mph), (None, None));
    let empty = r#"{"hourly":{"time":[],"temperature_2m":[]}}"#;
    assert_eq!(parse(empty.as_bytes()).expect("fit"), BTreeMap::new());
}

fn answers() -> Target {
    let corpus =
        [REAL, "{}", r#"{"hourly":{"time":["2026-01-05T00:00"]}}"#, r#"{"error":true,"reason":"why"}"#];
    let corpus = corpus.map(|body| body.as_bytes().to_vec()).to_vec();
    Target { name: "answer of the weather service", corpus, words: &WORDS, take: parse_any }
}

const WORDS: [&str; 12] = [
    "null",
    "1e308",
    "-1",
    "[]",
    "{}",
    "\"",
    ",",
    "\"hourly\":",
    "\"time\":",
    "9999-12-31T23:00",
    "99999999999",
    "°F",
];

fn parse_any(input: &[u8]) -> u64 {
    match parse(input) {
        Ok(hours) => {
            for hour in hours.values() {
                assert!(*hour != Hour::default());
                assert!(hour.temperature_f.is_none_or(f64::is_finite));
                let amounts = [hour.precipitation_in, hour.wind_speed_mph];
                assert!(amounts.into_iter().flatten().all(|amount| amount.is_finite() && amount >= 0.0));
            }
            seen(about(hours.len()))
        }
        Err(unfit) => seen(std::mem::discriminant(&unfit)),
    }
}

#[test]
fn odd_answers_give_hours_or_are_unfit() {
    answers().briefly();
}

#[test]
#[ignore = "takes as long as it is given: just fuzz"]
fn fuzz_answer_of_the_weather_service() {
    answers().at_length();
}
