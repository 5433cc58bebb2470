//! Figures of a running trip, from its first known values to its latest ones.
//! What is stored of a finished trip is `summary`'s.

use super::{distance, energy::soc_kwh, fuel::gallons, gas_mode::in_gas_mode, number::known};
use crate::settings::Settings;

/// One end of the trip so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Odometer: miles.
    pub odometer_miles: Option<f64>,
    /// State of charge: percent.
    pub soc_percent: Option<f64>,
    /// Fuel level: percent.
    pub fuel_percent: Option<f64>,
    /// Engine speed: revolutions per minute.
    pub engine_rpm: Option<f64>,
}

/// Figures so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Miles since the start.
    pub miles_driven: Option<f64>,
    /// kWh by the fall of the state of charge.
    pub kwh_used: Option<f64>,
    /// kWh per mile.
    pub kwh_per_mile: Option<f64>,
    /// Whether the engine drives the car now.
    pub in_gas_mode: bool,
    /// US gallons by the fall of the gauge, if it exceeds its noise.
    pub fuel_used_gallons: Option<f64>,
}

/// The figures from `first` to `latest`.
#[must_use]
pub fn figures(first: &Point, latest: &Point, settings: &Settings) -> Figures {
    let miles_driven = distance::by_odometer(first.odometer_miles, latest.odometer_miles);
    let kwh_used = fall(first.soc_percent, latest.soc_percent, 0.0)
        .and_then(|percent| known(soc_kwh(percent, settings.battery_kwh)));
    let fuel_used_gallons = fall(first.fuel_percent, latest.fuel_percent, settings.live_min_fuel_points)
        .and_then(|percent| known(gallons(percent, settings.tank_gallons)));
    let kwh_per_mile = match (kwh_used, miles_driven) {
        (Some(kwh), Some(miles)) if miles > 0.0 => known(kwh / miles),
        _ => None,
    };
    Figures {
        miles_driven,
        kwh_used,
        kwh_per_mile,
        in_gas_mode: in_gas_mode(latest.engine_rpm, latest.soc_percent, settings),
        fuel_used_gallons,
    }
}

/// How far a level fell, if by more than `noise`.
fn fall(first: Option<f64>, latest: Option<f64>, noise: f64) -> Option<f64> {
    known(first? - latest?).filter(|fall| *fall > noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_values_there_are_no_figures() {
        let nothing = Point::default();

        assert_eq!(figures(&nothing, &nothing, &Settings::default()), Figures::default());
    }

    #[test]
    fn fuel_counts_beyond_the_noise_of_the_gauge() {
        let at = |fuel| Point { fuel_percent: Some(fuel), ..Point::default() };
        let used = |latest| figures(&at(50.0), &at(latest), &Settings::default()).fuel_used_gallons;

        assert_eq!(used(49.5), None);
        assert_eq!(used(40.0), Some(0.9312200000000002));
    }

    #[test]
    fn standing_still_has_no_figure_per_mile() {
        let at = |soc| Point { odometer_miles: Some(100.0), soc_percent: Some(soc), ..Point::default() };

        let figures = figures(&at(80.0), &at(70.0), &Settings::default());

        assert_eq!((figures.miles_driven, figures.kwh_per_mile), (Some(0.0), None));
    }
}
