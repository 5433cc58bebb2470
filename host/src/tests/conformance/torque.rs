//! What the reference implementation made of 78 requests, on its own PID map.
//! Where our rule decides otherwise, the answer and its reason are listed here.

use serde_json::{Map, Value, json};
use vectors::{Group, Ours, Report, agree};

use super::NOT_FINITE;
use crate::events::Code;
use crate::torque::{Catalogue, Content, Reading, Upload, decode};

const NOT_PLAUSIBLE: &str = "a level is from 0 to 100 %";
const NOT_GUESSED: &str = "a session or time that is not there is not made up";
const NOT_PYTHON: &str = "only Python reads underscores and full-width digits as a number";

/// When the requests are received.
const RECEIVED_MS: i64 = super::AT_MS;

/// The two cases whose answer is wrong because the reference's map is. They
/// are asked on the right one.
const ON_THE_RIGHT_MAP: [&str; 2] = ["torque_parse-007", "torque_parse-052"];

pub(super) fn ask(report: &mut Report) {
    let group = Group::read("torque.json", "torque_parse");
    let answers = group.cases().map(|(id, input)| {
        let right = ON_THE_RIGHT_MAP.contains(&id);
        answer(if right { Catalogue::volt_gen2() } else { Catalogue::legacy() }, input)
    });
    report.compare(&group, &decided_otherwise(), &answers.collect::<Vec<_>>());
}

/// What we make of a request. Each is made to name a device: the reference
/// does not ask for one.
fn answer(catalogue: &Catalogue, input: &Value) -> Value {
    let mut query = input["body"].as_str().expect("a request").to_owned();
    if !query.contains("id=") {
        query.push_str("&id=d1");
    }
    match decode(catalogue, query.as_bytes(), b"", RECEIVED_MS) {
        Ok(Upload { session_id, content: Content::Reading(reading), .. }) => json!({
            "session_id": session_id.to_string(),
            "timestamp_ms": reading.time_ms,
            "fields": fields(&reading),
        }),
        Ok(upload) => json!({ "kind": upload.kind().as_str() }),
        Err(refusal) => json!({ "refused": Code::from(refusal.code).as_str() }),
    }
}

/// Flags are numbers with us.
fn fields(reading: &Reading) -> Map<String, Value> {
    let value = |name: &str, value: f64| match name {
        "charger_connected" | "engine_running" => json!(value > 0.0),
        _ => json!(value),
    };
    reading.fields.iter().map(|&(name, number)| (name.to_owned(), value(name, number))).collect()
}

fn decided_otherwise() -> Vec<Ours> {
    let id = |number: &str| format!("torque_parse-{number}");
    let fields = |number, fields: Value, why| Ours::but(&id(number), json!({ "fields": fields }), why);
    let refused = |number, code: &str, why| Ours::instead(&id(number), json!({ "refused": code }), why);
    vec![
        refused("001", "E304", "header parameters alone are no reading").found_since(),
        Ours::instead(&id("004"), json!({ "kind": "profile" }), "a profile is no reading").found_since(),
        fields("007", real_request(), "ff1010 is altitude, ff1271 fuel used, ff1001 km/h"),
        fields("020", json!({}), NOT_FINITE),
        fields("021", json!({}), NOT_FINITE),
        fields("023", json!({}), NOT_FINITE),
        fields("024", json!({}), NOT_FINITE),
        fields("025", json!({}), "Float.MAX_VALUE is the app's overflow"),
        fields("032", json!({}), NOT_FINITE),
        fields("034", json!({}), NOT_PYTHON).found_since(),
        fields("052", json!({ "ambient_temp_f": 68.0 }), "the value is in °F already"),
        fields("063", json!({}), NOT_FINITE),
        fields("072", json!({ "motor_temp_max_f": 140.0 }), NOT_FINITE),
        fields("078", json!({}), NOT_PLAUSIBLE),
        fields("079", json!({}), NOT_PLAUSIBLE),
        fields("081", json!({}), "0,0 is what a phone without a fix sends"),
        refused("086", "E005", NOT_GUESSED),
        refused("094", "E005", NOT_GUESSED),
        refused("098", "E301", "no drive was before 1970"),
        refused("099", "E301", NOT_GUESSED),
        refused("100", "E301", NOT_GUESSED),
        refused("101", "E301", NOT_GUESSED),
        refused("102", "E301", NOT_GUESSED),
        refused("105", "E301", "no drive is in the year 9999 yet"),
        refused("107", "E301", NOT_GUESSED),
        refused("109", "E301", NOT_GUESSED),
        refused("110", "E301", NOT_PYTHON).found_since(),
        refused("111", "E301", NOT_PYTHON).found_since(),
    ]
}

/// Case 007 on the right map.
fn real_request() -> Value {
    json!({
        "altitude_m": -7.0,
        "ambient_temp_f": 48.2,
        "battery_voltage": 14.36,
        "coolant_temp_f": 195.8,
        "distance_mil_on_miles": 0.0,
        "engine_rpm": 892.0,
        "fuel_level_percent": 41.960_785,
        "fuel_remaining_gallons": 3.907_472_220_770_000_3,
        "gps_bearing_deg": 0.0,
        "latitude": 38.569_041_61,
        "longitude": -121.296_601_34,
        "speed_mph": 0.0,
        "throttle_position": 12.941_176,
        "trip_fuel_used_gallons": 3.787_913_8 / 3.785_411_784,
        "vehicle_speed_mph": 0.0,
    })
}

#[test]
fn on_its_own_map_we_read_those_two_as_the_reference_does() {
    let group = Group::read("torque.json", "torque_parse");
    for ((id, input), expected) in group.cases().zip(group.expected()) {
        if ON_THE_RIGHT_MAP.contains(&id) {
            let found = answer(Catalogue::legacy(), input);
            assert!(agree(expected, &found), "{id}: expected {expected}, found {found}");
        }
    }
}
