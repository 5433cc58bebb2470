//! What calls of a plugin use: time, linear memory and, where it is counted,
//! fuel. What may be used is in `settings`; how calls end is `meter`'s.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What one call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// From its begin to its end, without the making of its instance.
    pub time: Duration,
    /// Linear memory of its instance; it never shrinks.
    pub memory_bytes: usize,
    /// Units of computing, about one for each WebAssembly instruction: the
    /// same for the same call everywhere. Nothing where they are not counted.
    pub fuel: Option<u64>,
}

/// What the calls of one plugin have used, all instances together.
#[derive(Default)]
pub(super) struct Usage {
    peak_memory_bytes: AtomicUsize,
    last_ns: AtomicU64,
    last_memory_bytes: AtomicUsize,
    last_fuel: AtomicU64,
}

impl Usage {
    /// A call ended.
    pub(super) fn record(&self, spent: Spent) {
        // It seldom grows, and others read it.
        if self.peak_memory_bytes() < spent.memory_bytes {
            self.peak_memory_bytes.fetch_max(spent.memory_bytes, Ordering::Relaxed);
        }
        let ns = u64::try_from(spent.time.as_nanos()).unwrap_or(u64::MAX);
        self.last_ns.store(ns, Ordering::Relaxed);
        self.last_memory_bytes.store(spent.memory_bytes, Ordering::Relaxed);
        // No call uses none.
        self.last_fuel.store(spent.fuel.unwrap_or(0), Ordering::Relaxed);
    }

    /// The call that ended last; a mixture where calls end side by side.
    pub(super) fn last(&self) -> Spent {
        let fuel = self.last_fuel.load(Ordering::Relaxed);
        Spent {
            time: Duration::from_nanos(self.last_ns.load(Ordering::Relaxed)),
            memory_bytes: self.last_memory_bytes.load(Ordering::Relaxed),
            fuel: (fuel > 0).then_some(fuel),
        }
    }

    /// The most linear memory that an instance had.
    pub(super) fn peak_memory_bytes(&self) -> usize {
        self.peak_memory_bytes.load(Ordering::Relaxed)
    }
}
