//! `volttracker events show`: one event, all of it.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::lines::word;
use super::{Reading, escaped};

/// Which event.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker events show 019b8e5a-7f3c-7a10-9d3e-5b2f1c4d6e8f
  volttracker events show 019b8e5a-7f3c-7a10-9d3e-5b2f1c4d6e8f --json | jq .vehicle_context")]
pub(super) struct ShowArgs {
    /// The event's request_id.
    request_id: String,
    #[command(flatten)]
    reading: Reading,
}

/// What stands first, in this order; the rest follows by name.
const FIRST: [&str; 11] = [
    "operation",
    "timestamp",
    "duration_ms",
    "outcome",
    "failure_reason",
    "error",
    "request_id",
    "trace_id",
    "parent_request_id",
    "sampling",
    "vehicle_context",
];

pub(super) async fn run(args: ShowArgs) -> anyhow::Result<()> {
    let event = args.reading.get(&format!("/api/events/{}", escaped(&args.request_id))).await?;
    args.reading.print(&event, in_words)
}

fn in_words(event: &Value) -> String {
    let Some(members) = event.as_object() else { return String::new() };
    let rest = members.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
    let mut text = String::new();
    for name in FIRST.into_iter().chain(rest) {
        if let Some(value) = members.get(name) {
            write_member(&mut text, 0, name, value);
        }
    }
    text
}

fn write_member(text: &mut String, depth: usize, name: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    // Writing to a String cannot fail.
    match value.as_object() {
        Some(members) => {
            writeln!(text, "{indent}{name}").ok();
            members.iter().for_each(|(name, value)| write_member(text, depth + 1, name, value));
        }
        None => {
            let width = 34usize.saturating_sub(indent.len());
            writeln!(text, "{indent}{name:<width$} {}", word(value)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_matters_stands_first_and_nothing_is_left_out() {
        let event = json!({"url": "/x", "operation": "api_request", "duration_ms": 1.5, "outcome": "success",
            "service": {"plugins": {"usage-tier": {"name": "tier"}}}, "further_error_codes": ["E203"],
            "error": {"code": "E100"}});
        insta::assert_snapshot!(in_words(&event), @r#"
        operation                          api_request
        duration_ms                        1.5
        outcome                            success
        error
          code                             E100
        further_error_codes                ["E203"]
        service
          plugins
            usage-tier
              name                         tier
        url                                /x
        "#);
    }
}
