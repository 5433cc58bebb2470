//! Charging sessions within readings, and what each brought. What it cost is
//! `costs`'s.

use super::{
    costs,
    energy::soc_kwh,
    number::{known, mean, round},
    readings::{Column, Misshapen, Readings},
};
use crate::settings::Settings;

/// The columns that charging is seen in.
#[derive(Clone, Debug, Default)]
pub struct Charger {
    /// Connected if above 0.
    pub status: Column,
    /// Power into the battery: kW.
    pub power_kw: Column,
    /// State of charge: percent.
    pub soc_percent: Column,
}

/// One charging session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// First reading: epoch milliseconds.
    pub start_time_ms: i64,
    /// Last reading: epoch milliseconds.
    pub end_time_ms: i64,
    /// Whether a later reading shows the charger disconnected.
    pub complete: bool,
    /// What it brought.
    pub figures: Figures,
    /// kWh that came into the battery, by the rise of its state of charge.
    pub kwh_added: Option<f64>,
    /// What it cost: $.
    pub cost: Option<f64>,
}

/// Power and state of charge over a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Highest power: kW.
    pub peak_kw: f64,
    /// Mean power, zeros included: kW, 2 decimals.
    pub mean_kw: f64,
    /// First known state of charge: percent.
    pub start_soc: Option<f64>,
    /// Last known state of charge: percent.
    pub end_soc: Option<f64>,
    /// Type by peak power.
    pub charge_type: &'static str,
}

/// Reads the columns. Power in kW wins over power in W, reading by reading.
///
/// # Errors
/// A column has not one value for each reading.
pub fn charger(readings: &Readings) -> Result<Charger, Misshapen> {
    let mut power_kw = readings.column("charger_power_kw")?;
    let watts = readings.column("charger_power_w")?;
    power_kw.0.resize(power_kw.0.len().max(watts.0.len()), f64::NAN);
    for (index, watts) in watts.values() {
        if let Some(kw) = power_kw.0.get_mut(index).filter(|kw| !kw.is_finite()) {
            *kw = watts / 1000.0;
        }
    }
    Ok(Charger {
        status: readings.column("charger_status")?,
        power_kw,
        soc_percent: readings.column("state_of_charge")?,
    })
}

/// The sessions in time order. One starts with the first reading of a
/// connected charger with enough power, and ends when the charger is
/// disconnected; readings that do not know neither start nor end one.
#[must_use]
pub fn sessions(times: &[i64], charger: &Charger, settings: &Settings) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    for (index, status) in charger.status.values() {
        let power_kw = charger.power_kw.at(index);
        open = match open {
            Some(span) if status <= 0.0 => {
                sessions.extend(session(times, charger, span, true, settings));
                None
            }
            Some((start, _)) => Some((start, index)),
            None if status > 0.0 && charges(power_kw, settings) => Some((index, index)),
            None => None,
        };
    }
    sessions.extend(open.and_then(|span| session(times, charger, span, false, settings)));
    sessions
}

fn session(
    times: &[i64],
    charger: &Charger,
    (start, end): (usize, usize),
    complete: bool,
    settings: &Settings,
) -> Option<Session> {
    let figures = figures(charger, start..end + 1, settings)?;
    let kwh_added = kwh_added(figures.start_soc, figures.end_soc, settings.battery_kwh);
    Some(Session {
        start_time_ms: *times.get(start)?,
        end_time_ms: *times.get(end)?,
        complete,
        cost: costs::charging(kwh_added, Some(settings.electricity_cost_per_kwh)),
        kwh_added,
        figures,
    })
}

/// The figures of the readings in `span` while the charger is connected;
/// nothing where its power never is enough.
#[must_use]
pub fn figures(charger: &Charger, span: std::ops::Range<usize>, settings: &Settings) -> Option<Figures> {
    let is_connected = |index: &usize| charger.status.at(*index).is_some_and(|s| s > 0.0);
    let connected = || span.clone().filter(is_connected);
    let powers = || connected().filter_map(|index| charger.power_kw.at(index));
    let peak_kw = powers().fold(f64::NEG_INFINITY, f64::max);
    if !charges(known(peak_kw), settings) {
        return None;
    }
    let soc = |index| charger.soc_percent.at(index);
    Some(Figures {
        peak_kw,
        mean_kw: round(mean(powers())?, 2),
        start_soc: span.clone().find_map(soc),
        end_soc: span.clone().rev().find_map(soc),
        charge_type: charge_type(peak_kw, settings),
    })
}

fn charges(power_kw: Option<f64>, settings: &Settings) -> bool {
    power_kw.is_some_and(|kw| kw >= settings.charging_min_kw)
}

/// The type of charging by its peak power in kW.
#[must_use]
pub fn charge_type(peak_kw: f64, settings: &Settings) -> &'static str {
    if peak_kw > settings.charging_dcfc_kw {
        "DCFC"
    } else if peak_kw > settings.charging_l2_kw {
        "L2"
    } else if peak_kw > settings.charging_l1_high_kw {
        "L1-high"
    } else {
        "L1"
    }
}

/// kWh that a state of charge rising from `start` to `end` percent means;
/// nothing where it did not rise.
#[must_use]
pub fn kwh_added(start: Option<f64>, end: Option<f64>, battery_kwh: f64) -> Option<f64> {
    let rise = known(end? - start?).filter(|rise| *rise > 0.0)?;
    known(soc_kwh(rise, battery_kwh))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions_of(status: &[f64], power_kw: &[f64], soc: &[f64]) -> Vec<Session> {
        let times: Vec<i64> = (0..).map(|i| i * 60_000).take(status.len()).collect();
        let charger = Charger {
            status: Column(status.to_vec()),
            power_kw: Column(power_kw.to_vec()),
            soc_percent: Column(soc.to_vec()),
        };
        sessions(&times, &charger, &Settings::default())
    }

    #[test]
    fn a_session_lasts_from_power_to_disconnection() {
        let found = sessions_of(
            &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
            &[0.0, 3.3, 3.5, 0.0, 0.0, 0.0],
            &[39.0, 40.0, 50.0, 60.0, 70.0, 80.0],
        );

        assert_eq!(found.len(), 1);
        let session = &found[0];
        assert_eq!((session.start_time_ms, session.end_time_ms), (60_000, 180_000));
        assert!(session.complete);
        assert_eq!(session.figures.charge_type, "L2");
        assert_eq!((session.figures.peak_kw, session.figures.mean_kw), (3.5, 2.27));
        assert_eq!(session.kwh_added, Some(0.2 * 18.4));
    }

    #[test]
    fn a_session_without_its_end_is_not_complete() {
        let found = sessions_of(&[1.0, f64::NAN], &[7.0, 7.0], &[50.0, 51.0]);

        assert_eq!(found.len(), 1);
        assert!(!found[0].complete);
        assert_eq!((found[0].kwh_added, found[0].cost), (None, None));
    }

    #[test]
    fn connecting_again_is_a_session_of_its_own() {
        let found = sessions_of(&[1.0, 0.0, 1.0], &[1.3, 0.0, 30.0], &[]);

        let types: Vec<_> = found.iter().map(|s| s.figures.charge_type).collect();
        assert_eq!(types, ["L1-high", "DCFC"]);
    }

    #[test]
    fn little_power_is_no_session() {
        assert_eq!(sessions_of(&[1.0; 3], &[0.49; 3], &[50.0, 60.0, 70.0]), []);
        assert_eq!(sessions_of(&[], &[], &[]), []);
    }

    #[test]
    fn types_start_above_their_limits() {
        let settings = Settings::default();

        let types = [1.2, 1.21, 3.0, 3.3, 20.0, 20.1].map(|kw| charge_type(kw, &settings));

        assert_eq!(types, ["L1", "L1-high", "L1-high", "L2", "L2", "DCFC"]);
    }
}
