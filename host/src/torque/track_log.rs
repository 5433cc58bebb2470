//! The log that Torque Pro writes on the phone (`trackLog-….csv`), as readings.
//! Pure: bytes in; no network, no storage, no clock, no trip.
//!
//! A log is read more than once. What a row means depends on the whole file:
//! whether `03/02` is in March or in February, and which zone the times without
//! one are in, may be told by its last row only. A look ahead would decide by
//! how far it sees; so the file is surveyed first, and what reads it can begin
//! anew.

mod clock;
mod columns;
mod records;
mod stamp;
mod zones;

#[cfg(test)]
mod tests;

use std::io::{self, Read};

use csv::ByteRecord;
use jiff::tz::Offset;

use self::clock::Clock;
use self::columns::Columns;
use self::records::Records;
pub use self::stamp::DayOrder;
use self::stamp::{DayVotes, Stamp};
use super::{Catalogue, Reading};

/// Why no row of a file can be used.
#[derive(Debug, thiserror::Error)]
pub enum TrackLogError {
    /// It is no track log.
    #[error("{0}")]
    Unfit(&'static str),
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
}

impl From<io::Error> for TrackLogError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Unfit("a line is longer than any of a track log"),
            _ => Self::Unreadable(error),
        }
    }
}

/// What a file says as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Rows, headers left out.
    pub rows: u64,
    /// Which comes first in `03/02/2026`.
    pub day_order: DayOrder,
    /// The first zone that a time names.
    pub zone: Option<Offset>,
    /// Columns that the catalogue knows, but not in this unit.
    pub odd_units: Vec<String>,
    delimiter: u8,
}

/// Looks through a file.
///
/// # Errors
/// It is no track log, or cannot be read.
pub fn survey(catalogue: &Catalogue, source: impl Read) -> Result<Survey, TrackLogError> {
    let mut records = Records::begin(source)?;
    let mut survey = Survey {
        rows: 0,
        day_order: DayOrder::Untold,
        zone: None,
        odd_units: Vec::new(),
        delimiter: records.delimiter(),
    };
    let mut votes = DayVotes::default();
    let mut columns: Option<Columns<'_>> = None;
    while let Some(record) = records.advance()? {
        match &columns {
            Some(columns) if !columns.are_repeated_by(record) => {
                survey.rows += 1;
                for cell in columns.times(record) {
                    votes.count(cell);
                    if let (None, Ok(Stamp::Zoned(_, zone))) =
                        (survey.zone, stamp::parse(cell, DayOrder::Untold))
                    {
                        survey.zone = Some(zone);
                    }
                }
            }
            _ => {
                let header = Columns::read(catalogue, record)?;
                survey.odd_units = header.odd_units().to_vec();
                columns = Some(header);
            }
        }
    }
    if survey.rows == 0 {
        return Err(TrackLogError::Unfit("the file has no row of values"));
    }
    survey.day_order = votes.order();
    Ok(survey)
}

/// The rows of a file that was surveyed, from its beginning.
pub struct Rows<'c, R> {
    catalogue: &'c Catalogue,
    records: Records<R>,
    columns: Option<Columns<'c>>,
    clock: Clock,
    decimal_comma: bool,
}

/// One row, its time read and its values not yet.
pub struct Row<'r, 'c> {
    /// Where it stands in the file, from 1.
    pub line: u64,
    /// When it was written, in epoch milliseconds; or what is wrong with it.
    pub time_ms: Result<i64, &'static str>,
    catalogue: &'c Catalogue,
    columns: &'r Columns<'c>,
    record: &'r ByteRecord,
    decimal_comma: bool,
}

/// A row that says something.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// What it says.
    pub reading: Reading,
    /// How many of its values were no number, or not plausible.
    pub dropped_values_count: u32,
}

impl<'c, R: Read> Rows<'c, R> {
    /// Begins at the beginning of `source`. `received_ms` is what "ahead" is
    /// judged by.
    ///
    /// # Errors
    /// It is no track log, or cannot be read.
    pub fn begin(
        catalogue: &'c Catalogue,
        survey: &Survey,
        source: R,
        received_ms: i64,
    ) -> Result<Self, TrackLogError> {
        Ok(Self {
            catalogue,
            records: Records::begin(source)?,
            columns: None,
            clock: Clock::new(survey.day_order, survey.zone, received_ms),
            decimal_comma: survey.delimiter != b',',
        })
    }

    /// The next row; headers are taken in passing, wherever they stand.
    ///
    /// # Errors
    /// The file cannot be read any further.
    pub fn advance(&mut self) -> Result<Option<Row<'_, 'c>>, TrackLogError> {
        loop {
            let Some(record) = self.records.advance()? else { return Ok(None) };
            match &self.columns {
                Some(columns) if !columns.are_repeated_by(record) => break,
                _ => self.columns = Some(Columns::read(self.catalogue, record)?),
            }
        }
        let record = self.records.current();
        let Some(columns) = &self.columns else { return Ok(None) };
        let time_ms = match columns.fit(record) {
            Ok(()) => self.clock.read(columns.gps_time(record), columns.device_time(record)),
            Err(reason) => Err(reason),
        };
        Ok(Some(Row {
            line: self.records.line(),
            time_ms,
            catalogue: self.catalogue,
            columns,
            record,
            decimal_comma: self.decimal_comma,
        }))
    }
}

impl Row<'_, '_> {
    /// What the row says.
    ///
    /// # Errors
    /// Why it says nothing, in words. Fixed texts, so they repeat nothing that
    /// stands in the file.
    pub fn read(&self) -> Result<Logged, &'static str> {
        let time_ms = self.time_ms?;
        let settled = self.columns.telemetry(self.catalogue, self.record, self.decimal_comma).settle();
        let dropped_values_count = settled.dropped_values_count;
        let reading = settled.into_reading(time_ms);
        if reading.fields.is_empty() && reading.unknown.is_empty() {
            return Err("it has a time and no value");
        }
        Ok(Logged { reading, dropped_values_count })
    }
}
