//! What the columns of a log are, by its header: times, PIDs of the catalogue in
//! the header's units, and others.

use std::borrow::Cow;

use csv::ByteRecord;

use super::TrackLogError;
use super::records::text;
use crate::torque::catalogue::{Catalogue, Pid, column_key};
use crate::torque::reading::{Telemetry, number};
use crate::torque::unit::{self, Convert};

/// The columns of the rows that follow a header.
pub(super) struct Columns<'c> {
    count: usize,
    gps_time: Option<usize>,
    device_time: Option<usize>,
    known: Vec<Known<'c>>,
    /// Place and name, with its unit.
    others: Vec<(usize, String)>,
    odd_units: Vec<String>,
}

struct Known<'c> {
    place: usize,
    pid: &'c Pid,
    /// From the header's unit to the field's.
    convert: Convert,
}

enum Meaning<'c> {
    Known(&'c Pid, Convert),
    OddUnit,
    Other,
}

impl<'c> Columns<'c> {
    pub(super) fn read(catalogue: &'c Catalogue, header: &ByteRecord) -> Result<Self, TrackLogError> {
        let blank_end = header.iter().rev().take_while(|cell| text(cell).is_empty()).count();
        let mut columns = Self {
            count: header.len() - blank_end,
            gps_time: None,
            device_time: None,
            known: Vec::new(),
            others: Vec::new(),
            odd_units: Vec::new(),
        };
        for (place, cell) in header.iter().take(columns.count).enumerate() {
            // PostgreSQL cannot hold NUL.
            columns.take(catalogue, place, text(cell).replace('\0', ""));
        }
        if columns.gps_time.is_none() && columns.device_time.is_none() {
            return Err(TrackLogError::Unfit("the first line names neither GPS Time nor Device Time"));
        }
        Ok(columns)
    }

    /// Takes a column, unless its name is longer than any: it would be kept with
    /// each of its values.
    fn take(&mut self, catalogue: &'c Catalogue, place: usize, name: String) {
        if name.len() > LONGEST_NAME {
            return;
        }
        match column_key(&name).as_str() {
            GPS_TIME => self.gps_time = self.gps_time.or(Some(place)),
            DEVICE_TIME => self.device_time = self.device_time.or(Some(place)),
            _ => match meaning(catalogue, &name) {
                Meaning::Known(pid, convert) => self.known.push(Known { place, pid, convert }),
                other => {
                    if matches!(other, Meaning::OddUnit) && self.odd_units.len() < MOST_ODD_UNITS {
                        self.odd_units.push(name.clone());
                    }
                    self.others.push((place, name));
                }
            },
        }
    }

    /// Whether a line is a header again.
    pub(super) fn are_repeated_by(&self, record: &ByteRecord) -> bool {
        let is = |place: Option<usize>, key| {
            let cell = place.and_then(|place| record.get(place));
            // Most rows have a digit or a day's name there.
            cell.is_some_and(|cell| {
                matches!(cell.first(), Some(b'G' | b'g' | b'D' | b'd' | b'"'))
                    && column_key(&text(cell)) == key
            })
        };
        is(self.gps_time, GPS_TIME) || is(self.device_time, DEVICE_TIME)
    }

    /// Whether a line has a cell for each column: the last one of a phone that
    /// lost its power may end within a number.
    pub(super) fn fit(&self, record: &ByteRecord) -> Result<(), &'static str> {
        if record.len() < self.count {
            return Err("it has fewer cells than the header");
        }
        if record.iter().skip(self.count).any(|cell| !cell.is_empty()) {
            return Err("it has more cells than the header");
        }
        Ok(())
    }

    pub(super) fn odd_units(&self) -> &[String] {
        &self.odd_units
    }

    /// The cells with times that there are.
    pub(super) fn times<'r>(&self, record: &'r ByteRecord) -> impl Iterator<Item = &'r str> {
        [self.gps_time(record), self.device_time(record)].into_iter().filter(|cell| !cell.is_empty())
    }

    pub(super) fn gps_time<'r>(&self, record: &'r ByteRecord) -> &'r str {
        time(self.gps_time, record)
    }

    pub(super) fn device_time<'r>(&self, record: &'r ByteRecord) -> &'r str {
        time(self.device_time, record)
    }

    /// The values of a row.
    pub(super) fn telemetry<'r>(
        &'r self,
        catalogue: &'c Catalogue,
        record: &'r ByteRecord,
        decimal_comma: bool,
    ) -> Telemetry<'c, 'r> {
        let mut telemetry = Telemetry::new(catalogue);
        let cell = |place| record.get(place).map(text).unwrap_or_default();
        for column in &self.known {
            let cell = cell(column.place);
            match number(&pointed(&cell, decimal_comma)) {
                Some(number) => telemetry.take_value(column.pid, (column.convert)(number)),
                None if is_missing(&cell) => {}
                None => telemetry.drop_value(),
            }
        }
        for (place, name) in &self.others {
            let cell = cell(*place);
            if number(&pointed(&cell, decimal_comma)).is_some() {
                telemetry.take_unknown(Cow::Borrowed(name), cell);
            }
        }
        telemetry
    }
}

/// The longest name of a column: bytes.
const LONGEST_NAME: usize = 120;
/// Columns in odd units that are told, at most.
const MOST_ODD_UNITS: usize = 20;

const GPS_TIME: &str = "gpstime";
const DEVICE_TIME: &str = "devicetime";

/// A column is named with its unit in brackets behind it, which some names end
/// with as well.
fn meaning<'c>(catalogue: &'c Catalogue, header: &str) -> Meaning<'c> {
    let split = header.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    let named = split.and_then(|(name, unit)| Some((catalogue.column(name)?, unit)));
    let Some((pid, unit)) = named.or_else(|| Some((catalogue.column(header)?, ""))) else {
        return Meaning::Other;
    };
    if unit::says_nothing(unit) || unit::says_nothing(&pid.unit) || unit::same(unit, &pid.unit) {
        return Meaning::Known(pid, pid.convert);
    }
    match unit::conversion(unit, catalogue.unit_of(pid)) {
        Some(convert) => Meaning::Known(pid, convert),
        None => Meaning::OddUnit,
    }
}

fn time(place: Option<usize>, record: &ByteRecord) -> &str {
    let cell = place.and_then(|place| record.get(place)).unwrap_or_default();
    let text = std::str::from_utf8(cell).unwrap_or_default();
    text.trim_matches('"').trim()
}

/// What the app writes where it has no value.
fn is_missing(cell: &str) -> bool {
    let bare = cell.strip_prefix('-').unwrap_or(cell);
    bare.is_empty() || ["∞", "Infinity", "NaN"].contains(&bare)
}

/// A number in the notation that can be read.
fn pointed(cell: &str, decimal_comma: bool) -> Cow<'_, str> {
    if decimal_comma && cell.contains(',') { Cow::Owned(cell.replacen(',', ".", 1)) } else { cell.into() }
}
