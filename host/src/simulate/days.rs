//! The life of one car over some days: when it drives, when it charges overnight and when its
//! tank is filled, with the truth of each. Pure; sending is the command's business.

use std::collections::VecDeque;
use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::charge::{ChargeSpec, ChargeTruth};
use super::drive::{Drive, DriveSpec, History};
use super::encode::{Identity, Upload, uploads};
use super::noise::stream;
use super::outage::in_order_of_arrival;
use super::path::Motion;
use super::volt::TANK_GALLONS;

/// Number of the random stream of a car's days.
const DAYS_STREAM: u64 = 3;
/// A day in ms.
pub const DAY_MS: i64 = 24 * 3_600_000;
/// Time between readings of a car that charges, in ms.
const CHARGE_INTERVAL_MS: u64 = 60_000;
/// Cars are this far apart, so that no two sessions have one text, in ms.
const STAGGER_MS: i64 = 250;
/// The driver fills the tank below this level, in %.
const LOW_TANK_PERCENT: f64 = 30.0;
/// A battery that lacks fewer points of SOC than this is not charged.
const LEAST_CHARGE_SOC: f64 = 5.0;
/// How long the phone has no network, in ms, and how long after the drive's start.
const OUTAGE: Range<i64> = 15 * 60_000..75 * 60_000;

/// Which car, and which days.
#[derive(Clone, Copy, Debug)]
pub struct DaysSpec {
    /// Seed of every random choice.
    pub seed: u64,
    /// Number of the car in the run, from 1.
    pub number: u32,
    /// How many days.
    pub days: u32,
    /// When the first day begins, epoch ms.
    pub start_ms: i64,
    /// Time between readings while driving in ms, a positive multiple of 100.
    pub interval_ms: u64,
    /// Whether the phone loses its network for an hour of the first long drive.
    pub loses_network: bool,
}

/// One session of the app: a drive or a charge.
#[derive(Debug)]
pub struct Session {
    /// Who uploads, and from when.
    pub identity: Identity,
    /// The drive, or the charge as one that goes nowhere.
    pub drive: Drive,
    /// What is true of the charge.
    pub charge: Option<ChargeTruth>,
    /// What was filled in since the session before.
    pub fill: Option<FillTruth>,
    /// When the phone has no network, epoch ms.
    offline_ms: Option<Range<i64>>,
}

/// What a fill of the tank truly was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FillTruth {
    /// Level before in %.
    pub before_percent: f64,
    /// Level after in %.
    pub after_percent: f64,
    /// Fuel filled in, US gallons.
    pub gallons: f64,
}

/// What the car does next, and at which minute of the days.
#[derive(Clone, Copy, Debug)]
enum Errand {
    Drive { minute: u32, minutes: u32 },
    Charge { minute: u32 },
}

/// The sessions of a car in time order, each simulated when it is asked for.
pub struct Days {
    spec: DaysSpec,
    rng: ChaCha8Rng,
    errands: VecDeque<Errand>,
    history: History,
    soc_percent: f64,
    parked: Option<Motion>,
    fill: Option<FillTruth>,
    loses_network: bool,
}

impl Session {
    /// Its uploads in the order in which they reach the server.
    pub fn uploads(&self) -> Vec<Upload> {
        let uploads = uploads(&self.drive, &self.identity);
        match &self.offline_ms {
            Some(offline_ms) => in_order_of_arrival(uploads, offline_ms.clone(), self.drive.spec.seed),
            None => uploads.collect(),
        }
    }

    /// How long the phone had no network, in minutes.
    pub fn offline_minutes(&self) -> i64 {
        self.offline_ms.as_ref().map_or(0, |offline| (offline.end - offline.start) / 60_000)
    }
}

impl Days {
    /// The days of a car that has a life before.
    pub fn new(spec: DaysSpec) -> Self {
        let mut rng = stream(spec.seed, DAYS_STREAM);
        let errands = (0..spec.days).flat_map(|day| errands(&mut rng, day)).collect();
        // So little that the first long drive leaves too little.
        let history = History { fuel_percent: rng.random_range(32.0..36.0), ..History::draw(&mut rng) };
        let soc_percent = rng.random_range(80.0..95.0);
        Self {
            spec,
            rng,
            errands,
            history,
            soc_percent,
            parked: None,
            fill: None,
            loses_network: spec.loses_network,
        }
    }

    fn drive(&mut self, minute: u32, minutes: u32) -> Session {
        let spec = DriveSpec {
            seed: self.rng.random(),
            minutes,
            initial_soc_percent: self.soc_percent,
            interval_ms: self.spec.interval_ms,
        };
        let drive = Drive::carry_on(spec, self.history.clone());
        let mut session = self.session(minute, drive, None);
        let start_ms = session.identity.start_ms;
        if i64::from(minutes) * 60_000 > OUTAGE.end && std::mem::take(&mut self.loses_network) {
            session.offline_ms = Some(start_ms + OUTAGE.start..start_ms + OUTAGE.end);
        }
        self.fill_low_tank();
        session
    }

    /// Nothing where the battery is nearly full.
    fn charge(&mut self, minute: u32) -> Option<Session> {
        let (seed, full) = (self.rng.random(), self.rng.random_range(88.0..97.0));
        let motion = self.parked.clone().filter(|_| full - self.soc_percent >= LEAST_CHARGE_SOC)?;
        let spec = ChargeSpec::overnight(seed, self.soc_percent, full, CHARGE_INTERVAL_MS);
        let (drive, truth) = Drive::charge(spec, self.history.clone(), &motion);
        Some(self.session(minute, drive, Some(truth)))
    }

    /// Takes over what the session leaves.
    fn session(&mut self, minute: u32, drive: Drive, charge: Option<ChargeTruth>) -> Session {
        let start_ms =
            self.spec.start_ms + i64::from(minute) * 60_000 + i64::from(self.spec.number) * STAGGER_MS;
        self.history = drive.history_after();
        if let Some(last) = drive.samples.last() {
            self.soc_percent = last.battery.soc_percent;
            self.parked = Some(last.motion.clone());
        }
        Session {
            identity: Identity::new(self.spec.seed, self.spec.number, start_ms),
            drive,
            charge,
            fill: self.fill.take(),
            offline_ms: None,
        }
    }

    fn fill_low_tank(&mut self) {
        let before_percent = self.history.fuel_percent;
        if before_percent < LOW_TANK_PERCENT {
            let after_percent = self.rng.random_range(85.0..95.0);
            let gallons = (after_percent - before_percent) / 100.0 * TANK_GALLONS;
            self.fill = Some(FillTruth { before_percent, after_percent, gallons });
            self.history.fuel_percent = after_percent;
        }
    }
}

impl Iterator for Days {
    type Item = Session;

    fn next(&mut self) -> Option<Session> {
        loop {
            match self.errands.pop_front()? {
                Errand::Drive { minute, minutes } => return Some(self.drive(minute, minutes)),
                Errand::Charge { minute } => {
                    if let Some(session) = self.charge(minute) {
                        return Some(session);
                    }
                }
            }
        }
    }
}

/// A day's errands: out, on some days back by another way, and a charge at night. A week has
/// ten drives; its first day has the long one.
fn errands(rng: &mut ChaCha8Rng, day: u32) -> Vec<Errand> {
    let midnight = day * 24 * 60;
    let mut at = |from: u32, to: u32| midnight + rng.random_range(from..to);
    let (out, back, night) = (at(150, 240), at(720, 780), at(1_020, 1_080));
    let mut errands = vec![Errand::Drive { minute: out, minutes: rng.random_range(15..45) }];
    if matches!(day % 7, 0 | 2 | 4) {
        let minutes =
            if day.is_multiple_of(7) { rng.random_range(95..125) } else { rng.random_range(20..60) };
        errands.push(Errand::Drive { minute: back, minutes });
    }
    errands.push(Errand::Charge { minute: night });
    errands
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
