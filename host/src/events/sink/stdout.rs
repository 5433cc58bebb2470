//! Standard output: a thread of its own writes, so a reader that stalls
//! stalls nobody but the reader.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::SinkFull;

/// Bytes that wait for the writer at most: some 16,000 events.
const LARGEST_BACKLOG: usize = 64 << 20;
/// Lines are not urgent: after each write some may gather, so that the writer
/// is woken for many of them and not for each.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a close waits for a reader that stalls.
const CLOSE: Duration = Duration::from_secs(1);

/// Writes lines to standard output.
pub struct Stdout(Arc<Shared>);

#[derive(Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    changed: Condvar,
}

#[derive(Default)]
struct Backlog {
    lines: Vec<u8>,
    /// Told when all is written; then nothing more is taken.
    closing: Option<oneshot::Sender<()>>,
    ended: bool,
}

impl Stdout {
    /// Starts the writer.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = shared.clone();
        let write = move || write_all(&writer, std::io::stdout().lock());
        std::thread::Builder::new().name("events-stdout".to_owned()).spawn(write)?;
        Ok(Self(shared))
    }

    pub(super) fn emit(&self, line: &[u8]) -> Result<(), SinkFull> {
        let mut backlog = self.0.backlog();
        if backlog.ended || backlog.lines.len() + line.len() > LARGEST_BACKLOG {
            return Err(SinkFull);
        }
        let writer_waits = backlog.lines.is_empty();
        backlog.lines.extend_from_slice(line);
        drop(backlog);
        if writer_waits {
            self.0.changed.notify_one();
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        {
            let mut backlog = self.0.backlog();
            if backlog.ended {
                return;
            }
            backlog.closing = Some(done);
        }
        self.0.changed.notify_one();
        if tokio::time::timeout(CLOSE, closed).await.is_err() {
            tracing::warn!("standard output did not take the last events in time");
        }
    }
}

impl Shared {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and takes them; `false` when there are none left and
    /// none will come.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let waits = |backlog: &mut Backlog| backlog.lines.is_empty() && backlog.closing.is_none();
        let backlog = self.changed.wait_while(self.backlog(), waits);
        let mut backlog = backlog.unwrap_or_else(PoisonError::into_inner);
        lines.clear();
        std::mem::swap(lines, &mut backlog.lines);
        !lines.is_empty()
    }

    fn end(&self) {
        let mut backlog = self.backlog();
        backlog.ended = true;
        backlog.lines = Vec::new();
        if let Some(done) = backlog.closing.take() {
            // Whoever closes may have lost patience.
            done.send(()).ok();
        }
    }

    fn is_closing(&self) -> bool {
        self.backlog().closing.is_some()
    }
}

/// Writes until closed, or until standard output is gone; from then on every
/// event is counted as lost.
fn write_all(shared: &Shared, mut out: impl Write) {
    let mut lines = Vec::new();
    while shared.take(&mut lines) {
        if let Err(error) = out.write_all(&lines).and_then(|()| out.flush()) {
            tracing::error!(%error, "standard output is gone: events are lost from here on");
            break;
        }
        if !shared.is_closing() {
            std::thread::sleep(PAUSE);
        }
    }
    shared.end();
}
