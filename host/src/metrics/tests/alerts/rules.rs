//! The rules themselves: which there are, how grave each is, and a series on
//! which it must fire.

use std::collections::BTreeMap;

use crate::events::{Category, Code, Severity};

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Critical,
    High,
    Medium,
    Info,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Info => "info",
        }
    }

    /// A code that alerts is critical if its failure is, and else high. Of the
    /// others a warning of the store is the operator's business; all else that
    /// is more than news is what somebody sent.
    fn of(code: Code) -> Option<Self> {
        match (code.alert(), code.severity()) {
            (true, Severity::Critical) => Some(Self::Critical),
            (true, _) => Some(Self::High),
            (false, Severity::Info) => None,
            (false, _) if code.category() == Category::Database => Some(Self::Medium),
            (false, _) => Some(Self::Info),
        }
    }
}

/// A rule, and on what it fires.
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) expression: String,
    /// How long it must hold.
    pub(super) lasting: Option<&'static str>,
    pub(super) level: Level,
    pub(super) summary: String,
    /// Series that it is tried on.
    pub(super) series: Vec<Series>,
    /// The labels of its alert on them, but for its level's.
    pub(super) labels: BTreeMap<&'static str, String>,
}

/// A series, and its values when all is well and when it is not.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) when_well: Values,
    pub(super) when_not: Values,
}

/// Values of a series, one a minute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    /// Always this one.
    Always(u32),
    /// One, and one more from the sixth minute on.
    Grows,
    /// Nothing.
    Absent,
}

const TARGET: &str = r#"instance="car:8080",job="volttracker""#;

/// The sample labels, and those of the target.
fn labels<const N: usize>(own: [(&'static str, &str); N]) -> BTreeMap<&'static str, String> {
    let of_target = [("instance", "car:8080"), ("job", "volttracker")];
    own.into_iter().chain(of_target).map(|(name, value)| (name, value.to_owned())).collect()
}

/// Whether a counter grew within the last minutes. Where it was not there
/// before, all that it has counted is new: `increase` would see nothing of it.
fn grew(counter: &str, within: &str) -> String {
    format!("increase({counter}[{within}]) > 0\nor\n({counter} unless {counter} offset {within}) > 0")
}

fn of_code(code: Code, level: Level) -> Rule {
    let (name, category) = (code.as_str(), code.category().as_str());
    Rule {
        name: format!("VoltTracker{name}"),
        expression: grew(&format!("volttracker_errors_total{{code=\"{name}\"}}"), "5m"),
        lasting: None,
        level,
        summary: format!("{name} on {{{{ $labels.instance }}}}: {}", code.meaning()),
        series: vec![errors(code)],
        labels: labels([("code", name), ("category", category)]),
    }
}

/// One for what is sent unfit, by category: it is news, and comes often.
fn of_category(category: Category, codes: &[Code]) -> Rule {
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let (first, title) = (codes[0], title(category.as_str()));
    Rule {
        name: format!("VoltTracker{title}"),
        expression: grew(&format!("volttracker_errors_total{{code=~\"{}\"}}", names.join("|")), "5m"),
        lasting: None,
        level: Level::Info,
        summary: "{{ $labels.code }} on {{ $labels.instance }}: something unfit was sent.".to_owned(),
        series: vec![errors(first)],
        labels: labels([("code", first.as_str()), ("category", category.as_str())]),
    }
}

fn errors(code: Code) -> Series {
    let (name, category) = (code.as_str(), code.category().as_str());
    Series {
        name: format!(r#"volttracker_errors_total{{code="{name}",category="{category}",{TARGET}}}"#),
        when_well: Values::Always(1),
        when_not: Values::Grows,
    }
}

/// `business_logic` as `BusinessLogic`.
fn title(words: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    words.split('_').map(capital).collect()
}

/// What takes longer than five seconds and should not. How long an import and a
/// read take is up to their clients: a file is as long as it is, the live view
/// is followed as long as somebody looks.
fn slow() -> Rule {
    const DURATION: &str = "volttracker_event_duration_seconds";
    const OPERATIONS: &str = r#"operation!~"api_request|csv_import""#;
    let count = format!("{DURATION}_count{{{OPERATIONS}}}");
    let quick = format!(r#"{DURATION}_bucket{{{OPERATIONS},le=~"5|5.0"}}"#);
    let slow = format!("({count} - ignoring(le) {quick})");
    let own = r#"operation="trip_finalization",outcome="success""#;
    Rule {
        name: "VoltTrackerSlow".to_owned(),
        expression: format!("increase({slow}[5m:15s]) > 0\nor\n({slow} unless {count} offset 5m) > 0"),
        lasting: None,
        level: Level::Medium,
        summary: "A {{ $labels.operation }} on {{ $labels.instance }} took longer than 5 s.".to_owned(),
        series: vec![
            Series {
                name: format!("{DURATION}_count{{{own},{TARGET}}}"),
                when_well: Values::Always(1),
                when_not: Values::Grows,
            },
            Series {
                name: format!(r#"{DURATION}_bucket{{{own},le="5",{TARGET}}}"#),
                when_well: Values::Always(1),
                when_not: Values::Always(0),
            },
        ],
        labels: labels([("operation", "trip_finalization"), ("outcome", "success")]),
    }
}

fn lost() -> Rule {
    Rule {
        name: "VoltTrackerEventsLost".to_owned(),
        expression: grew("volttracker_events_lost_by_sink_total", "5m"),
        lasting: None,
        level: Level::High,
        summary: "A sink on {{ $labels.instance }} lost events.".to_owned(),
        series: vec![Series {
            name: format!("volttracker_events_lost_by_sink_total{{{TARGET}}}"),
            when_well: Values::Always(1),
            when_not: Values::Grows,
        }],
        labels: labels([]),
    }
}

fn degraded() -> Rule {
    Rule {
        name: "VoltTrackerPluginDegraded".to_owned(),
        expression: "volttracker_plugin_degraded == 1".to_owned(),
        lasting: Some("1m"),
        level: Level::High,
        summary: "The slot {{ $labels.slot }} on {{ $labels.instance }} is not served as it should be."
            .to_owned(),
        series: vec![Series {
            name: format!(r#"volttracker_plugin_degraded{{slot="usage-tier",{TARGET}}}"#),
            when_well: Values::Always(0),
            when_not: Values::Always(1),
        }],
        labels: labels([("slot", "usage-tier")]),
    }
}

fn down() -> Rule {
    Rule {
        name: "VoltTrackerDown".to_owned(),
        expression: "up{job=\"volttracker\"} == 0".to_owned(),
        lasting: Some("2m"),
        level: Level::Critical,
        summary: "The metrics of {{ $labels.instance }} cannot be read.".to_owned(),
        series: vec![Series {
            name: format!("up{{{TARGET}}}"),
            when_well: Values::Always(1),
            when_not: Values::Always(0),
        }],
        labels: labels([]),
    }
}

fn absent() -> Rule {
    Rule {
        name: "VoltTrackerAbsent".to_owned(),
        expression: "absent(volttracker_build_info)".to_owned(),
        lasting: Some("5m"),
        level: Level::Critical,
        summary: "No receiver's metrics are read.".to_owned(),
        series: vec![Series {
            name: format!("volttracker_build_info{{{TARGET}}}"),
            when_well: Values::Always(1),
            when_not: Values::Absent,
        }],
        labels: BTreeMap::new(),
    }
}

/// Every rule, in the order of the taxonomy.
pub(super) fn all() -> Vec<Rule> {
    let mut sent_unfit: BTreeMap<Category, Vec<Code>> = BTreeMap::new();
    let mut rules = Vec::new();
    for code in Code::ALL {
        match Level::of(*code) {
            Some(Level::Info) => sent_unfit.entry(code.category()).or_default().push(*code),
            Some(level) => rules.push(of_code(*code, level)),
            None => {}
        }
    }
    rules.extend(sent_unfit.iter().map(|(category, codes)| of_category(*category, codes)));
    rules.extend([slow(), lost(), degraded(), down(), absent()]);
    rules
}

#[test]
fn the_gravest_codes_and_those_of_the_weather_service_have_their_levels() {
    for (code, level) in [
        (Code::E200, Some(Level::Critical)),
        (Code::E500, Some(Level::Critical)),
        (Code::E501, Some(Level::Critical)),
        (Code::E503, Some(Level::Critical)),
        (Code::E100, Some(Level::High)),
        (Code::E101, Some(Level::High)),
        (Code::E103, Some(Level::High)),
        (Code::E203, Some(Level::Medium)),
        (Code::E005, Some(Level::Info)),
        (Code::E504, None),
    ] {
        assert_eq!(Level::of(code), level, "{code:?}");
    }
}
