//! Where kept events go. A sink takes a line or says at once that it cannot:
//! it never makes an operation wait.

mod stdout;

use std::sync::Arc;
use std::sync::Mutex;

pub use stdout::Stdout;

/// The sink did not take the line.
#[derive(Debug, PartialEq, Eq)]
pub struct SinkFull;

/// A place for kept events.
#[derive(Clone)]
pub enum Sink {
    /// Standard output, a line an event.
    Stdout(Arc<Stdout>),
    /// Memory, for tests.
    Memory(Arc<Mutex<Vec<serde_json::Value>>>),
}

impl Sink {
    /// Hands over one line, newline included.
    pub fn emit(&self, line: &[u8]) -> Result<(), SinkFull> {
        match self {
            Self::Stdout(stdout) => stdout.emit(line),
            Self::Memory(events) => {
                let event = serde_json::from_slice(line).map_err(|_| SinkFull)?;
                events.lock().map_err(|_| SinkFull)?.push(event);
                Ok(())
            }
        }
    }

    /// Lines that it took, and lost all the same.
    pub(super) fn lost(&self) -> u64 {
        match self {
            Self::Stdout(stdout) => stdout.lost(),
            Self::Memory(_) => 0,
        }
    }

    /// Writes out what is waiting, for at most a few seconds.
    pub async fn close(&self) {
        if let Self::Stdout(stdout) = self {
            stdout.close().await;
        }
    }
}
