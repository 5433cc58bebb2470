//! What the reference implementation made of 78 requests, on its own PID map.
//! Where our rule decides otherwise, the answer and its reason are listed here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/torque.json");

/// Our answer where it is not the reference's.
enum Ours {
    /// A reading with exactly these fields.
    Fields(&'static [(&'static str, f64)]),
    Kind(UploadKind),
    Refused(RefusalCode),
    /// The reference's answer on its own map, and these fields on the right one.
    RightMap(&'static [(&'static str, f64)]),
}

use Ours::{Fields, Kind, Refused, RightMap};

const NOT_FINITE: &str = "a value that is not finite is no value";
const NOT_PLAUSIBLE: &str = "a level is from 0 to 100 %";
const NOT_GUESSED: &str = "a session or time that is not there is not made up";
const NOT_PYTHON: &str = "only Python reads underscores and full-width digits as a number";

/// Case number, whether the file marks it as decided otherwise, our answer, why.
const DECIDED_OTHERWISE: [(&str, bool, Ours, &str); 28] = [
    ("001", false, Refused(RefusalCode::NoTelemetry), "header parameters alone are no reading"),
    ("004", false, Kind(UploadKind::Profile), "a profile is no reading"),
    ("007", true, RightMap(&REAL_REQUEST), "ff1010 is altitude, ff1271 fuel used, ff1001 km/h"),
    ("020", true, Fields(&[]), NOT_FINITE),
    ("021", true, Fields(&[]), NOT_FINITE),
    ("023", true, Fields(&[]), NOT_FINITE),
    ("024", true, Fields(&[]), NOT_FINITE),
    ("025", true, Fields(&[]), "Float.MAX_VALUE is the app's overflow"),
    ("032", true, Fields(&[]), NOT_FINITE),
    ("034", false, Fields(&[]), NOT_PYTHON),
    ("052", true, RightMap(&[("ambient_temp_f", 68.0)]), "the value is in °F already"),
    ("063", true, Fields(&[]), NOT_FINITE),
    ("072", true, Fields(&[("motor_temp_max_f", 140.0)]), NOT_FINITE),
    ("078", true, Fields(&[]), NOT_PLAUSIBLE),
    ("079", true, Fields(&[]), NOT_PLAUSIBLE),
    ("081", true, Fields(&[]), "0,0 is what a phone without a fix sends"),
    ("086", true, Refused(RefusalCode::BadSession), NOT_GUESSED),
    ("094", true, Refused(RefusalCode::BadSession), NOT_GUESSED),
    ("098", true, Refused(RefusalCode::BadTime), "no drive was before 1970"),
    ("099", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("100", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("101", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("102", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("105", true, Refused(RefusalCode::BadTime), "no drive is in the year 9999 yet"),
    ("107", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("109", true, Refused(RefusalCode::BadTime), NOT_GUESSED),
    ("110", false, Refused(RefusalCode::BadTime), NOT_PYTHON),
    ("111", false, Refused(RefusalCode::BadTime), NOT_PYTHON),
];

/// Case 007 on the right map.
const REAL_REQUEST: [(&str, f64); 15] = [
    ("altitude_m", -7.0),
    ("ambient_temp_f", 48.2),
    ("battery_voltage", 14.36),
    ("coolant_temp_f", 195.8),
    ("distance_mil_on_miles", 0.0),
    ("engine_rpm", 892.0),
    ("fuel_level_percent", 41.960_785),
    ("fuel_remaining_gallons", 3.907_472_220_770_000_3),
    ("gps_bearing_deg", 0.0),
    ("latitude", 38.569_041_61),
    ("longitude", -121.296_601_34),
    ("speed_mph", 0.0),
    ("throttle_position", 12.941_176),
    ("trip_fuel_used_gallons", 3.787_913_8 / 3.785_411_784),
    ("vehicle_speed_mph", 0.0),
];

struct Case {
    number: String,
    marked: bool,
    query: String,
    session_id: String,
    time_ms: Option<i64>,
    fields: BTreeMap<String, f64>,
}

/// The cases, each made to name a device: the reference does not ask for one.
fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(VECTORS).expect("the vectors are part of the repository");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let cases = file["groups"]["torque_parse"]["cases"].as_array().expect("cases");
    cases.iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number_of = |value: &Value| match value {
        Value::Bool(yes) => f64::from(*yes),
        Value::String(not_finite) => not_finite.parse().expect("a float in words"),
        other => other.as_f64().expect("a number"),
    };
    let mut query = text(&case["in"]["body"]);
    if !query.contains("id=") {
        query.push_str("&id=d1");
    }
    let fields = case["expect"]["fields"].as_object();
    Case {
        number: text(&case["id"]).replace("torque_parse-", ""),
        marked: case.get("bug").is_some() || case.get("differs").is_some(),
        query,
        session_id: text(&case["expect"]["session_id"]),
        time_ms: case["expect"]["timestamp_ms"].as_i64(),
        fields: fields.into_iter().flatten().map(|(name, value)| (name.clone(), number_of(value))).collect(),
    }
}

fn answer(catalogue: &Catalogue, case: &Case) -> Result<Upload, Refusal> {
    decode(catalogue, case.query.as_bytes(), b"", RECEIVED_MS)
}

fn fields_of(answer: Result<Upload, Refusal>, case: &Case) -> BTreeMap<String, f64> {
    let Ok(Upload { content: Content::Reading(reading), .. }) = answer else {
        panic!("{}: not a reading: {answer:?}", case.number)
    };
    reading.fields.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}

fn owned(fields: &[(&str, f64)]) -> BTreeMap<String, f64> {
    fields.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}

/// The reference's answer, to the last digit.
fn assert_as_recorded(case: &Case) {
    let upload = answer(Catalogue::legacy(), case).expect("an upload");
    assert_eq!(upload.session_id.to_string(), case.session_id, "{}", case.number);
    let Content::Reading(reading) = &upload.content else { panic!("{}: no reading", case.number) };
    assert_eq!(Some(reading.time_ms), case.time_ms, "{}", case.number);
    assert_eq!(fields_of(Ok(upload), case), case.fields, "{}", case.number);
}

#[test]
fn requests_are_read_as_by_the_reference_but_where_decided_otherwise() {
    let cases = cases();
    assert_eq!(cases.len(), 78);
    for case in &cases {
        let number = &case.number;
        let decided = DECIDED_OTHERWISE.iter().find(|(listed, ..)| listed == number);
        let Some((_, _, ours, why)) = decided else {
            assert_as_recorded(case);
            continue;
        };
        let legacy = answer(Catalogue::legacy(), case);
        match ours {
            Fields(fields) => assert_eq!(fields_of(legacy, case), owned(fields), "{number}: {why}"),
            Kind(kind) => assert_eq!(legacy.map(|upload| upload.kind()), Ok(*kind), "{number}: {why}"),
            Refused(code) => {
                assert_eq!(legacy.map_err(|refusal| refusal.code), Err(*code), "{number}: {why}");
            }
            RightMap(fields) => {
                assert_as_recorded(case);
                let right = answer(Catalogue::volt_gen2(), case);
                assert_eq!(fields_of(right, case), owned(fields), "{number}: {why}");
            }
        }
    }
}

#[test]
fn the_cases_decided_otherwise_are_those_the_file_marks() {
    let marked: BTreeSet<String> =
        cases().into_iter().filter(|case| case.marked).map(|case| case.number).collect();
    let listed = DECIDED_OTHERWISE.iter().filter(|(_, marked, ..)| *marked);
    assert_eq!(marked, listed.map(|(number, ..)| (*number).to_owned()).collect());
}
