//! Figures of groups as a table. Layout only.

use serde_json::Value;

use super::lines::{number, word};
use crate::cli::table;

/// One row a group: what makes it, then each figure and the stored events
/// behind it.
pub(super) fn table(answer: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (fields, groups) = (list(&answer["group_by"]), list(&answer["groups"]));
    let mut rows = Vec::new();
    if let Some(first) = groups.first() {
        let mut head: Vec<_> = fields.iter().map(word).collect();
        for figure in list(&first["figures"]) {
            head.extend([word(&figure["figure"]), "stored".to_owned()]);
        }
        rows.push(head);
    }
    for group in &groups {
        let mut row: Vec<_> = fields.iter().map(|field| word(&group["by"][word(field)])).collect();
        for figure in list(&group["figures"]) {
            row.extend([number(&figure["value"]), number(&figure["sample_size"])]);
        }
        rows.push(row);
    }
    let mut text = table::table(&rows);
    let matched = &answer["matched"];
    let (stored, total) = (number(&matched["sample_size"]), number(&matched["estimated_total"]));
    text += &format!("{stored} stored events match; they stand for {total}.");
    let more = answer["group_count"].as_u64().unwrap_or_default().saturating_sub(groups.len() as u64);
    if more > 0 {
        text += &format!(" {more} further groups: raise --limit to see them.");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_figure_stands_beside_the_stored_events_behind_it() {
        let figure = |name: &str, value: Value, size: u64| json!({"figure": name, "value": value, "sample_size": size, "estimated_total": size * 20});
        let group = |by: Value, count: u64, average: Value| json!({"by": {"error.code": by}, "figures": [figure("count", json!(count * 20), count), figure("avg(duration_ms)", average, count)]});
        let answer = json!({
            "group_by": ["error.code"], "group_count": 3, "matched": {"sample_size": 62, "estimated_total": 1240.0},
            "groups": [group(json!("E100"), 60, json!(3000.456)), group(Value::Null, 2, Value::Null)],
        });
        insta::assert_snapshot!(table(&answer), @r#"
        error.code  count  stored  avg(duration_ms)  stored
        E100         1200      60          3000.456      60
        -              40       2                 -       2
        62 stored events match; they stand for 1240. 1 further groups: raise --limit to see them.
        "#);
    }
}
