//! When the engine takes over from an empty battery. What is driven on it is
//! not computed here.

use super::readings::Column;
use crate::settings::Settings;

/// What counts where the engine speed is missing: the engine stands.
const MISSING_RPM: f64 = 0.0;
/// What counts where the state of charge is missing: the battery is full.
const MISSING_SOC: f64 = 100.0;

/// Whether the engine drives the car on an empty battery. 0 % is a value, not
/// a missing one.
#[must_use]
pub fn in_gas_mode(rpm: Option<f64>, soc_percent: Option<f64>, settings: &Settings) -> bool {
    rpm.unwrap_or(MISSING_RPM) > settings.engine_running_rpm
        && soc_percent.unwrap_or(MISSING_SOC) < settings.gas_soc_percent
}

/// Index of the reading in which the engine takes over: the first in gas mode
/// that is not contradicted by a standing engine (below half the running
/// speed) in the readings right after it.
#[must_use]
pub fn entry(rpm: &Column, soc_percent: &Column, settings: &Settings) -> Option<usize> {
    let count = rpm.0.len();
    if count < settings.gas_min_readings as usize {
        return None;
    }
    let standing = settings.engine_running_rpm / 2.0;
    let runs_on = |index: usize| {
        let after = (index + 1..count).take(settings.gas_confirm_readings as usize);
        after.map(|next| rpm.at(next).unwrap_or(MISSING_RPM)).all(|speed| speed >= standing)
    };
    (0..count)
        .filter(|index| in_gas_mode(rpm.at(*index), soc_percent.at(*index), settings))
        .find(|index| runs_on(*index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(rpm: &[f64], soc: &[f64]) -> Option<usize> {
        let (rpm, soc) = (Column(rpm.to_vec()), Column(soc.to_vec()));
        entry(&rpm, &soc, &Settings::default())
    }

    #[test]
    fn a_spike_is_no_entry() {
        assert_eq!(entry_of(&[0.0, 800.0, 0.0, 900.0], &[20.0; 4]), Some(3));
    }

    #[test]
    fn zero_percent_is_a_value() {
        assert_eq!(entry_of(&[900.0; 3], &[0.0; 3]), Some(0));
    }

    #[test]
    fn without_columns_there_is_no_entry() {
        assert_eq!(entry_of(&[], &[20.0; 3]), None);
        assert_eq!(entry_of(&[900.0; 3], &[]), None);
    }

    #[test]
    fn the_settings_decide() {
        let settings = Settings { gas_soc_percent: 50.0, engine_running_rpm: 1000.0, ..Settings::default() };

        assert!(in_gas_mode(Some(1001.0), Some(49.0), &settings));
        assert!(!in_gas_mode(Some(999.0), Some(49.0), &settings));
    }
}
