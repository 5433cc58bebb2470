//! How far the battery still reaches. What a trip used is `energy`'s.

use super::{
    energy::soc_kwh,
    number::{known, round},
};
use crate::settings::Settings;

/// Miles until the engine takes over, 1 decimal: the energy above its limit by
/// the consumption of the last trips. Nothing without a consumption.
#[must_use]
pub fn predict(soc_percent: f64, recent_kwh_per_mile: f64, settings: &Settings) -> Option<f64> {
    let kwh_per_mile = known(recent_kwh_per_mile).filter(|kwh| *kwh > 0.0)?;
    let left = known(soc_percent - settings.gas_soc_percent)?.max(0.0);
    known(soc_kwh(left, settings.battery_kwh) / kwh_per_mile).map(|miles| round(miles, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miles(soc_percent: f64, kwh_per_mile: f64) -> Option<f64> {
        predict(soc_percent, kwh_per_mile, &Settings::default())
    }

    #[test]
    fn the_energy_above_the_limit_is_what_is_left() {
        // 50 % of 18.4 kWh at 0.25 kWh a mile.
        assert_eq!(miles(75.0, 0.25), Some(36.8));
        assert_eq!((miles(25.0, 0.25), miles(10.0, 0.25)), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn without_a_consumption_there_is_no_range() {
        for (soc, kwh) in [(75.0, 0.0), (75.0, -0.3), (75.0, f64::NAN), (f64::NAN, 0.3), (f64::MAX, 1e-300)] {
            assert_eq!(miles(soc, kwh), None, "{soc} {kwh}");
        }
    }
}
