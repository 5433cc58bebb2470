//! The truth of a drive beside the server's figures for its trip, with tolerances. Pure: how
//! the figures were fetched and how they are shown is the command's business.

mod energy;
mod totals;

use serde::{Deserialize, Serialize};

use super::truth::Truth;
use super::volt::TANK_GALLONS;
pub use energy::{ServerCharge, ServerRefuel, compare_energy};
pub use totals::{ServerVehicle, Totals, compare_totals};

/// One step of the odometer (0.1 km) and a rounding, in miles: no distance can be known better.
const ODOMETER_STEP_MILES: f64 = 0.07;
/// Two readings of a fuel gauge that is noisy by ±1 point, in gallons.
const GAUGE_GALLONS: f64 = 0.02 * TANK_GALLONS;
/// The mpg range in which the receiver's rule gives a figure.
const VALID_MPG: std::ops::RangeInclusive<f64> = 15.0..=60.0;

/// A trip as `GET /api/trips` gives it; only what the comparison needs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ServerTrip {
    /// The trip's id.
    #[serde(default)]
    pub trip_id: String,
    /// The vehicle's id.
    #[serde(default)]
    pub vehicle_id: String,
    /// The session's UUID.
    pub session_id: String,
    /// The profile's name, if the server knows it.
    pub profile_name: Option<String>,
    /// `open`, `closed` or `failed`.
    pub status: String,
    /// Stored readings.
    pub readings: u64,
    /// First reading's time, epoch ms.
    pub start_time_ms: i64,
    /// The figures of a closed trip.
    pub summary: Option<ServerSummary>,
}

/// The figures of a closed trip; `None` is a figure the server does not give.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ServerSummary {
    /// Distance in miles.
    pub distance_miles: Option<f64>,
    /// Mean outside temperature in °F.
    pub ambient_temp_avg_f: Option<f64>,
    /// Whether gas mode was found.
    pub gas_mode_entered: Option<bool>,
    /// Time of gas entry, epoch ms.
    pub gas_mode_entry_time_ms: Option<i64>,
    /// SOC at gas entry in %.
    pub soc_at_gas_transition: Option<f64>,
    /// Electric miles.
    pub electric_miles: Option<f64>,
    /// Gas miles.
    pub gas_miles: Option<f64>,
    /// Gas miles per gallon.
    pub gas_mpg: Option<f64>,
    /// Fuel used in US gallons.
    pub fuel_used_gallons: Option<f64>,
    /// Electric energy in kWh.
    pub electric_kwh_used: Option<f64>,
    /// kWh per electric mile.
    pub kwh_per_mile: Option<f64>,
}

/// One figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the figure.
    pub figure: &'static str,
    /// What the simulation did.
    pub truth: Option<f64>,
    /// What the server says.
    pub server: Option<f64>,
    /// (server − truth) / truth in %, where both exist and the truth is not 0.
    pub difference_percent: Option<f64>,
    /// What is allowed, for people.
    pub allowed: String,
    /// Whether the figure is within it.
    pub ok: bool,
}

/// Allowed difference: the larger of a share of the truth and an amount.
#[derive(Clone, Copy)]
struct Tolerance {
    percent: f64,
    amount: f64,
    unit: &'static str,
}

/// Every figure of the truth beside the server's.
pub fn compare(truth: &Truth, trip: &ServerTrip) -> Vec<Comparison> {
    let nothing = ServerSummary::default();
    let server = trip.summary.as_ref().unwrap_or(&nothing);
    let mut rows = distances(truth, trip.readings, server);
    rows.extend([electric_kwh(truth, server), kwh_per_mile(truth, server)]);
    rows.extend(gas_entry(truth, trip.start_time_ms, server));
    rows.extend([
        within(
            "fuel_used_gallons",
            truth.fuel_used_gallons,
            server.fuel_used_gallons,
            tolerance(15.0, GAUGE_GALLONS, "gal"),
        ),
        gas_mpg(truth, server),
        within(
            "ambient_avg_f",
            Some(truth.ambient_avg_f),
            server.ambient_temp_avg_f,
            // The car gives whole °C.
            tolerance(0.0, 1.0, "°F"),
        ),
    ]);
    rows
}

/// Readings and miles.
fn distances(truth: &Truth, readings: u64, server: &ServerSummary) -> Vec<Comparison> {
    let count = |n: u64| Some(n as f64);
    let exact = tolerance(0.0, 0.0, "");
    let mut rows = vec![within("readings", count(truth.readings), count(readings), exact)];
    let miles = [
        ("distance_miles", truth.distance_miles, server.distance_miles, 1.0),
        ("electric_miles", truth.electric_miles, server.electric_miles, 3.0),
        ("gas_miles", truth.gas_miles, server.gas_miles, 3.0),
    ];
    rows.extend(miles.map(|(figure, truth, server, percent)| {
        let allowed = tolerance(percent, ODOMETER_STEP_MILES, "mi");
        within(figure, Some(truth), server, allowed)
    }));
    rows
}

/// Whether, when and at which SOC petrol took over.
fn gas_entry(truth: &Truth, start_time_ms: i64, server: &ServerSummary) -> [Comparison; 3] {
    let flag = |yes: bool| f64::from(u8::from(yes));
    let entry_s = truth.gas_entry_after_ms.map(|ms| ms as f64 / 1_000.0);
    let server_entry_s = server.gas_mode_entry_time_ms.map(|ms| (ms - start_time_ms) as f64 / 1_000.0);
    let mut entered = within(
        "gas_entered",
        Some(flag(truth.gas_entered)),
        server.gas_mode_entered.map(flag),
        tolerance(0.0, 0.0, ""),
    );
    // Not to say is not the same as no.
    entered.ok &= server.gas_mode_entered.is_some();
    [
        entered,
        within("gas_entry_after_s", entry_s, server_entry_s, tolerance(0.0, 1.0, "s")),
        within(
            "soc_at_gas_transition",
            truth.soc_at_gas_transition,
            server.soc_at_gas_transition,
            tolerance(0.0, 0.5, "points"),
        ),
    ]
}

fn tolerance(percent: f64, amount: f64, unit: &'static str) -> Tolerance {
    Tolerance { percent, amount, unit }
}

impl Tolerance {
    fn of(self, truth: f64) -> f64 {
        // The last digit the server rounds to must not decide.
        (truth.abs() * self.percent / 100.0).max(self.amount) + 1e-9
    }

    fn text(self) -> String {
        match (self.percent > 0.0, self.amount > 0.0) {
            (true, true) => format!("{} % or {:.2} {}", self.percent, self.amount, self.unit),
            (true, false) => format!("{} %", self.percent),
            (false, true) => format!("{:.2} {}", self.amount, self.unit),
            (false, false) => "exact".to_owned(),
        }
    }
}

/// Compares one figure. A figure that one side lacks counts as 0, so its absence is right
/// only where the other side is within the tolerance of nothing.
fn within(figure: &'static str, truth: Option<f64>, server: Option<f64>, tolerance: Tolerance) -> Comparison {
    let expected = truth.unwrap_or(0.0);
    let off = (server.unwrap_or(0.0) - expected).abs();
    Comparison {
        figure,
        truth,
        server,
        difference_percent: difference_percent(truth, server),
        allowed: tolerance.text(),
        ok: off <= tolerance.of(expected),
    }
}

/// Energy has no figure for half an electric mile or less.
fn electric_kwh(truth: &Truth, server: &ServerSummary) -> Comparison {
    let allowed = tolerance(5.0, 0.05, "kWh");
    let mut row = within("electric_kwh", Some(truth.electric_kwh), server.electric_kwh_used, allowed);
    row.ok |= server.electric_kwh_used.is_none() && too_short_for_energy(truth);
    row
}

/// Consumption likewise, and only from 0.1 to 1.0 kWh per mile.
fn kwh_per_mile(truth: &Truth, server: &ServerSummary) -> Comparison {
    let allowed = tolerance(8.0, 0.01, "kWh/mi");
    let mut row = within("kwh_per_mile", truth.kwh_per_mile, server.kwh_per_mile, allowed);
    let implausible = truth.kwh_per_mile.is_some_and(|figure| !(0.11..=0.92).contains(&figure));
    row.ok |= server.kwh_per_mile.is_none() && (too_short_for_energy(truth) || implausible);
    // Around half a mile the odometer's step decides whether there is a figure.
    row.ok |= too_short_for_energy(truth) && truth.electric_miles > 0.5 - ODOMETER_STEP_MILES;
    row
}

fn too_short_for_energy(truth: &Truth) -> bool {
    truth.electric_miles <= 0.5 + ODOMETER_STEP_MILES
}

/// The mpg range that follows from what odometer and gauge can know.
fn gas_mpg(truth: &Truth, server: &ServerSummary) -> Comparison {
    let gallons = truth.fuel_used_gallons.unwrap_or(0.0);
    let gauge = (gallons * 0.15).max(GAUGE_GALLONS);
    let lowest = (truth.gas_miles - ODOMETER_STEP_MILES).max(0.0) / (gallons + gauge);
    // The rule divides by 0.01 gal at least.
    let highest = (truth.gas_miles + ODOMETER_STEP_MILES) / (gallons - gauge).max(0.01);
    let may_be_absent = truth.gas_miles < 1.0 + ODOMETER_STEP_MILES
        || lowest < *VALID_MPG.start()
        || highest > *VALID_MPG.end()
        || gallons <= gauge;
    let may_be_present = truth.gas_entered && truth.gas_miles > 1.0 - ODOMETER_STEP_MILES;
    let ok = match server.gas_mpg {
        None => may_be_absent,
        Some(mpg) => may_be_present && mpg >= lowest - 0.1 && mpg <= highest + 0.1,
    };
    Comparison {
        figure: "gas_mpg",
        truth: truth.gas_mpg,
        server: server.gas_mpg,
        difference_percent: difference_percent(truth.gas_mpg, server.gas_mpg),
        allowed: if truth.gas_entered {
            let (low, high) = (lowest.max(*VALID_MPG.start()), highest.min(*VALID_MPG.end()));
            let or_none = if may_be_absent { " or none" } else { "" };
            format!("{low:.1}–{high:.1}{or_none}")
        } else {
            "none".to_owned()
        },
        ok,
    }
}

fn difference_percent(truth: Option<f64>, server: Option<f64>) -> Option<f64> {
    let (truth, server) = (truth?, server?);
    (truth != 0.0).then(|| (server - truth) / truth * 100.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
