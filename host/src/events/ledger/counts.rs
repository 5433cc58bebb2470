//! Finished events by what they were, how they ended and how long they took:
//! a place for each combination, made once, so that counting one takes no lock
//! and no memory. What becomes of an event afterwards is `ledger`'s.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::record::{Operation, OutcomeName, Record};
use crate::events::taxonomy::Code;
use crate::histogram::{Distribution, Histogram};

/// Edges of durations: microseconds, from 0.1 ms to a minute. One of them is
/// that of the alert on slow operations.
pub const DURATION_EDGES_US: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
/// Tiers that are told apart: a plugin may name as many as it likes.
const TIERS: usize = 8;
/// What further ones are counted as.
const OTHER: &str = "other";

const OUTCOMES: usize = OutcomeName::ALL.len();
/// All codes, and none.
const CODES: usize = Code::ALL.len() + 1;
/// All that are told apart, none, and the others.
const TIER_PLACES: usize = TIERS + 2;

/// The counts of all finished events.
pub struct Counts {
    /// By operation, outcome, code and tier: 128 KB.
    events: Box<[AtomicU64]>,
    /// By operation and outcome. Code and tier would make ten thousands of
    /// series of it, and hardly anybody asks how long a failure takes by its code.
    durations: Box<[Histogram]>,
    /// By code, whether it decided the outcome or not.
    errors: [AtomicU64; Code::ALL.len()],
    tiers: [OnceLock<Box<str>>; TIERS],
}

/// How many events were alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCount<'a> {
    /// What was done.
    pub operation: Operation,
    /// How it ended.
    pub outcome: OutcomeName,
    /// The code of the event's error.
    pub code: Option<Code>,
    /// The vehicle's tier.
    pub usage_tier: Option<&'a str>,
    /// So many.
    pub count: u64,
}

impl Default for Counts {
    fn default() -> Self {
        let places = Operation::ALL.len() * OUTCOMES * CODES * TIER_PLACES;
        let pairs = Operation::ALL.len() * OUTCOMES;
        Self {
            events: (0..places).map(|_| AtomicU64::new(0)).collect(),
            durations: (0..pairs).map(|_| Histogram::new(DURATION_EDGES_US)).collect(),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
            tiers: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Counts {
    /// Counts a finished event; `noted` is a failure that it does not say yet.
    pub(in crate::events) fn count(&self, record: &Record, noted: Option<Code>) {
        let said = record.error.as_ref().map(|error| error.code);
        let code = noted.filter(|noted| record.is_told_by(*noted)).or(said);
        let tier = record.vehicle_context.as_ref().and_then(|vehicle| vehicle.usage_tier.as_deref());
        let pair = pair(record.operation, record.outcome);
        let code_place = code.map_or(0, |code| code as usize + 1);
        let place = (pair * CODES + code_place) * TIER_PLACES + self.tier_place(tier);
        self.events[place].fetch_add(1, Ordering::Relaxed);
        self.durations[pair].observe((record.duration_ms * 1e3).round() as u64);
        for code in said.iter().chain(&noted).chain(&record.further_error_codes) {
            self.errors[*code as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// 0 is none, then those that are told apart, then the others.
    fn tier_place(&self, tier: Option<&str>) -> usize {
        let Some(tier) = tier else { return 0 };
        let is_known = |known: &OnceLock<Box<str>>| **known.get_or_init(|| tier.into()) == *tier;
        let place = if tier == OTHER { None } else { self.tiers.iter().position(is_known) };
        place.unwrap_or(TIERS) + 1
    }

    fn tier_at(&self, place: usize) -> Option<&str> {
        let tier = place.checked_sub(1)?;
        Some(self.tiers.get(tier).map_or(OTHER, |tier| tier.get().map_or(OTHER, |name| name)))
    }

    /// All counts but those of what never happened. An operation's ordinary
    /// events are there from the start.
    pub fn events(&self) -> impl Iterator<Item = EventCount<'_>> {
        let counts = self.events.iter().enumerate().map(|(place, count)| {
            let (rest, tier) = (place / TIER_PLACES, place % TIER_PLACES);
            let (pair, code) = (rest / CODES, rest % CODES);
            EventCount {
                operation: Operation::ALL[pair / OUTCOMES],
                outcome: OutcomeName::ALL[pair % OUTCOMES],
                code: code.checked_sub(1).map(|code| Code::ALL[code]),
                usage_tier: self.tier_at(tier),
                count: count.load(Ordering::Relaxed),
            }
        });
        counts.filter(|counted| {
            let EventCount { outcome, code, usage_tier, count, .. } = counted;
            let is_ordinary = *outcome == OutcomeName::Success && code.is_none() && usage_tier.is_none();
            *count > 0 || is_ordinary
        })
    }

    /// How long operations took: microseconds, by operation and outcome.
    pub fn durations(&self) -> impl Iterator<Item = (Operation, OutcomeName, Distribution)> {
        let durations = self.durations.iter().enumerate().map(|(pair, durations)| {
            (Operation::ALL[pair / OUTCOMES], OutcomeName::ALL[pair % OUTCOMES], durations.distribution())
        });
        durations.filter(|(_, outcome, durations)| *outcome == OutcomeName::Success || durations.count > 0)
    }

    /// How often each code was told, also beside another one, or beside a
    /// success.
    pub fn errors(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL.iter().zip(&self.errors).map(|(code, count)| (*code, count.load(Ordering::Relaxed)))
    }
}

fn pair(operation: Operation, outcome: OutcomeName) -> usize {
    operation as usize * OUTCOMES + outcome as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_the_lists() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place, "{operation:?}");
        }
        for (place, outcome) in OutcomeName::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
        }
        for (place, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{code:?}");
        }
    }

    #[test]
    fn a_plugin_that_names_ever_new_tiers_makes_no_ever_new_counts() {
        let counts = Counts::default();
        let names: Vec<_> = (0..1000).map(|tier| format!("tier {tier}")).collect();
        let places: std::collections::BTreeSet<_> =
            names.iter().map(|name| counts.tier_place(Some(name))).collect();
        assert_eq!(places.len(), TIERS + 1);
        assert_eq!(counts.tier_at(counts.tier_place(Some("tier 0"))), Some("tier 0"));
        assert_eq!(counts.tier_at(counts.tier_place(Some("tier 999"))), Some(OTHER));
        assert_eq!(counts.tier_at(counts.tier_place(None)), None);
    }

    #[test]
    fn a_tier_of_the_name_of_all_others_is_one_of_them() {
        let counts = Counts::default();
        assert_eq!(counts.tier_place(Some(OTHER)), TIERS + 1);
        assert_eq!(counts.tier_at(counts.tier_place(Some("heavy"))), Some("heavy"));
        assert_eq!(counts.tier_at(TIERS + 1), Some(OTHER));
    }
}
