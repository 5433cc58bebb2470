//! Exact counts of what was finished, whatever is sampled afterwards: what
//! became of it here, what it was in `counts`.

mod counts;

use std::sync::atomic::{AtomicU64, Ordering};

pub use counts::{Counts, DURATION_EDGES_US, EventCount};

/// What became of the finished events. `received = kept + sampled_out +
/// lost_by_sink` once none is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = EventTotals)]
pub struct Totals {
    /// Finished events.
    pub received: u64,
    /// Handed to the sinks, and lost by none.
    pub kept: u64,
    /// Let go by the coin.
    pub sampled_out: u64,
    /// Lost because a sink was full or gone, by one sink or by several.
    pub lost_by_sink: u64,
}

#[derive(Default)]
pub(super) struct Ledger {
    received: AtomicU64,
    kept: AtomicU64,
    sampled_out: AtomicU64,
    lost_by_sink: AtomicU64,
    /// What the events were: each is counted before the coin is flipped.
    pub(super) counts: Counts,
}

impl Ledger {
    pub(super) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn kept(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn sampled_out(&self) {
        self.sampled_out.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn lost_by_sink(&self) {
        self.lost_by_sink.fetch_add(1, Ordering::Relaxed);
    }
    /// One that was kept is lost.
    pub(super) fn lost_after_all(&self) {
        self.kept.fetch_sub(1, Ordering::Relaxed);
        self.lost_by_sink();
    }
    pub(super) fn totals(&self) -> Totals {
        Totals {
            received: self.received.load(Ordering::Relaxed),
            kept: self.kept.load(Ordering::Relaxed),
            sampled_out: self.sampled_out.load(Ordering::Relaxed),
            lost_by_sink: self.lost_by_sink.load(Ordering::Relaxed),
        }
    }
}
