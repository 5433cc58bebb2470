//! Road load and the high-voltage battery: from motion to kW, volts, amperes and SOC.

use super::path::Motion;
use super::volt::{
    BATTERY_KWH, DRAG_AREA_M2, DRIVE_EFFICIENCY, GRAVITY, MASS_KG, MOTOR_LIMIT_KW, PACK_EMPTY_VOLTS,
    PACK_OHMS, PACK_VOLTS_PER_SOC, REGEN_EFFICIENCY, REGEN_LIMIT_KW, ROLLING_RESISTANCE,
    ROTATING_MASS_FACTOR,
};

/// Cabin temperature at which heating and cooling need nothing, in °C.
const COMFORT_C: f64 = 21.0;

/// The pack at one moment.
#[derive(Clone, Debug)]
pub struct Battery {
    /// State of charge, 0–100 %.
    pub soc_percent: f64,
    /// Power at the terminals in kW; positive = discharging.
    pub power_kw: f64,
    /// Voltage under load in V.
    pub volts: f64,
    /// Current in A; positive = discharging.
    pub amperes: f64,
}

impl Battery {
    /// A pack at rest.
    pub fn at_rest(soc_percent: f64) -> Self {
        let mut battery = Self { soc_percent, power_kw: 0.0, volts: 0.0, amperes: 0.0 };
        battery.solve_circuit();
        battery
    }

    /// Holds the mean of the old and the new power for `dt_s` seconds and takes its energy
    /// from the SOC.
    pub fn step(&mut self, power_kw: f64, dt_s: f64) {
        let kwh = (self.power_kw + power_kw) / 2.0 * dt_s / 3_600.0;
        self.soc_percent = (self.soc_percent - kwh / BATTERY_KWH * 100.0).clamp(0.0, 100.0);
        self.power_kw = power_kw;
        self.solve_circuit();
    }

    /// Current and voltage from power: P = (E − I·R)·I.
    fn solve_circuit(&mut self) {
        let open = PACK_EMPTY_VOLTS + PACK_VOLTS_PER_SOC * self.soc_percent;
        let root = (open * open - 4_000.0 * PACK_OHMS * self.power_kw).max(0.0).sqrt();
        self.amperes = (open - root) / (2.0 * PACK_OHMS);
        self.volts = open - self.amperes * PACK_OHMS;
    }
}

/// Power in kW between the bus and the wheels; negative when braking gives some back.
pub fn traction_kw(motion: &Motion, ambient_c: f64) -> f64 {
    let air_density = 353.0 / (ambient_c + 273.15);
    let force_n = MASS_KG * ROTATING_MASS_FACTOR * motion.acceleration_mps2
        + MASS_KG * GRAVITY * (ROLLING_RESISTANCE + motion.grade)
        + 0.5 * air_density * DRAG_AREA_M2 * motion.speed_mps * motion.speed_mps;
    let wheel_kw = force_n * motion.speed_mps / 1_000.0;
    if wheel_kw >= 0.0 {
        return (wheel_kw / DRIVE_EFFICIENCY).min(MOTOR_LIMIT_KW);
    }
    // Friction brakes take over at walking pace, where a motor brakes badly.
    let blend = (motion.speed_mps / 3.0).min(1.0);
    (wheel_kw * REGEN_EFFICIENCY * blend).max(-REGEN_LIMIT_KW)
}

/// Power in kW of lights, electronics, heating and cooling.
pub fn accessories_kw(ambient_c: f64) -> f64 {
    0.4 + (0.06 * (ambient_c - COMFORT_C).abs()).min(2.0)
}
