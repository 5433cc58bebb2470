//! At which charge the engine takes over, over many trips. When it does so in
//! one trip is `gas_mode`'s.

use std::collections::BTreeMap;

use super::number::{known, mean, round};
use crate::settings::Settings;

/// What one trip's entry into gas mode says of the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry {
    /// State of charge: percent.
    pub soc_percent: Option<f64>,
    /// Ambient temperature: °F.
    pub ambient_f: Option<f64>,
}

/// Where the battery was empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floor {
    /// Entries with a state of charge.
    pub entries: u32,
    /// Their mean: percent, 1 decimal.
    pub mean_percent: Option<f64>,
    /// The least: percent, 1 decimal.
    pub min_percent: Option<f64>,
    /// The most: percent, 1 decimal.
    pub max_percent: Option<f64>,
    /// Whole percent to number of entries in it.
    pub histogram: BTreeMap<i32, u32>,
    /// Absent where too few entries have a temperature.
    pub by_temperature: Option<ByTemperature>,
}

/// Entries in the cold beside the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ByTemperature {
    /// Mean in the cold: percent, 1 decimal.
    pub cold_percent: Option<f64>,
    /// Entries in the cold.
    pub cold_entries: u32,
    /// Mean of the others: percent, 1 decimal.
    pub warm_percent: Option<f64>,
    /// The others.
    pub warm_entries: u32,
}

/// The floor that these entries show.
#[must_use]
pub fn floor(entries: &[Entry], settings: &Settings) -> Floor {
    let levels: Vec<f64> = entries.iter().filter_map(|entry| entry.soc_percent.and_then(known)).collect();
    let mut histogram = BTreeMap::new();
    for level in &levels {
        // Beyond 32 bits is no percentage; the cast then gives the last bar.
        *histogram.entry(level.floor() as i32).or_insert(0) += 1;
    }
    Floor {
        entries: count(&levels),
        mean_percent: mean_percent(&levels),
        min_percent: levels.iter().copied().reduce(f64::min).map(percent),
        max_percent: levels.iter().copied().reduce(f64::max).map(percent),
        histogram,
        by_temperature: by_temperature(entries, settings),
    }
}

fn by_temperature(entries: &[Entry], settings: &Settings) -> Option<ByTemperature> {
    let pair = |entry: &Entry| Some((known(entry.ambient_f?)?, known(entry.soc_percent?)?));
    let pairs: Vec<(f64, f64)> = entries.iter().filter_map(pair).collect();
    if count(&pairs) < settings.soc_floor_min_pairs {
        return None;
    }
    let (cold, warm): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(ambient_f, _)| *ambient_f < settings.soc_floor_cold_f);
    let levels = |pairs: &[(f64, f64)]| pairs.iter().map(|(_, level)| *level).collect::<Vec<_>>();
    Some(ByTemperature {
        cold_percent: mean_percent(&levels(&cold)),
        cold_entries: count(&cold),
        warm_percent: mean_percent(&levels(&warm)),
        warm_entries: count(&warm),
    })
}

fn mean_percent(levels: &[f64]) -> Option<f64> {
    mean(levels.iter().copied()).map(percent)
}

fn percent(level: f64) -> f64 {
    round(level, 1)
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(soc_percent: f64, ambient_f: f64) -> Entry {
        Entry { soc_percent: Some(soc_percent), ambient_f: Some(ambient_f) }
    }

    #[test]
    fn without_entries_there_is_no_floor() {
        assert_eq!(floor(&[], &Settings::default()), Floor::default());
    }

    #[test]
    fn what_is_not_finite_is_no_entry() {
        let found = floor(&[entry(f64::NAN, 40.0), entry(17.25, f64::INFINITY)], &Settings::default());

        assert_eq!((found.entries, found.mean_percent), (1, Some(17.2)));
        assert_eq!(found.histogram, BTreeMap::from([(17, 1)]));
    }

    #[test]
    fn the_settings_decide_what_is_cold_and_how_many_it_takes() {
        let settings = Settings { soc_floor_cold_f: 70.0, soc_floor_min_pairs: 1, ..Settings::default() };

        let found = floor(&[entry(17.0, 69.9)], &settings).by_temperature;

        let cold_only =
            ByTemperature { cold_percent: Some(17.0), cold_entries: 1, ..ByTemperature::default() };
        assert_eq!(found, Some(cold_only));
        assert_eq!(floor(&[entry(17.0, 69.9)], &Settings::default()).by_temperature, None);
    }

    #[test]
    fn no_level_is_too_large_for_the_histogram() {
        let found = floor(&[entry(f64::MAX, 0.0), entry(f64::MIN, 0.0)], &Settings::default());

        assert_eq!(found.histogram, BTreeMap::from([(i32::MIN, 1), (i32::MAX, 1)]));
    }
}
