//! Standard output: a thread of its own writes, so a reader that stalls
//! stalls nobody but the reader.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;

use super::lines::{CHUNK, Lines};
use super::{Consumer, on_a_thread};

/// Lines are not urgent: after each write some may gather, so that the writer
/// is woken for many of them and not for each.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts the writer. Must be called on the runtime.
///
/// # Errors
/// There is no thread for it.
pub(super) fn start(consumer: Consumer) -> anyhow::Result<()> {
    // Locked once, and by the thread that writes.
    let write = || write_all(consumer, std::io::stdout().lock());
    on_a_thread("events-stdout", write).context("the event writer cannot be started")
}

/// Writes until closed, or until standard output is gone; from then on every
/// event is lost. It blocks its thread.
async fn write_all(mut consumer: Consumer, mut out: impl Write) {
    let mut lines = Lines::default();
    while let Some(events) = consumer.next(CHUNK).await {
        let (whole, result) = lines.write(&mut out, &events);
        consumer.delivered(whole);
        if let Err(error) = result {
            tracing::error!(%error, "standard output is gone: its events are lost from here on");
            return;
        }
        if lines.was_short() {
            consumer.pause(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::runtime::Handle;

    use super::*;
    use crate::events::sink::tests::Rig;

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

    fn with_lines(count: usize) -> (Rig, Consumer) {
        let (rig, [consumer]) = Rig::new([("stdout", 1 << 20)]);
        rig.emit(count);
        (rig, consumer)
    }

    #[tokio::test]
    async fn lines_that_a_broken_output_did_not_take_are_lost_and_counted() {
        let (rig, consumer) = with_lines(5);
        // Two lines and a half.
        write_all(consumer, Room(17)).await;
        assert_eq!(rig.of("stdout"), [2, 3, 0]);
        rig.emit(1);
        assert_eq!(rig.of("stdout"), [2, 4, 0]);
        assert_eq!(rig.kept_and_lost(), [2, 4]);
    }

    #[tokio::test]
    async fn lines_that_were_written_are_not_lost() {
        let (rig, consumer) = with_lines(5);
        let runtime = Handle::current();
        let writing = std::thread::spawn(move || runtime.block_on(write_all(consumer, Room(1000))));
        rig.sinks.close(Instant::now() + Duration::from_secs(60)).await;
        writing.join().expect("the writer ends");
        assert_eq!(rig.of("stdout"), [5, 0, 0]);
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

    #[tokio::test]
    async fn lines_that_a_stalled_output_does_not_take_at_the_end_are_lost_and_counted() {
        let (go_on, stalled) = std::sync::mpsc::channel();
        let (rig, consumer) = with_lines(3);
        let runtime = Handle::current();
        let writing = std::thread::spawn(move || runtime.block_on(write_all(consumer, Stalled(stalled))));
        rig.sinks.flush(Instant::now() + Duration::from_millis(50)).await;
        assert_eq!(rig.of("stdout"), [0, 3, 0]);
        drop(go_on);
        // The runtime goes on while the thread ends.
        tokio::task::spawn_blocking(|| writing.join()).await.expect("joined").expect("the writer ends");
        assert_eq!(rig.of("stdout"), [0, 3, 0], "they are counted once");
        assert_eq!(rig.kept_and_lost(), [0, 3]);
    }
}
