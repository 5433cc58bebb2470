//! A car that stands at the charger of its home: what it takes until it is full, and what is
//! true of that. Its readings are those of a drive that goes nowhere.

use rand::RngExt;
use serde::Serialize;

use super::drive::{Drive, DriveSpec, History, STEP_MS, Sample};
use super::noise::stream;
use super::path::Motion;
use super::truth::Tally;
use super::volt::{BATTERY_KWH, CHARGER_EFFICIENCY, CHARGER_LIMIT_KW};

/// Number of the random stream of nights; drives have their own.
const NIGHT_STREAM: u64 = 4;
/// Points of SOC below the goal at which the charger starts to give less.
const TAPER_SOC: f64 = 3.0;
/// Least share of its power that a charger gives up to the end.
const TAPER_END: f64 = 0.3;
/// Readings after the end of the charge, with a charger that is off.
const READINGS_AFTER: u64 = 3;

/// The charger at one moment.
#[derive(Clone, Debug, Default)]
pub struct Charger {
    /// Whether it is on.
    pub connected: bool,
    /// Power from the outlet in kW.
    pub plug_kw: f64,
    /// Energy that came into the battery in this charge, in Wh.
    pub added_wh: f64,
}

/// What to charge.
#[derive(Clone, Copy, Debug)]
pub struct ChargeSpec {
    /// Seed of every random choice.
    pub seed: u64,
    /// State of charge at the start, 0–100 %.
    pub initial_soc_percent: f64,
    /// State of charge at which the charger ends, 0–100 %, above the first.
    pub full_soc_percent: f64,
    /// Outside temperature in °C.
    pub ambient_c: f64,
    /// Time between readings in ms, a positive multiple of 100.
    pub interval_ms: u64,
}

/// What a charge truly brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChargeTruth {
    /// From the first reading to the end of the charge in ms.
    pub charging_ms: u64,
    /// State of charge in % at the start.
    pub start_soc: f64,
    /// State of charge in % at the end.
    pub end_soc: f64,
    /// What came into the battery, in kWh.
    pub kwh_added: f64,
    /// Highest power from the outlet in kW.
    pub peak_kw: f64,
    /// Type of the outlet.
    pub charge_type: &'static str,
}

impl Drive {
    /// Charges a car with this life before, which stands where `motion` ended.
    pub fn charge(spec: ChargeSpec, history: History, motion: &Motion) -> (Self, ChargeTruth) {
        let start = start(&spec, motion);
        let mut car = start.clone();
        let (mut samples, mut tally) = (Vec::new(), Tally::default());
        let (mut end_ms, mut readings_after) = (None, 0);
        loop {
            if car.elapsed_ms.is_multiple_of(spec.interval_ms) {
                samples.push(car.clone());
                readings_after += u64::from(!car.charger.connected);
            }
            if readings_after == READINGS_AFTER {
                break;
            }
            let before_kw = car.battery.power_kw;
            step(&mut car, spec.full_soc_percent);
            tally.add_power(before_kw, car.battery.power_kw, STEP_MS as f64 / 1_000.0);
            if !car.charger.connected {
                end_ms.get_or_insert(car.elapsed_ms);
            }
        }
        let truth = ChargeTruth {
            charging_ms: end_ms.unwrap_or(car.elapsed_ms),
            start_soc: spec.initial_soc_percent,
            end_soc: car.battery.soc_percent,
            kwh_added: (car.battery.soc_percent - spec.initial_soc_percent) / 100.0 * BATTERY_KWH,
            peak_kw: CHARGER_LIMIT_KW,
            charge_type: "L2",
        };
        let stood = tally.finish(&start, &car, &samples);
        (Self { spec: as_drive(&spec), history, samples, truth: stood }, truth)
    }
}

/// A charge as a drive: sensors ask for no more than its seed.
fn as_drive(spec: &ChargeSpec) -> DriveSpec {
    DriveSpec {
        seed: spec.seed,
        minutes: 0,
        initial_soc_percent: spec.initial_soc_percent,
        interval_ms: spec.interval_ms,
    }
}

/// The car as it is plugged in.
fn start(spec: &ChargeSpec, motion: &Motion) -> Sample {
    let stands = Motion { speed_mps: 0.0, acceleration_mps2: 0.0, distance_m: 0.0, ..motion.clone() };
    let mut car = Sample::parked(&stands, &as_drive(spec), 0.0, spec.ambient_c);
    car.charger = Charger { connected: true, plug_kw: CHARGER_LIMIT_KW, added_wh: 0.0 };
    car.battery.step(-CHARGER_LIMIT_KW * CHARGER_EFFICIENCY, 0.0);
    car
}

/// Charges on for one step; the charger gives less towards the end, and then nothing.
fn step(car: &mut Sample, full_soc_percent: f64) {
    let dt_s = STEP_MS as f64 / 1_000.0;
    car.elapsed_ms += STEP_MS;
    let missing = full_soc_percent - car.battery.soc_percent;
    car.charger.connected &= missing > 0.0;
    car.charger.plug_kw = if car.charger.connected {
        CHARGER_LIMIT_KW * (missing / TAPER_SOC).clamp(TAPER_END, 1.0)
    } else {
        0.0
    };
    let before_soc = car.battery.soc_percent;
    car.battery.step(-car.charger.plug_kw * CHARGER_EFFICIENCY, dt_s);
    car.charger.added_wh += (car.battery.soc_percent - before_soc) * BATTERY_KWH * 10.0;
    car.thermal.step(0.0, car.battery.amperes, false, dt_s);
}

impl ChargeSpec {
    /// A charge overnight in whichever air the night brings.
    pub fn overnight(seed: u64, initial_soc_percent: f64, full_soc_percent: f64, interval_ms: u64) -> Self {
        let ambient_c = stream(seed, NIGHT_STREAM).random_range(-5.0..20.0);
        Self { seed, initial_soc_percent, full_soc_percent, ambient_c, interval_ms }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
