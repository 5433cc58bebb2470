//! What plugins print: bounded for each call, then a rate-limited line of the
//! log. Nothing that a plugin prints reaches the server's own output streams.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::Slot;

/// Bytes kept of one call's output; the rest is dropped.
const BYTES_PER_CALL: usize = 4096;

/// Lines of the log for one slot in one second.
const LINES_PER_SECOND: u32 = 10;

/// Standard output and standard error of one instance.
#[derive(Clone, Default)]
pub(super) struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    /// Forgets what was printed.
    pub(super) fn clear(&self) {
        self.buffer().clear();
    }

    /// What the current call printed so far, on one line; empty if nothing.
    pub(super) fn text(&self) -> String {
        let buffer = self.buffer();
        if buffer.is_empty() {
            return String::new();
        }
        let text = String::from_utf8_lossy(&buffer);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" | ").replace(char::is_control, " ")
    }

    fn buffer(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.2 asks for `p2_stream` only.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut buffer = self.buffer();
        let room = BYTES_PER_CALL.saturating_sub(buffer.len());
        buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        // Never full: a plugin must not fail because it prints too much.
        Ok(BYTES_PER_CALL)
    }
}

/// Keeps a talkative plugin from filling the log. Shared by all instances of
/// a plugin.
#[derive(Default)]
pub(super) struct OutputLog(Mutex<Window>);

#[derive(Default)]
struct Window {
    since: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl OutputLog {
    /// Logs what a call printed, if it printed and the rate allows.
    pub(super) fn report(&self, slot: Slot, console: &Console) {
        let output = console.text();
        if output.is_empty() {
            return;
        }
        let Some(suppressed) = self.admit(Instant::now()) else {
            return;
        };
        tracing::info!(target: "plugin", slot = slot.as_str(), suppressed, "{output}");
    }

    /// How many lines were left out since the last one, or nothing if this
    /// one is to be left out too.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = window.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1));
        if fresh {
            window.since = Some(now);
            window.lines = 0;
        }
        if window.lines >= LINES_PER_SECOND {
            window.suppressed += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_keeps_its_first_bytes_and_drops_the_rest() {
        let mut console = Console::default();
        for _ in 0..10 {
            console.write(Bytes::from(vec![b'x'; 1000])).expect("write");
        }
        assert_eq!(console.text().len(), BYTES_PER_CALL);
        console.clear();
        assert_eq!(console.text(), "");
    }

    #[test]
    fn the_log_counts_what_it_leaves_out() {
        let log = OutputLog::default();
        let now = Instant::now();
        let admitted = (0..25).filter_map(|_| log.admit(now)).count();
        assert_eq!(admitted, 10);
        assert_eq!(log.admit(now + Duration::from_secs(1)), Some(15));
    }
}
