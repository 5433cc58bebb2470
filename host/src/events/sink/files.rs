//! Files of events, a line an event: a new one when the last is large or old,
//! and so many of them. Which lines are whole is `lines`' business.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::lines::{CHUNK, Lines};
use super::{Consumer, KeptEvent, on_a_thread};
use crate::config::FileConfig;

/// After each write some lines may gather, so that a write is for many of them.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two tries of what cannot be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than the longest line: an end of that length has the end of a line.
const LONGEST_END: u64 = 128 << 10;
/// Names of files say when they were begun, and are in its order.
const NAME: &str = "events-%Y%m%dT%H%M%S.%6fZ.jsonl";

/// Starts the writer. Must be called on the runtime.
///
/// # Errors
/// Nothing can be written there.
pub(super) fn start(config: &FileConfig, data_dir: &Path, consumer: Consumer) -> anyhow::Result<()> {
    let folder = config.event_file_dir.clone().unwrap_or_else(|| data_dir.join("events"));
    let mut files = Files {
        most_bytes: config.event_file_max_mb << 20,
        longest: SignedDuration::from_hours(i64::from(config.event_file_max_hours)),
        keep: config.event_file_keep as usize,
        folder,
        last: None,
    };
    let unfit = format!("EVENT_FILE_DIR {}: no file can be made there", files.folder.display());
    files.with_room(0).context(unfit)?;
    on_a_thread("events-file", || write_all(consumer, files)).context("the event writer cannot be started")
}

/// Writes until closed. What cannot be written is tried again: it waits in the
/// queue. It blocks its thread.
async fn write_all(mut consumer: Consumer, mut files: Files) {
    let (mut lines, mut is_down) = (Lines::default(), false);
    while let Some(events) = consumer.next(CHUNK).await {
        let (whole, result) = files.write(&mut lines, &events);
        consumer.delivered(whole);
        match result {
            Ok(()) if is_down => {
                tracing::info!(folder = %files.folder.display(), "events are written to files again");
                is_down = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_down, true) {
                    tracing::error!(%error, folder = %files.folder.display(), "events cannot be written to files");
                }
                consumer.pause(PATIENCE).await;
            }
        }
        if lines.was_short() {
            consumer.pause(PAUSE).await;
        }
    }
    if let Some(last) = &files.last {
        last.settle();
    }
}

/// Files in a folder.
struct Files {
    folder: PathBuf,
    most_bytes: u64,
    longest: SignedDuration,
    keep: usize,
    last: Option<Last>,
}

/// The file that is written to.
struct Last {
    file: File,
    path: PathBuf,
    /// Those of whole lines.
    bytes: u64,
    began: Timestamp,
}

impl Files {
    /// Writes the events' lines; how many are whole, and what came in the way
    /// of the next.
    fn write(&mut self, lines: &mut Lines, events: &[Arc<KeptEvent>]) -> (usize, io::Result<()>) {
        let more = events.iter().map(|event| event.line().len() as u64).sum();
        let last = match self.with_room(more) {
            Ok(last) => last,
            Err(error) => return (0, Err(error)),
        };
        let (mut whole, mut result) = lines.write(&mut last.file, events);
        match last.is_there() {
            Ok(()) => {
                last.bytes += events[..whole].iter().map(|event| event.line().len() as u64).sum::<u64>();
            }
            // Nobody will find what was written there.
            Err(error) => (whole, result) = (0, Err(error)),
        }
        if result.is_err() {
            self.leave_last_whole();
        }
        (whole, result)
    }

    /// Lets go of a file after half a line. If that cannot be cut off now, it is
    /// when the file is opened again.
    fn leave_last_whole(&mut self) {
        let cut = self.last.take().map(|last| last.file.set_len(last.bytes));
        if let Some(Err(error)) = cut {
            tracing::warn!(%error, "half a line stays at the end of a file of events for now");
        }
    }

    /// The file to write that many bytes to.
    fn with_room(&mut self, more: u64) -> io::Result<&mut Last> {
        let last = match self.last.take() {
            Some(last) => Some(last),
            None => self.continued()?,
        };
        let last = match last {
            Some(last) if self.has_room(&last, more) => last,
            full => {
                full.as_ref().inspect(|full| full.settle());
                self.begun()?
            }
        };
        Ok(self.last.insert(last))
    }

    fn has_room(&self, last: &Last, more: u64) -> bool {
        let is_young = Timestamp::now().duration_since(last.began) < self.longest;
        last.bytes == 0 || (is_young && last.bytes + more <= self.most_bytes)
    }

    /// The newest file, with whatever is no whole line cut off: somebody's last
    /// write. Nothing where there is none, or where another process has it.
    fn continued(&self) -> io::Result<Option<Last>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let Some((began, path)) = self.files()?.pop() else { return Ok(None) };
        let file = OpenOptions::new().read(true).append(true).open(&path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let length = file.metadata()?.len();
        let mut end = vec![0; usize::try_from(length.min(LONGEST_END)).unwrap_or_default()];
        let from = length - end.len() as u64;
        file.read_exact_at(&mut end, from)?;
        let half = end.len() - memchr::memrchr(b'\n', &end).map_or(0, |newline| newline + 1);
        let bytes = length - half as u64;
        if half > 0 {
            file.set_len(bytes)?;
        }
        Ok(Some(Last { file, path, bytes, began }))
    }

    /// A new file; the oldest make room for it.
    fn begun(&self) -> io::Result<Last> {
        let began = Timestamp::now();
        let path = self.folder.join(began.strftime(NAME).to_string());
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        // It is nobody else's: a lock that cannot be had is none that is needed.
        file.try_lock().ok();
        let files = self.files()?;
        for (_, old) in &files[..files.len().saturating_sub(self.keep)] {
            if *old != path
                && let Err(error) = fs::remove_file(old)
            {
                tracing::warn!(%error, file = %old.display(), "an old file of events cannot be removed");
            }
        }
        Ok(Last { file, path, bytes: 0, began })
    }

    /// All files of events, oldest first, and when they were begun.
    fn files(&self) -> io::Result<Vec<(Timestamp, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            files.extend(name.to_str().and_then(began).map(|began| (began, entry.path())));
        }
        files.sort();
        Ok(files)
    }
}

impl Last {
    /// Whether the file still has its name: a folder may be gone or moved, and
    /// writing goes on as if it were not.
    fn is_there(&self) -> io::Result<()> {
        let (named, open) = (fs::metadata(&self.path)?, self.file.metadata()?);
        if (named.dev(), named.ino()) == (open.dev(), open.ino()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its place"))
    }

    /// Makes durable what is done with.
    fn settle(&self) {
        if let Err(error) = self.file.sync_data() {
            tracing::error!(%error, file = %self.path.display(), "a file of events may not be durable");
        }
    }
}

/// When a file was begun, by its name; nothing of any other file.
fn began(name: &str) -> Option<Timestamp> {
    let began = DateTime::strptime(NAME, name).ok()?;
    Some(began.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests;
