//! What an event costs the receiver, beside a bare `serde_json` of it: measured
//! within the receiver's own program, whose standard output is read here.

use std::io;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::Options;
use crate::variants::receiver_command;

/// Processor time for an event: microseconds, a figure a round.
#[derive(Deserialize)]
pub struct Costs {
    /// Values that the event has.
    pub fields: usize,
    /// Length of its JSON.
    pub bytes: usize,
    /// A bare `serde_json` of it.
    pub serialized_us: Vec<f64>,
    /// Built, decided, dropped.
    pub dropped_us: Vec<f64>,
    /// Built, decided, kept, written to standard output.
    pub kept_us: Vec<f64>,
}

/// Measures it, with the settings that the receivers of the bench have.
pub fn measure(options: &Options, dir: &Path) -> anyhow::Result<Costs> {
    eprintln!("events, {} rounds", options.rounds);
    std::fs::create_dir(dir)?;
    let mut child = receiver_command(options, "measure-events", dir)?
        .args(["--rounds", &options.rounds.to_string()])
        .env("EVENT_SINKS", "stdout")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the receiver cannot be started")?;
    let mut events = child.stdout.take().context("standard output is piped")?;
    let reader = std::thread::spawn(move || io::copy(&mut events, &mut io::sink()));
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "measure-events ended with {}: {said}", output.status);
    let written = reader.join().ok().context("the reader of the events panicked")??;
    // Its log may say something before.
    let figures = said.lines().next_back().unwrap_or_default();
    let costs: Costs = serde_json::from_str(figures).with_context(|| format!("it said: {said}"))?;
    ensure!(written > 0, "no event was written");
    Ok(costs)
}
