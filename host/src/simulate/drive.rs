//! One simulated drive, start to finish: steps the models together and keeps what a phone
//! would see at each reading. No sensor noise and no text.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::charge::Charger;
use super::engine::Engine;
use super::noise::{Wander, stream};
use super::path::{Motion, Path};
use super::powertrain::{Battery, accessories_kw, traction_kw};
use super::thermal::Thermal;
use super::truth::{Tally, Truth};
use super::volt::TANK_GALLONS;

/// The models' step in ms; readings fall on multiples of it.
pub const STEP_MS: u64 = 100;
/// Number of the random stream that shapes the drive; the sensors have their own.
const DRIVE_STREAM: u64 = 0;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct DriveSpec {
    /// Seed of every random choice.
    pub seed: u64,
    /// Length of the drive in minutes, at least 1.
    pub minutes: u32,
    /// State of charge at the start, 0–100 %.
    pub initial_soc_percent: f64,
    /// Time between readings in ms, a positive multiple of 100.
    pub interval_ms: u64,
}

/// The car at the moment of a reading; the truth, without sensor noise.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Time since the first reading in ms.
    pub elapsed_ms: u64,
    /// Speed, distance, position.
    pub motion: Motion,
    /// The high-voltage pack.
    pub battery: Battery,
    /// The petrol engine.
    pub engine: Engine,
    /// Temperatures.
    pub thermal: Thermal,
    /// Power between bus and wheels in kW; negative when braking.
    pub traction_kw: f64,
    /// Whether the battery is down and petrol drives the car (charge-sustaining).
    pub gas_mode: bool,
    /// Distance driven in gas mode in m.
    pub gas_distance_m: f64,
    /// The charger.
    pub charger: Charger,
}

/// What the car brings from its life before the drive.
#[derive(Clone, Debug)]
pub struct History {
    /// Odometer at the start in km.
    pub odometer_km: f64,
    /// Share of the life's distance that was electric, 0–1.
    pub electric_share: f64,
    /// Fuel level at the start in %.
    pub fuel_percent: f64,
    /// Energy of the last charge in Wh.
    pub last_charge_wh: f64,
}

/// A drive that has been simulated.
#[derive(Debug)]
pub struct Drive {
    /// What was asked for.
    pub spec: DriveSpec,
    /// The car's life before.
    pub history: History,
    /// One sample per reading, in time order; never empty.
    pub samples: Vec<Sample>,
    /// What the drive truly did.
    pub truth: Truth,
}

impl Sample {
    /// The car before it moves, as cold as the air.
    pub(super) fn parked(motion: &Motion, spec: &DriveSpec, sustain_soc: f64, ambient_c: f64) -> Self {
        Self {
            elapsed_ms: 0,
            motion: motion.clone(),
            battery: Battery::at_rest(spec.initial_soc_percent),
            engine: Engine::new(sustain_soc),
            thermal: Thermal::soaked(ambient_c),
            traction_kw: 0.0,
            gas_mode: false,
            gas_distance_m: 0.0,
            charger: Charger::default(),
        }
    }
}

impl History {
    /// A car of some years.
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self {
            odometer_km: rng.random_range(30_000.0..140_000.0),
            electric_share: rng.random_range(0.6..0.8),
            // Enough for the longest drive the command allows.
            fuel_percent: rng.random_range(72.0..95.0),
            last_charge_wh: rng.random_range(7_000.0..12_500.0_f64).round(),
        }
    }

    /// What the car brings to whatever comes after it was in this state.
    fn go_on(&self, last: &Sample) -> Self {
        let driven_km = last.motion.distance_m / 1_000.0;
        let electric_km = driven_km - last.gas_distance_m / 1_000.0;
        let odometer_km = self.odometer_km + driven_km;
        let charged_wh = last.charger.added_wh;
        Self {
            odometer_km,
            electric_share: (self.odometer_km * self.electric_share + electric_km) / odometer_km,
            fuel_percent: self.fuel_percent - last.engine.fuel_used_gallons / TANK_GALLONS * 100.0,
            last_charge_wh: if charged_wh > 0.0 { charged_wh } else { self.last_charge_wh },
        }
    }
}

impl Drive {
    /// Simulates a drive of a car whose life before is drawn, too; the same spec gives the
    /// same drive.
    pub fn simulate(spec: DriveSpec) -> Self {
        Self::run(spec, None)
    }

    /// Simulates a drive of a car with this life before.
    pub fn carry_on(spec: DriveSpec, history: History) -> Self {
        Self::run(spec, Some(history))
    }

    /// What the car brings to its next drive or charge.
    pub fn history_after(&self) -> History {
        self.samples.last().map_or_else(|| self.history.clone(), |last| self.history.go_on(last))
    }

    fn run(spec: DriveSpec, history: Option<History>) -> Self {
        let mut rng = stream(spec.seed, DRIVE_STREAM);
        let total_ms = u64::from(spec.minutes.max(1)) * 60_000;
        let sustain = rng.random_range(15.2..19.8_f64).min(spec.initial_soc_percent);
        let base_ambient_c = rng.random_range(-3.0..29.0);
        // Drawn in any case, so that a seed is one route whatever the car's life was.
        let drawn = History::draw(&mut rng);
        let history = history.unwrap_or(drawn);
        let mut path = Path::new(&mut rng, total_ms as f64 / 1_000.0);
        let mut car = Sample::parked(path.motion(), &spec, sustain, base_ambient_c);
        let interval_ms = (spec.interval_ms / STEP_MS).max(1) * STEP_MS;
        let mut accessory_noise = Wander::default();
        let mut tally = Tally::default();
        let mut samples = Vec::new();
        loop {
            if car.elapsed_ms.is_multiple_of(interval_ms) {
                tally.see_reading(&car);
                samples.push(car.clone());
            }
            if car.elapsed_ms >= total_ms {
                break;
            }
            let extra_kw = accessory_noise.step(&mut rng, 0.1, 0.08, 20.0).max(-0.2);
            let before_kw = car.battery.power_kw;
            step(&mut car, &mut path, base_ambient_c, extra_kw);
            tally.add_power(before_kw, car.battery.power_kw, STEP_MS as f64 / 1_000.0);
        }
        let last = samples.len() - 1;
        let truth = tally.finish(&samples[0], &samples[last], &samples);
        Self { spec, history, samples, truth }
    }
}

/// Moves the whole car on by one step.
fn step(car: &mut Sample, path: &mut Path, base_ambient_c: f64, extra_kw: f64) {
    let dt_s = STEP_MS as f64 / 1_000.0;
    car.elapsed_ms += STEP_MS;
    let before_m = car.motion.distance_m;
    path.step(dt_s);
    car.motion = path.motion().clone();
    car.thermal.ambient_c = base_ambient_c + 0.6 * (TAU * car.elapsed_ms as f64 / 1_500_000.0).sin();
    car.traction_kw = traction_kw(&car.motion, car.thermal.ambient_c);
    let demand_kw = car.traction_kw + accessories_kw(car.thermal.ambient_c) + extra_kw;
    car.engine.step(demand_kw, car.battery.soc_percent, dt_s);
    car.gas_mode |= car.engine.is_running();
    if car.gas_mode {
        car.gas_distance_m += car.motion.distance_m - before_m;
    }
    car.battery.step(demand_kw - car.engine.power_kw, dt_s);
    car.thermal.step(car.traction_kw, car.battery.amperes, car.engine.on, dt_s);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
