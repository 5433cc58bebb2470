//! The reference implementation's answers, asked of our rules, and input that
//! no car sends. Groups that run in the component or in the host are asked by
//! the host's tests.

mod charging;
mod drive;
mod made_up;
mod robustness;
mod trip;
mod weather;

use vectors::Report;

#[test]
fn every_rule_answers_as_the_reference_but_where_listed() {
    let mut report = Report::default();
    trip::ask(&mut report);
    charging::ask(&mut report);
    weather::ask(&mut report);
    report.end(304, 17);
}
