//! What a plugin's calls cost and how they end, counted without a lock. What
//! follows from it is decided elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::error::PluginErrorKind;
use crate::histogram::Distribution;

/// Buckets of one doubling of the time: each is at most an eighth wide.
const PARTS: usize = 8;
/// Doublings: from 1 ns to more than a minute.
const DOUBLINGS: usize = 37;

/// Doublings at which times are told to who counts by edges: 1 µs, 4 µs … 17 s.
/// What took exactly that long counts as longer.
const TOLD_DOUBLINGS: [usize; 13] = [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34];

/// Counts of one plugin, since its activation on this host.
pub(super) struct Meter {
    times: [AtomicU64; PARTS * DOUBLINGS],
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
    failures: [AtomicU64; PluginErrorKind::ALL.len()],
}

/// How a plugin's calls went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallStatus {
    /// Calls, failed ones included.
    pub calls: u64,
    /// The time that half of them stayed within: microseconds.
    pub p50_us: f64,
    /// The time that 99 of 100 stayed within: microseconds.
    pub p99_us: f64,
    /// The longest: microseconds.
    pub max_us: f64,
    /// Calls that trapped.
    pub trapped: u64,
    /// Calls that exceeded the deadline.
    pub deadline_exceeded: u64,
    /// Calls for which no instance could be made.
    pub rejected: u64,
    /// Calls that exceeded the memory limit.
    pub memory_limit: u64,
    /// Calls that were answered with nonsense.
    pub nonsense: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            times: std::array::from_fn(zero),
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            failures: std::array::from_fn(zero),
        }
    }

    /// Counts one call.
    pub(super) fn count(&self, time: Duration, failure: Option<PluginErrorKind>) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.times[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
        if let Some(kind) = failure {
            self.failures[kind as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long calls took: nanoseconds.
    pub(super) fn durations(&self) -> Distribution {
        let counts: Vec<u64> = self.times.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let shorter = |doubling: usize| counts[..doubling * PARTS].iter().sum();
        Distribution {
            up_to: TOLD_DOUBLINGS.map(|doubling| (1 << doubling, shorter(doubling))).into(),
            count: counts.iter().sum(),
            sum: self.sum_ns.load(Ordering::Relaxed),
        }
    }

    /// Calls that failed this way.
    pub(super) fn failures(&self, kind: PluginErrorKind) -> u64 {
        self.failures[kind as usize].load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> CallStatus {
        let counts: Vec<u64> = self.times.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let calls: u64 = counts.iter().sum();
        let max_ns = self.max_ns.load(Ordering::Relaxed);
        let within = |share: f64| {
            let wanted = (calls as f64 * share).ceil() as u64;
            let mut seen = 0;
            let last = counts.iter().position(|count| {
                seen += count;
                *count > 0 && seen >= wanted
            });
            // A bucket's upper end, but never more than there was.
            last.map_or(0, |bucket| upper_ns(bucket).min(max_ns)) as f64 / 1e3
        };
        let failed = |kind| self.failures(kind);
        CallStatus {
            calls,
            p50_us: within(0.5),
            p99_us: within(0.99),
            max_us: max_ns as f64 / 1e3,
            trapped: failed(PluginErrorKind::Trapped),
            deadline_exceeded: failed(PluginErrorKind::DeadlineExceeded),
            rejected: failed(PluginErrorKind::Rejected),
            memory_limit: failed(PluginErrorKind::MemoryLimit),
            nonsense: failed(PluginErrorKind::Nonsense),
        }
    }
}

/// The bucket of a time: its highest bit, then the three bits after it.
fn bucket(ns: u64) -> usize {
    let doubling = ns.ilog2() as usize;
    let part = if doubling >= 3 { (ns >> (doubling - 3)) & 7 } else { (ns << (3 - doubling)) & 7 };
    (doubling * PARTS + part as usize).min(PARTS * DOUBLINGS - 1)
}

/// The longest time in a bucket.
fn upper_ns(bucket: usize) -> u64 {
    let (doubling, part) = (bucket / PARTS, (bucket % PARTS) as u64);
    let begin = |part: u64| (((PARTS as u64) + part) << doubling) / PARTS as u64;
    // Below 8 ns a bucket is narrower than a nanosecond.
    (begin(part + 1) - 1).max(begin(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_an_eighth() {
        for ns in [1, 2, 3, 7, 8, 9, 100, 1023, 1024, 1_000_000, 59_000_000_000] {
            let upper = upper_ns(bucket(ns));
            assert!(upper >= ns && upper <= ns + ns / 8, "{ns} ns is told as {upper} ns");
        }
        assert_eq!(bucket(u64::MAX), PARTS * DOUBLINGS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_calls() {
        let meter = Meter::new();
        assert_eq!(meter.status().p99_us, 0.0);
        for call in 1..=1000 {
            let slow = call > 985;
            let time = Duration::from_micros(if slow { 5000 } else { call });
            meter.count(time, slow.then_some(PluginErrorKind::Trapped));
        }
        let status = meter.status();
        assert_eq!((status.calls, status.trapped, status.nonsense), (1000, 15, 0));
        assert!((500.0..=563.0).contains(&status.p50_us), "{status:?}");
        assert!((4999.0..=5000.0).contains(&status.p99_us), "{status:?}");
        assert_eq!(status.max_us, 5000.0);
        let told = meter.durations();
        assert_eq!((told.count, told.sum), (1000, 985 * 986 / 2 * 1000 + 15 * 5_000_000));
        // 1.024 µs, 262.144 µs, 4.194 ms and 16.777 ms.
        for (ns, calls) in [(1 << 10, 1), (1 << 18, 262), (1 << 22, 985), (1 << 24, 1000)] {
            assert!(told.up_to.contains(&(ns, calls)), "{told:?}");
        }
    }
}
