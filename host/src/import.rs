//! The story of an import: a track log that lies in a file → drives → rows →
//! the store, a few at a time. What the answer looks like is `http`'s business.

mod decoding;
mod drives;
mod sessions;
mod spool;
mod tally;

#[cfg(test)]
mod tests;

use std::fs::File;

use tokio::sync::{mpsc, watch};

pub use self::spool::{LARGEST_FILE, Spool, too_large};
pub use self::tally::{Progress, Tally};

use self::decoding::{Chunk, Step, Work};
use self::sessions::Sessions;
use crate::app::App;
use crate::events::{Code, Failure, ImportDetails, VehicleContext, WideEvent};
use crate::ingest;
use crate::store::{Car, Record, StoreError};
use crate::torque::track_log::TrackLogError;

/// Chunks that are read ahead of the store.
const AHEAD: usize = 2;

/// A track log, and whose it is.
pub struct TrackLogFile {
    /// What arrived; nobody else has it open.
    pub file: File,
    /// The car, and the phone that logged.
    pub car: Car,
}

/// Imports a file: returns when what is kept of it is durable, with what that
/// is. How far it is, is told to `progress`.
///
/// # Errors
/// Why it was not imported to its end. What `tally` counts is kept even so.
pub async fn import(
    app: &App,
    event: &mut WideEvent<ImportDetails>,
    log: TrackLogFile,
    tally: &mut Tally,
    progress: &watch::Sender<Progress>,
) -> Result<(), Failure> {
    let (sender, mut steps) = mpsc::channel(AHEAD);
    let work = Work {
        file: log.file,
        catalogue: app.catalogue,
        key: app.key.clone(),
        known: event.known.clone(),
        received_ms: event.began_ms(),
        gap_ms: i64::try_from(app.trip_timeout.as_millis()).unwrap_or(i64::MAX),
    };
    let decoding = tokio::task::spawn_blocking(move || decoding::decode(work, &sender));
    let mut sessions = Sessions::new(log.car);
    while let Some(step) = app.until_stop(steps.recv()).await.ok_or_else(stopping)? {
        match step {
            Step::Planned { survey, drives } => {
                tally.rows = survey.rows;
                event.details.odd_unit_columns = survey.odd_units;
                sessions.plan(drives, app.trip_timeout);
            }
            Step::Chunk(chunk) => store(app, event, &mut sessions, chunk, tally).await?,
        }
        progress.send_replace(tally.progress());
    }
    match decoding.await {
        Ok(Ok(())) => tally.verdict(),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => {
            Err(Failure::new(Code::E500, "the file could not be read to its end")
                .caused_by("JoinError", error))
        }
    }
}

fn stopping() -> Failure {
    Failure::new(
        Code::E503,
        "the service is shutting down: what is counted here is kept; import the file again",
    )
}

/// Gives a chunk to the store, and counts what became of it.
async fn store(
    app: &App,
    event: &mut WideEvent<ImportDetails>,
    sessions: &mut Sessions,
    chunk: Chunk,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let received_ms = jiff::Timestamp::now().as_millisecond();
    let mut records = Vec::with_capacity(chunk.readings.len());
    let mut lines = Vec::with_capacity(chunk.readings.len());
    for logged in chunk.readings {
        let session = sessions.session_of(&app.store, logged.reading.time_ms).await.map_err(of_store)?;
        lines.push((logged.line, logged.reading.time_ms));
        records.push(Record::Reading(ingest::row(
            app,
            sessions.phone(),
            session,
            received_ms,
            &logged.reading,
        )));
    }
    let mut failed = None;
    for ((line, time_ms), put) in lines.into_iter().zip(app.store.put_all(records).await) {
        match put {
            Ok(put) => {
                if let Some(stats) = tally.count(line, time_ms, put.stored) {
                    event.vehicle = Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() });
                }
            }
            // Given again, it would be refused again.
            Err(StoreError::Constraint(_)) => tally.refuse(line, "the store refused it"),
            Err(error) => failed = Some(error),
        }
    }
    for (line, reason) in chunk.bad {
        tally.refuse(line, reason);
    }
    tally.dropped_values += chunk.dropped_values;
    failed.map_or(Ok(()), |error| Err(of_store(error)))
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn of_store(error: StoreError) -> Failure {
    Failure::from(&error)
}

impl From<TrackLogError> for Failure {
    fn from(error: TrackLogError) -> Self {
        match error {
            TrackLogError::Unfit(why) => Self::new(Code::E305, why),
            TrackLogError::Unreadable(error) => {
                Self::new(Code::E501, "the file that was received cannot be read")
                    .caused_by("io::Error", error)
            }
        }
    }
}
