//! The measurement: all servers up, one after the other loaded, round by
//! round; afterwards what was answered is held against what was kept.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::variants::{Kept, Running, Variant};
use crate::wrk::{Files, Load};
use crate::{Options, targets, wrk};

/// More uploads in a second than any server answers.
const UPLOADS_PER_SECOND: i64 = 400_000;
/// A vehicle's clock in a second of a turn, which it gets a second on with each
/// of its uploads: so far apart are the times of two turns.
const CLOCK_PER_SECOND_MS: i64 = UPLOADS_PER_SECOND / targets::VEHICLES as i64 * 1000;

/// One server's turn in one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Turn {
    /// Answers a second.
    pub per_second: f64,
    /// Median latency: milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the latency: milliseconds.
    pub p99_ms: f64,
    /// Processor time of the server for an answer: microseconds.
    pub cpu_us: f64,
}

/// One server, all rounds.
pub struct Measured {
    /// Which.
    pub variant: Variant,
    /// Its turns, the warm-up excepted.
    pub turns: Vec<Turn>,
    /// Answers, those of the warm-up included.
    pub answered: u64,
    /// What it kept.
    pub kept: Kept,
}

/// Measures all servers, in a folder of each in `place`.
pub fn measure(options: &Options, place: &Path) -> anyhow::Result<Vec<Measured>> {
    let (script, targets) = (place.join("upload.lua"), place.join("targets"));
    std::fs::write(&script, include_str!("upload.lua"))?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    targets::write(&targets, now_ms)?;
    let files = Files { script: &script, targets: &targets };

    let mut servers = Vec::new();
    for (number, variant) in Variant::ALL.into_iter().enumerate() {
        eprintln!("starting: {}", variant.name());
        let dir = place.join(number.to_string());
        let running = variant.start(options, &dir)?;
        let measured = Measured { variant, turns: Vec::new(), answered: 0, kept: Kept::default() };
        servers.push((dir, running, measured));
    }
    let turn_ms = i64::from(options.seconds + 1) * CLOCK_PER_SECOND_MS;
    let mut first_time_ms = now_ms - turn_ms * i64::from(options.rounds + 1);
    for round in 0..=options.rounds {
        eprintln!("{}", if round == 0 { "warming up".to_owned() } else { format!("round {round}") });
        for (_, running, measured) in &mut servers {
            take_turn(options, running, measured, &files, first_time_ms)?;
        }
        if round == 0 {
            servers.iter_mut().for_each(|(_, _, measured)| measured.turns.clear());
        }
        first_time_ms += turn_ms;
    }
    servers.into_iter().map(|(dir, running, measured)| end(&dir, running, measured)).collect()
}

fn take_turn(
    options: &Options,
    running: &Running,
    measured: &mut Measured,
    files: &Files<'_>,
    first_time_ms: i64,
) -> anyhow::Result<()> {
    let before_us = running.process.settle()?;
    let load = wrk::run(options, options.seconds, running.address, files, first_time_ms)?;
    let cpu_us = running.process.settle()? - before_us;
    let Load { requests, refused, broken, .. } = load;
    let name = measured.variant.name();
    ensure!(requests > 0, "{name} answered nothing");
    ensure!(refused == 0, "{name}: {refused} of {requests} answers were not 200");
    ensure!(broken == 0, "{name}: {broken} connections failed or requests timed out");
    measured.answered += requests;
    measured.turns.push(Turn {
        per_second: requests as f64 / (load.duration_us as f64 / 1e6),
        p50_ms: load.p50_us as f64 / 1e3,
        p99_ms: load.p99_us as f64 / 1e3,
        cpu_us: cpu_us as f64 / requests as f64,
    });
    Ok(())
}

/// Stops a server and counts what it kept: every answer promised a reading.
fn end(dir: &Path, running: Running, mut measured: Measured) -> anyhow::Result<Measured> {
    running.process.stop()?;
    measured.kept = measured.variant.kept(dir).context("what was kept cannot be counted")?;
    let (name, answered, kept) = (measured.variant.name(), measured.answered, measured.kept.readings);
    if measured.variant != Variant::Bare {
        // Requests that the end of a turn cuts off are kept and not answered.
        ensure!(kept >= answered, "{name} answered {answered} uploads and kept {kept}");
    }
    Ok(measured)
}
