//! The sensors: what phone and car report of a moment, in each PID's own unit, with each
//! sensor's noise and resolution. No text.

mod gauges;
mod volt_pids;

use rand_chacha::ChaCha8Rng;

use super::drive::{Drive, History, Sample};
use super::noise::{Wander, bell, stream};
use super::path::METRES_PER_DEGREE;
use super::volt::{GRAVITY, KMH_PER_MPS, LITRES_PER_GALLON};

/// Number of the random stream of the sensors.
const SENSOR_STREAM: u64 = 1;

/// One value as a sensor gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// PID in lower-case hex without leading zeros.
    pub pid: &'static str,
    /// The value in the PID's unit; always finite.
    pub value: f64,
    /// Digits after the point that the sensor gives.
    pub decimals: usize,
}

/// A closure that appends PID, value and decimals to the reading.
fn pushing(out: &mut Vec<Value>) -> impl FnMut(&'static str, f64, usize) {
    |pid, value, decimals| {
        out.push(Value { pid, value, decimals });
    }
}

/// What the sensors remember between readings.
pub struct Readout {
    rng: ChaCha8Rng,
    history: History,
    last_ms: u64,
    east_m: Wander,
    north_m: Wander,
    height_m: Wander,
    slosh: Wander,
}

impl Readout {
    /// The sensors of a drive's car, before its first reading.
    pub fn new(drive: &Drive) -> Self {
        Self {
            rng: stream(drive.spec.seed, SENSOR_STREAM),
            history: drive.history.clone(),
            last_ms: 0,
            east_m: Wander::default(),
            north_m: Wander::default(),
            height_m: Wander::default(),
            slosh: Wander::default(),
        }
    }

    /// Reads all sensors; call it once per sample, in time order.
    pub fn read(&mut self, sample: &Sample) -> Vec<Value> {
        let elapsed_s = (sample.elapsed_ms - self.last_ms) as f64 / 1_000.0;
        self.last_ms = sample.elapsed_ms;
        let mut values = Vec::with_capacity(64);
        self.read_phone(sample, elapsed_s, &mut values);
        self.read_phone_sums(sample, &mut values);
        self.read_standard(sample, elapsed_s, &mut values);
        self.read_volt(sample, &mut values);
        values
    }

    /// Position, height and speed of the phone's receiver.
    fn read_phone(&mut self, sample: &Sample, elapsed_s: f64, out: &mut Vec<Value>) {
        let motion = &sample.motion;
        let moving = motion.speed_mps > 0.3;
        if moving || sample.elapsed_ms == 0 {
            // Errors of a fix wander slowly, and receivers hold the position at rest.
            let since_s = if sample.elapsed_ms == 0 { 1e6 } else { elapsed_s };
            self.east_m.step(&mut self.rng, since_s, 2.0, 60.0);
            self.north_m.step(&mut self.rng, since_s, 2.0, 60.0);
            self.height_m.step(&mut self.rng, since_s, 4.0, 90.0);
        }
        let east_deg = METRES_PER_DEGREE * motion.latitude.to_radians().cos();
        let speed_noise = 0.12 * bell(&mut self.rng);
        let gps_mps = if moving { (motion.speed_mps + speed_noise).max(0.0) } else { 0.0 };
        let mut put = pushing(out);
        put("ff1005", motion.longitude + self.east_m.value() / east_deg, 8);
        put("ff1006", motion.latitude + self.north_m.value() / METRES_PER_DEGREE, 8);
        put("ff1001", gps_mps * KMH_PER_MPS, 6);
        put("ff1007", if moving { motion.heading_deg } else { 0.0 }, 1);
        put("ff1239", (4.0 + bell(&mut self.rng)).clamp(2.0, 9.0), 1);
        put("ff1010", motion.altitude_m + self.height_m.value(), 1);
        put("ff123a", (13.0 + bell(&mut self.rng)).round().clamp(7.0, 18.0), 1);
    }

    /// The app's sums, and what the phone feels of its own: acceleration and air pressure.
    fn read_phone_sums(&mut self, sample: &Sample, out: &mut Vec<Value>) {
        let motion = &sample.motion;
        let mut put = pushing(out);
        // The app sums the speed it reads from the car, which is a little off.
        put("ff1204", motion.distance_m * 1.004 / 1_000.0, 6);
        put("ff1271", sample.engine.fuel_used_gallons * LITRES_PER_GALLON, 6);
        put("ff1220", 0.02 * bell(&mut self.rng), 6);
        let forward_g = motion.acceleration_mps2 / GRAVITY + motion.grade;
        put("ff1221", forward_g + 0.02 * bell(&mut self.rng), 6);
        put("ff1222", 1.0 + 0.02 * bell(&mut self.rng), 6);
        put("ff1270", 1_013.0 - motion.altitude_m * 0.12, 3);
        put("ff1266", sample.elapsed_ms as f64 / 1_000.0, 1);
        put("ff1238", 14.1 + 0.1 * bell(&mut self.rng), 1);
    }
}

#[cfg(test)]
mod tests;
