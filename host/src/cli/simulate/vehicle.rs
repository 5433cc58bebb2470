//! One simulated vehicle on its way: uploads in time, says how far it is, reports at the end.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::report::Report;
use super::sender::Sender;
use super::{DRIVE_SPEED_UP, SimulateArgs, due};
use crate::cli::output::say;
use crate::simulate::{Drive, DriveSpec, Identity, Sample, track_log, uploads};

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);
/// mph in 1 m/s.
const MPH_PER_MPS: f64 = 2.236_936;

/// A vehicle with its drive ahead of it.
pub struct Vehicle {
    number: u32,
    identity: Identity,
    drive: Drive,
    speed_up: f64,
}

impl Vehicle {
    /// The vehicle `number` (from 1) of a run.
    pub fn new(args: &SimulateArgs, number: u32, start_ms: i64) -> Self {
        let seed = args.seed.wrapping_add(u64::from(number - 1));
        let drive = Drive::simulate(DriveSpec {
            seed,
            minutes: args.minutes,
            initial_soc_percent: args.initial_soc,
            interval_ms: args.interval_ms,
        });
        let speed_up = args.speed_up.unwrap_or(DRIVE_SPEED_UP);
        Self { number, identity: Identity::new(seed, number, start_ms), drive, speed_up }
    }

    /// What the app logs of the drive.
    pub fn track_log(&self) -> String {
        track_log(&self.drive, &self.identity)
    }

    /// Uploads the whole drive.
    ///
    /// # Errors
    /// When an upload could not be brought to the server.
    pub async fn drive(self, sender: &Sender) -> anyhow::Result<Report> {
        let started = Instant::now();
        let mut told = started;
        let (mut sent, mut resends) = (0, 0);
        let mut samples = self.drive.samples.iter();
        for upload in uploads(&self.drive, &self.identity) {
            if let Some(due) = due(upload.time_ms, self.identity.start_ms, self.speed_up) {
                tokio::time::sleep_until(started + due).await;
            }
            let name = &self.identity.profile_name;
            let failed = || format!("{name} stopped after {sent} readings");
            resends += sender.send(&upload.query).await.with_context(failed)?;
            if !upload.is_reading {
                continue;
            }
            sent += 1;
            let sample = samples.next();
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                sample.into_iter().for_each(|sample| self.tell(sample));
            }
        }
        say(&format!("{}: arrived, {sent} readings sent", self.identity.profile_name));
        Report::new(self.number, &self.identity, self.drive.truth, sent, resends)
    }

    fn tell(&self, sample: &Sample) {
        let whole_ms = self.drive.truth.duration_ms.max(1);
        let percent = sample.elapsed_ms * 100 / whole_ms;
        let mode = if sample.gas_mode { "gas" } else { "electric" };
        let name = &self.identity.profile_name;
        let soc = sample.battery.soc_percent;
        let mph = sample.motion.speed_mps * MPH_PER_MPS;
        say(&format!("{name}: {percent:3} % of the drive, SOC {soc:5.1} %, {mph:4.0} mph, {mode}"));
    }
}
