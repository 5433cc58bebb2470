//! Uploads that are committed together, in one transaction.

use std::time::{Duration, Instant};

use super::StoreError;
use super::group_commit::{Batch, Committed};
use super::open::{PATIENCE, WritePool};
use super::readings::write_readings;
use super::record::{Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, Stored};
use super::sessions::{keep_session, quarantine};

/// Writes batches of uploads.
pub(super) struct UploadBatch {
    writes: WritePool,
    late_readings: Duration,
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
    pub(super) fn new(writes: WritePool, late_readings: Duration) -> Self {
        Self { writes, late_readings }
    }

    async fn write(&self, items: &[Record]) -> Result<Vec<Written>, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let readings: Vec<&ReadingRow> = items.iter().filter_map(Record::as_reading).collect();
        let mut phases = Phases::default();
        let mut stored = write_readings(
            &mut transaction,
            self.writes.engine(),
            &readings,
            self.late_readings,
            &mut phases,
        )
        .await?
        .into_iter();
        for facts in sessions(items) {
            keep_session(&mut transaction, facts).await?;
        }
        for request in items.iter().filter_map(Record::as_quarantine) {
            quarantine(&mut transaction, request).await?;
        }
        let started = Instant::now();
        transaction.commit().await?;
        phases.commit_ms = since(started);
        let outcome = |item: &Record| match item {
            Record::Reading(_) => stored.next().expect("every reading has an outcome"),
            Record::Session(_) | Record::Quarantine(_) => Stored::Kept,
        };
        Ok(items.iter().map(outcome).map(|stored| Written { stored, phases }).collect())
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
