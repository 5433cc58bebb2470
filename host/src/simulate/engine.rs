//! The petrol engine: when it starts, what it gives to the bus and what it burns.

use super::volt::{ENGINE_EFFICIENCY, ENGINE_FRICTION_FUEL_KW, ENGINE_LIMIT_KW, PETROL_KWH_PER_GALLON};

/// Shortest run after a start in seconds, so that oil and catalyst get warm.
const SHORTEST_RUN_S: f64 = 150.0;
/// Points of SOC above the sustained level at which a stop is allowed.
const STOP_MARGIN_SOC: f64 = 0.8;
/// Bus power in kW added per point of SOC missing.
const SUSTAIN_KW_PER_SOC: f64 = 6.0;
/// Time constant in seconds with which the engine follows the load; the battery does the rest.
const FOLLOW_TAU_S: f64 = 8.0;
/// Speed of an engine without load, in rpm.
const IDLE_RPM: f64 = 1_150.0;
/// How fast revolutions change, in rpm per second.
const RPM_SLEW: f64 = 1_500.0;
/// An engine is said to run above this speed, in rpm; the receiver's rule has the same figure.
pub const RUNNING_RPM: f64 = 500.0;

/// The engine at one moment.
#[derive(Clone, Debug)]
pub struct Engine {
    /// SOC in % at which the engine starts and which it then sustains.
    pub sustain_soc_percent: f64,
    /// Whether fuel is on.
    pub on: bool,
    /// Revolutions per minute.
    pub rpm: f64,
    /// Power given to the bus in kW, never negative.
    pub power_kw: f64,
    /// Fuel burned since the start of the drive, US gallons.
    pub fuel_used_gallons: f64,
    load_kw: f64,
    running_s: f64,
}

impl Engine {
    /// A cold, resting engine.
    pub fn new(sustain_soc_percent: f64) -> Self {
        Self {
            sustain_soc_percent,
            on: false,
            rpm: 0.0,
            power_kw: 0.0,
            fuel_used_gallons: 0.0,
            load_kw: 0.0,
            running_s: 0.0,
        }
    }

    /// Whether the engine counts as running.
    pub fn is_running(&self) -> bool {
        self.rpm > RUNNING_RPM
    }

    /// Goes on for `dt_s` with the bus load `demand_kw` and the pack at `soc_percent`.
    pub fn step(&mut self, demand_kw: f64, soc_percent: f64, dt_s: f64) {
        self.load_kw += (demand_kw - self.load_kw) * (dt_s / FOLLOW_TAU_S);
        self.decide(soc_percent);
        if self.on {
            self.running_s += dt_s;
            let missing = self.sustain_soc_percent + 0.3 - soc_percent;
            let wanted = self.load_kw + SUSTAIN_KW_PER_SOC * missing;
            let wanted = if self.is_running() { wanted } else { 0.0 };
            let wanted = wanted.clamp(0.0, ENGINE_LIMIT_KW);
            self.power_kw += (wanted - self.power_kw).clamp(-12.0 * dt_s, 12.0 * dt_s);
            let fuel_kw = self.power_kw / ENGINE_EFFICIENCY + ENGINE_FRICTION_FUEL_KW;
            self.fuel_used_gallons += fuel_kw / PETROL_KWH_PER_GALLON * dt_s / 3_600.0;
        } else {
            self.running_s = 0.0;
            self.power_kw = 0.0;
        }
        let goal = if self.on { IDLE_RPM + 48.0 * self.power_kw } else { 0.0 };
        self.rpm += (goal - self.rpm).clamp(-RPM_SLEW * dt_s, RPM_SLEW * dt_s);
    }

    fn decide(&mut self, soc_percent: f64) {
        if !self.on {
            self.on = soc_percent <= self.sustain_soc_percent;
        } else if self.running_s > SHORTEST_RUN_S
            && self.load_kw < 4.0
            && soc_percent > self.sustain_soc_percent + STOP_MARGIN_SOC
        {
            self.on = false;
        }
    }
}
