//! The catalogue's TOML file: its shape, and every check on it. Nothing here
//! runs when a request is decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::{Catalogue, Combine, Derived, Field, Pid, Position, Rule, column_key, pid_number};
use crate::torque::unit;

/// Why a catalogue file is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or a header that is not a catalogue's.
    #[error("the catalogue cannot be read: {0}")]
    File(String),
    /// An entry for a PID is wrong.
    #[error("PID {pid}: {problem}")]
    Pid {
        /// The PID as the file writes it, or `#<n>` for the n-th entry when it has none.
        pid: String,
        /// What is wrong.
        problem: String,
    },
    /// A derived field is wrong.
    #[error("derived field {field}: {problem}")]
    Derived {
        /// The field as the file writes it, or `#<n>`.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    tank_gallons: f64,
    #[serde(default)]
    pid: Vec<toml::Table>,
    #[serde(default)]
    derived: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PidEntry {
    pid: String,
    field: String,
    #[serde(default)]
    unit: String,
    to: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    combine: Combine,
    #[serde(default)]
    precedence: u8,
    #[serde(default)]
    columns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedEntry {
    field: String,
    sum: Option<Vec<String>>,
    percent_of_tank: Option<String>,
    is_positive: Option<String>,
    to: Option<String>,
}

/// What is known of a field while the file is read.
struct Draft {
    unit: String,
    combine: Combine,
    pids: Vec<String>,
    derived: bool,
}

type Fields = BTreeMap<&'static str, Draft>;

/// Reads and checks a catalogue file.
pub(super) fn read(text: &str) -> Result<Catalogue, CatalogueError> {
    let file: File = toml::from_str(text).map_err(|e| CatalogueError::File(e.to_string()))?;
    check_header(&file).map_err(CatalogueError::File)?;

    let mut fields = Fields::new();
    let mut entries: BTreeMap<u64, PidEntry> = BTreeMap::new();
    for (index, table) in file.pid.into_iter().enumerate() {
        let pid = label(&table, "pid", index);
        take_pid(table, &mut fields, &mut entries).map_err(|problem| CatalogueError::Pid { pid, problem })?;
    }
    let mut derived_entries = Vec::new();
    for (index, table) in file.derived.into_iter().enumerate() {
        let field = label(&table, "field", index);
        let entry =
            take_derived(table, &mut fields).map_err(|problem| CatalogueError::Derived { field, problem })?;
        derived_entries.push(entry);
    }
    Ok(assemble(file.name, file.tank_gallons, fields, entries, &derived_entries))
}

fn check_header(file: &File) -> Result<(), String> {
    if file.name.trim().is_empty() {
        return Err("it has no name".to_owned());
    }
    if !file.tank_gallons.is_finite() || file.tank_gallons <= 0.0 {
        return Err("tank_gallons is not above 0".to_owned());
    }
    if file.pid.is_empty() {
        return Err("it has no [[pid]]".to_owned());
    }
    Ok(())
}

fn label(table: &toml::Table, key: &str, index: usize) -> String {
    match table.get(key).and_then(toml::Value::as_str) {
        Some(text) => text.to_owned(),
        None => format!("#{}", index + 1),
    }
}

/// Checks one `[[pid]]` by itself and against those before it.
fn take_pid(
    table: toml::Table,
    fields: &mut Fields,
    entries: &mut BTreeMap<u64, PidEntry>,
) -> Result<(), String> {
    let entry: PidEntry = table.try_into().map_err(message)?;
    let number = pid_number(&entry.pid).ok_or("not a PID in hex")?;
    if format!("{number:x}") != entry.pid {
        return Err(format!("to be written {number:x}"));
    }
    if entries.contains_key(&number) {
        return Err("listed twice".to_owned());
    }
    check_range(entry.min, entry.max)?;
    check_columns(&entry.columns, entries)?;
    let stored = entry.to.as_deref().unwrap_or(&entry.unit);
    if unit::conversion(&entry.unit, stored).is_none() {
        return Err(no_conversion(&entry.unit, stored));
    }
    check_name(&entry.field)?;
    let draft = fields.entry(interned(&entry.field)).or_insert_with(|| Draft {
        unit: stored.to_owned(),
        combine: entry.combine,
        pids: Vec::new(),
        derived: false,
    });
    if !unit::same(&draft.unit, stored) {
        return Err(format!("{} is in {:?} elsewhere, in {stored:?} here", entry.field, draft.unit));
    }
    if draft.combine != entry.combine {
        return Err(format!("the PIDs of {} differ in `combine`", entry.field));
    }
    draft.pids.push(entry.pid.clone());
    entries.insert(number, entry);
    Ok(())
}

fn check_range(min: Option<f64>, max: Option<f64>) -> Result<(), String> {
    if [min, max].into_iter().flatten().any(|limit| !limit.is_finite()) {
        return Err("min and max must be finite".to_owned());
    }
    match (min, max) {
        (Some(min), Some(max)) if min > max => Err(format!("min {min} is above max {max}")),
        _ => Ok(()),
    }
}

/// A column of a track log is that of one PID, and told by something.
fn check_columns(columns: &[String], entries: &BTreeMap<u64, PidEntry>) -> Result<(), String> {
    for (index, column) in columns.iter().enumerate() {
        let key = column_key(column);
        if key.is_empty() {
            return Err(format!("the column {column:?} has no name"));
        }
        let same = |other: &String| column_key(other) == key;
        if columns[..index].iter().any(same) {
            return Err(format!("the column {column:?} is listed twice"));
        }
        if let Some(other) = entries.values().find(|entry| entry.columns.iter().any(same)) {
            return Err(format!("the column {column:?} is that of PID {}", other.pid));
        }
    }
    Ok(())
}

fn check_name(field: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if field.is_empty() || !field.bytes().all(plain) {
        return Err(format!("the field name {field:?} is not snake_case"));
    }
    Ok(())
}

/// Checks one `[[derived]]`: exactly one rule, on fields known so far.
fn take_derived(table: toml::Table, fields: &mut Fields) -> Result<DerivedEntry, String> {
    let entry: DerivedEntry = table.try_into().map_err(message)?;
    check_name(&entry.field)?;
    let computed = derived_unit(&entry, fields)?;
    let stored = entry.to.clone().unwrap_or_else(|| computed.clone());
    if unit::conversion(&computed, &stored).is_none() {
        return Err(no_conversion(&computed, &stored));
    }
    let draft = fields.entry(interned(&entry.field)).or_insert_with(|| Draft {
        unit: stored.clone(),
        combine: Combine::Last,
        pids: Vec::new(),
        derived: false,
    });
    if draft.derived {
        return Err("listed twice".to_owned());
    }
    if !unit::same(&draft.unit, &stored) {
        return Err(format!("its PIDs give {:?}, the rule {stored:?}", draft.unit));
    }
    draft.derived = true;
    Ok(entry)
}

/// The unit that the rule of a derived field gives.
fn derived_unit(entry: &DerivedEntry, fields: &Fields) -> Result<String, String> {
    let known = |source: &String| match fields.get(source.as_str()) {
        Some(draft) if *source != entry.field => Ok(draft.unit.clone()),
        _ => Err(format!("{source:?} is not a field listed before")),
    };
    match (&entry.sum, &entry.percent_of_tank, &entry.is_positive) {
        (Some(sources), None, None) => {
            let units = sources.iter().map(known).collect::<Result<Vec<_>, _>>()?;
            let first = units.first().ok_or("a sum of nothing")?;
            if units.iter().any(|other| !unit::same(first, other)) {
                return Err("a sum of different units".to_owned());
            }
            Ok(first.clone())
        }
        (None, Some(source), None) if unit::same(&known(source)?, "%") => Ok("gallons".to_owned()),
        (None, Some(source), None) => Err(format!("{source:?} is not in %")),
        (None, None, Some(source)) => known(source).map(|_| "0/1".to_owned()),
        _ => Err("needs one of `sum`, `percent_of_tank`, `is_positive`".to_owned()),
    }
}

fn no_conversion(from: &str, to: &str) -> String {
    format!("no conversion from {from:?} to {to:?}")
}

/// The message alone: the tables carry no line numbers to show.
#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn message(error: toml::de::Error) -> String {
    error.message().to_owned()
}

/// Puts the checked parts together; nothing can be wrong any more.
fn assemble(
    name: String,
    tank_gallons: f64,
    fields: Fields,
    entries: BTreeMap<u64, PidEntry>,
    derived: &[DerivedEntry],
) -> Catalogue {
    let slots: BTreeMap<&str, usize> = fields.keys().copied().zip(0..).collect();
    let slot = |field: &str| slots.get(field).copied().unwrap_or_default();
    let keys = |(index, entry)| columns_of(entry).map(move |key| (key, index));
    let columns = entries.values().enumerate().flat_map(keys).collect();
    let pids = entries.into_iter().map(|(number, entry)| Pid {
        number,
        slot: slot(&entry.field),
        convert: convert(&entry.unit, entry.to.as_deref()),
        unit: entry.unit,
        min: entry.min.unwrap_or(f64::MIN),
        max: entry.max.unwrap_or(f64::MAX),
        combine: entry.combine,
        precedence: entry.precedence,
    });
    let derived = derived.iter().filter_map(|entry| {
        let rule = if let Some(sources) = &entry.sum {
            let from = sources.first().and_then(|source| fields.get(source.as_str()))?;
            let sources = sources.iter().map(|source| slot(source)).collect();
            Rule::Sum(sources, convert(&from.unit, entry.to.as_deref()))
        } else if let Some(source) = &entry.percent_of_tank {
            Rule::PercentOfTank(slot(source))
        } else {
            Rule::IsPositive(slot(entry.is_positive.as_ref()?))
        };
        Some(Derived { slot: slot(&entry.field), rule })
    });
    let position = slots.get("latitude").zip(slots.get("longitude"));
    Catalogue {
        name,
        tank_gallons,
        pids: pids.collect(),
        columns,
        derived: derived.collect(),
        position: position.map(|(&latitude, &longitude)| Position { latitude, longitude }),
        fields: fields.into_iter().map(into_field).collect(),
    }
}

fn columns_of(entry: &PidEntry) -> impl Iterator<Item = String> {
    entry.columns.iter().map(|column| column_key(column))
}

fn convert(from: &str, to: Option<&str>) -> unit::Convert {
    unit::conversion(from, to.unwrap_or(from)).unwrap_or(|v| v)
}

fn into_field((name, draft): (&'static str, Draft)) -> Field {
    Field { name, unit: draft.unit, pids: draft.pids, derived: draft.derived }
}

/// The name for the life of the process; the same name is leaked only once,
/// however often catalogues are loaded.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    match names.get(name) {
        Some(known) => known,
        None => {
            let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
            names.insert(leaked);
            leaked
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
