//! The dashboard in `docs/grafana` asks for what is exposed, and for nothing
//! else. That its queries are well-formed is for `promtool` to say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::promql;
use crate::tests::docs;

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().into_iter().flatten()
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().filter_map(|target| target["expr"].as_str())
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(docs::path("grafana/volttracker.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn no_panel_asks_for_what_is_never_exposed() {
    let dashboard = dashboard();
    let mut asked = 0;
    for panel in panels(&dashboard) {
        for query in queries(panel) {
            assert_eq!(promql::problems(query), [] as [&str; 0], "{}: {query}", panel["title"]);
            asked += 1;
        }
    }
    assert!(asked > 10, "{asked} queries");
    let instance = dashboard["templating"]["list"][1]["query"].as_str().expect("a query");
    assert_eq!(instance, "label_values(volttracker_build_info, instance)");
    let starts = dashboard["annotations"]["list"][0]["expr"].as_str().expect("a query");
    assert_eq!(promql::problems(starts), [] as [&str; 0]);
}

#[test]
fn panels_have_titles_ids_and_places_of_their_own() {
    let dashboard = dashboard();
    let all: Vec<_> = panels(&dashboard).collect();
    for of in ["id", "title"] {
        let different: BTreeSet<_> = all.iter().map(|panel| panel[of].to_string()).collect();
        assert_eq!(different.len(), all.len(), "{of}");
    }
    let places: Vec<_> = all
        .iter()
        .map(|panel| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a number")))
        .collect();
    for (number, [x, y, width, height]) in places.iter().enumerate() {
        assert!(x + width <= 24, "{}", all[number]["title"]);
        for [x2, y2, width2, height2] in &places[..number] {
            let apart = x + width <= *x2 || x2 + width2 <= *x || y + height <= *y2 || y2 + height2 <= *y;
            assert!(apart, "{} covers another", all[number]["title"]);
        }
    }
}
