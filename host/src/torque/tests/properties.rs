//! What holds for any input at all.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

/// Bytes that are more or less a request.
fn form() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        select(vec!["id", "eml", "session", "time", "v", "notice", "profileName", "k", "K0c", "%6bC"]),
        select(vec!["kff1005", "kff1006", "k220049", "k224322", "k224323", "kabc", "k2f", "k221570"]),
        select(vec!["defaultUnit05", "userUnit", "userFullNameff1001", "defaultUnit", "profile", "°"]),
    ];
    let number = any::<f64>().prop_map(|number| number.to_string());
    let value = prop_oneof![
        number,
        "[0-9]{13}",
        "\\PC{0,8}",
        select(vec!["NaN", "∞", "-", "%00", "%ff", "+"]).prop_map(str::to_owned),
    ];
    let pairs = prop::collection::vec((key, value), 0..40);
    let text = pairs.prop_map(|pairs| {
        let joined: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        joined.join("&").into_bytes()
    });
    prop_oneof![text, prop::collection::vec(any::<u8>(), 0..300)]
}

/// One parameter of each of these fields, so that no two fill the same one.
const PARAMETERS: [&str; 14] = [
    "kff1005=-121.3",
    "kff1006=38.5",
    "kff1001=50.2",
    "kc=1200",
    "k5=88",
    "k2f=40.5",
    "k5b=60",
    "k224322=25000",
    "k224323=15000",
    "k220057=1",
    "kabc=x",
    "kABD=NaN",
    "k42=Infinity",
    "k46=-",
];

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_give_finite_numbers_only(
        query in form(), body in form(), received_ms in any::<i64>(),
    ) {
        for catalogue in [Catalogue::volt_gen2(), Catalogue::legacy()] {
            let Ok(upload) = decode(catalogue, &query, &body, received_ms) else { continue };
            prop_assert!(!upload.identity.key().is_empty());
            let Content::Reading(reading) = upload.content else { continue };
            prop_assert!(reading.fields.iter().all(|(_, value)| value.is_finite()));
            prop_assert!(reading.fields.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(reading.unknown.is_sorted_by(|a, b| a.0 < b.0));
            let json = reading.unknown_to_json();
            let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            prop_assert!(!json.contains('\0') && parsed.is_object());
        }
    }

    #[test]
    fn the_order_of_parameters_does_not_matter(
        sent in subsequence(PARAMETERS.to_vec(), 1..PARAMETERS.len()).prop_flat_map(|chosen| {
            (Just(chosen.clone()), Just(chosen).prop_shuffle())
        }),
    ) {
        let (ordered, shuffled) = sent;
        let (one, other) = (read(&ordered.join("&")), read(&shuffled.join("&")));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn redaction_takes_any_bytes_and_leaves_no_identity(mut raw in form()) {
        raw.extend_from_slice(b"&id=0123456789abcdef&EML=who%40b.c");
        let kept = redact(&raw, &by_shape(|_| "hidden".to_owned()));
        prop_assert!(!kept.contains('\0'));
        prop_assert!(!kept.contains("0123456789abcdef") && !kept.contains("who%40b.c"));
    }
}
