//! What calls of a plugin use: time, linear memory and, where it is counted,
//! fuel. What may be used is in `settings`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What one call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// From its begin to its end, without the making of its instance.
    pub time: Duration,
    /// Linear memory of its instance; it never shrinks.
    pub memory_bytes: usize,
    /// Units of computing, about one for each WebAssembly instruction: the
    /// same for the same call everywhere.
    pub fuel: Option<u64>,
}

/// What the calls of one plugin have used, all instances together.
#[derive(Default)]
pub(super) struct Usage(Mutex<(Spent, usize)>);

impl Usage {
    /// A call ended.
    pub(super) fn record(&self, spent: Spent) {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, peak) = &mut *usage;
        *last = spent;
        *peak = spent.memory_bytes.max(*peak);
    }

    /// The call that ended last.
    pub(super) fn last(&self) -> Spent {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The most linear memory that an instance had.
    pub(super) fn peak_memory_bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
