//! The tally of all groups that one test asks: a table in its output, and a
//! failure where an answer is not as listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

use crate::compare::agree;
use crate::{Case, Group, Ours};

/// What came of the groups that were asked.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    wrong: Vec<String>,
}

#[derive(Debug)]
struct Row {
    group: String,
    run_in: String,
    cases: usize,
    as_the_reference: usize,
    by_our_rule: usize,
}

impl Report {
    /// Asks all cases of a group and compares the answers: see [`Self::compare`].
    pub fn ask(&mut self, file: &str, group: &str, ours: &[Ours], ask: impl Fn(&Value) -> Value) {
        let group = Group::read(file, group);
        let answers: Vec<_> = group.inputs().map(ask).collect();
        self.compare(&group, ours, &answers);
    }

    /// Compares the answers to a group's cases, in their order. Every case that
    /// the file marks must be in `ours`, and no other but those found since; and
    /// an answer of ours must differ from the reference's, unless it says not.
    ///
    /// # Panics
    /// There is not one answer for each case.
    pub fn compare(&mut self, group: &Group, ours: &[Ours], answers: &[Value]) {
        assert_eq!(answers.len(), group.cases.len(), "{}: one answer a case", group.name);
        let mut listed: BTreeMap<&str, &Ours> = ours.iter().map(|ours| (ours.id.as_str(), ours)).collect();
        let (mut as_the_reference, mut by_our_rule) = (0, 0);
        for (case, found) in group.cases.iter().zip(answers) {
            let ours = listed.remove(case.id.as_str());
            match ours {
                None => as_the_reference += 1,
                Some(_) => by_our_rule += 1,
            }
            if let Err(wrong) = check(case, ours, found) {
                self.wrong.push(format!("{}: {wrong}", case.id));
            }
        }
        self.wrong.extend(listed.keys().map(|id| format!("{id}: listed, but there is no such case")));
        let (group, run_in, cases) = (group.name.clone(), group.run_in.clone(), group.cases.len());
        self.rows.push(Row { group, run_in, cases, as_the_reference, by_our_rule });
    }

    /// Prints the table, and fails where anything is not as it should be.
    ///
    /// # Panics
    /// An answer is not as listed, or there are not that many cases in all, or
    /// not that many by our rule.
    pub fn end(self, cases: usize, by_our_rule: usize) {
        // Past the test harness, which shows the output of failed tests only.
        std::io::stdout().write_all(self.table().as_bytes()).expect("standard output is open");
        let total = |count: fn(&Row) -> usize| self.rows.iter().map(count).sum::<usize>();
        assert!(self.wrong.is_empty(), "not as listed:\n{}", self.wrong.join("\n"));
        assert_eq!((total(|row| row.cases), total(|row| row.by_our_rule)), (cases, by_our_rule));
    }

    fn table(&self) -> String {
        let mut table = String::from("\n");
        let mut line = |group: &str, run_in: &str, counts: [&str; 3]| {
            let [cases, as_the_reference, by_our_rule] = counts;
            writeln!(table, "{group:<26}{run_in:<11}{cases:>6}{as_the_reference:>19}{by_our_rule:>13}")
                .expect("a String takes every text");
        };
        line("group", "run in", ["cases", "as the reference", "by our rule"]);
        for row in &self.rows {
            let counts = [row.cases, row.as_the_reference, row.by_our_rule].map(|count| count.to_string());
            line(&row.group, &row.run_in, counts.each_ref().map(String::as_str));
        }
        table.push('\n');
        table
    }
}

fn check(case: &Case, ours: Option<&Ours>, found: &Value) -> Result<(), String> {
    let listed = ours.is_some_and(|ours| ours.marked);
    if listed != case.marked {
        return Err(format!("listed as marked: {listed}, marked in the file: {}", case.marked));
    }
    let expected = ours.map_or_else(|| case.expected.clone(), |ours| ours.answer(&case.expected));
    let why = ours.map_or("as the reference", |ours| ours.why);
    if ours.is_some_and(|ours| ours.differs() == agree(&case.expected, &expected)) {
        return Err(format!("listed as another answer ({why}), but it is the reference's"));
    }
    if !agree(&expected, found) {
        return Err(format!("expected {expected} ({why}), found {found}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn group() -> Group {
        let case = |id: &str, expected, marked| Case { id: id.into(), input: json!(null), expected, marked };
        let cases = vec![case("a", json!(1), false), case("b", json!(2), true), case("c", json!(3), false)];
        Group { name: "group".into(), run_in: "host".into(), cases }
    }

    fn wrong(ours: &[Ours], answers: [i32; 3]) -> Vec<String> {
        let mut report = Report::default();
        report.compare(&group(), ours, &answers.map(Value::from));
        report.wrong
    }

    #[test]
    fn cases_are_as_the_reference_but_where_listed() {
        let ours = [Ours::instead("b", json!(5), "why"), Ours::instead("c", json!(6), "why").found_since()];
        assert_eq!(wrong(&ours, [1, 5, 6]), Vec::<String>::new());
        assert_eq!(wrong(&ours, [1, 5, 3]), ["c: expected 6 (why), found 3"]);
        assert_eq!(wrong(&ours, [4, 5, 6]), ["a: expected 1 (as the reference), found 4"]);
        assert_eq!(wrong(&[Ours::the_same("b", "why")], [1, 2, 3]), Vec::<String>::new());
    }

    #[test]
    fn a_list_that_is_not_the_files_is_told() {
        let marked = Ours::instead("b", json!(5), "why");
        assert_eq!(wrong(&[], [1, 2, 3]), ["b: listed as marked: false, marked in the file: true"]);
        let unmarked = Ours::instead("a", json!(9), "why");
        assert_eq!(wrong(&[marked.clone(), unmarked], [9, 5, 3]).len(), 1);
        let unknown = Ours::instead("d", json!(9), "why");
        assert_eq!(wrong(&[marked, unknown], [1, 5, 3]), ["d: listed, but there is no such case"]);
        let no_difference = Ours::instead("b", json!(2), "why");
        assert_eq!(wrong(&[no_difference], [1, 2, 3]).len(), 1);
    }

    #[test]
    fn the_table_has_a_line_for_each_group() {
        let mut report = Report::default();
        let ours = [Ours::instead("b", json!(5), "why")];
        report.compare(&group(), &ours, &[1, 5, 3].map(Value::from));
        let lines: Vec<_> = report
            .table()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines[2], "group host 3 2 1");
    }
}
