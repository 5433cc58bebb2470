//! The Volt's own values (mode 22).

use super::super::drive::{History, Sample};
use super::super::noise::bell;
use super::super::volt::{
    BATTERY_KWH, MAINS_VOLTS, METRES_PER_MILE, MOTOR_RPM_PER_MPS, TANK_GALLONS, fahrenheit, miles,
};
use super::{Readout, Value, pushing};

/// Electric miles per kWh on which the car's range display counts.
const RANGE_MILES_PER_KWH: f64 = 3.5;
/// Gas miles per gallon on which the car's range display counts.
const RANGE_MPG: f64 = 38.0;
/// The motor's torque limit in ft-lb (GM's data sheet: 294).
const TORQUE_LIMIT_FT_LB: f64 = 294.0;
/// ft-lb times rpm in a kW (1 kW = 1.341 hp; 1 hp = 5,252 ft-lb·rpm).
const FT_LB_RPM_PER_KW: f64 = 1.341_02 * 5_252.0;

impl Readout {
    /// High-voltage battery, charger, motors, temperatures, lifetime counters, ranges.
    pub(super) fn read_volt(&mut self, sample: &Sample, out: &mut Vec<Value>) {
        self.read_battery(sample, out);
        read_charger(&self.history, sample, out);
        self.read_motors(sample, out);
        read_lifetime(&self.history, sample, out);
    }

    fn read_battery(&mut self, sample: &Sample, out: &mut Vec<Value>) {
        let battery = &sample.battery;
        let volts = battery.volts + 0.15 * bell(&mut self.rng);
        let amps = battery.amperes + 0.1 * bell(&mut self.rng);
        let mut put = pushing(out);
        put("22005b", battery.soc_percent, 2);
        put("220009", volts, 2);
        put("222429", volts, 2);
        put("22000a", amps, 2);
        put("22000b", volts * amps / 1_000.0, 3);
        put("222414", amps, 2);
        put("22434f", fahrenheit(sample.thermal.battery_c), 1);
        put("220038", fahrenheit(sample.thermal.battery_coolant_c), 1);
    }

    fn read_motors(&mut self, sample: &Sample, out: &mut Vec<Value>) {
        let motor_b_rpm = sample.motion.speed_mps * MOTOR_RPM_PER_MPS;
        // The planetary gear turns motor A against B as the engine lets it.
        let motor_a_rpm = (sample.engine.rpm - 0.3 * motor_b_rpm).abs();
        let generator_rpm = sample.engine.rpm * 1.46;
        let torque =
            if motor_b_rpm > 50.0 { sample.traction_kw * FT_LB_RPM_PER_KW / motor_b_rpm } else { 0.0 };
        let torque = torque.clamp(-TORQUE_LIMIT_FT_LB, TORQUE_LIMIT_FT_LB);
        let thermal = &sample.thermal;
        let mut motor_f = |above_c: f64| fahrenheit(thermal.motor_c + above_c) + 0.3 * bell(&mut self.rng);
        let motors = [motor_f(0.0), motor_f(1.5), motor_f(-2.0), motor_f(-1.0)];
        let mut put = pushing(out);
        put("220051", motor_a_rpm.round(), 1);
        put("220052", motor_b_rpm.round(), 1);
        put("220053", generator_rpm.round(), 1);
        put("221570", motors[0], 1);
        put("221571", motors[1], 1);
        put("221572", motors[2], 1);
        put("221573", motors[3], 1);
        put("221154", fahrenheit(thermal.oil_c), 1);
        put("22203f", torque, 1);
        put("221930", f64::from(u8::from(sample.engine.is_running())), 1);
        put("220049", fahrenheit(thermal.coolant_c), 1);
        put("220047", fahrenheit(thermal.transmission_c), 1);
    }
}

/// The charger: silent while the car drives, but for the last charge.
fn read_charger(history: &History, sample: &Sample, out: &mut Vec<Value>) {
    let (charger, battery) = (&sample.charger, &sample.battery);
    let into_battery = |value: f64| if charger.plug_kw > 0.0 { value } else { 0.0 };
    let last_charge_wh = if charger.added_wh > 0.0 { charger.added_wh } else { history.last_charge_wh };
    let mut put = pushing(out);
    put("220057", f64::from(u8::from(charger.connected)), 1);
    put("22006e", charger.plug_kw, 1);
    put("224373", charger.plug_kw * 1_000.0, 1);
    put("224368", into_battery(MAINS_VOLTS), 1);
    put("224369", charger.plug_kw * 1_000.0 / MAINS_VOLTS, 1);
    put("22436b", into_battery(battery.volts), 1);
    put("22436c", into_battery(-battery.amperes), 1);
    put("22437d", last_charge_wh, 1);
}

fn read_lifetime(history: &History, sample: &Sample, out: &mut Vec<Value>) {
    let before_miles = history.odometer_km * 1_000.0 / METRES_PER_MILE;
    let ev_before = before_miles * history.electric_share;
    let gas_before = before_miles - ev_before;
    let gas_now = miles(sample.gas_distance_m);
    let ev_now = miles(sample.motion.distance_m) - gas_now;
    let burned = sample.engine.fuel_used_gallons;
    let fuel_left = history.fuel_percent / 100.0 * TANK_GALLONS - burned;
    let soc_left = sample.battery.soc_percent - sample.engine.sustain_soc_percent;
    let kwh_left = soc_left.max(0.0) / 100.0 * BATTERY_KWH;
    let mut put = pushing(out);
    put("2241a3", BATTERY_KWH, 1);
    put("224322", ev_before + ev_now, 2);
    put("224323", gas_before + gas_now, 2);
    put("224324", gas_before / RANGE_MPG + burned, 2);
    put("224325", (ev_before + ev_now) / RANGE_MILES_PER_KWH, 2);
    put("22430a", kwh_left * RANGE_MILES_PER_KWH, 1);
    put("22430c", fuel_left.max(0.0) * RANGE_MPG, 1);
}
