//! Standard output: a thread of its own writes, so a reader that stalls
//! stalls nobody but the reader.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Lines that were taken, and never written.
    lost: AtomicU64,
}

#[derive(Default)]
struct Backlog {
    lines: Vec<u8>,
    /// Lines that the writer has taken last.
    in_hand: u64,
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
            let events = self.0.give_up();
            tracing::warn!(events, "standard output did not take the last events in time");
        }
    }

    /// Lines that were taken, and never written.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
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
        backlog.in_hand = count(lines);
        !lines.is_empty()
    }

    /// Takes nothing more; `unwritten` is what the writer could not write.
    fn end(&self, unwritten: &[u8]) {
        let mut backlog = self.backlog();
        if let Some(done) = backlog.closing.take() {
            // Whoever closes may have lost patience.
            done.send(()).ok();
        }
        self.lose(&mut backlog, count(unwritten));
    }

    /// Takes nothing more, since the writer gets no further; returns how many
    /// lines are lost with that.
    fn give_up(&self) -> u64 {
        let mut backlog = self.backlog();
        let in_hand = backlog.in_hand;
        self.lose(&mut backlog, in_hand);
        self.lost.load(Ordering::Relaxed)
    }

    /// Loses what waits, and lines that waited no more; once.
    fn lose(&self, backlog: &mut Backlog, unwritten: u64) {
        let waiting = std::mem::take(&mut backlog.lines);
        if !std::mem::replace(&mut backlog.ended, true) {
            self.lost.fetch_add(count(&waiting) + unwritten, Ordering::Relaxed);
        }
    }

    fn is_closing(&self) -> bool {
        self.backlog().closing.is_some()
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// Writes until closed, or until standard output is gone; from then on every
/// event is counted as lost.
fn write_all(shared: &Shared, mut out: impl Write) {
    let (mut lines, mut written) = (Vec::new(), 0);
    while shared.take(&mut lines) {
        written = 0;
        if let Err(error) = write_lines(&mut out, &lines, &mut written) {
            tracing::error!(%error, "standard output is gone: events are lost from here on");
            break;
        }
        if !shared.is_closing() {
            std::thread::sleep(PAUSE);
        }
    }
    shared.end(lines.get(written..).unwrap_or_default());
}

/// Writes lines; `written` says how far it got.
fn write_lines(out: &mut impl Write, lines: &[u8], written: &mut usize) -> std::io::Result<()> {
    while *written < lines.len() {
        match out.write(&lines[*written..]) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(length) => *written += length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes that many bytes, and is gone then.
    struct Room(usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let length = bytes.len().min(self.0);
            self.0 -= length;
            if length == 0 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(length) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn with_lines(count: usize) -> Stdout {
        let stdout = Stdout(Arc::default());
        (0..count).for_each(|_| stdout.emit(b"a line\n").expect("there is room"));
        stdout
    }

    #[test]
    fn lines_that_a_broken_output_did_not_take_are_lost_and_counted() {
        let stdout = with_lines(5);
        // Two lines and a half.
        write_all(&stdout.0, Room(17));
        assert_eq!(stdout.lost(), 3);
        assert_eq!(stdout.emit(b"a line\n"), Err(SinkFull));
        assert_eq!(stdout.lost(), 3, "what is not taken is counted by who emits");
    }

    #[tokio::test]
    async fn lines_that_were_written_are_not_lost() {
        let stdout = with_lines(5);
        let writer = stdout.0.clone();
        let writing = std::thread::spawn(move || write_all(&writer, Room(1000)));
        stdout.close().await;
        writing.join().expect("the writer ends");
        assert_eq!(stdout.lost(), 0);
    }

    /// Takes nothing before it is told to.
    struct Stalled(std::sync::mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.recv().ok();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_a_stalled_output_does_not_take_at_the_end_are_lost_and_counted() {
        let (go_on, stalled) = std::sync::mpsc::channel();
        let stdout = with_lines(3);
        let writer = stdout.0.clone();
        let writing = std::thread::spawn(move || write_all(&writer, Stalled(stalled)));
        stdout.close().await;
        assert_eq!(stdout.lost(), 3);
        drop(go_on);
        writing.join().expect("the writer ends");
        assert_eq!(stdout.lost(), 3, "they are counted once");
    }
}
