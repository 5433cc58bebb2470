//! Temperatures of engine, oil, gearbox, motors and battery: first-order warming and cooling.

/// Temperatures at one moment, all in °C.
#[derive(Clone, Debug)]
pub struct Thermal {
    /// Outside air.
    pub ambient_c: f64,
    /// Engine coolant.
    pub coolant_c: f64,
    /// Engine oil.
    pub oil_c: f64,
    /// Intake air.
    pub intake_c: f64,
    /// Transmission fluid.
    pub transmission_c: f64,
    /// Drive motors.
    pub motor_c: f64,
    /// Battery cells.
    pub battery_c: f64,
    /// Battery coolant.
    pub battery_coolant_c: f64,
}

impl Thermal {
    /// A car that stood outside long enough to be as warm as the air; its battery is kept mild.
    pub fn soaked(ambient_c: f64) -> Self {
        let battery_c = (ambient_c * 0.4 + 12.0).clamp(8.0, 30.0);
        Self {
            ambient_c,
            coolant_c: ambient_c,
            oil_c: ambient_c,
            intake_c: ambient_c,
            transmission_c: ambient_c,
            motor_c: ambient_c,
            battery_c,
            battery_coolant_c: battery_c,
        }
    }

    /// Goes on for `dt_s`: `traction_kw` warms motors and gears, `amperes` the cells, a
    /// running engine its coolant and oil.
    pub fn step(&mut self, traction_kw: f64, amperes: f64, engine_on: bool, dt_s: f64) {
        let air = self.ambient_c;
        let effort = traction_kw.abs();
        let follow = |value: &mut f64, goal: f64, tau_s: f64| {
            *value += (goal - *value) * (dt_s / tau_s);
        };
        if engine_on {
            follow(&mut self.coolant_c, 88.0, 170.0);
            follow(&mut self.oil_c, 96.0, 330.0);
            follow(&mut self.intake_c, air + 9.0, 120.0);
        } else {
            follow(&mut self.coolant_c, air, 4_000.0);
            follow(&mut self.oil_c, air, 4_500.0);
            follow(&mut self.intake_c, air + 3.0, 300.0);
        }
        follow(&mut self.transmission_c, air + 20.0 + effort, 900.0);
        follow(&mut self.motor_c, air + 12.0 + 1.6 * effort, 240.0);
        let losses_kw = amperes * amperes * 0.1 / 1_000.0;
        self.battery_c += losses_kw / 180.0 * dt_s;
        follow(&mut self.battery_c, self.battery_coolant_c, 2_500.0);
        follow(&mut self.battery_coolant_c, 22.0, 1_800.0);
    }
}
