//! Where the driver wants to be and how fast: legs of cruising and stopping through city,
//! arterial road and motorway. Not how the car gets there.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Seconds before the end of the drive at which the driver lets the car come to rest.
const FINAL_STOP_S: f64 = 32.0;
/// Drives shorter than this never reach the motorway, in seconds.
const SHORT_DRIVE_S: f64 = 600.0;

/// A stretch of time with one wish.
#[derive(Clone, Debug)]
pub struct Leg {
    /// End of the leg in seconds since the drive began.
    pub end_s: f64,
    /// Speed the driver wants, in m/s; 0 is a stop.
    pub target_mps: f64,
    /// Compass heading of the road, in degrees (any multiple of a turn).
    pub heading_deg: f64,
}

/// The kinds of road of the drive, in the order in which a commuter meets them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Road {
    City,
    Arterial,
    Motorway,
}

/// The road at a share (0–1) of the drive's time.
fn road_at(share: f64, total_s: f64) -> Road {
    if total_s < SHORT_DRIVE_S {
        return if share < 0.5 { Road::City } else { Road::Arterial };
    }
    match share {
        s if s < 0.10 => Road::City,
        s if s < 0.25 => Road::Arterial,
        s if s < 0.87 => Road::Motorway,
        _ => Road::Arterial,
    }
}

/// The legs of a drive of `total_s` seconds; the last one ends it at rest.
pub fn plan(rng: &mut ChaCha8Rng, total_s: f64) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut heading_deg = rng.random_range(0.0..360.0);
    let mut at_s = 0.0;
    let last_s = (total_s - FINAL_STOP_S).max(total_s * 0.5);
    while at_s < last_s {
        let road = road_at(at_s / total_s, total_s);
        let (target_mps, cruise_s, stop_chance) = wish(rng, road);
        at_s = (at_s + cruise_s).min(last_s);
        legs.push(Leg { end_s: at_s, target_mps, heading_deg });
        if at_s < last_s && rng.random_bool(stop_chance) {
            at_s = (at_s + rng.random_range(18.0..38.0)).min(last_s);
            legs.push(Leg { end_s: at_s, target_mps: 0.0, heading_deg });
        }
        heading_deg += turn(rng, road);
    }
    legs.push(Leg { end_s: f64::INFINITY, target_mps: 0.0, heading_deg });
    legs
}

/// Speed in m/s, time in s, and the chance of a stop afterwards.
fn wish(rng: &mut ChaCha8Rng, road: Road) -> (f64, f64, f64) {
    match road {
        Road::City => (rng.random_range(9.5..13.5), rng.random_range(25.0..50.0), 0.8),
        Road::Arterial => (rng.random_range(15.0..20.0), rng.random_range(50.0..100.0), 0.5),
        Road::Motorway => (rng.random_range(29.5..33.5), rng.random_range(60.0..150.0), 0.0),
    }
}

/// Change of heading at the end of a leg, in degrees.
fn turn(rng: &mut ChaCha8Rng, road: Road) -> f64 {
    match road {
        Road::Motorway => rng.random_range(-15.0..15.0),
        Road::City | Road::Arterial if rng.random_bool(0.4) => {
            if rng.random_bool(0.5) {
                90.0
            } else {
                -90.0
            }
        }
        Road::City | Road::Arterial => rng.random_range(-8.0..8.0),
    }
}
