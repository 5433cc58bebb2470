//! Reading a file on a thread of its own, as reading blocks: a survey, a look at
//! its times for the drives, then its rows, in chunks that wait until they are
//! taken.

use std::fs::File;
use std::io::Seek as _;

use tokio::sync::mpsc;

use super::drives::{Drive, Gathering};
use crate::identity::IdentityKey;
use crate::torque::track_log::{self, Rows, Survey, TrackLogError};
use crate::torque::{Catalogue, Hiding, Known, Reading, Shapes};

/// Rows of a chunk: what the store is given at one time. An upload that is
/// committed together with them waits a few milliseconds longer.
pub(super) const CHUNK: usize = 64;

/// What is to be read.
pub(super) struct Work {
    pub(super) file: File,
    pub(super) catalogue: &'static Catalogue,
    pub(super) key: IdentityKey,
    /// What of the file is to be hidden.
    pub(super) known: Known,
    pub(super) received_ms: i64,
    pub(super) gap_ms: i64,
}

/// What is read of a file, in this order.
pub(super) enum Step {
    Planned { survey: Survey, drives: Vec<Drive> },
    Chunk(Chunk),
}

/// Some rows.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) readings: Vec<LoggedAt>,
    /// Lines, and what is wrong with them.
    pub(super) bad: Vec<(u64, &'static str)>,
    pub(super) dropped_values: u64,
}

/// A row, and where it stands.
pub(super) struct LoggedAt {
    pub(super) line: u64,
    pub(super) reading: Reading,
}

/// Reads a file to its end, or until nobody takes what is read.
pub(super) fn decode(mut work: Work, steps: &mpsc::Sender<Step>) -> Result<(), TrackLogError> {
    let mut survey = track_log::survey(work.catalogue, &work.file)?;
    let (key, known) = (work.key.clone(), work.known.clone());
    let replace = |identity: &str| key.pseudonym(identity);
    let hiding = Hiding { known: &known, shapes: Shapes::All, replace };
    survey.redact(&hiding);
    let Some(drives) = drives(&mut work, &survey, steps)? else { return Ok(()) };
    let mut rows = work.begin(&survey)?;
    if steps.blocking_send(Step::Planned { survey, drives }).is_err() {
        return Ok(());
    }
    loop {
        let mut chunk = Chunk::default();
        let mut more = true;
        while more && chunk.readings.len() + chunk.bad.len() < CHUNK {
            more = match rows.advance()? {
                Some(row) => {
                    match row.read() {
                        Ok(mut logged) => {
                            logged.reading.redact(&hiding);
                            chunk.dropped_values += u64::from(logged.dropped_values_count);
                            chunk.readings.push(LoggedAt { line: row.line, reading: logged.reading });
                        }
                        Err(reason) => chunk.bad.push((row.line, reason)),
                    }
                    true
                }
                None => false,
            };
        }
        if steps.blocking_send(Step::Chunk(chunk)).is_err() || !more {
            return Ok(());
        }
    }
}

/// The drives of a file; `None` when nobody wants them any more.
fn drives(
    work: &mut Work,
    survey: &Survey,
    steps: &mpsc::Sender<Step>,
) -> Result<Option<Vec<Drive>>, TrackLogError> {
    let mut gathering = Gathering::new(work.gap_ms);
    let mut rows = work.begin(survey)?;
    while let Some(row) = rows.advance()? {
        if let Ok(time_ms) = row.time_ms {
            gathering.add(time_ms).map_err(TrackLogError::Unfit)?;
        }
        if steps.is_closed() {
            return Ok(None);
        }
    }
    Ok(Some(gathering.end()))
}

impl Work {
    fn begin(&mut self, survey: &Survey) -> Result<Rows<'static, File>, TrackLogError> {
        self.file.rewind()?;
        Rows::begin(self.catalogue, survey, self.file.try_clone()?, self.received_ms)
    }
}
