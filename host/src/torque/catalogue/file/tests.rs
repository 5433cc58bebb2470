//! What a catalogue file may not say, and what the refusal names.

use super::*;

const HEADER: &str = "name = \"mine\"\ntank_gallons = 10\n";

fn problem(entries: &str) -> String {
    let refused = Catalogue::from_toml(&format!("{HEADER}{entries}"));
    refused.expect_err("a wrong catalogue").to_string()
}

fn pid(rest: &str) -> String {
    format!("[[pid]]\npid = \"c\"\nfield = \"engine_rpm\"\n{rest}\n")
}

#[test]
fn a_wrong_entry_is_named_with_what_is_wrong() {
    let cases = [
        (pid("uint = \"rpm\""), "PID c: unknown field `uint`"),
        (pid("unit = \"km\"\nto = \"kWh\""), "PID c: no conversion from \"km\" to \"kWh\""),
        (pid("min = 2\nmax = 1"), "PID c: min 2 is above max 1"),
        (pid("min = nan"), "PID c: min and max must be finite"),
        (pid("combine = \"mean\""), "PID c: unknown variant `mean`"),
        (pid("") + &pid(""), "PID c: listed twice"),
        ("[[pid]]\npid = \"0C\"\nfield = \"x\"".into(), "PID 0C: to be written c"),
        ("[[pid]]\npid = \"kc\"\nfield = \"x\"".into(), "PID kc: not a PID in hex"),
        ("[[pid]]\npid = \"c\"\nfield = \"X y\"".into(), "PID c: the field name \"X y\""),
        ("[[pid]]\nfield = \"x\"".into(), "PID #1: missing field `pid`"),
        ("[[pid]]\npid = \"c\"".into(), "PID c: missing field `field`"),
        (String::new(), "the catalogue cannot be read: it has no [[pid]]"),
    ];
    for (entries, expected) in cases {
        let said = problem(&entries);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn pids_of_one_field_agree_on_its_unit_and_on_how_they_combine() {
    let second = "[[pid]]\npid = \"d\"\nfield = \"engine_rpm\"\n";
    let units = problem(&(pid("unit = \"rpm\"") + second + "unit = \"km/h\""));
    let combine = problem(&(pid("") + second + "combine = \"max\""));
    assert_eq!(units, "PID d: engine_rpm is in \"rpm\" elsewhere, in \"km/h\" here");
    assert_eq!(combine, "PID d: the PIDs of engine_rpm differ in `combine`");
}

#[test]
fn a_wrong_derived_field_is_named_with_what_is_wrong() {
    let derived = |rest: &str| problem(&(pid("") + "[[derived]]\nfield = \"x\"\n" + rest));
    let cases = [
        ("", "derived field x: needs one of"),
        ("sum = []", "derived field x: a sum of nothing"),
        ("sum = [\"x\"]", "derived field x: \"x\" is not a field listed before"),
        ("percent_of_tank = \"engine_rpm\"", "derived field x: \"engine_rpm\" is not in %"),
        ("mean = []", "derived field x: unknown field `mean`"),
    ];
    for (rest, expected) in cases {
        let said = derived(rest);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_column_of_a_track_log_is_that_of_one_pid() {
    let other = "[[pid]]\npid = \"d\"\nfield = \"x\"\ncolumns = [\"!Revs\"]";
    let cases = [
        (pid("columns = [\"!!\"]"), "PID c: the column \"!!\" has no name"),
        (pid("columns = [\"Revs\", \"revs\"]"), "PID c: the column \"revs\" is listed twice"),
        (pid("columns = [\"Revs\"]") + other, "PID d: the column \"!Revs\" is that of PID c"),
    ];
    for (entries, expected) in cases {
        assert_eq!(problem(&entries), expected);
    }
}

#[test]
fn a_wrong_header_is_refused() {
    for header in ["name = \" \"\ntank_gallons = 1", "name = \"x\"\ntank_gallons = 0", "x = 1"] {
        assert!(Catalogue::from_toml(&format!("{header}\n{}", pid(""))).is_err(), "{header}");
    }
    assert!(problem("size = 1\n").contains("unknown field `size`"));
}

#[test]
fn a_name_is_leaked_once_however_often_a_catalogue_is_loaded() {
    let load = || Catalogue::from_toml(&(HEADER.to_owned() + &pid(""))).expect("a catalogue");
    let (first, second) = (load(), load());
    assert!(std::ptr::eq(first.fields()[0].name, second.fields()[0].name));
}
