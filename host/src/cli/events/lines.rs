//! Events in a line each. Layout only.

use serde_json::Value;

use crate::cli::table;

/// What happened, in columns.
pub(super) fn table(answer: &Value) -> String {
    let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
    if events.is_empty() {
        return "No stored event matches.\n".to_owned();
    }
    let head = ["timestamp", "operation", "outcome", "ms", "code", "tier", "request_id"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(events.iter().map(|event| {
        vec![
            word(&event["timestamp"]),
            word(&event["operation"]),
            word(&event["outcome"]),
            number(&event["duration_ms"]),
            word(&event["error"]["code"]),
            word(&event["vehicle_context"]["usage_tier"]),
            word(&event["request_id"]),
        ]
    }));
    let more =
        if answer["more"] == true { "There are more: raise --limit, or narrow the filter.\n" } else { "" };
    table::table(&rows) + more
}

/// What happened, in a line.
pub(super) fn line(event: &Value) -> String {
    let mut text = format!(
        "{:<27}  {:<20} {:<9} {:>10} ms",
        word(&event["timestamp"]),
        word(&event["operation"]),
        word(&event["outcome"]),
        number(&event["duration_ms"])
    );
    for part in remarks(event) {
        text += "  ";
        text += &part;
    }
    text
}

/// What is worth a word: what went wrong, and what is critical.
pub(super) fn remarks(event: &Value) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(code) = event["error"]["code"].as_str() {
        remarks.push(format!("{code} {}", word(&event["error"]["message"])));
    }
    let flags = event["business_metrics"].as_object().into_iter().flatten();
    remarks.extend(flags.filter(|(_, value)| **value == true).map(|(name, _)| name.clone()));
    remarks
}

/// A value in a cell. Clients put into events what they like, and a terminal
/// would obey some of it.
pub(super) fn word(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) => number(value),
        value => value.to_string(),
    };
    text.replace(char::is_control, " ")
}

/// A number to three decimals, without those that say nothing.
pub(super) fn number(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"timestamp": "2026-01-05T14:30:00.5Z", "operation": "external_api_weather", "outcome": "failure",
            "duration_ms": 3000.25, "error": {"code": "E100", "message": "it did not answer"},
            "vehicle_context": {"usage_tier": "heavy"}, "business_metrics": {"trip_created": true, "n": 1},
            "request_id": "0190"})
    }

    #[test]
    fn events_stand_in_columns() {
        insta::assert_snapshot!(table(&json!({"events": [event()], "more": true})), @r#"
        timestamp                          operation  outcome       ms  code   tier  request_id
        2026-01-05T14:30:00.5Z  external_api_weather  failure  3000.25  E100  heavy        0190
        There are more: raise --limit, or narrow the filter.
        "#);
        assert_eq!(table(&json!({"events": [], "more": false})), "No stored event matches.\n");
    }

    #[test]
    fn a_line_says_what_went_wrong_and_what_is_critical() {
        insta::assert_snapshot!(line(&event()), @"2026-01-05T14:30:00.5Z       external_api_weather failure      3000.25 ms  E100 it did not answer  trip_created");
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        let texts = [json!("a\u{1b}[2Jb\r\nc"), json!(["\u{9b}31m"])];
        assert_eq!(texts.map(|value| word(&value)), ["a [2Jb  c", "[\" 31m\"]"]);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [json!(1240.0), json!(0.25), json!(2.71849), json!(null)].map(|value| number(&value)),
            ["1240", "0.25", "2.718", "-"]
        );
    }
}
