//! What all sessions of a car come to, beside the server's figures for its vehicle.

use serde::{Deserialize, Serialize};

use super::super::truth::Truth;
use super::{Comparison, ODOMETER_STEP_MILES, tolerance, within};

/// A vehicle as `GET /api/vehicles` gives it; only what the comparison needs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ServerVehicle {
    /// The vehicle's id.
    pub vehicle_id: String,
    /// Closed trips.
    pub total_trips: u64,
    /// Their miles.
    pub total_miles: Option<f64>,
    /// Mean kWh per mile of its trips.
    pub avg_kwh_per_mile: Option<f64>,
    /// Mean miles per gallon of its trips.
    pub avg_gas_mpg: Option<f64>,
}

/// What the sessions of a car truly come to; a charge is a session, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Sessions.
    pub trips: u64,
    /// Miles.
    pub miles: f64,
    /// Mean kWh per electric mile of those that have a figure.
    pub mean_kwh_per_mile: Option<f64>,
    /// Mean gas miles per gallon of those that have a figure.
    pub mean_gas_mpg: Option<f64>,
}

impl Totals {
    /// Adds up sessions.
    pub fn of<'a>(truths: impl Iterator<Item = &'a Truth> + Clone) -> Self {
        Self {
            trips: truths.clone().count() as u64,
            miles: truths.clone().map(|truth| truth.distance_miles).sum(),
            mean_kwh_per_mile: mean(truths.clone().filter_map(|truth| truth.kwh_per_mile)),
            mean_gas_mpg: mean(truths.filter_map(|truth| truth.gas_mpg)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// The totals of both sides.
pub fn compare_totals(truth: &Totals, server: &ServerVehicle) -> Vec<Comparison> {
    let count = |n: u64| Some(n as f64);
    // The odometer's step is lost or won with each trip, in either direction.
    let steps = ODOMETER_STEP_MILES * (truth.trips as f64).sqrt() * 2.0;
    vec![
        within("total_trips", count(truth.trips), count(server.total_trips), tolerance(0.0, 0.0, "")),
        within("total_miles", Some(truth.miles), server.total_miles, tolerance(0.5, steps, "mi")),
        within(
            "mean_kwh_per_mile",
            truth.mean_kwh_per_mile,
            server.avg_kwh_per_mile,
            tolerance(8.0, 0.01, "kWh/mi"),
        ),
        within("mean_gas_mpg", truth.mean_gas_mpg, server.avg_gas_mpg, tolerance(15.0, 1.0, "mpg")),
    ]
}
