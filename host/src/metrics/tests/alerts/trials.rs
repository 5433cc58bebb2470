//! What `promtool test rules` tries the rules on: each fires when it should,
//! ends when the cause does, and is quiet when all is well.

use std::fmt::{self, Write as _};

use super::quoted;
use super::rules::{Rule, Values};

impl Values {
    /// In promtool's words: `1x4` is a value and four more like it.
    fn written(self) -> String {
        match self {
            Self::Always(value) => format!("{value}x20"),
            Self::Grows => "1x5 2x14".to_owned(),
            Self::Absent => "_x20".to_owned(),
        }
    }

    /// The same of a series that is not there before the sixth minute.
    fn written_late(self) -> String {
        match self {
            Self::Always(value) => format!("_x6 {value}x13"),
            Self::Grows => "_x6 1x13".to_owned(),
            Self::Absent => self.written(),
        }
    }
}

/// The rules' own words, with the labels that they are about.
fn filled_in(rule: &Rule) -> String {
    rule.labels.iter().fold(rule.summary.clone(), |summary, (name, value)| {
        summary.replace(&format!("{{{{ $labels.{name} }}}}"), value)
    })
}

fn expect(text: &mut String, rule: &Rule, minute: u32, fires: bool) -> fmt::Result {
    writeln!(text, "      - alertname: {}\n        eval_time: {minute}m", rule.name)?;
    if !fires {
        return writeln!(text, "        exp_alerts: []");
    }
    writeln!(text, "        exp_alerts:\n          - exp_labels:")?;
    writeln!(text, "              severity: {}", rule.level.as_str())?;
    for (name, value) in &rule.labels {
        writeln!(text, "              {name}: {}", quoted(value))?;
    }
    writeln!(text, "            exp_annotations:\n              summary: {}", quoted(&filled_in(rule)))
}

fn begin(text: &mut String, title: &str) -> fmt::Result {
    writeln!(text, "  - name: {}\n    interval: 1m\n    input_series:", quoted(title))
}

fn series(text: &mut String, name: &str, values: &str) -> fmt::Result {
    writeln!(text, "      - series: {}\n        values: {}", quoted(name), quoted(values))
}

/// It fires, and where it tells of something that happened, ends afterwards.
fn fires(text: &mut String, rule: &Rule) -> fmt::Result {
    begin(text, &format!("{} fires", rule.name))?;
    for one in &rule.series {
        series(text, &one.name, &one.when_not.written())?;
    }
    writeln!(text, "    alert_rule_test:")?;
    expect(text, rule, 8, true)?;
    if rule.tells_of_growth() { expect(text, rule, 15, false) } else { Ok(()) }
}

/// It fires also when nothing of its kind was counted before.
fn fires_at_once(text: &mut String, rule: &Rule) -> fmt::Result {
    begin(text, &format!("{} fires on a series that is new", rule.name))?;
    for one in &rule.series {
        series(text, &one.name, &one.when_not.written_late())?;
    }
    writeln!(text, "    alert_rule_test:")?;
    expect(text, rule, 5, false)?;
    expect(text, rule, 7, true)?;
    expect(text, rule, 15, false)
}

impl Rule {
    fn tells_of_growth(&self) -> bool {
        self.series.iter().any(|series| matches!(series.when_not, Values::Grows))
    }
}

/// The file that promtool takes.
pub(super) fn written(rules: &[Rule]) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "# Made with the rules: promtool test rules volttracker.trials.yml\n\
         rule_files:\n  - volttracker.rules.yml\nevaluation_interval: 1m\ntests:\n",
    );
    for rule in rules {
        fires(&mut text, rule)?;
        if rule.tells_of_growth() {
            fires_at_once(&mut text, rule)?;
        }
    }
    begin(&mut text, "none fires when all is well")?;
    let all_series = rules.iter().flat_map(|rule| &rule.series);
    for one in all_series {
        series(&mut text, &one.name, &one.when_well.written())?;
    }
    writeln!(text, "    alert_rule_test:")?;
    for rule in rules {
        expect(&mut text, rule, 8, false)?;
        expect(&mut text, rule, 15, false)?;
    }
    Ok(text)
}
