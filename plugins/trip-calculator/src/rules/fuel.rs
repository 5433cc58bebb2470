//! Fuel used and miles per gallon, from the gauge. Fills are `refuel`'s.

use super::number::{known, round};
use crate::settings::Settings;

/// US gallons in `percent` of the tank.
#[must_use]
pub fn gallons(percent: f64, tank_gallons: f64) -> f64 {
    percent / 100.0 * tank_gallons
}

/// US gallons used while the gauge fell from `start` to `end` percent; nothing
/// where it did not fall.
#[must_use]
pub fn used_gallons(start: Option<f64>, end: Option<f64>, settings: &Settings) -> Option<f64> {
    let fall = known(start? - end?)?;
    known(gallons(fall, settings.tank_gallons)).filter(|used| *used > 0.0)
}

/// US gallons used, 2 decimals, as a basis for miles per gallon: nothing below
/// `min_mpg_gallons`, which is within the gauge's noise.
#[must_use]
pub fn consumed_gallons(start: Option<f64>, end: Option<f64>, settings: &Settings) -> Option<f64> {
    used_gallons(start, end, settings)
        .filter(|used| *used >= settings.min_mpg_gallons)
        .map(|used| round(used, 2))
}

/// Miles per US gallon, 1 decimal, from `miles` on the engine and the gauge at
/// both ends in percent; nothing for few miles, and nothing implausible.
#[must_use]
pub fn mpg(miles: Option<f64>, start: Option<f64>, end: Option<f64>, settings: &Settings) -> Option<f64> {
    let miles = miles.filter(|miles| *miles >= settings.min_mpg_miles)?;
    let mpg = known(miles / consumed_gallons(start, end, settings)?)?;
    let plausible = settings.min_mpg..=settings.max_mpg;
    plausible.contains(&mpg).then(|| round(mpg, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_that_rose_used_nothing() {
        let settings = Settings::default();

        assert_eq!(used_gallons(Some(60.0), Some(80.0), &settings), None);
        assert_eq!(used_gallons(Some(60.0), Some(60.0), &settings), None);
        assert_eq!(used_gallons(None, Some(60.0), &settings), None);
    }

    #[test]
    fn huge_values_are_absent() {
        let settings = Settings::default();

        assert_eq!(used_gallons(Some(f64::MAX), Some(-f64::MAX), &settings), None);
        assert_eq!(mpg(Some(f64::MAX), Some(80.0), Some(70.0), &settings), None);
    }

    #[test]
    fn the_settings_decide() {
        let settings = Settings { tank_gallons: 20.0, max_mpg: 10.0, min_mpg: 0.0, ..Settings::default() };

        assert_eq!(mpg(Some(10.0), Some(80.0), Some(70.0), &settings), Some(5.0));
        assert_eq!(mpg(Some(21.0), Some(80.0), Some(70.0), &settings), None);
    }
}
