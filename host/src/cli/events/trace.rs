//! `volttracker events trace`: a trip's events in their order, each with what it
//! caused below it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::lines::{number, remarks, word};
use super::{Reading, escaped};

/// Which trip.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker events trace 3f2504e0-4f89-41d3-9a0c-0305e82c3301
  volttracker events trace 3f2504e0-4f89-41d3-9a0c-0305e82c3301 --json | jq '.events[].duration_ms'

Offsets count from the first event. Ordinary events that sampling did not keep are not there.")]
pub(super) struct TraceArgs {
    /// The trace_id of its events.
    trace_id: String,
    #[command(flatten)]
    reading: Reading,
}

pub(super) async fn run(args: TraceArgs) -> anyhow::Result<()> {
    let answer = args.reading.get(&format!("/api/events/trace/{}", escaped(&args.trace_id))).await?;
    args.reading.print(&answer, |answer| tree(&args.trace_id, answer))
}

fn tree(trace_id: &str, answer: &Value) -> String {
    let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
    let began = events.first().and_then(began);
    let ids: HashSet<_> = events.iter().filter_map(|event| event["request_id"].as_str()).collect();
    let mut children: HashMap<Option<&str>, Vec<&Value>> = HashMap::new();
    for event in events {
        // What caused it may not be kept, or be part of no trip.
        let parent = event["parent_request_id"].as_str().filter(|parent| ids.contains(parent));
        let parent = parent.filter(|parent| event["request_id"] != **parent);
        children.entry(parent).or_default().push(event);
    }
    let last = events.iter().filter_map(ended_ms).fold(0.0, f64::max);
    let long = began.map_or(0.0, |began| last - milliseconds(began));
    let mut text = format!("{trace_id}: {} events in {:.3} s\n", events.len(), long / 1e3);
    let mut open: Vec<_> =
        children.remove(&None).unwrap_or_default().into_iter().rev().map(|event| (0, event)).collect();
    while let Some((depth, event)) = open.pop() {
        // Writing to a String cannot fail.
        writeln!(text, "{}", line(event, depth, began)).ok();
        let caused = event["request_id"].as_str().and_then(|id| children.remove(&Some(id)));
        open.extend(caused.into_iter().flatten().rev().map(|event| (depth + 1, event)));
    }
    if answer["more"] == true {
        text += "There are more events than one answer takes.\n";
    }
    text
}

fn line(event: &Value, depth: usize, trace_began: Option<Timestamp>) -> String {
    let offset = began(event).zip(trace_began).map(|(at, first)| milliseconds(at) - milliseconds(first));
    let branch = if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
    let what = format!("{branch}{}", word(&event["operation"]));
    let mut text = format!(
        "{:>+12.3} s  {what:<26} {:<9} {:>10} ms",
        offset.unwrap_or_default() / 1e3,
        word(&event["outcome"]),
        number(&event["duration_ms"])
    );
    for remark in remarks(event) {
        text += "  ";
        text += &remark;
    }
    text
}

fn began(event: &Value) -> Option<Timestamp> {
    event["timestamp"].as_str()?.parse().ok()
}

fn ended_ms(event: &Value) -> Option<f64> {
    Some(milliseconds(began(event)?) + event["duration_ms"].as_f64()?)
}

fn milliseconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_event_caused_stands_below_it() {
        let event = |id: &str, parent: Option<&str>, second: &str, operation: &str, ms: f64| {
            let mut event = json!({"request_id": id, "timestamp": format!("2026-01-05T14:30:{second}Z"),
                "operation": operation, "outcome": "success", "duration_ms": ms});
            if let Some(parent) = parent {
                event["parent_request_id"] = parent.into();
            }
            event
        };
        let mut answer = json!({"more": false, "events": [
            event("a", None, "00", "telemetry_upload", 2.5),
            event("b", Some("not-kept"), "01.5", "telemetry_upload", 1.0),
            event("c", None, "02", "trip_finalization", 5000.0),
            event("d", Some("c"), "02.25", "external_api_weather", 301.0),
            event("e", Some("d"), "02.5", "external_api_weather", 1.0),
            event("f", None, "03", "telemetry_upload", 1.0),
        ]});
        answer["events"][3]["error"] = json!({"code": "E100", "message": "it did not answer"});
        insta::assert_snapshot!(tree("a-session", &answer), @r#"
        a-session: 6 events in 7.000 s
              +0.000 s  telemetry_upload           success          2.5 ms
              +1.500 s  telemetry_upload           success            1 ms
              +2.000 s  trip_finalization          success         5000 ms
              +2.250 s  └ external_api_weather     success          301 ms  E100 it did not answer
              +2.500 s    └ external_api_weather   success            1 ms
              +3.000 s  telemetry_upload           success            1 ms
        "#);
    }
}
