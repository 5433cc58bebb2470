//! What became of a file's rows, counted, and a bounded account of those that
//! could not be kept.

use std::collections::HashSet;

use serde::Serialize;

use crate::events::{Code, Failure, ImportDetails};
use crate::identity::TripId;
use crate::plugin_host::VehicleStats;
use crate::store::Stored;

/// Rows that are named with what is wrong with them.
const NAMED_ROWS: usize = 20;
/// Of these, those that an event names.
const EXAMPLES: usize = 5;
/// Trips that an answer names.
const NAMED_TRIPS: usize = 100;

/// What an import came to, as far as it came.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Rows of the file, headers left out.
    pub rows: u64,
    /// Rows that are readings now.
    pub imported: u64,
    /// Rows whose trip has a reading of that time already.
    pub duplicates: u64,
    /// Of these, those where it says something else; the first stays.
    pub conflicting: u64,
    /// Rows whose trip was closed longer ago than LATE_READING_DAYS.
    pub late: u64,
    /// Rows that say nothing that can be kept.
    pub bad: u64,
    /// The first of the latter two.
    pub bad_rows: Vec<BadRow>,
    /// Values that were no number or not plausible.
    pub dropped_values: u64,
    /// Trips that the rows belong to; the first hundred of them.
    pub trips: Vec<TripId>,
    /// How many there are.
    pub trips_count: u64,
    /// Trips that the import opened.
    pub trips_created: u64,
    /// The earliest reading: epoch milliseconds.
    pub first_reading_ms: Option<i64>,
    /// The latest reading: epoch milliseconds.
    pub last_reading_ms: Option<i64>,
    /// As many as a file may have drives, and those that were near.
    #[serde(skip)]
    seen_trips: HashSet<TripId>,
}

/// A row that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Rows that are done with.
    pub done: u64,
    /// Rows of the file.
    pub rows: u64,
}

impl Tally {
    /// How far this is.
    pub fn progress(&self) -> Progress {
        let done = self.imported + self.duplicates + self.late + self.bad;
        Progress { done, rows: self.rows }
    }

    /// Counts a row that the store has; returns the vehicle's closed trips.
    pub(super) fn count(&mut self, line: u64, time_ms: i64, stored: Stored) -> Option<VehicleStats> {
        match stored {
            Stored::Reading { trip_id, trip_created, duplicate, conflicting, vehicle, .. } => {
                self.imported += u64::from(!duplicate);
                self.duplicates += u64::from(duplicate);
                self.conflicting += u64::from(conflicting);
                self.trips_created += u64::from(trip_created);
                self.first_reading_ms =
                    Some(self.first_reading_ms.map_or(time_ms, |first| first.min(time_ms)));
                self.last_reading_ms = self.last_reading_ms.max(Some(time_ms));
                self.see(trip_id);
                Some(vehicle)
            }
            Stored::TooLate { .. } => {
                self.late += 1;
                self.name(line, "its trip was closed longer ago than LATE_READING_DAYS");
                None
            }
            Stored::Session { .. } | Stored::Kept => None,
        }
    }

    fn see(&mut self, trip_id: TripId) {
        if self.seen_trips.contains(&trip_id) {
            return;
        }
        self.trips_count += 1;
        if self.trips.len() < NAMED_TRIPS {
            self.trips.push(trip_id.clone());
        }
        self.seen_trips.insert(trip_id);
    }

    /// Counts a row that cannot be kept.
    pub(super) fn refuse(&mut self, line: u64, reason: &'static str) {
        self.bad += 1;
        self.name(line, reason);
    }

    fn name(&mut self, line: u64, reason: &'static str) {
        if self.bad_rows.len() < NAMED_ROWS {
            self.bad_rows.push(BadRow { line, reason });
        }
    }

    /// Whether the file was of any use.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.imported + self.duplicates > 0 {
            return Ok(());
        }
        let code = if self.late > 0 { Code::E401 } else { Code::E305 };
        let first = self.bad_rows.first();
        let first = first.map(|row| format!(": line {}: {}", row.line, row.reason)).unwrap_or_default();
        Err(Failure::new(code, format!("no row of the file can be kept{first}")))
    }

    /// Tells an event.
    pub fn describe(&self, details: &mut ImportDetails) {
        details.file_rows = self.rows;
        details.imported_rows = self.imported;
        details.duplicate_rows = self.duplicates;
        details.conflicting_rows = self.conflicting;
        details.late_rows = self.late;
        details.bad_rows = self.bad;
        details.dropped_values_count = self.dropped_values;
        details.bad_row_examples = self
            .bad_rows
            .iter()
            .take(EXAMPLES)
            .map(|row| format!("line {}: {}", row.line, row.reason))
            .collect();
        details.trips = self.trips_count;
        details.trips_created = self.trips_created;
        let time = |time_ms: Option<i64>| jiff::Timestamp::from_millisecond(time_ms?).ok();
        details.first_reading_time = time(self.first_reading_ms);
        details.last_reading_time = time(self.last_reading_ms);
    }
}
