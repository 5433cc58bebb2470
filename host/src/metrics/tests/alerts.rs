//! The alert rules in `docs/alerts`: made of the error taxonomy, and of what
//! the exposed metrics say of the rest. None is there that can never fire.

mod rules;
mod trials;

use std::fmt::Write as _;

use self::rules::{Rule, all};
use super::promql;
use crate::events::{Code, Severity};
use crate::tests::docs::assert_is_up_to_date;

/// The tests that write the files anew.
const UPDATE: &str = "metrics::tests";

/// Text as a YAML scalar.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn write_rule(text: &mut String, rule: &Rule) -> std::fmt::Result {
    writeln!(text, "      - alert: {}", rule.name)?;
    writeln!(text, "        expr: |")?;
    for line in rule.expression.lines() {
        writeln!(text, "          {line}")?;
    }
    if let Some(lasting) = rule.lasting {
        writeln!(text, "        for: {lasting}")?;
    }
    writeln!(text, "        labels:\n          severity: {}", rule.level.as_str())?;
    writeln!(text, "        annotations:\n          summary: {}", quoted(&rule.summary))
}

fn written(rules: &[Rule]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# Made of the error taxonomy: change it there, then UPDATE_DOCS=1 cargo test metrics::tests\n\
         groups:\n  - name: volttracker\n    rules:\n",
    );
    for rule in rules {
        write_rule(&mut text, rule)?;
    }
    Ok(text)
}

#[test]
fn the_rules_in_docs_are_those_of_the_taxonomy() {
    assert_is_up_to_date("alerts/volttracker.rules.yml", &written(&all()).expect("a text"), UPDATE);
}

#[test]
fn the_trials_in_docs_are_those_of_the_rules() {
    assert_is_up_to_date("alerts/volttracker.trials.yml", &trials::written(&all()).expect("a text"), UPDATE);
}

#[test]
fn no_rule_asks_for_what_is_never_exposed() {
    for Rule { name, expression, .. } in all() {
        assert_eq!(promql::problems(&expression), [] as [&str; 0], "{name} can never fire");
    }
}

#[test]
fn every_code_that_is_no_mere_news_has_one_rule() {
    let rules = all();
    for code in Code::ALL {
        let asks = |rule: &&Rule| rule.expression.contains(code.as_str());
        let expected = usize::from(code.alert() || code.severity() > Severity::Info);
        assert_eq!(rules.iter().filter(asks).count(), expected, "{code:?}");
    }
}
