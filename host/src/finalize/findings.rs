//! What is kept beside a trip's figures: its charging sessions with their
//! curves, its fills with their places. Pure; no rule lives here.

use crate::fixes;
use crate::plugin_host::{Calculation, Session, TripReadings};
use crate::store::{Charge, CurvePoint, Fill};

/// Points of a charging session's curve at most: one for each four minutes of
/// a night.
const CURVE_POINTS: usize = 120;

/// The charging sessions with their curves.
pub(super) fn charges(readings: &TripReadings, sessions: &[Session]) -> Vec<Charge> {
    let charge = |session: &Session| Charge { session: session.clone(), curve: curve(readings, session) };
    sessions.iter().map(charge).collect()
}

/// Power and state of charge over a session: where there are more readings
/// than points, a point stands for several. Its power is their mean, its state
/// of charge their last.
fn curve(readings: &TripReadings, session: &Session) -> Vec<CurvePoint> {
    let column = |name: &str| readings.columns.get(name).map(Vec::as_slice).unwrap_or_default();
    let (kw, watts, soc) = (column("charger_power_kw"), column("charger_power_w"), column("state_of_charge"));
    let known = |column: &[f64], index: usize| column.get(index).copied().filter(|value| value.is_finite());
    let power_kw = |index| known(kw, index).or_else(|| Some(known(watts, index)? / 1000.0));
    let start = readings.times_ms.partition_point(|time_ms| *time_ms < session.start_time_ms);
    let end = readings.times_ms.partition_point(|time_ms| *time_ms <= session.end_time_ms);
    let shown: Vec<usize> =
        (start..end).filter(|index| power_kw(*index).is_some() || known(soc, *index).is_some()).collect();
    let point = |part: &[usize]| {
        let powers: Vec<f64> = part.iter().filter_map(|index| power_kw(*index)).collect();
        CurvePoint {
            time_ms: readings.times_ms[part[0]],
            power_kw: (!powers.is_empty()).then(|| powers.iter().sum::<f64>() / powers.len() as f64),
            soc_percent: part.iter().rev().find_map(|index| known(soc, *index)),
        }
    };
    shown.chunks(shown.len().div_ceil(CURVE_POINTS).max(1)).map(point).collect()
}

/// The fills with what they cost, each at the reading with a fix next to it.
pub(super) fn fills(readings: &TripReadings, calculation: &Calculation) -> Vec<Fill> {
    if calculation.summary.refuels.is_empty() {
        return Vec::new();
    }
    let fixes = fixes::fixes(readings);
    let refuels = calculation.summary.refuels.iter();
    let costs = calculation.refuel_costs.iter().copied().map(Some).chain(std::iter::repeat(None));
    let fill = |(refuel, cost_usd): (&_, _)| {
        let refuel: crate::plugin_host::Refuel = *refuel;
        let fix = fixes::nearest(&fixes, refuel.time_ms);
        Fill { refuel, cost_usd, position: fix.map(|fix| (fix.latitude, fix.longitude)) }
    };
    refuels.zip(costs).map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(start_time_ms: i64, end_time_ms: i64) -> Session {
        Session {
            start_time_ms,
            end_time_ms,
            complete: true,
            start_soc: None,
            end_soc: None,
            peak_power_kw: 3.3,
            avg_power_kw: 3.3,
            charge_type: "L2".to_owned(),
            kwh_added: None,
            cost: None,
        }
    }

    /// A reading a second: 1 kW more and 1 % more each.
    fn readings(count: i64) -> TripReadings {
        let mut readings = TripReadings::at((0..count).map(|second| second * 1000).collect());
        for (index, second) in (0..count).enumerate() {
            readings.set(index, "charger_power_w", second as f64 * 1000.0);
            readings.set(index, "state_of_charge", second as f64);
        }
        readings
    }

    #[test]
    fn a_curve_has_the_readings_of_its_session_and_no_others() {
        let curve = curve(&readings(10), &session(3000, 5000));
        let point = |second: i64| CurvePoint {
            time_ms: second * 1000,
            power_kw: Some(second as f64),
            soc_percent: Some(second as f64),
        };
        assert_eq!(curve, [3, 4, 5].map(point));
    }

    #[test]
    fn a_point_of_a_long_curve_stands_for_several_readings() {
        let curve = curve(&readings(7200), &session(0, 7_199_000));
        assert_eq!(curve.len(), CURVE_POINTS);
        let first = CurvePoint { time_ms: 0, power_kw: Some(29.5), soc_percent: Some(59.0) };
        assert_eq!((curve[0], curve[119].time_ms), (first, 7_140_000));
    }

    #[test]
    fn readings_that_show_neither_power_nor_charge_are_no_points() {
        let mut readings = TripReadings::at(vec![0, 1000, 2000]);
        readings.set(1, "charger_power_kw", 3.3);
        readings.set(1, "charger_power_w", 9000.0);
        let curve = curve(&readings, &session(0, 2000));
        assert_eq!(curve, [CurvePoint { time_ms: 1000, power_kw: Some(3.3), soc_percent: None }]);
        assert_eq!(super::curve(&TripReadings::default(), &session(0, 2000)), []);
    }
}
