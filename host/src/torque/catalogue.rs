//! The PID catalogue in memory: what a PID means, looked up on every parameter.
//! How its file is read and checked is in `file`; no request is read here.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::unit::Convert;
pub use file::CatalogueError;

/// What the PIDs of a kind of car mean: which field each one fills, from which
/// unit, and which values of it can be true.
#[derive(Debug)]
pub struct Catalogue {
    name: String,
    tank_gallons: f64,
    fields: Vec<Field>,
    pids: Vec<Pid>,
    /// Where the PID of a track log's column is in `pids`, by [`column_key`].
    columns: BTreeMap<String, usize>,
    derived: Vec<Derived>,
    position: Option<Position>,
}

/// A field that readings of this catalogue may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, with the unit in it where that is not plain.
    pub name: &'static str,
    /// The unit that readings hold, as the catalogue writes it; may be empty.
    pub unit: String,
    /// The PIDs that fill it, normalised; empty for a field that is only computed.
    pub pids: Vec<String>,
    /// Whether it is computed from other fields when no PID fills it.
    pub derived: bool,
}

/// What the catalogue says of one PID.
pub(super) struct Pid {
    number: u64,
    /// Index into the sorted fields.
    pub(super) slot: usize,
    /// The unit the app sends.
    pub(super) unit: String,
    pub(super) convert: Convert,
    min: f64,
    max: f64,
    pub(super) combine: Combine,
    /// Of the PIDs that fill one field, the higher precedence wins.
    pub(super) precedence: u8,
}

/// What happens when a field is filled twice with the same precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Combine {
    #[default]
    Last,
    Max,
}

/// A field computed from others when no PID filled it.
#[derive(Debug)]
pub(super) struct Derived {
    pub(super) slot: usize,
    pub(super) rule: Rule,
}

/// How a derived field is computed. All sources must be there.
#[derive(Debug)]
pub(super) enum Rule {
    Sum(Vec<usize>, Convert),
    PercentOfTank(usize),
    IsPositive(usize),
}

/// Where latitude and longitude are among the fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) latitude: usize,
    pub(super) longitude: usize,
}

static VOLT_GEN2: LazyLock<Catalogue> =
    LazyLock::new(|| shipped(include_str!("../../catalogues/volt-gen2.toml")));
static LEGACY: LazyLock<Catalogue> =
    LazyLock::new(|| shipped(include_str!("../../catalogues/volttracker-legacy.toml")));

fn shipped(text: &str) -> Catalogue {
    Catalogue::from_toml(text).expect("the tests load each catalogue that ships")
}

impl Catalogue {
    /// The catalogue for the second-generation Chevrolet Volt, the default.
    pub fn volt_gen2() -> &'static Self {
        &VOLT_GEN2
    }

    /// The map of the reference implementation, its mistakes included, for
    /// comparing with it.
    pub fn legacy() -> &'static Self {
        &LEGACY
    }

    /// Reads a catalogue file.
    ///
    /// Field names live as long as the process, so that readings need not copy
    /// them: a name is leaked the first time any catalogue uses it. Load
    /// catalogues at start or at an operator's command, not per request.
    ///
    /// # Errors
    /// Names the PID or derived field, and what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, CatalogueError> {
        file::read(text)
    }

    /// The name the file gives itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of the fuel tank in US gallons.
    pub fn tank_gallons(&self) -> f64 {
        self.tank_gallons
    }

    /// Every field a reading may have, sorted by name.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// What is known of a PID, given as hex digits of any case, with or without
    /// leading zeros.
    pub(super) fn pid(&self, hex: &str) -> Option<&Pid> {
        self.pid_by_number(pid_number(hex)?)
    }

    /// What is known of a PID, given as the number its hex digits stand for.
    pub(super) fn pid_by_number(&self, number: u64) -> Option<&Pid> {
        let index = self.pids.binary_search_by_key(&number, |pid| pid.number).ok()?;
        self.pids.get(index)
    }

    /// What is known of a track log's column, given its name without the unit.
    pub(super) fn column(&self, name: &str) -> Option<&Pid> {
        self.pids.get(*self.columns.get(&column_key(name))?)
    }

    /// The unit in which readings hold the field that a PID fills.
    pub(super) fn unit_of(&self, pid: &Pid) -> &str {
        self.fields.get(pid.slot).map_or("", |field| &field.unit)
    }

    pub(super) fn derived(&self) -> &[Derived] {
        &self.derived
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }
}

impl Pid {
    /// Whether a converted value can be true.
    pub(super) fn plausible(&self, value: f64) -> bool {
        value.is_finite() && (self.min..=self.max).contains(&value)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({:x} -> {})", self.number, self.slot)
    }
}

/// The form in which names of columns are compared: letters and digits alone
/// tell them apart. Owners put marks before the names of their own PIDs, and
/// logs write blanks where they like.
pub(super) fn column_key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The number that hex digits stand for; `None` for other text and for numbers
/// that no PID has.
pub(super) fn pid_number(hex: &str) -> Option<u64> {
    if hex.is_empty() {
        return None;
    }
    hex.bytes().try_fold(0_u64, |number, byte| {
        let digit = char::from(byte).to_digit(16)?;
        (number >> 60 == 0).then_some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_found_in_any_case_and_with_any_number_of_leading_zeros() {
        let catalogue = Catalogue::volt_gen2();
        for hex in ["5", "05", "00005", "FF1001", "ff1001", "22005B"] {
            assert!(catalogue.pid(hex).is_some(), "{hex}");
        }
        for hex in ["", "g", "+5", "fffffffffffffffff5", "10000000000000005"] {
            assert!(catalogue.pid(hex).is_none(), "{hex}");
        }
    }

    #[test]
    fn the_shipped_catalogues_are_what_they_say() {
        for (catalogue, name) in
            [(Catalogue::volt_gen2(), "volt-gen2"), (Catalogue::legacy(), "volttracker-legacy")]
        {
            assert_eq!(catalogue.name(), name);
            assert_eq!(catalogue.tank_gallons(), 9.3122);
            assert!(catalogue.position().is_some());
            assert!(catalogue.fields().is_sorted_by_key(|field| field.name));
        }
    }
}
