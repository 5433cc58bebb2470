//! The reference implementation's sampling decisions, with the coin that each
//! case names. Cases where our rule decides otherwise are listed with a reason.

use std::collections::BTreeMap;

use sampling_policy::{
    rules::policy::{Facts, decide},
    settings::Settings,
};
use serde_json::Value;

const NOT_LOWERED: &str = "a new account never lowers the base rate";
const FLAG_NAME: &str = "the critical flag is named charging_started";

/// What our rule decides where the vectors say that it differs.
const OURS: [(&str, bool, &str); 7] = [
    ("should_emit-063", true, NOT_LOWERED),
    ("should_emit-073", false, FLAG_NAME),
    ("should_emit-075", true, FLAG_NAME),
    ("should_emit-087", true, NOT_LOWERED),
    ("should_emit-097", false, FLAG_NAME),
    ("should_emit-099", true, FLAG_NAME),
    ("should_emit-111", true, NOT_LOWERED),
];

fn kept(input: &Value) -> bool {
    let context = &input["context"];
    let flags: Vec<String> = context["business_metrics"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .map(|(name, _)| name.clone())
        .collect();
    let vehicle = &context["vehicle_context"];
    let age = vehicle["account_age_days"].as_u64();
    let facts = Facts {
        success: context["success"].as_bool().unwrap_or(true),
        duration_ms: context["duration_ms"].as_f64().unwrap_or(0.0),
        slow_threshold_ms: input["slow_threshold_ms"].as_f64().unwrap_or(1000.0),
        base_rate: input["sample_rate"].as_f64().unwrap_or(0.05),
        business_flags: &flags,
        usage_tier: vehicle["usage_tier"].as_str(),
        account_age_days: age.map(|days| u32::try_from(days).expect("within 32 bits")),
    };
    let coin = input["random"].as_f64().expect("a case has a coin");
    coin < decide(&facts, &Settings::default()).probability
}

#[test]
fn should_emit() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/sampling.json"))
        .expect("the vectors are JSON");
    let cases = vectors["groups"]["should_emit"]["cases"].as_array().expect("a group has cases");
    let mut ours: BTreeMap<_, _> = OURS.iter().map(|(id, kept, why)| (*id, (*kept, *why))).collect();

    for case in cases {
        let id = case["id"].as_str().expect("a case has an id");
        let differs = case.get("bug").is_some() || case.get("differs").is_some();
        let (expected, why) = match ours.remove(id) {
            Some(known) if differs => known,
            None if !differs => (case["expect"].as_bool().expect("a decision"), "as the reference"),
            known => panic!("{id}: listed here {known:?}, differs in the vectors: {differs}"),
        };
        assert_eq!(kept(&case["in"]), expected, "{id}: {why}");
    }
    assert!(ours.is_empty(), "listed, but no case: {ours:?}");
    assert_eq!(cases.len(), 64);
}
