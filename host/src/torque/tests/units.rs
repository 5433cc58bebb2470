//! Unit requests: what the app reports against what the catalogue has.

use super::*;

fn default_units(parameters: &str) -> (BTreeMap<String, String>, Vec<UnitConflict>) {
    match uploaded(parameters).content {
        Content::DefaultUnits { units, conflicts } => (units, conflicts),
        other => panic!("not default units: {other:?}"),
    }
}

#[test]
fn units_are_kept_by_normalised_pid_as_the_app_writes_them() {
    let (units, _) = default_units("defaultUnit05=%C2%B0C&defaultUnitFF1001=km%20h");
    let expected = [("5", "°C"), ("ff1001", "km h")];
    assert_eq!(units, expected.map(|(pid, unit)| (pid.to_owned(), unit.to_owned())).into());
}

#[test]
fn a_unit_that_differs_from_the_catalogue_is_a_conflict() {
    let (_, conflicts) = default_units("defaultUnit05=°F&defaultUnitff1001=mph&defaultUnit0c=rpm");
    let expected = [("5", "°F", "°C"), ("ff1001", "mph", "km/h")];
    let expected = expected.map(|(pid, reported, expected)| UnitConflict {
        pid: pid.to_owned(),
        reported: reported.to_owned(),
        expected: expected.to_owned(),
    });
    assert_eq!(conflicts, expected);
}

#[test]
fn a_blank_unit_another_spelling_and_an_unknown_pid_are_no_conflict() {
    let (_, conflicts) = default_units(
        "defaultUnit2f=%20&defaultUnit11=&defaultUnitff1001=KM/H&defaultUnit46=%B0C\
         &defaultUnit220057=x&defaultUnitabc=furlong&defaultUnit=°",
    );
    assert_eq!(conflicts, []);
}

#[test]
fn what_the_driver_wants_displayed_changes_no_value() {
    let before = read("kff1001=100");
    let Content::UserUnits(units) = uploaded("userUnitff1001=mph&userFullName05=Coolant").content else {
        panic!("not user units")
    };
    let expected = [("userFullName5", "Coolant"), ("userUnitff1001", "mph")];
    assert_eq!(units, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    assert_eq!(before, read("kff1001=100"));
}
