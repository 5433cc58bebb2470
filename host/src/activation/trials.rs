//! What of PLUGIN_DIR is under its checks, noted before they begin: a process
//! that they end, such as for want of memory, is followed by one that would
//! begin them again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::durable;
use crate::events::Code;
use crate::plugin_host::{Candidate, Slot};
use crate::store::Rejection;

/// Where a host notes it.
const NOTE: &str = "plugin-trials.json";

/// Processes that one candidate may end: each may have been ended by something
/// else.
const ENDED: u32 = 3;

/// The candidates under their checks.
pub(super) struct Trials {
    note: PathBuf,
    /// Held while it is written: a write goes on when nobody waits for it.
    writing: Arc<Mutex<()>>,
    /// What was under its checks when the process before this one ended.
    before: BTreeMap<Slot, Trial>,
}

#[derive(Serialize, Deserialize)]
struct Trial {
    digest: String,
    settings_digest: String,
    /// How often they began, one process after the other.
    begun: u32,
}

impl Trials {
    /// Those of the host that keeps its own files in `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Self {
        let note = data_dir.join(NOTE);
        // Without a note, or with one that cannot be read, no process ended so.
        let before = std::fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { note, writing: Arc::default(), before: before.unwrap_or_default() }
    }

    /// What is not to be tried by one process more.
    pub(super) fn deadly(&self) -> impl Iterator<Item = Rejection> {
        let deadly = self.before.iter().filter(|(_, trial)| trial.begun >= ENDED);
        deadly.map(|(slot, trial)| Rejection {
            slot: *slot,
            digest: trial.digest.clone(),
            settings_digest: trial.settings_digest.clone(),
            verdict: "refused".to_owned(),
            code: Code::E412.as_str().to_owned(),
            reason: format!(
                "{} processes ended while it was checked: it may take more memory than there is",
                trial.begun
            ),
            rejected_ms: Timestamp::now().as_millisecond(),
        })
    }

    /// Notes that the checks of these begin.
    pub(super) async fn begin(&self, candidates: impl Iterator<Item = &Candidate>) {
        let trials: BTreeMap<_, _> = candidates.map(|one| (one.slot, self.trial(one))).collect();
        if !trials.is_empty() {
            let (note, text) = (self.note.clone(), serde_json::to_vec(&trials).unwrap_or_default());
            self.settle(move || durable::write(&note, &[&text])).await;
        }
    }

    fn trial(&self, candidate: &Candidate) -> Trial {
        let (digest, settings_digest) = (candidate.digest.clone(), candidate.settings.digest());
        let same = |trial: &&Trial| (&trial.digest, &trial.settings_digest) == (&digest, &settings_digest);
        let begun = self.before.get(&candidate.slot).filter(same).map_or(0, |trial| trial.begun);
        Trial { digest, settings_digest, begun: begun + 1 }
    }

    /// Notes that they have come to an end, whichever.
    pub(super) async fn end(&self) {
        let note = self.note.clone();
        let removed = move || match std::fs::remove_file(note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.settle(removed).await;
    }

    /// Writes off the async threads: it waits for the disk.
    async fn settle(&self, write: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            write()
        });
        let written = written.await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::warn!(path = %self.note.display(), %error, "what is under its checks cannot be noted");
        }
    }
}
