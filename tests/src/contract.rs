//! The published contract of events: what the receiver writes is held to
//! `docs/event-schema.json`.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static CONTRACT: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../../docs/event-schema.json")).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
});

/// What of an event is not as published.
pub fn violation(event: &Value) -> Option<String> {
    if CONTRACT.is_valid(event) {
        return None;
    }
    let problems = CONTRACT.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path()));
    Some(format!("{}\nof the event {event}", problems.collect::<Vec<_>>().join("\n")))
}
