//! `volttracker simulate`: drives simulated cars, uploads as their phones would, and tells
//! what is true of each drive. The model itself is in `crate::simulate`.

mod days;
mod report;
mod sender;
mod server;
mod vehicle;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use reqwest::Url;
use tokio::task::JoinSet;

use super::output::say;
use crate::outbound;
use crate::simulate::{DAY_MS, compare};
use report::Report;
use sender::{ResendPolicy, Sender};
use server::Api;
use vehicle::Vehicle;

/// Readings further in the future than this are refused by a receiver, in ms.
const LATEST_FUTURE_MS: i64 = 24 * 3_600_000;
/// Vehicles start this long before one another, so that no two sessions have one text, in ms.
const STAGGER_MS: i64 = 250;
/// The model's step; readings fall on multiples of it, in ms.
const INTERVAL_STEP_MS: u64 = 100;

const EXAMPLES: &str = "\
Examples:
  volttracker simulate
      One Volt drives 40 minutes to a server on this machine, 60 times as fast as real.
  volttracker simulate --speed-up 0 --check
      As fast as the server answers; then compares the server's trip with the truth.
  volttracker simulate --vehicles 8 --minutes 20 --initial-soc 30 --seed 7 --json
      Eight cars at once (seeds 7 to 14), the truth as JSON on stdout.
  volttracker simulate --days 7 --vehicles 2 --check
      A week of two cars: twenty drives, nights at the charger, fills of the tank, and a phone
      that is offline for an hour; then compares trips, charges, fills and totals.
  volttracker simulate --speed-up 1 --token s3cret --url http://192.168.1.5:8080
      In real time, to a server that asks for a token.";

/// Options of `volttracker simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Address of the server, http only
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Token of uploads and API, if the server asks for one
    #[arg(long, env = "TORQUE_API_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Cars that drive at the same time; car n drives with seed + n − 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub vehicles: u32,
    /// Days of driving, charging and filling instead of one drive (1–31)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=31), conflicts_with_all = ["minutes", "initial_soc"])]
    pub days: Option<u32>,
    /// Length of the drive in minutes (1–240)
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub minutes: u32,
    /// State of charge at the start in % (5–100)
    #[arg(long, default_value_t = 60.0, value_parser = soc)]
    pub initial_soc: f64,
    /// Time between readings in ms, a multiple of 100 (100–60000)
    #[arg(long, default_value_t = 2_000, value_parser = interval)]
    pub interval_ms: u64,
    /// How many times faster than real; 0 = as fast as the server answers
    /// [default: 60, and 0 with --days]
    #[arg(long, value_parser = speed_up)]
    pub speed_up: Option<f64>,
    /// Seed of every random choice; one seed is one drive, byte for byte
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Time of the first reading, or the start of the first day, RFC 3339
    /// [default: such that the drive or the last day ends now]
    #[arg(long)]
    pub start_time: Option<Timestamp>,
    /// Also write what the app logs of the drive to this file, for `volttracker import`; one car only
    #[arg(long, value_name = "FILE")]
    pub track_log: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Afterwards wait for the server's trips and compare; exit with an error if they differ
    #[arg(long)]
    pub check: bool,
    /// How long --check waits for the trips to close, in seconds
    #[arg(long, default_value_t = 120, requires = "check")]
    pub timeout_seconds: u64,
}

/// How many times faster than real a single drive is unless told otherwise.
const DRIVE_SPEED_UP: f64 = 60.0;

/// When an upload is due after the start of the run, which stands for `run_start_ms`; `None`
/// is at once.
fn due(time_ms: i64, run_start_ms: i64, speed_up: f64) -> Option<Duration> {
    let since_ms = u64::try_from(time_ms - run_start_ms).ok()?;
    (speed_up > 0.0).then(|| Duration::from_millis(since_ms).div_f64(speed_up))
}

/// Runs the simulation.
///
/// # Errors
/// When the address or the start time cannot be used, the server cannot be reached or does
/// not keep an upload, or `--check` finds a figure outside its tolerance.
pub async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let base = server_address(&args.url)?;
    let start_ms = start_ms(&args, Timestamp::now())?;
    let client = outbound::client(false)
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .context("could not set up the HTTP client")?;
    let token = args.token.as_deref().filter(|token| !token.is_empty());
    let sender = Sender::new(client.clone(), &base, token, ResendPolicy::default());
    if let Some(path) = &args.track_log {
        ensure!(args.vehicles == 1, "--track-log takes one car: leave --vehicles out");
        let log = Vehicle::new(&args, 1, start_ms).track_log();
        std::fs::write(path, log).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let api = Api::new(client, &base, token);
    if let Some(days) = args.days {
        return days::run(&args, days, start_ms, &sender, &api).await;
    }
    let reports = drive_all(&args, &sender, start_ms).await?;
    if !args.check {
        return report::print(&reports, args.json);
    }
    if !args.json {
        report::print(&reports, false)?;
    }
    let timeout = Duration::from_secs(args.timeout_seconds);
    let reports = check_all(reports, &api, timeout).await?;
    report::print_check(&reports, args.json)?;
    let failed: Vec<&str> = reports.iter().flat_map(Report::failed_figures).collect();
    ensure!(
        failed.is_empty(),
        "the server's figures differ from the truth by more than is allowed: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Drives all vehicles at the same time; reports in the order of their numbers.
async fn drive_all(args: &SimulateArgs, sender: &Sender, start_ms: i64) -> anyhow::Result<Vec<Report>> {
    let mut tasks = JoinSet::new();
    for number in 1..=args.vehicles {
        let vehicle_start_ms = start_ms - i64::from(number - 1) * STAGGER_MS;
        let vehicle = Vehicle::new(args, number, vehicle_start_ms);
        let sender = sender.clone();
        tasks.spawn(async move { vehicle.drive(&sender).await });
    }
    let mut reports = Vec::new();
    while let Some(done) = tasks.join_next().await {
        reports.push(done.context("a simulated vehicle stopped unexpectedly")??);
    }
    reports.sort_by_key(|report| report.vehicle);
    Ok(reports)
}

/// Waits for the server's trips and puts their figures beside the truth.
async fn check_all(mut reports: Vec<Report>, api: &Api, timeout: Duration) -> anyhow::Result<Vec<Report>> {
    let sessions: Vec<String> = reports.iter().map(|r| r.session_id.clone()).collect();
    say(&format!("waiting for the server to close {} trip(s)", sessions.len()));
    let mut trips = api.closed_trips(&sessions, timeout).await?;
    for report in &mut reports {
        if let Some(trip) = trips.remove(&report.session_id) {
            report.check = Some(compare(&report.truth, &trip));
        }
    }
    Ok(reports)
}

/// The server's address; only plain HTTP, because this command carries no TLS.
fn server_address(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text)
        .with_context(|| format!("--url {text} is no address; give one like http://127.0.0.1:8080"))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => bail!(
            "--url {text}: simulate speaks no TLS; give the server's local address, like http://127.0.0.1:8080"
        ),
        _ => bail!("--url {text} is no http address; give one like http://127.0.0.1:8080"),
    }
}

/// The first reading's time in epoch ms.
fn start_ms(args: &SimulateArgs, now: Timestamp) -> anyhow::Result<i64> {
    let length_ms = args.days.map_or(i64::from(args.minutes) * 60_000, |days| i64::from(days) * DAY_MS);
    let Some(start) = args.start_time else {
        return Ok(now.as_millisecond() - length_ms);
    };
    let start_ms = start.as_millisecond();
    ensure!(
        start_ms + length_ms <= now.as_millisecond() + LATEST_FUTURE_MS,
        "--start-time {start}: it would end more than 24 hours from now, and servers refuse such readings"
    );
    Ok(start_ms)
}

fn soc(text: &str) -> Result<f64, String> {
    number_within(text, 5.0, 100.0)
}

fn speed_up(text: &str) -> Result<f64, String> {
    number_within(text, 0.0, 1e6)
}

fn number_within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| format!("give a number from {least} to {most}"))
}

fn interval(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|ms: &u64| (100..=60_000).contains(ms) && ms.is_multiple_of(INTERVAL_STEP_MS))
        .ok_or_else(|| "give a multiple of 100 from 100 to 60000".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
