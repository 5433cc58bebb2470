//! Standard output: a thread of its own writes, so a reader that stalls
//! stalls nobody but the reader.

use std::io::{BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::SinkFull;

/// Lines that wait for the writer.
const QUEUE: usize = 16_384;
/// How long a close waits for a reader that stalls.
const CLOSE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Close(oneshot::Sender<()>),
}

/// Writes lines to standard output.
pub struct Stdout {
    lines: SyncSender<Message>,
}

impl Stdout {
    /// Starts the writer.
    pub fn start() -> std::io::Result<Self> {
        let (lines, queue) = sync_channel(QUEUE);
        std::thread::Builder::new().name("events-stdout".to_owned()).spawn(move || write_all(&queue))?;
        Ok(Self { lines })
    }

    pub(super) fn emit(&self, line: Vec<u8>) -> Result<(), SinkFull> {
        self.lines.try_send(Message::Line(line)).map_err(|_| SinkFull)
    }

    pub(super) async fn close(&self) {
        let deadline = tokio::time::Instant::now() + CLOSE;
        let (done, closed) = oneshot::channel();
        let mut message = Message::Close(done);
        // The queue may be full just now, and its reader may be gone for good.
        loop {
            match self.lines.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if tokio::time::Instant::now() < deadline => {
                    message = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(_) => return,
            }
        }
        if tokio::time::timeout_at(deadline, closed).await.is_err() {
            tracing::warn!("standard output did not take the last events in time");
        }
    }
}

/// Writes until closed. Once this thread has ended the queue is gone, and each
/// further event is counted as lost.
fn write_all(queue: &Receiver<Message>) {
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    while let Some(message) = next(queue, &mut out) {
        let written = match message {
            Message::Line(line) => out.write_all(&line),
            Message::Close(done) => {
                let flushed = out.flush();
                done.send(()).ok();
                return report(flushed);
            }
        };
        if written.is_err() {
            return report(written);
        }
    }
}

/// The next message; before waiting for it, what was written goes out.
fn next(queue: &Receiver<Message>, out: &mut impl Write) -> Option<Message> {
    match queue.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => match out.flush() {
            Ok(()) => queue.recv().ok(),
            Err(error) => {
                report(Err(error));
                None
            }
        },
    }
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "standard output is gone: events are lost from here on");
    }
}
