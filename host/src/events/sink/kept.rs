//! An event that is kept, as every sink gets it. Which sinks there are is not
//! known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::events::ledger::Ledger;
use crate::events::record::Operation;

/// An event that is kept. Sinks share it.
pub struct KeptEvent {
    operation: Operation,
    timestamp: Timestamp,
    line: Vec<u8>,
    is_lost: AtomicBool,
    ledger: Arc<Ledger>,
}

impl KeptEvent {
    /// Counts an event as kept; `line` is all of it, newline included.
    pub(in crate::events) fn new(
        operation: Operation,
        timestamp: Timestamp,
        line: Vec<u8>,
        ledger: &Arc<Ledger>,
    ) -> Arc<Self> {
        ledger.kept();
        let is_lost = AtomicBool::new(false);
        Arc::new(Self { operation, timestamp, line, is_lost, ledger: ledger.clone() })
    }

    /// What was done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// When the operation began.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The event as one line of JSON, its newline included.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Memory that it takes: bytes.
    pub(super) fn size(&self) -> usize {
        self.line.capacity() + size_of::<Self>()
    }

    /// Counts it as lost; once, however many sinks lose it.
    pub(super) fn lose(&self) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            self.ledger.lost_after_all();
        }
    }
}
