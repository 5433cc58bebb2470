//! The standard OBD-II values, with the resolution SAE J1979 gives them.

use super::super::drive::Sample;
use super::super::noise::bell;
use super::super::volt::{ENGINE_LIMIT_KW, KMH_PER_MPS, MOTOR_LIMIT_KW, TANK_GALLONS};
use super::{Readout, Value, pushing};

/// J1979 percentages are one byte: 255 steps.
const PERCENT_STEP: f64 = 100.0 / 255.0;

/// Rounds to a sensor's resolution.
fn in_steps(value: f64, step: f64) -> f64 {
    (value / step).round() * step
}

impl Readout {
    /// Engine, speed, temperatures, odometer, fuel gauge, state of charge.
    pub(super) fn read_standard(&mut self, sample: &Sample, elapsed_s: f64, out: &mut Vec<Value>) {
        let engine = &sample.engine;
        let running = engine.is_running();
        let rpm_noise = if running { 8.0 * bell(&mut self.rng) } else { 0.0 };
        let pedal = 12.0 + 60.0 * sample.traction_kw.max(0.0) / MOTOR_LIMIT_KW;
        let load = if running { (18.0 + 75.0 * engine.power_kw / ENGINE_LIMIT_KW).min(100.0) } else { 0.0 };
        let volts = 14.3 + 0.04 * bell(&mut self.rng);
        let fuel = self.fuel_gauge_percent(sample, elapsed_s);
        let odometer_km = self.history.odometer_km + sample.motion.distance_m / 1_000.0;
        let mut put = pushing(out);
        put("c", in_steps((engine.rpm + rpm_noise).max(0.0), 0.25), 2);
        put("d", (sample.motion.speed_mps * KMH_PER_MPS).round(), 1);
        put("11", in_steps(pedal, PERCENT_STEP), 6);
        put("4", in_steps(load, PERCENT_STEP), 6);
        put("42", volts, 3);
        put("5", sample.thermal.coolant_c.round(), 1);
        put("f", sample.thermal.intake_c.round(), 1);
        put("46", sample.thermal.ambient_c.round(), 1);
        // An odometer only shows distance that is behind the car, in steps of 0.1 km.
        put("a6", (odometer_km * 10.0).floor() / 10.0, 1);
        put("21", 0.0, 1);
        put("2f", fuel, 6);
        put("5b", in_steps(sample.battery.soc_percent, PERCENT_STEP), 6);
        put("22002f", fuel, 6);
    }

    /// The fuel gauge in %: the true level, a float that sloshes within ±1 point (more when
    /// the car accelerates), and one-byte resolution.
    fn fuel_gauge_percent(&mut self, sample: &Sample, elapsed_s: f64) -> f64 {
        let motion = &sample.motion;
        let shake = 0.12 + 0.35 * motion.acceleration_mps2.abs() + 5.0 * motion.grade.abs();
        let slosh = self.slosh.step(&mut self.rng, elapsed_s, shake, 6.0);
        let burned = sample.engine.fuel_used_gallons / TANK_GALLONS * 100.0;
        let level = self.history.fuel_percent - burned + slosh.clamp(-1.0, 1.0);
        in_steps(level.clamp(0.0, 100.0), PERCENT_STEP)
    }
}
