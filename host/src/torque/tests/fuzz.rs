//! Any bytes at all: they are read or refused, nothing panics, and every number
//! that comes out is finite.

use super::*;
use crate::tests::fuzz::{Target, about, seen};

/// A request's query, and after a line feed its body.
fn decoder() -> Target {
    let text = include_str!("../../../../tests/vectors/torque.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let cases = vectors["groups"]["torque_parse"]["cases"].as_array().expect("cases");
    let mut corpus: Vec<Vec<u8>> =
        cases.iter().map(|case| case["in"]["body"].as_str().expect("a request").into()).collect();
    let requests =
        ["notice=Trip%20started&noticeClass=x", "profileName=My%20Volt&profileFuelType=2", "kc=1\nkc=2"];
    let units =
        ["defaultUnit05=%C2%B0C&defaultUnitff1001=km%20h", "userUnitff1001=mph&userFullName05=Coolant"];
    corpus.extend(requests.iter().chain(&units).map(|parameters| format!("{HEADER}&{parameters}").into()));
    // Where the real drive is at hand, some of it.
    corpus.extend(drive::log().iter().flat_map(|log| log.lines()).step_by(13).map(Into::into));
    Target { name: "form decoder", corpus, words: &WORDS, take: decode_any }
}

const WORDS: [&str; 44] = [
    "&",
    "=",
    "\n",
    "%",
    "+",
    "%00",
    "%26",
    "%3D",
    "%FF",
    "%C2%B0",
    "\0",
    "\u{b0}",
    "id=",
    "eml=",
    "&id=d1",
    "session=",
    "&session=1",
    "time=",
    "&time=1767312345678",
    "v=9",
    "notice=",
    "noticeClass=",
    "profile",
    "profileName=",
    "defaultUnit",
    "userUnit",
    "userShortName",
    "userFullName",
    "&k",
    "&kc=",
    "&K0C=",
    "&kff1005=",
    "&kff1006=",
    "&kff1001=",
    "&k5b=",
    "&k2f=",
    "&k220049=",
    "&k221570=",
    "&k224322=",
    "&k224323=",
    "&k220057=",
    "&kabc=",
    "&kffffffffffffffffff=",
    "@",
];

/// Who sends: a device and an account, which must not be kept.
const SECRETS: [&str; 2] = ["5ec2e75ec2e75ec2e75ec2e75ec2e700", "driver@b.example"];

fn decode_any(input: &[u8]) -> u64 {
    let cut = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (query, body) = (&input[..cut], input.get(cut + 1..).unwrap_or_default());
    let legacy = input.len().is_multiple_of(4);
    let catalogue = if legacy { Catalogue::legacy() } else { Catalogue::volt_gen2() };
    let decoded = decode(catalogue, query, body, RECEIVED_MS);
    check(&decoded);
    for secret in SECRETS {
        names_nobody(catalogue, &spliced(input, secret), secret);
        let target = [query, b"&id=", secret.as_bytes(), b"&eml=", secret.as_bytes()].concat();
        names_nobody(catalogue, &target, secret);
    }
    seen((legacy, what_was_seen(&decoded)))
}

fn check(decoded: &Result<Upload, Refusal>) {
    let Ok(upload) = decoded else { return };
    assert!(!upload.identity.key().trim().is_empty());
    let Content::Reading(reading) = &upload.content else { return };
    assert!((100_000_000_000..=RECEIVED_MS + 86_400_000).contains(&reading.time_ms));
    assert!(reading.fields.iter().all(|(_, value)| value.is_finite()), "{reading:?}");
    assert!(reading.fields.is_sorted_by(|a, b| a.0 < b.0));
    assert!(reading.unknown.is_sorted_by(|a, b| a.0 < b.0));
    let json = reading.unknown_to_json();
    let back: BTreeMap<String, String> = serde_json::from_str(&json).expect("an object of texts");
    assert!(!json.contains('\0') && reading.unknown.iter().all(|(pid, text)| back.get(pid) == Some(text)));
}

/// The input with a secret somewhere in it, at a place that it decides itself.
fn spliced(input: &[u8], secret: &str) -> Vec<u8> {
    let sum = input.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let (before, after) = input.split_at(sum % (input.len() + 1));
    [before, secret.as_bytes(), after].concat()
}

/// Wherever it stands, a secret is neither told nor kept.
fn names_nobody(catalogue: &Catalogue, input: &[u8], secret: &str) {
    let hide = |_: &str| "hidden".to_owned();
    let told = match decode(catalogue, input, b"", RECEIVED_MS) {
        Ok(mut upload) => {
            upload.redact(&by_shape(hide));
            format!("{upload:?}")
        }
        Err(mut refusal) => {
            refusal.redact(&by_shape(hide));
            format!("{refusal:?} {refusal}")
        }
    };
    assert!(!told.contains(secret), "{told}");
    let kept = redact(input, &by_shape(hide));
    assert!(!kept.contains('\0') && !kept.contains(secret), "{kept}");
}

fn what_was_seen(decoded: &Result<Upload, Refusal>) -> u64 {
    match decoded {
        Err(refusal) => seen((
            refusal.code,
            refusal.kind,
            refusal.message,
            refusal.session_id.is_some(),
            about(refusal.header.raw_params_count as usize),
        )),
        Ok(upload) => {
            let header = &upload.header;
            let counts = [header.raw_params_count, header.unknown_params_count, header.dropped_values_count];
            let content = match &upload.content {
                Content::Reading(reading) => seen((
                    about(reading.fields.len()),
                    reading.get("latitude").is_some(),
                    reading.position_dropped,
                )),
                Content::DefaultUnits { units, conflicts } => {
                    seen((about(units.len()), about(conflicts.len())))
                }
                Content::UserUnits(units) => u64::from(about(units.len())),
                Content::Profile(profile) => seen((profile.name.is_some(), about(profile.values.len()))),
                Content::Notice { text, class } => seen((about(text.len()), class.is_some())),
            };
            seen((upload.kind(), counts.map(|count| about(count as usize)), content))
        }
    }
}

#[test]
fn odd_requests_are_read_or_refused() {
    decoder().briefly();
}

#[test]
#[ignore = "takes as long as it is given: just fuzz"]
fn fuzz_form_decoder() {
    decoder().at_length();
}
