//! How a shadow compares with the plugin beside it, counted. What follows from
//! it an operator decides.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Counts of one pair.
#[derive(Default)]
pub(super) struct Tally {
    agreements: AtomicU64,
    disagreements: AtomicU64,
    keeps_gained: AtomicU64,
    keeps_lost: AtomicU64,
    skipped: AtomicU64,
    late: AtomicU64,
}

/// How a shadow compares with the plugin that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TallyStatus {
    /// Answers that were the same: the probability, the tier, all figures.
    pub agreements: u64,
    /// Answers that were not, or to which the plugin that serves had none.
    pub disagreements: u64,
    /// Events that the same coin would have kept too; of policies only.
    pub keeps_gained: u64,
    /// Events that it would have let go; of policies only.
    pub keeps_lost: u64,
    /// Questions for which there was no room.
    pub skipped: u64,
    /// Answers that came too late for their event; they are counted.
    pub late: u64,
}

impl Tally {
    pub(super) fn compared(&self, same: bool) {
        count(if same { &self.agreements } else { &self.disagreements });
    }

    /// An event is kept by what serves, and would be by the shadow.
    pub(super) fn kept(&self, by_serving: bool, by_shadow: bool) {
        match (by_serving, by_shadow) {
            (false, true) => count(&self.keeps_gained),
            (true, false) => count(&self.keeps_lost),
            _ => {}
        }
    }

    pub(super) fn skipped(&self) {
        count(&self.skipped);
    }

    pub(super) fn late(&self) {
        count(&self.late);
    }

    pub(super) fn status(&self) -> TallyStatus {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TallyStatus {
            agreements: of(&self.agreements),
            disagreements: of(&self.disagreements),
            keeps_gained: of(&self.keeps_gained),
            keeps_lost: of(&self.keeps_lost),
            skipped: of(&self.skipped),
            late: of(&self.late),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
