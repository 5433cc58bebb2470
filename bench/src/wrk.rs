//! The load: one run of `wrk`, and what it says of it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::{Options, targets};

/// What a run came to.
#[derive(Debug, Clone, Deserialize)]
pub struct Load {
    /// Requests that were answered.
    pub requests: u64,
    /// Length of the run.
    pub duration_us: u64,
    /// Half of the answers came within this time.
    pub p50_us: u64,
    /// 99 % of the answers came within this time.
    pub p99_us: u64,
    /// Answers with a status above 399.
    pub refused: u64,
    /// Connections that failed, requests that timed out.
    pub broken: u64,
}

/// Fails where there is no `wrk`.
pub fn require() -> anyhow::Result<()> {
    if Command::new("wrk").arg("--version").output().is_err() {
        bail!("wrk is missing: apt-get install wrk");
    }
    Ok(())
}

/// Loads the server at `address` with the targets of a file; the times of the
/// readings go up from `first_time_ms`.
pub fn run(
    options: &Options,
    seconds: u32,
    address: SocketAddr,
    files: &Files<'_>,
    first_time_ms: i64,
) -> anyhow::Result<Load> {
    let output = Command::new("wrk")
        .arg(format!("--connections={}", options.connections))
        .arg(format!("--threads={}", options.threads))
        .arg(format!("--duration={seconds}s"))
        .args(["--latency", "--timeout=10s", "--script"])
        .arg(files.script)
        .args([&format!("http://{address}"), "--"])
        .arg(files.targets)
        .args([first_time_ms.to_string(), targets::VEHICLES.to_string(), options.threads.to_string()])
        .output()
        .context("wrk cannot be run")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "wrk failed: {told}{complaint}");
    let line = told.lines().rfind(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk did not tell its figures: {told}{complaint}"))?;
    serde_json::from_str(line).with_context(|| format!("wrk's figures make no sense: {line}"))
}

/// What `wrk` reads.
pub struct Files<'a> {
    /// The script, which is `upload.lua`.
    pub script: &'a Path,
    /// The queries.
    pub targets: &'a Path,
}
