//! The car's motion along its route: speed, distance, position, height. No power and no sensors.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::route::{Leg, plan};

/// Metres in a degree of latitude.
pub const METRES_PER_DEGREE: f64 = 111_320.0;
/// Where the simulated cars live: farmland and towns of southern Michigan (latitude, longitude).
const HOME: (f64, f64) = (42.45, -84.35);
/// Comfortable limit of the change of acceleration, in m/s³.
const JERK_LIMIT: f64 = 1.0;
/// Hardest braking of a calm driver, in m/s².
const BRAKE_LIMIT: f64 = 1.7;
/// Sideways acceleration accepted in a bend, in m/s².
const LATERAL_LIMIT: f64 = 2.2;

/// What the car does at one moment; the truth, without sensor noise.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Speed in m/s.
    pub speed_mps: f64,
    /// Acceleration in m/s².
    pub acceleration_mps2: f64,
    /// Distance since the start in m.
    pub distance_m: f64,
    /// Height above the sea in m.
    pub altitude_m: f64,
    /// Slope (rise over run).
    pub grade: f64,
    /// Compass heading in degrees, 0–360.
    pub heading_deg: f64,
    /// Latitude in degrees.
    pub latitude: f64,
    /// Longitude in degrees.
    pub longitude: f64,
}

/// A wave of the land: height in m, length in m, phase in radians.
#[derive(Clone, Copy, Debug)]
struct Hill {
    height_m: f64,
    length_m: f64,
    phase: f64,
}

/// A route being driven.
pub struct Path {
    legs: Vec<Leg>,
    leg: usize,
    hills: [Hill; 3],
    base_altitude_m: f64,
    road_heading_deg: f64,
    elapsed_s: f64,
    motion: Motion,
}

impl Path {
    /// A parked car at the start of a new route of `total_s` seconds.
    pub fn new(rng: &mut ChaCha8Rng, total_s: f64) -> Self {
        let legs = plan(rng, total_s);
        let mut hill = |height_m, length_m| Hill { height_m, length_m, phase: rng.random_range(0.0..TAU) };
        let hills = [hill(11.0, 6_200.0), hill(3.5, 1_450.0), hill(0.6, 390.0)];
        let base_altitude_m = rng.random_range(260.0..310.0);
        let road_heading_deg = legs[0].heading_deg;
        let mut path = Self {
            legs,
            leg: 0,
            hills,
            base_altitude_m,
            road_heading_deg,
            elapsed_s: 0.0,
            motion: Motion {
                speed_mps: 0.0,
                acceleration_mps2: 0.0,
                distance_m: 0.0,
                altitude_m: 0.0,
                grade: 0.0,
                heading_deg: road_heading_deg.rem_euclid(360.0),
                latitude: HOME.0 + rng.random_range(-0.08..0.08),
                longitude: HOME.1 + rng.random_range(-0.08..0.08),
            },
        };
        path.follow_land();
        path
    }

    /// The motion as it stands.
    pub fn motion(&self) -> &Motion {
        &self.motion
    }

    /// Drives on for `dt_s` seconds (0.1 s in the model).
    pub fn step(&mut self, dt_s: f64) {
        self.elapsed_s += dt_s;
        while self.legs[self.leg].end_s <= self.elapsed_s {
            self.leg += 1;
        }
        let before = self.motion.speed_mps;
        self.choose_speed(dt_s);
        let driven_m = (before + self.motion.speed_mps) / 2.0 * dt_s;
        self.motion.distance_m += driven_m;
        self.steer(driven_m, dt_s);
        self.follow_land();
    }

    /// Accelerates towards the leg's speed within the limits of comfort and power.
    fn choose_speed(&mut self, dt_s: f64) {
        let target = self.legs[self.leg].target_mps;
        let motion = &mut self.motion;
        let wanted = if target == 0.0 {
            -(motion.speed_mps * 0.35).clamp(0.4, BRAKE_LIMIT)
        } else {
            let swing = 0.5 * (TAU * self.elapsed_s / 41.0).sin();
            let strongest = (2.1 - 0.045 * motion.speed_mps).max(0.5);
            ((target + swing - motion.speed_mps) * 0.25).clamp(-BRAKE_LIMIT, strongest)
        };
        let change = wanted - motion.acceleration_mps2;
        motion.acceleration_mps2 += change.clamp(-JERK_LIMIT * dt_s, JERK_LIMIT * dt_s);
        motion.speed_mps += motion.acceleration_mps2 * dt_s;
        if motion.speed_mps < 0.1 && target == 0.0 {
            motion.speed_mps = 0.0;
            motion.acceleration_mps2 = 0.0;
        }
        motion.speed_mps = motion.speed_mps.max(0.0);
    }

    /// Turns no faster than the tyres like and moves the position.
    fn steer(&mut self, driven_m: f64, dt_s: f64) {
        let motion = &mut self.motion;
        if motion.speed_mps > 1.0 {
            let fastest_deg = (LATERAL_LIMIT / motion.speed_mps).to_degrees().min(motion.speed_mps * 10.0);
            let off = self.legs[self.leg].heading_deg - self.road_heading_deg;
            self.road_heading_deg += off.clamp(-fastest_deg * dt_s, fastest_deg * dt_s);
        }
        let bend = 7.0 * (TAU * motion.distance_m / 1_100.0).sin();
        motion.heading_deg = (self.road_heading_deg + bend).rem_euclid(360.0);
        let heading = motion.heading_deg.to_radians();
        motion.latitude += driven_m * heading.cos() / METRES_PER_DEGREE;
        motion.longitude +=
            driven_m * heading.sin() / (METRES_PER_DEGREE * motion.latitude.to_radians().cos());
    }

    /// Sets height and slope from the distance driven.
    fn follow_land(&mut self) {
        let at = |hill: &Hill| TAU * self.motion.distance_m / hill.length_m + hill.phase;
        let rise: f64 = self.hills.iter().map(|h| h.height_m * at(h).sin()).sum();
        let slope: f64 = self.hills.iter().map(|h| h.height_m * at(h).cos() * TAU / h.length_m).sum();
        self.motion.altitude_m = self.base_altitude_m + rise;
        self.motion.grade = slope;
    }
}
