//! Uploads that are committed together, in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::AnyPool;

use super::StoreError;
use super::group_commit::{Batch, Committed};
use super::layout::Layouts;
use super::open::{Engine, PATIENCE, WritePool};
use super::open_trips::OpenTrips;
use super::quarantine::quarantine_all;
use super::readings::{Writing, WrittenReadings, write_readings};
use super::record::{Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, Stored};
use super::sessions::keep_session;

/// Writes batches of uploads.
pub(super) struct UploadBatch {
    writes: WritePool,
    reads: AnyPool,
    layouts: Arc<Layouts>,
    late_readings: Duration,
    open_trips: OpenTrips,
}

/// What became of one upload, and the times of its batch.
pub(super) struct Written {
    stored: Stored,
    phases: Phases,
}

/// Where a batch's time went: milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Phases {
    pub(super) trip_query_ms: f64,
    pub(super) insert_ms: f64,
    pub(super) vehicle_ms: f64,
    pub(super) commit_ms: f64,
}

/// The receipt of one upload.
pub(super) fn put(committed: Committed<Written>) -> Put {
    let Committed { outcome: Written { stored, phases }, queued, batch_size, retried } = committed;
    let Phases { trip_query_ms, insert_ms, vehicle_ms, commit_ms } = phases;
    let queue_ms = queued.as_secs_f64() * 1e3;
    Put { stored, queue_ms, trip_query_ms, insert_ms, vehicle_ms, commit_ms, batch_size, retried }
}

impl UploadBatch {
    pub(super) fn new(
        writes: WritePool,
        reads: AnyPool,
        layouts: Arc<Layouts>,
        late_readings: Duration,
    ) -> Self {
        Self { writes, reads, layouts, late_readings, open_trips: OpenTrips::default() }
    }

    /// Writes a batch; a second time where what was remembered did not hold.
    async fn write(&mut self, items: &[Record]) -> Result<Vec<Written>, StoreError> {
        for _ in 0..2 {
            if let Some(written) = self.try_write(items).await? {
                return Ok(written);
            }
            items.iter().filter_map(Record::as_reading).for_each(|row| self.open_trips.forget(row.key()));
        }
        Err(StoreError::Unexpected("a trip is not as the transaction found it".to_owned()))
    }

    async fn try_write(&mut self, items: &[Record]) -> Result<Option<Vec<Written>>, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let readings: Vec<&ReadingRow> = items.iter().filter_map(Record::as_reading).collect();
        let mut phases = Phases::default();
        let mut written = None;
        if !readings.is_empty() {
            written = write_readings(&mut transaction, &self.writing(), &readings, &mut phases).await?;
            if written.is_none() {
                return Ok(None);
            }
        }
        for facts in sessions(items) {
            keep_session(&mut transaction, facts).await?;
        }
        quarantine_all(&mut transaction, items.iter().filter_map(Record::as_quarantine)).await?;
        let started = Instant::now();
        transaction.commit().await?;
        phases.commit_ms = since(started);
        let mut stored = written.map(|written| self.remember(written)).into_iter().flatten();
        let outcome = |item: &Record| match item {
            Record::Reading(_) => stored.next().expect("every reading has an outcome"),
            Record::Session(_) | Record::Quarantine(_) => Stored::Kept,
        };
        Ok(Some(items.iter().map(outcome).map(|stored| Written { stored, phases }).collect()))
    }

    fn writing(&self) -> Writing<'_> {
        Writing {
            engine: self.writes.engine(),
            late_readings: self.late_readings,
            layouts: &self.layouts,
            reads: &self.reads,
            open_trips: &self.open_trips,
        }
    }

    /// Remembers the trips of a committed batch. Not on PostgreSQL: there the
    /// trips of a batch must be locked in one order for all hosts, and asking
    /// for them is what locks them.
    fn remember(&mut self, written: WrittenReadings<'_>) -> Vec<Stored> {
        let WrittenReadings { stored, trips, vehicles } = written;
        if self.writes.engine() == Engine::Sqlite {
            for (key, trip) in trips.iter().filter(|(_, trip)| !trip.too_late) {
                self.open_trips.remember(*key, trip, &vehicles[key.0]);
            }
        }
        stored
    }
}

/// Session facts by session, so that two hosts lock rows in the same order;
/// those of one session in the order they came.
fn sessions(items: &[Record]) -> Vec<&SessionFacts> {
    let mut sessions: Vec<_> = items.iter().filter_map(Record::as_session).collect();
    sessions.sort_by_key(|facts| (&facts.vehicle, facts.session));
    sessions
}

impl Batch for UploadBatch {
    type Item = Record;
    type Outcome = Written;

    async fn commit(&mut self, items: &[Record]) -> Result<Vec<Written>, StoreError> {
        // A dropped transaction rolls back, so a batch that hangs ends here.
        let patience = PATIENCE + Duration::from_secs(2);
        tokio::time::timeout(patience, self.write(items)).await.map_err(|_| StoreError::TimedOut(patience))?
    }
}

impl Record {
    fn as_reading(&self) -> Option<&ReadingRow> {
        match self {
            Self::Reading(row) => Some(row),
            Self::Session(_) | Self::Quarantine(_) => None,
        }
    }

    fn as_session(&self) -> Option<&SessionFacts> {
        match self {
            Self::Session(facts) => Some(facts),
            Self::Reading(_) | Self::Quarantine(_) => None,
        }
    }

    fn as_quarantine(&self) -> Option<&QuarantinedRequest> {
        match self {
            Self::Quarantine(request) => Some(request),
            Self::Reading(_) | Self::Session(_) => None,
        }
    }
}

pub(super) fn since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}
