//! The reference implementation's answers on usage tiers. No rule of our own
//! is tested here.

use serde_json::Value;
use usage_tier::{rules::tier::tier, settings::Settings};

#[test]
fn usage_tier() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/vehicle.json"))
        .expect("the vectors are JSON");
    let cases = vectors["groups"]["usage_tier"]["cases"].as_array().expect("a group has cases");

    for case in cases {
        let trips = case["in"]["total_trips"].as_u64().expect("a count");
        let trips = u32::try_from(trips).expect("within 32 bits");
        assert!(case.get("bug").is_none() && case.get("differs").is_none());
        assert_eq!(tier(trips, &Settings::default()), case["expect"], "{case}");
    }
    assert_eq!(cases.len(), 7);
}
