//! What the reference implementation made of times and rows of track logs. Where
//! our rule decides otherwise, the answer and its reason are listed here.

use std::io::Cursor;

use jiff::Timestamp;
use serde_json::{Value, json};
use vectors::{Group, Ours, Report};

use super::NOT_FINITE;
use crate::torque::Catalogue;
use crate::torque::track_log::{Rows, TrackLogError, survey};

const ZONE: &str = "a zone's abbreviation is an offset";
const OBD_SPEED: &str = "the car's own speed has a field of its own";
const NOT_ODOMETER: &str = "a trip's distance is no odometer, and 1 mph is 0.44704 m/s";

/// When the files are received: some of the times are in 2033.
const RECEIVED_MS: i64 = 2_240_611_200_000;

pub(super) fn ask(report: &mut Report) {
    let times = Group::read("csv.json", "csv_timestamp");
    let answers: Vec<_> =
        times.inputs().map(|input| time(input["value"].as_str().expect("a text"))).collect();
    report.compare(&times, &times_decided_otherwise(), &answers);
    let files = Group::read("csv.json", "csv_parse");
    let answers: Vec<_> = files.inputs().map(|input| file(input["text"].as_str().expect("a text"))).collect();
    report.compare(&files, &files_decided_otherwise(), &answers);
}

/// The time of a file's only row.
fn time(text: &str) -> Value {
    let file = file(&format!("GPS Time;Engine RPM(rpm)\n{text};900\n"));
    file["records"][0]["timestamp"].clone()
}

/// What we make of a file. Values that are dropped are the reference's warnings.
fn file(text: &str) -> Value {
    let rows = text.lines().count() - 1;
    let stats = |rows: usize, parsed: usize, reason: Option<&str>, column: bool, warnings: u32| {
        json!({
            "total_rows": rows, "parsed_rows": parsed, "skipped_rows": rows - parsed,
            "failure_reason": reason, "timestamp_column_found": column, "validation_warnings": warnings,
        })
    };
    let catalogue = Catalogue::volt_gen2();
    let survey = match survey(catalogue, Cursor::new(text)) {
        Ok(survey) => survey,
        Err(TrackLogError::Unfit(why)) if why.contains("no row") => {
            return json!({ "records": [], "stats": stats(rows, 0, Some("empty_file"), true, 0) });
        }
        Err(error) => {
            assert!(error.to_string().contains("neither GPS Time nor Device Time"), "{error}");
            return json!({ "records": [], "stats": stats(rows, 0, Some("no_timestamp_column"), false, 0) });
        }
    };
    assert_eq!(survey.rows, rows as u64);
    let mut log = Rows::begin(catalogue, &survey, Cursor::new(text), RECEIVED_MS).expect("surveyed");
    let (mut records, mut warnings, mut blank) = (Vec::new(), 0, false);
    while let Some(row) = log.advance().expect("it can be read") {
        let logged = match row.read() {
            Ok(logged) => logged,
            Err(reason) => {
                blank |= reason == "it has a time and no value";
                continue;
            }
        };
        warnings += logged.dropped_values_count;
        let mut record = json!({ "timestamp": iso(logged.reading.time_ms) });
        for &(name, value) in &logged.reading.fields {
            record[name] = json!(value);
        }
        records.push(record);
    }
    let reason = if blank { "no_values" } else { "all_timestamps_unparseable" };
    let reason = records.is_empty().then_some(reason);
    let stats = stats(rows, records.len(), reason, true, warnings);
    json!({ "records": records, "stats": stats })
}

fn iso(time_ms: i64) -> String {
    let format = if time_ms % 1000 == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    Timestamp::from_millisecond(time_ms).expect("a time").strftime(format).to_string()
}

fn times_decided_otherwise() -> Vec<Ours> {
    vec![
        Ours::instead("csv_timestamp-004", json!("2016-03-29T13:58:19+00:00"), ZONE),
        Ours::the_same("csv_timestamp-009", "no date of the file tells the order: the month is first"),
        Ours::the_same("csv_timestamp-010", "this date tells the file's order"),
    ]
}

fn files_decided_otherwise() -> Vec<Ours> {
    let records = |id, records: Value, why| Ours::but(id, json!({ "records": records }), why);
    vec![
        records(
            "csv_parse-001",
            json!([{
                "timestamp": "2026-01-03T23:55:17+00:00",
                "latitude": 32.714_400_49,
                "longitude": -117.142_549_24,
                "speed_mph": 22.37,
                "vehicle_speed_mph": 22.0,
                "engine_rpm": 1399.25,
                "fuel_level_percent": 39.61,
                "fuel_remaining_gallons": 3.688_562_420_000_000_2,
                "state_of_charge": 13.73,
                "ambient_temp_f": 59.9,
                "trip_distance_miles": 0.0,
                "hv_battery_power_kw": -6.64,
            }]),
            OBD_SPEED,
        ),
        records(
            "csv_parse-002",
            json!([{
                "timestamp": "2026-01-03T19:35:08+00:00",
                "latitude": 33.8,
                "longitude": -116.4,
                "speed_mph": 2.74 / 0.447_04,
            }]),
            ZONE,
        ),
        records(
            "csv_parse-007",
            json!([{
                "timestamp": "2026-01-07T10:15:00+00:00",
                "speed_mph": 100.0 / 1.609_344,
                "trip_distance_miles": 10.0 / 1.609_344,
            }]),
            NOT_ODOMETER,
        ),
        Ours::instead(
            "csv_parse-008",
            json!({ "records": [], "stats": {
                "total_rows": 1, "parsed_rows": 0, "skipped_rows": 1, "failure_reason": "no_values",
                "timestamp_column_found": true, "validation_warnings": 0,
            } }),
            NOT_FINITE,
        )
        .found_since(),
        records(
            "csv_parse-009",
            json!([{ "timestamp": "2026-01-07T10:15:00+00:00", "latitude": 37.5 }]),
            "a file of semicolons has commas in its numbers",
        )
        .found_since(),
    ]
}
