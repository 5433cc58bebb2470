//! The reference implementation's answers (the JSON files beside this crate),
//! and how ours are compared with them and tallied. No rule is asked here, and
//! no answer of ours is listed here.

mod compare;
mod report;

use std::path::Path;

use serde_json::Value;

pub use compare::{Ours, agree};
pub use report::Report;

/// One group of cases.
#[derive(Debug)]
pub struct Group {
    name: String,
    run_in: String,
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    id: String,
    input: Value,
    expected: Value,
    /// Whether the file says that our rule decides otherwise.
    marked: bool,
}

impl Group {
    /// The group of that name in one of the files.
    ///
    /// # Panics
    /// There is no such group, or no case in it.
    #[must_use]
    pub fn read(file: &str, name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
        let mut file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
        let group = file["groups"][name].take();
        let run_in = group["run_in"].as_str().expect("a group says where it runs").to_owned();
        let cases: Vec<_> = group["cases"].as_array().expect("a group has cases").iter().map(case).collect();
        assert!(!cases.is_empty(), "{name} has no case");
        Self { name: name.to_owned(), run_in, cases }
    }

    /// What is asked in each case.
    pub fn inputs(&self) -> impl Iterator<Item = &Value> {
        self.cases.iter().map(|case| &case.input)
    }

    /// Each case's id, and what is asked in it.
    pub fn cases(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.cases.iter().map(|case| (case.id.as_str(), &case.input))
    }

    /// The reference's answer in each case.
    pub fn expected(&self) -> impl Iterator<Item = &Value> {
        self.cases.iter().map(|case| &case.expected)
    }
}

fn case(case: &Value) -> Case {
    Case {
        id: case["id"].as_str().expect("a case has an id").to_owned(),
        input: case["in"].clone(),
        expected: case["expect"].clone(),
        marked: case.get("bug").is_some() || case.get("differs").is_some(),
    }
}

/// A number of the vectors; NaN where it is missing. What is not finite is a
/// text there.
#[must_use]
pub fn raw(value: &Value) -> f64 {
    match value.as_str() {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or(f64::NAN),
    }
}

/// A number of the vectors where there is one, also one that is not finite:
/// rules must cope.
#[must_use]
pub fn number(value: &Value) -> Option<f64> {
    (!value.is_null()).then(|| raw(value))
}

/// Epoch milliseconds of a time such as `2026-01-03T15:00:01.500000+00:00`.
///
/// # Panics
/// It is not in January 2026, as all times of the vectors are.
#[must_use]
pub fn milliseconds(text: &str) -> i64 {
    const JANUARY_2026_MS: i64 = 1_767_225_600_000;
    let clock = text.strip_prefix("2026-01-").expect("a day in January 2026");
    let (clock, zone) = clock.split_at(clock.len() - "+00:00".len());
    assert_eq!(zone, "+00:00");
    let part = |from: usize, to: usize| clock[from..to].parse::<i64>().expect("digits");
    let minutes = ((part(0, 2) - 1) * 24 + part(3, 5)) * 60 + part(6, 8);
    let seconds: f64 = clock[9..].parse().expect("seconds");
    JANUARY_2026_MS + minutes * 60_000 + (seconds * 1000.0).round() as i64
}
