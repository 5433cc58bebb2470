//! What a simulated drive truly did, gathered while it is driven. No sensors, no rounding.

use serde::Serialize;

use super::drive::Sample;
use super::volt::{fahrenheit, miles};

/// A gas part shorter than this has no mpg by the receiver's rule, in miles.
const SHORTEST_GAS_MILES: f64 = 1.0;
/// An electric part shorter than this has no kWh per mile by the receiver's rule, in miles.
const SHORTEST_ELECTRIC_MILES: f64 = 0.5;

/// The figures of a drive, from its first to its last reading.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    /// Telemetry readings of the drive.
    pub readings: u64,
    /// Time from the first to the last reading in ms.
    pub duration_ms: u64,
    /// Distance in miles.
    pub distance_miles: f64,
    /// Miles up to gas entry; all of them without one.
    pub electric_miles: f64,
    /// Miles from gas entry on.
    pub gas_miles: f64,
    /// Energy taken from the battery up to gas entry in kWh, by the receiver's rule:
    /// trapezoids of power where the interval's mean is positive (intervals of 0.1 s here).
    pub electric_kwh: f64,
    /// Energy the battery lost up to gas entry in kWh, braking counted back in.
    pub net_electric_kwh: f64,
    /// `electric_kwh` per electric mile, for at least half a mile.
    pub kwh_per_mile: Option<f64>,
    /// Whether the engine ran.
    pub gas_entered: bool,
    /// The first reading with a running engine, in ms since the first reading.
    pub gas_entry_after_ms: Option<u64>,
    /// State of charge in % at gas entry.
    pub soc_at_gas_transition: Option<f64>,
    /// Fuel burned from gas entry on, in US gallons.
    pub fuel_used_gallons: Option<f64>,
    /// Gas miles per gallon, for at least one gas mile.
    pub gas_mpg: Option<f64>,
    /// Mean outside temperature over the readings in °F.
    pub ambient_avg_f: f64,
    /// State of charge in % at the start.
    pub start_soc: f64,
    /// State of charge in % at the end.
    pub end_soc: f64,
}

/// Gathers a [`Truth`] during the drive.
#[derive(Debug, Default)]
pub struct Tally {
    positive_kwh: f64,
    net_kwh: f64,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    elapsed_ms: u64,
    distance_m: f64,
    soc_percent: f64,
    fuel_gallons: f64,
}

impl Tally {
    /// Adds an interval of `dt_s` between two battery powers in kW.
    pub fn add_power(&mut self, before_kw: f64, after_kw: f64, dt_s: f64) {
        if self.entry.is_some() {
            return;
        }
        let kwh = (before_kw + after_kw) / 2.0 * dt_s / 3_600.0;
        self.net_kwh += kwh;
        self.positive_kwh += kwh.max(0.0);
    }

    /// Looks at a moment at which the phone reads the car.
    pub fn see_reading(&mut self, sample: &Sample) {
        if self.entry.is_none() && sample.engine.is_running() {
            self.entry = Some(Entry {
                elapsed_ms: sample.elapsed_ms,
                distance_m: sample.motion.distance_m,
                soc_percent: sample.battery.soc_percent,
                fuel_gallons: sample.engine.fuel_used_gallons,
            });
        }
    }

    /// The figures of the whole drive.
    pub fn finish(self, first: &Sample, last: &Sample, samples: &[Sample]) -> Truth {
        let distance_miles = miles(last.motion.distance_m - first.motion.distance_m);
        let electric_miles = self.entry.as_ref().map_or(distance_miles, |entry| miles(entry.distance_m));
        let gas_miles = distance_miles - electric_miles;
        let burned = |entry: &Entry| last.engine.fuel_used_gallons - entry.fuel_gallons;
        let fuel_used_gallons = self.entry.as_ref().map(burned);
        let ambient_sum: f64 = samples.iter().map(|s| s.thermal.ambient_c).sum();
        Truth {
            readings: samples.len() as u64,
            duration_ms: last.elapsed_ms - first.elapsed_ms,
            distance_miles,
            electric_miles,
            gas_miles,
            electric_kwh: self.positive_kwh,
            net_electric_kwh: self.net_kwh,
            kwh_per_mile: (electric_miles >= SHORTEST_ELECTRIC_MILES)
                .then(|| self.positive_kwh / electric_miles),
            gas_entered: self.entry.is_some(),
            gas_entry_after_ms: self.entry.as_ref().map(|entry| entry.elapsed_ms),
            soc_at_gas_transition: self.entry.as_ref().map(|entry| entry.soc_percent),
            fuel_used_gallons,
            gas_mpg: fuel_used_gallons
                .filter(|gallons| gas_miles >= SHORTEST_GAS_MILES && *gallons > 0.0)
                .map(|gallons| gas_miles / gallons),
            ambient_avg_f: fahrenheit(ambient_sum / samples.len() as f64),
            start_soc: first.battery.soc_percent,
            end_soc: last.battery.soc_percent,
        }
    }
}
