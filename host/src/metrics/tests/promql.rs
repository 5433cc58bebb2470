//! What a query asks for: which metrics, with which labels. Whether it is
//! well-formed is for `promtool` to say; here it is held to what is exposed.

use crate::metrics::families::{self, Family, Kind};

/// Functions are followed by a bracket; these need not be.
const OPERATORS: [&str; 9] = ["sum", "max", "min", "count", "or", "and", "unless", "offset", "bool"];
/// What is followed by a list of labels.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// What Prometheus adds to all that it reads.
const OF_TARGET: [&str; 2] = ["instance", "job"];

/// The family of a metric's name, or of one of a histogram's three.
pub(super) fn family(name: &str) -> Option<&'static Family> {
    let is_it = |family: &&&Family| match family.kind {
        Kind::Counter | Kind::Gauge => family.name == name,
        Kind::Histogram { .. } => {
            name.strip_prefix(family.name).is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
        }
    };
    families::ALL.iter().find(is_it).copied()
}

/// Everything in a query that no receiver exposes.
pub(super) fn problems(query: &str) -> Vec<String> {
    let (mut problems, mut rest) = (Vec::new(), query);
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || "_$".contains(c)) {
        let word = word(&rest[start..]);
        rest = rest[start + word.len()..].trim_start();
        let bracketed = |open, close| rest.strip_prefix(open).and_then(|rest| rest.split_once(close));
        if GROUPINGS.contains(&word) {
            if let Some((labels, behind)) = bracketed('(', ')') {
                problems.extend(labels.split(',').filter_map(|label| unknown_label(label.trim())));
                rest = behind;
            }
        } else if word.starts_with(|c: char| c.is_ascii_digit() || c == '$')
            || OPERATORS.contains(&word)
            || rest.starts_with('(')
        {
            // A number, a duration, a variable of the dashboard, an operator, a function.
        } else {
            let matchers = bracketed('{', '}');
            problems.extend(unlike_selector(word, matchers.map_or("", |(matchers, _)| matchers)));
            rest = matchers.map_or(rest, |(_, behind)| behind);
        }
    }
    problems
}

fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && !"_:.$".contains(c)).unwrap_or(text.len())]
}

fn unknown_label(label: &str) -> Option<String> {
    let is_known = OF_TARGET.contains(&label)
        || label == "le"
        || families::ALL.iter().any(|family| family.labels.contains(&label));
    (!is_known).then(|| format!("nothing has a label {label}"))
}

/// What is wrong with a metric's name and the matchers in its braces.
fn unlike_selector(name: &str, matchers: &str) -> Vec<String> {
    let family = family(name);
    if family.is_none() && name != "up" {
        return vec![format!("there is no metric {name}")];
    }
    let problem = |matcher: &str| {
        let (label, asked) = matcher.split_once(['=', '!'])?;
        let values = asked.trim_start_matches(['=', '~']).trim_matches('"');
        if OF_TARGET.contains(&label) {
            return None;
        }
        let has = family.is_some_and(|family| family.labels.contains(&label) || label == "le");
        if !has {
            return Some(format!("{name} has no label {label}"));
        }
        let known = family.and_then(|family| family.values(label))?;
        // Newer versions of Prometheus write an edge of 5 as 5.0.
        let is_known = |value: &str| {
            value.contains('$')
                || known.iter().any(|known| value == known || value.strip_suffix(".0") == Some(known))
        };
        let unknown = values.split('|').find(|value| !is_known(value))?;
        Some(format!("{name} never has {label}=\"{unknown}\""))
    };
    matchers.split(',').filter_map(|matcher| problem(matcher.trim())).collect()
}

#[test]
fn what_is_not_exposed_is_found() {
    for (query, problem) in [
        ("rate(volttracker_events_totel[5m])", "there is no metric volttracker_events_totel"),
        ("volttracker_errors_total{code=\"E999\"} > 0", "volttracker_errors_total never has code=\"E999\""),
        ("sum by (tier) (volttracker_events_total)", "nothing has a label tier"),
        ("volttracker_events_kept{code=\"E200\"}", "volttracker_events_kept has no label code"),
        (
            "volttracker_event_duration_seconds_bucket{le=\"7\"}",
            "volttracker_event_duration_seconds_bucket never has le=\"7\"",
        ),
        ("volttracker_event_duration_seconds", "there is no metric volttracker_event_duration_seconds"),
        (
            "volttracker_events_total{operation=~\"csv_import|cvs_import\"}",
            "volttracker_events_total never has operation=\"cvs_import\"",
        ),
    ] {
        assert_eq!(problems(query), [problem], "{query}");
    }
    let fit = "sum by (code) (increase(volttracker_errors_total{code=~\"E200|E500\"}[5m])) * on (instance) \
               group_left (deployment_id) volttracker_build_info > 0 or up{job=\"volttracker\"} == 0";
    assert_eq!(problems(fit), [] as [&str; 0]);
}
