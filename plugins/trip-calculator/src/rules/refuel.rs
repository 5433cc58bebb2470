//! Fills, as rises between settled levels of the fuel gauge. A gauge is noisy:
//! fuel sloshes, and a real one jumps by ten points many times a drive.

use super::{
    fuel::gallons,
    number::{known, median},
    readings::Column,
};
use crate::settings::Settings;

/// Share of a level's readings that must be near their median.
const SETTLED_SHARE: f64 = 0.8;
/// How many levels are compared on each side of a fill at most: a bound on the
/// work, however densely a trip is read.
const MOST_LEVELS: usize = 100;

/// Fuel that was filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Refuel {
    /// Index of the reading that first shows the new level.
    pub index: usize,
    /// Settled level before: percent.
    pub before_percent: f64,
    /// Settled level after: percent.
    pub after_percent: f64,
    /// Fuel filled in: US gallons.
    pub gallons: f64,
}

/// A settled level: consecutive readings that agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Index of the first reading that shows it.
    pub index: usize,
    /// Time of its first reading: epoch milliseconds.
    pub start_ms: i64,
    /// Time of its last reading: epoch milliseconds.
    pub end_ms: i64,
    /// The median of its readings: percent.
    pub percent: f64,
}

/// Whether a rise from `previous` to `current` percent is a fill.
#[must_use]
pub fn is_refuel(current: Option<f64>, previous: Option<f64>, min_points: f64) -> bool {
    let rise = current.zip(previous).map(|(current, previous)| current - previous);
    rise.and_then(known).is_some_and(|rise| rise >= min_points)
}

/// The median of the last `window` readings (of all, if 0); nothing without
/// readings.
#[must_use]
pub fn smooth(readings: &[f64], window: usize) -> Option<f64> {
    let skipped = match window {
        0 => 0,
        window => readings.len().saturating_sub(window),
    };
    median(readings.iter().skip(skipped).copied())
}

/// The settled levels of a gauge, one after the other: each is the median of
/// `max_fuel_samples` readings, four in five of them near it. A level that the
/// end cuts short needs `min_fuel_samples`, and no unsettled reading before it:
/// the last few readings of a noisy gauge can agree by chance.
#[must_use]
pub fn settled_levels(times: &[i64], fuel: &Column, settings: &Settings) -> Vec<Level> {
    let samples: Vec<(usize, f64)> = fuel.values().filter(|(index, _)| *index < times.len()).collect();
    let longest = settings.max_fuel_samples as usize;
    let shortest = settings.min_fuel_samples as usize;
    let mut levels = Vec::new();
    let (mut start, mut settled_up_to) = (0, 0);
    while samples.len() - start >= shortest {
        let end = samples.len().min(start + longest);
        if end - start < longest && start != settled_up_to {
            break;
        }
        if let Some(level) = level(times, &samples[start..end], settings) {
            levels.push(level);
            (start, settled_up_to) = (end, end);
        } else {
            start += 1;
        }
    }
    levels
}

fn level(times: &[i64], samples: &[(usize, f64)], settings: &Settings) -> Option<Level> {
    let percent = median(samples.iter().map(|(_, percent)| *percent))?;
    let is_near = |sample: &&(usize, f64)| (sample.1 - percent).abs() <= settings.fuel_settled_points;
    let near: Vec<_> = samples.iter().filter(is_near).collect();
    if (near.len() as f64) < SETTLED_SHARE * samples.len() as f64 {
        return None;
    }
    let (first, last) = (near.first()?.0, near.last()?.0);
    Some(Level { index: first, start_ms: *times.get(first)?, end_ms: *times.get(last)?, percent })
}

/// The fills of a trip, and the one since the trip before it, whose level at
/// the end was `previous_percent`.
#[must_use]
pub fn refuels(levels: &[Level], previous_percent: Option<f64>, settings: &Settings) -> Vec<Refuel> {
    let mut refuels = Vec::new();
    let mut since = 0;
    for at in 0..levels.len() {
        let before = match (at, previous_percent) {
            (0, Some(percent)) => Some((percent, 0)),
            _ => level_before(&levels[since..at], settings),
        };
        if let Some(refuel) = before.and_then(|before| fill(before, &levels[at..], settings)) {
            refuels.push(refuel);
            since = at;
        }
    }
    refuels
}

/// Median of the settled levels up to the end of `levels`, within the window,
/// and for how many milliseconds they were seen.
fn level_before(levels: &[Level], settings: &Settings) -> Option<(f64, i64)> {
    let end = levels.last()?.end_ms;
    let is_near = |level: &&Level| seconds(level.start_ms, end) <= settings.fuel_window_seconds;
    let seen: Vec<&Level> = levels.iter().rev().take(MOST_LEVELS).take_while(is_near).collect();
    // A single level can be longer than the window: it counts nevertheless.
    let start = seen.last().map_or(end, |level| level.start_ms);
    let percent = median(seen.iter().map(|level| level.percent))
        .or_else(|| levels.last().map(|level| level.percent))?;
    Some((percent, end.saturating_sub(start)))
}

/// The fill that starts `after`, if the levels within the window are, with
/// their first, above the level before by enough and for long enough.
fn fill((before, seen_ms): (f64, i64), after: &[Level], settings: &Settings) -> Option<Refuel> {
    let first = after.first()?;
    let least = settings.refuel_min_points;
    let is_near = |level: &&Level| seconds(first.start_ms, level.start_ms) <= settings.fuel_window_seconds;
    let window: Vec<&Level> = after.iter().take(MOST_LEVELS).take_while(is_near).collect();
    let percent = median(window.iter().map(|level| level.percent))?;
    let held_ms = window.last()?.end_ms.saturating_sub(first.start_ms);
    let hold_ms = (settings.fuel_hold_seconds * 1000.0).min(seen_ms as f64);
    let is_fill = is_refuel(Some(first.percent), Some(before), least)
        && is_refuel(Some(percent), Some(before), least)
        && held_ms as f64 >= hold_ms;
    is_fill.then(|| Refuel {
        index: first.index,
        before_percent: before,
        after_percent: percent,
        gallons: gallons(percent - before, settings.tank_gallons),
    })
}

fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    to_ms.saturating_sub(from_ms) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fills that a gauge shows, read every `step` seconds: index, level
    /// before, level after.
    fn fills(gauge: &[f64], step: i64, previous: Option<f64>) -> Vec<(usize, f64, f64)> {
        let settings = Settings::default();
        let times: Vec<i64> = (0..).map(|i| i * step * 1000).take(gauge.len()).collect();
        let levels = settled_levels(&times, &Column(gauge.to_vec()), &settings);
        refuels(&levels, previous, &settings)
            .iter()
            .map(|refuel| (refuel.index, refuel.before_percent, refuel.after_percent))
            .collect()
    }

    /// A gauge that shows each level for a number of readings.
    fn gauge(parts: &[(f64, usize)]) -> Vec<f64> {
        let part = |(percent, count): &(f64, usize)| vec![*percent; *count];
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn a_rise_between_settled_levels_is_a_fill() {
        for step in [1, 5, 30, 60] {
            let found = fills(&gauge(&[(30.0, 20), (80.0, 20)]), step, None);
            assert_eq!(found, [(20, 30.0, 80.0)], "every {step} s");
        }
    }

    #[test]
    fn a_fill_between_sessions_is_seen_against_the_trip_before() {
        assert_eq!(fills(&[90.0; 3], 60, Some(30.0)), [(0, 30.0, 90.0)]);
        assert_eq!(fills(&[90.0; 3], 60, Some(81.0)), []);
        assert_eq!(fills(&[90.0; 2], 60, Some(30.0)), [], "two readings are no level");
    }

    #[test]
    fn a_slow_rise_of_the_gauge_is_one_fill() {
        let mut readings = gauge(&[(30.0, 60)]);
        readings.extend((0..60).map(|i| 30.0 + f64::from(i)));
        readings.extend(gauge(&[(90.0, 60)]));

        let found = fills(&readings, 3, None);

        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].1, found[0].2), (30.0, 90.0));
    }

    #[test]
    fn two_fills_in_a_trip_are_two() {
        let parts = [(20.0, 30), (50.0, 30), (90.0, 30)];

        let found = fills(&gauge(&parts), 20, None);

        assert_eq!(found, [(30, 20.0, 50.0), (60, 50.0, 90.0)]);
    }

    #[test]
    fn a_jumping_gauge_is_no_fill() {
        let jumping: Vec<f64> =
            (0..3600).map(|i| if i % 120 < 12 { 58.0 } else { 46.0 } + f64::from(i % 3)).collect();

        assert_eq!(fills(&jumping, 1, Some(46.0)), []);
    }

    #[test]
    fn noise_without_any_settled_level_is_no_fill() {
        let noise: Vec<f64> = (0..3600).map(|i| f64::from(i * 7919 % 40) + 30.0).collect();

        assert_eq!(fills(&noise, 1, Some(20.0)), []);
    }

    #[test]
    fn a_slope_at_the_end_is_no_fill() {
        assert_eq!(fills(&gauge(&[(40.0, 600), (52.0, 20)]), 1, None), []);
    }

    #[test]
    fn gallons_are_the_rise_in_the_tank() {
        let settings = Settings::default();
        let times: Vec<i64> = (0..20).map(|i| i * 60_000).collect();
        let levels = settled_levels(&times, &Column(gauge(&[(30.0, 10), (90.0, 10)])), &settings);

        let refuels = refuels(&levels, None, &settings);

        assert_eq!(refuels[0].gallons, 5.58732);
    }
}
