//! Charges and fills: the truth beside the server's charging sessions and refuels.

use serde::Deserialize;

use super::super::charge::ChargeTruth;
use super::super::days::FillTruth;
use super::{Comparison, GAUGE_GALLONS, tolerance, within};

/// What a charger brings from one reading to the next, which is all that the last reading of
/// a charge can lack: 3 kW for a minute, in points of SOC.
const READING_SOC: f64 = 0.3;
/// The same in kWh.
const READING_KWH: f64 = 0.06;
/// The time of it, in minutes.
const READING_MINUTES: f64 = 1.05;

/// A charging session as `GET /api/charging` gives it; only what the comparison needs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ServerCharge {
    /// The trip it belongs to.
    pub trip_id: String,
    /// First reading's time, epoch ms.
    pub start_time_ms: i64,
    /// Last reading's time, epoch ms.
    pub end_time_ms: i64,
    /// Whether its end was seen.
    pub complete: bool,
    /// Type of the outlet.
    pub charge_type: String,
    /// SOC at the start in %.
    pub start_soc_percent: Option<f64>,
    /// SOC at the end in %.
    pub end_soc_percent: Option<f64>,
    /// Highest power in kW.
    pub peak_power_kw: Option<f64>,
    /// Energy in kWh.
    pub kwh_added: Option<f64>,
}

/// A fill as `GET /api/refuels` gives it; only what the comparison needs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ServerRefuel {
    /// The trip that showed it.
    pub trip_id: String,
    /// Level before in %.
    pub level_before_percent: Option<f64>,
    /// Level after in %.
    pub level_after_percent: Option<f64>,
    /// Fuel in US gallons.
    pub gallons: Option<f64>,
}

/// Everything charged and filled with one session, beside what the server says of its trip.
/// A second charging session or fill that is none shows as a count that differs.
pub fn compare_energy(
    charge: Option<&ChargeTruth>,
    fill: Option<&FillTruth>,
    charges: &[&ServerCharge],
    refuels: &[&ServerRefuel],
) -> Vec<Comparison> {
    let count = |n: usize| Some(n as f64);
    let exact = tolerance(0.0, 0.0, "");
    let mut rows = vec![
        within("charging_sessions", count(usize::from(charge.is_some())), count(charges.len()), exact),
        within("refuels", count(usize::from(fill.is_some())), count(refuels.len()), exact),
    ];
    if let (Some(truth), Some(server)) = (charge, charges.first()) {
        rows.extend(charge_rows(truth, server));
    }
    if let (Some(truth), Some(server)) = (fill, refuels.first()) {
        rows.extend(fill_rows(truth, server));
    }
    rows
}

fn charge_rows(truth: &ChargeTruth, server: &ServerCharge) -> [Comparison; 7] {
    let flag = |yes: bool| Some(f64::from(u8::from(yes)));
    let exact = tolerance(0.0, 0.0, "");
    let minutes = |ms: f64| Some(ms / 60_000.0);
    let server_minutes = minutes((server.end_time_ms - server.start_time_ms) as f64);
    let reading_soc = tolerance(0.0, READING_SOC, "points");
    [
        within("charge_complete", flag(true), flag(server.complete), exact),
        within("charge_type_is_right", flag(true), flag(server.charge_type == truth.charge_type), exact),
        within("charge_start_soc", Some(truth.start_soc), server.start_soc_percent, reading_soc),
        within("charge_end_soc", Some(truth.end_soc), server.end_soc_percent, reading_soc),
        within(
            "charge_kwh_added",
            Some(truth.kwh_added),
            server.kwh_added,
            tolerance(0.0, READING_KWH, "kWh"),
        ),
        within("charge_peak_kw", Some(truth.peak_kw), server.peak_power_kw, tolerance(0.0, 0.05, "kW")),
        within(
            "charge_minutes",
            minutes(truth.charging_ms as f64),
            server_minutes,
            tolerance(0.0, READING_MINUTES, "min"),
        ),
    ]
}

fn fill_rows(truth: &FillTruth, server: &ServerRefuel) -> [Comparison; 3] {
    let gauge = tolerance(0.0, 2.0, "points");
    [
        within("refuel_level_before", Some(truth.before_percent), server.level_before_percent, gauge),
        within("refuel_level_after", Some(truth.after_percent), server.level_after_percent, gauge),
        within("refuel_gallons", Some(truth.gallons), server.gallons, tolerance(0.0, GAUGE_GALLONS, "gal")),
    ]
}

#[cfg(test)]
mod tests;
