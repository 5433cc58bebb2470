//! The published contract of events: what it refuses, and that what `docs/` says
//! of it is so.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value as Json, json};

use super::{ALWAYS, Rig};
use crate::events::{Business, Outcome, Timing, schema};
use crate::tests::docs::assert_is_up_to_date;

static CONTRACT: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::options().should_validate_formats(true).build(&schema()).expect("a schema"));

/// Holds events to the contract.
pub(crate) fn assert_as_published(events: &[Json]) {
    for event in events {
        let problems: Vec<_> = problems(event);
        assert!(problems.is_empty(), "{problems:#?}\nof the event {event:#}");
    }
}

fn problems(event: &Json) -> Vec<String> {
    CONTRACT.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_in_docs_is_up_to_date() {
    assert_is_up_to_date("event-schema.json", &format!("{:#}\n", schema()), "contract");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_published_is_refused() {
    let rig = Rig::start(ALWAYS, &[]).await;
    let mut event = rig.upload();
    event.details.http_status = Some(200);
    event.business.set(Business::TRIP_CREATED, true);
    event.timings.add(Timing::PARSE_TELEMETRY, 0.25);
    event.finish(Outcome::Success);
    let event = rig.written().await.remove(0);
    assert_eq!(problems(&event), [""; 0]);

    for (path, value) in unpublished() {
        let mut event = event.clone();
        let (object, key) = path.rsplit_once('/').expect("a path");
        event.pointer_mut(object).expect("it is there")[key] = value.clone();
        assert!(!problems(&event).is_empty(), "{path} = {value} is not refused");
    }
    for required in ["sampling", "service", "operation", "duration_ms"] {
        let mut event = event.clone();
        event.as_object_mut().expect("an object").remove(required);
        assert!(!problems(&event).is_empty(), "nobody misses {required}");
    }
}

/// What no event of an upload has, by its place.
fn unpublished() -> Vec<(&'static str, Json)> {
    vec![
        ("/an_odd_key", json!(1)),
        ("/error", json!({"code": "E200"})),
        ("/service/an_odd_key", json!(1)),
        ("/sampling/an_odd_key", json!(1)),
        ("/business_metrics/trip_craeted", json!(true)),
        ("/business_metrics/trip_created", json!(1)),
        ("/business_metrics/telemetry_points", json!(7)),
        ("/technical_metrics", json!({"hours_asked": 1})),
        ("/performance_breakdown/parse_telemetry", json!(0.25)),
        ("/performance_breakdown/parse_telemetry_ms", json!(-0.25)),
        ("/performance_breakdown/request_attempt_1_ms", json!(0.25)),
        // What JSON has of a number that is none.
        ("/duration_ms", json!(f64::NAN)),
        ("/speed_mph", Json::Null),
        ("/start_soc", json!(80.0)),
        ("/bind_addr", json!("127.0.0.1:8080")),
        ("/further_error_codes", json!(["E999"])),
        ("/further_error_codes", json!("E203")),
        ("/operation", json!("telemetry_uploads")),
        ("/operation", json!("service_stop")),
        ("/outcome", json!("succeeded")),
        ("/outcome", json!("failure")),
        ("/success", json!(false)),
        ("/timestamp", json!("2026-01-05 14:30:00")),
        ("/request_id", json!("7")),
        ("/user_agent", json!("a".repeat(1025))),
        ("/schema_version", json!(0)),
    ]
}
