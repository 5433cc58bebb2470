//! Uploads that are committed together, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Any, AnyPool, Transaction};

use super::group_commit::{Batch, Committed};
use super::layout::Layouts;
use super::open::{Engine, PATIENCE, WritePool};
use super::open_trips::OpenTrips;
use super::quarantine::quarantine_all;
use super::readings::{Writing, WrittenReadings, write_readings};
use super::record::{Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, Stored};
use super::sessions::SessionsInBatch;
use super::trips::{self, Trips};
use super::{StoreError, moves};

/// Writes batches of uploads.
pub(super) struct UploadBatch {
    writes: WritePool,
    reads: AnyPool,
    layouts: Arc<Layouts>,
    late_readings: Duration,
    open_trips: OpenTrips,
}

/// How often a batch is written anew, at most.
const MOST_ATTEMPTS: usize = 4;

/// What came of writing a batch.
enum Attempt {
    Written(Vec<Written>),
    /// What was remembered of a trip did not hold, or another host opened one
    /// since it was looked for.
    Outdated,
    /// These items are profiles that move a trip to another vehicle. That locks
    /// trips, which must come before all else: each of them in a transaction of
    /// its own, before the others.
    InAnotherCar(Vec<usize>),
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

    /// Writes a batch; again where what was remembered did not hold, or a profile
    /// moved a trip.
    async fn write(&mut self, items: &[Record]) -> Result<Vec<Written>, StoreError> {
        let mut apart = HashMap::new();
        for _ in 0..MOST_ATTEMPTS {
            match self.try_write(items, &apart).await? {
                Attempt::Written(written) => return Ok(written),
                Attempt::Outdated => {
                    let readings = items.iter().filter_map(Record::as_reading);
                    readings.for_each(|row| self.open_trips.forget(row.key()));
                }
                Attempt::InAnotherCar(indices) => {
                    for index in indices {
                        let facts = items[index].as_session().expect("only a session is in a car");
                        // First: it may be moved though no answer comes.
                        self.open_trips.forget(facts.key());
                        apart.insert(index, moves::keep_and_move(&self.writes, facts).await?);
                    }
                }
            }
        }
        Err(StoreError::Unexpected("a trip is not as the transaction found it".to_owned()))
    }

    /// Writes all items but those that are written `apart`.
    async fn try_write(
        &mut self,
        items: &[Record],
        apart: &HashMap<usize, Stored>,
    ) -> Result<Attempt, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let readings: Vec<&ReadingRow> = items.iter().filter_map(Record::as_reading).collect();
        let facts: Vec<_> = (0..)
            .zip(items)
            .filter_map(|(index, item)| Some((index, item.as_session()?)))
            .filter(|(index, _)| !apart.contains_key(index))
            .collect();
        let mut phases = Phases::default();
        let started = Instant::now();
        let (trips, sessions) = match self.find_trips(&mut transaction, &readings, &facts).await? {
            Ok(found) => found,
            Err(attempt) => {
                // What it locked is free before the next one.
                transaction.rollback().await?;
                return Ok(attempt);
            }
        };
        phases.trip_query_ms = since(started);
        let mut written = None;
        if !readings.is_empty() {
            written =
                write_readings(&mut transaction, &self.writing(), &readings, trips, &mut phases).await?;
            if written.is_none() {
                return Ok(Attempt::Outdated);
            }
        }
        quarantine_all(&mut transaction, items.iter().filter_map(Record::as_quarantine)).await?;
        let started = Instant::now();
        transaction.commit().await?;
        phases.commit_ms = since(started);
        let readings = written.map(|written| self.remember(written)).unwrap_or_default();
        let stored = outcomes(items, readings, &sessions, apart);
        Ok(Attempt::Written(stored.map(|stored| Written { stored, phases }).collect()))
    }

    /// The trips of a batch, and its sessions, which say whose the trips are;
    /// or else why the batch is to be written anew.
    async fn find_trips<'a>(
        &self,
        transaction: &mut Transaction<'static, Any>,
        readings: &[&'a ReadingRow],
        facts: &[(usize, &'a SessionFacts)],
    ) -> Result<Result<(Trips<'a>, SessionsInBatch<'a>), Attempt>, StoreError> {
        let (engine, late_readings) = (self.writes.engine(), self.late_readings);
        let (mut trips, new) =
            trips::find(transaction, engine, readings, late_readings, &self.open_trips).await?;
        let mut sessions = SessionsInBatch::default();
        for group in &new {
            sessions.add(group.0, trips::last_received_ms(group), None);
        }
        for (_, facts) in facts {
            sessions.add(facts.key(), facts.received_ms, Some(facts));
        }
        sessions.keep(transaction, engine).await?;
        let moved = sessions.in_another_car(transaction).await?;
        if !moved.is_empty() {
            let moves = facts.iter().filter(|(_, facts)| moved.contains(&facts.key()));
            return Ok(Err(Attempt::InAnotherCar(moves.map(|(index, _)| *index).collect())));
        }
        let opened = trips::open_all(transaction, engine, &new, &sessions, late_readings, &mut trips).await?;
        Ok(if opened { Ok((trips, sessions)) } else { Err(Attempt::Outdated) })
    }

    fn writing(&self) -> Writing<'_> {
        Writing { engine: self.writes.engine(), layouts: &self.layouts, reads: &self.reads }
    }

    /// Remembers the trips of a committed batch. Not on PostgreSQL: there the
    /// trips of a batch must be locked in one order for all hosts, and asking
    /// for them is what locks them.
    fn remember(&mut self, written: WrittenReadings<'_>) -> Vec<Stored> {
        let WrittenReadings { stored, trips, vehicles } = written;
        if self.writes.engine() == Engine::Sqlite {
            for (key, trip) in trips.iter().filter(|(_, trip)| !trip.too_late) {
                self.open_trips.remember(*key, trip, &vehicles[&trip.vehicle_id]);
            }
        }
        stored
    }
}

/// What became of each item of a committed batch.
fn outcomes<'b>(
    items: &'b [Record],
    readings: Vec<Stored>,
    sessions: &'b SessionsInBatch<'_>,
    apart: &'b HashMap<usize, Stored>,
) -> impl Iterator<Item = Stored> + 'b {
    let mut readings = readings.into_iter();
    items.iter().enumerate().map(move |(index, item)| match item {
        Record::Reading(_) => readings.next().expect("every reading has an outcome"),
        Record::Session(facts) => apart.get(&index).cloned().unwrap_or_else(|| Stored::Session {
            vehicle_id: sessions.vehicle(facts.key()),
            moved_trip: None,
        }),
        Record::Quarantine(_) => Stored::Kept,
    })
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
