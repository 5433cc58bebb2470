//! Any text as a catalogue: it is refused, or reads requests into finite
//! numbers.

use super::*;
use crate::tests::fuzz::{Target, about, seen};
use crate::torque::{Content, decode};

fn reader() -> Target {
    let shipped = [
        include_str!("../../../../catalogues/volt-gen2.toml"),
        include_str!("../../../../catalogues/volttracker-legacy.toml"),
    ];
    let header = "name = \"x\"\ntank_gallons = 10\n[[pid]]\npid = \"c\"\nfield = \"a\"\n";
    let small = [
        "unit = \"km\"\nto = \"miles\"\nmin = -1\nmax = 1e3\ncombine = \"max\"\nprecedence = 1\n",
        "unit = \"%\"\n[[derived]]\nfield = \"b\"\npercent_of_tank = \"a\"\n",
        "[[pid]]\npid = \"d\"\nfield = \"b\"\n[[derived]]\nfield = \"e\"\nsum = [\"a\", \"b\"]\n",
        "[[derived]]\nfield = \"b\"\nis_positive = \"a\"\n",
        "[[pid]]\npid = \"ff1005\"\nfield = \"longitude\"\n[[pid]]\npid = \"ff1006\"\nfield = \"latitude\"\n",
    ];
    let small = small.iter().map(|rest| format!("{header}{rest}").into_bytes());
    let corpus = small.chain(shipped.map(|text| text.as_bytes().to_vec())).collect();
    Target { name: "catalogue reader", corpus, words: &WORDS, take: read_any }
}

const WORDS: [&str; 40] = [
    "\n",
    "\"",
    "'''",
    "=",
    "[[pid]]\n",
    "[[derived]]\n",
    "[",
    "]",
    "{",
    "}",
    "#",
    ",",
    ".",
    "\\u0000",
    "name = \"x\"\n",
    "tank_gallons = ",
    "pid = \"c\"\n",
    "pid = \"ff1005\"\n",
    "field = \"a\"\n",
    "field = \"latitude\"\n",
    "unit = \"km\"\n",
    "to = \"miles\"\n",
    "unit = \"°C\"\n",
    "to = \"°F\"\n",
    "unit = \"%\"\n",
    "min = ",
    "max = ",
    "combine = \"max\"\n",
    "combine = \"last\"\n",
    "precedence = 255\n",
    "sum = [\"a\"]\n",
    "sum = [\"a\", \"a\"]\n",
    "percent_of_tank = \"a\"\n",
    "is_positive = \"a\"\n",
    "1e308",
    "nan",
    "inf",
    "1979-05-27T07:32:00Z",
    "true",
    "0x1F",
];

/// What a catalogue is tried on.
const REQUESTS: [&str; 4] = [
    "id=d&session=1&time=1767312345678&kc=1e37&kd=-1e37&kff1005=1e37&kff1006=-1e37&k5=1e37&k1=0",
    "id=d&session=1&time=1767312345678&kc=50&kd=20&kff1005=7&kff1006=8&k5=90&k2f=40&k224322=1&k224323=2",
    "id=d&session=1&time=1767312345678&kc=1e-300&kd=-0&kff1005=0&kff1006=0&k5=-&k2f=NaN",
    "id=d&session=1&defaultUnit0c=km&defaultUnitd=&defaultUnit5=%C2%B0C",
];

fn read_any(input: &[u8]) -> u64 {
    match Catalogue::from_toml(&String::from_utf8_lossy(input)) {
        Err(CatalogueError::File(problem)) => seen(without_details(&problem)),
        Err(CatalogueError::Pid { problem, .. }) => seen(("pid", without_details(&problem))),
        Err(CatalogueError::Derived { problem, .. }) => seen(("derived", without_details(&problem))),
        Ok(catalogue) => {
            assert!(catalogue.tank_gallons().is_finite() && catalogue.tank_gallons() > 0.0);
            assert!(catalogue.fields().is_sorted_by(|a, b| a.name < b.name));
            let filled = REQUESTS.map(|request| about(fields_of(&catalogue, request)));
            seen((about(catalogue.fields().len()), about(catalogue.derived().len()), filled))
        }
    }
}

/// How many fields a request fills.
fn fields_of(catalogue: &Catalogue, request: &str) -> usize {
    let upload =
        decode(catalogue, request.as_bytes(), b"", 1_767_312_400_000).expect("a request that is fit");
    let Content::Reading(reading) = upload.content else { return 0 };
    assert!(reading.fields.iter().all(|(_, value)| value.is_finite()), "{reading:?}");
    assert!(reading.fields.is_sorted_by(|a, b| a.0 < b.0), "{reading:?}");
    reading.fields.len()
}

/// What kind of problem it is: without what the file says itself, which the
/// TOML reader shows above its last line.
fn without_details(problem: &str) -> String {
    let mut quoted = false;
    let kind = problem.trim_end().lines().last().unwrap_or_default();
    kind.chars()
        .filter(|c| {
            quoted ^= *c == '"' || *c == '`';
            !quoted && !c.is_ascii_digit()
        })
        .collect()
}

#[test]
fn odd_catalogues_are_read_or_refused() {
    reader().briefly();
}

#[test]
#[ignore = "takes as long as it is given: just fuzz"]
fn fuzz_catalogue_reader() {
    reader().at_length();
}
