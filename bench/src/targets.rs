//! The uploads of the load: full readings of simulated Volts, written to a
//! file for `wrk`, which gives each request a time of its own.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use volttracker::simulate::{Drive, DriveSpec, Identity, uploads};

/// Vehicles that upload, each in one session: trips that are open at once.
pub const VEHICLES: u32 = 64;
/// Readings of a vehicle, with which a file of 20,000 targets is full.
const READINGS: usize = 313;
/// Length of a drive that has so many readings, one in two seconds.
const MINUTES: u32 = 11;

/// The vehicle `number` (from 1); its drive ends long before `now_ms`.
pub fn identity(number: u32, now_ms: i64) -> Identity {
    // Sessions are told apart by their begin.
    Identity::new(u64::from(number), number, now_ms - 172_800_000 + i64::from(number) * 250)
}

/// Writes the queries of all vehicles' readings in turn, one a line.
pub fn write(file: &Path, now_ms: i64) -> anyhow::Result<()> {
    let readings: Vec<Vec<String>> = (1..=VEHICLES).map(|number| readings(number, now_ms)).collect();
    let mut lines = String::new();
    for index in 0..READINGS {
        for query in readings.iter().filter_map(|vehicle| vehicle.get(index)) {
            writeln!(lines, "{query}")?;
        }
    }
    std::fs::write(file, lines).with_context(|| format!("{} cannot be written", file.display()))
}

fn readings(number: u32, now_ms: i64) -> Vec<String> {
    // Some have enough charge for the drive, some have not.
    let initial_soc_percent = 20.0 + f64::from(number);
    let spec =
        DriveSpec { seed: u64::from(number), minutes: MINUTES, initial_soc_percent, interval_ms: 2_000 };
    let (drive, identity) = (Drive::simulate(spec), identity(number, now_ms));
    uploads(&drive, &identity).filter(|upload| upload.is_reading).map(|upload| upload.query).collect()
}
