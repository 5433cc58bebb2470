//! How a group of vectors is run: reading, comparing, and what differs. No
//! group is run here.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use trip_calculator::{rules::readings::Source, settings::Settings};

/// Id of a case, what our rule gives (of an object: the fields that differ),
/// and why.
pub type Ours<'a> = (&'a str, Value, &'a str);

/// Runs all cases of a group and compares the answers numerically. `run` is
/// given a case's input.
pub fn check(file: &str, group: &str, ours: &[Ours], run: impl Fn(&Value) -> Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(file);
    let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
    let vectors: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let cases = vectors["groups"][group]["cases"].as_array().expect("a group has cases");
    let mut ours: BTreeMap<_, _> = ours.iter().map(|(id, value, why)| (*id, (value, *why))).collect();
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("a case has an id");
        let differs = case.get("bug").is_some() || case.get("differs").is_some();
        let mut expected = case.get("expect").cloned().unwrap_or(Value::Null);
        let listed = ours.remove(id);
        assert_eq!(listed.is_some(), differs, "{id}: listed here, marked in the vectors");
        if let Some((value, _)) = listed {
            merge(&mut expected, value);
        }
        let found = run(&case["in"]);
        if !agree(&expected, &found) {
            let why = listed.map_or("as the reference", |(_, why)| why);
            wrong.push(format!("{id}: expected {expected} ({why}), found {found}"));
        }
    }
    assert!(ours.is_empty(), "listed, but no case: {ours:?}");
    assert!(!cases.is_empty());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn merge(expected: &mut Value, ours: &Value) {
    match (expected.as_object_mut(), ours.as_object()) {
        (Some(expected), Some(ours)) => {
            expected.extend(ours.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        _ => *expected = ours.clone(),
    }
}

/// Whether `found` says what is expected. Of objects, only what `found` names
/// is compared, as some fields of the reference are the host's.
fn agree(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            found.iter().all(|(key, value)| expected.get(key).is_some_and(|known| agree(known, value)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| agree(e, f))
        }
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        _ => expected == found,
    }
}

/// A number of the vectors; NaN where it is missing. Non-finite ones are text.
pub fn raw(value: &Value) -> f64 {
    match value.as_str() {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or(f64::NAN),
    }
}

/// A number of the vectors, also one that is not finite: rules must cope.
pub fn number(value: &Value) -> Option<f64> {
    (!value.is_null()).then(|| raw(value))
}

/// Settings with some of them set.
pub fn settings(set: &[(&str, String)]) -> Settings {
    let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    plugin_settings::configure(&set).expect("settings of the vectors are within range")
}

/// Readings that a test makes up: times and columns.
#[derive(Default)]
pub struct Table {
    /// Epoch milliseconds.
    pub times: Vec<i64>,
    /// Columns by name.
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl Table {
    /// Readings from JSON objects; `time` gives each its time.
    pub fn new(points: &[Value], time: impl Fn(usize, &Value) -> i64) -> Self {
        let mut columns = BTreeMap::new();
        for (index, point) in points.iter().enumerate() {
            for (name, value) in point.as_object().expect("a reading is an object") {
                let column: &mut Vec<f64> =
                    columns.entry(name.clone()).or_insert_with(|| vec![f64::NAN; points.len()]);
                column[index] = raw(value);
            }
        }
        let times = points.iter().enumerate().map(|(index, point)| time(index, point)).collect();
        Self { times, columns }
    }
}

impl Source for Table {
    fn times(&self) -> Vec<i64> {
        self.times.clone()
    }

    fn column(&self, name: &str) -> Option<Vec<f64>> {
        self.columns.get(name).cloned()
    }
}
