//! Energy out of the battery: from its power, else from the fall of its state
//! of charge. Energy into it is `charging`'s.

use super::{
    number::{known, round},
    readings::Column,
};
use crate::settings::Settings;

/// kWh in `percent` of the battery.
#[must_use]
pub fn soc_kwh(percent: f64, battery_kwh: f64) -> f64 {
    percent / 100.0 * battery_kwh
}

/// kWh, 2 decimals, that a state of charge falling from `start` to `end`
/// percent means; nothing where it did not fall.
#[must_use]
pub fn by_soc(start: Option<f64>, end: Option<f64>, battery_kwh: f64) -> Option<f64> {
    let fall = known(start? - end?).filter(|fall| *fall > 0.0)?;
    known(round(soc_kwh(fall, battery_kwh), 2))
}

/// kWh, 2 decimals, by the trapezoidal rule over power in kW, positive out of
/// the battery. `times` are epoch milliseconds, ascending.
///
/// Intervals of a negative mean (charged while braking) and of more than
/// `max_gap_seconds` do not count. Nothing where nothing counts, or where it
/// rounds to zero.
#[must_use]
pub fn by_power(times: &[i64], power_kw: &Column, max_gap_seconds: f64) -> Option<f64> {
    let mut readings = power_kw.values().filter_map(|(index, kw)| Some((*times.get(index)?, kw)));
    let mut last = readings.next()?;
    let mut kwh = 0.0;
    for (time, kw) in readings {
        let seconds = time.saturating_sub(last.0) as f64 / 1000.0;
        let mean_kw = f64::midpoint(last.1, kw);
        if seconds > 0.0 && seconds <= max_gap_seconds && mean_kw > 0.0 {
            kwh += mean_kw * (seconds / 3600.0);
        }
        last = (time, kw);
    }
    known(round(kwh, 2)).filter(|kwh| *kwh > 0.0)
}

/// kWh of a trip, 2 decimals: by power, else by state of charge. The columns
/// are those up to the entry of gas mode. Nothing for few electric miles.
#[must_use]
pub fn used(
    electric_miles: Option<f64>,
    times: &[i64],
    power_kw: &Column,
    soc_percent: &Column,
    settings: &Settings,
) -> Option<f64> {
    electric_miles.filter(|miles| *miles > settings.min_kwh_miles)?;
    let by_soc = || by_soc(soc_percent.first(), soc_percent.last(), settings.battery_kwh);
    by_power(times, power_kw, settings.max_gap_seconds).or_else(by_soc)
}

/// kWh per electric mile, 3 decimals; nothing for few miles, and nothing
/// implausible.
#[must_use]
pub fn per_mile(kwh: Option<f64>, miles: Option<f64>, settings: &Settings) -> Option<f64> {
    let miles = miles.filter(|miles| *miles >= settings.min_kwh_per_mile_miles && *miles > 0.0)?;
    let per_mile = known(kwh? / miles)?;
    let plausible = settings.min_kwh_per_mile..=settings.max_kwh_per_mile;
    plausible.contains(&per_mile).then(|| round(per_mile, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> Column {
        Column(values.to_vec())
    }

    #[test]
    fn a_gap_is_no_data() {
        let power = column(&[36.0, 36.0, 36.0]);
        let times = [0, 100_000, 300_000];

        assert_eq!(by_power(&times, &power, 120.0), Some(1.0));
        assert_eq!(by_power(&times, &power, 200.0), Some(3.0));
        assert_eq!(by_power(&times, &power, 99.0), None);
    }

    #[test]
    fn what_rounds_to_zero_falls_back_to_the_state_of_charge() {
        let power = column(&[0.001, 0.001]);
        let soc = column(&[80.0, 70.0]);
        let times = [0, 60_000];

        let used = used(Some(5.0), &times, &power, &soc, &Settings::default());

        assert_eq!(used, Some(1.84));
    }

    #[test]
    fn few_miles_have_no_figure() {
        let soc = column(&[80.0, 70.0]);
        let of = |miles| used(miles, &[], &column(&[]), &soc, &Settings::default());

        assert_eq!(of(Some(0.5)), None);
        assert_eq!(of(Some(0.51)), Some(1.84));
        assert_eq!(of(None), None);
    }

    #[test]
    fn huge_values_are_absent() {
        let power = column(&[f64::MAX, f64::MAX, f64::MAX]);
        let times = [i64::MIN, 0, i64::MAX];

        assert_eq!(by_power(&times, &power, f64::MAX), None);
        assert_eq!(by_soc(Some(f64::MAX), Some(-f64::MAX), 18.4), None);
    }
}
