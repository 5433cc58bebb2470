//! Which times of a file belong to one drive: rows that are no further apart
//! than a trip may pause, in whatever order they stand.

use std::collections::BTreeMap;
use std::time::Duration;

/// A drive of a file, by its first and its last time: epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drive {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

/// The most drives that a file may have; each is remembered until its end.
pub(super) const MOST_DRIVES: usize = 10_000;

/// The drives of a file while it is looked through.
pub(super) struct Gathering {
    gap_ms: i64,
    ends: BTreeMap<i64, i64>,
}

impl Gathering {
    pub(super) fn new(gap_ms: i64) -> Self {
        Self { gap_ms, ends: BTreeMap::new() }
    }

    /// Adds a time: it begins a drive, makes one longer, or makes one of two.
    pub(super) fn add(&mut self, time_ms: i64) -> Result<(), &'static str> {
        let before = self.ends.range(..=time_ms).next_back().map(|(start, end)| (*start, *end));
        let before = before.filter(|(_, end)| time_ms <= end.saturating_add(self.gap_ms));
        if before.is_some_and(|(_, end)| time_ms <= end) {
            return Ok(());
        }
        let after = self.ends.range(time_ms..).next().map(|(start, end)| (*start, *end));
        let after = after.filter(|(start, _)| *start <= time_ms.saturating_add(self.gap_ms));
        if let Some((start, _)) = after {
            self.ends.remove(&start);
        }
        let start_ms = before.map_or(time_ms, |(start, _)| start);
        self.ends.insert(start_ms, after.map_or(time_ms, |(_, end)| end));
        if self.ends.len() > MOST_DRIVES {
            return Err("the file has more drives than anybody makes: its times cannot be right");
        }
        Ok(())
    }

    pub(super) fn end(self) -> Vec<Drive> {
        self.ends.into_iter().map(|(start_ms, end_ms)| Drive { start_ms, end_ms }).collect()
    }
}

impl Drive {
    /// The drive and the pauses around it, in which a trip would go on.
    pub(super) fn widened(self, pause: Duration) -> Self {
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Self {
            start_ms: self.start_ms.saturating_sub(pause_ms),
            end_ms: self.end_ms.saturating_add(pause_ms),
        }
    }
}
