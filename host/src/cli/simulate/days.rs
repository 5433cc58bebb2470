//! `simulate --days`: lets cars live for some days, all at the same time, and then puts
//! everything the server made of it beside the truth.

mod table;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::report::{self, Report};
use super::sender::Sender;
use super::server::Api;
use super::{SimulateArgs, due};
use crate::cli::output::say;
use crate::simulate::{
    Comparison, Days, DaysSpec, ServerCharge, ServerRefuel, ServerTrip, ServerVehicle, Session, Totals,
    compare, compare_energy, compare_totals,
};

/// What became of one car.
#[derive(Debug, Serialize)]
struct Life {
    /// Number of the car in this run, from 1.
    vehicle: u32,
    /// Name of its profile.
    profile_name: String,
    /// All sessions together.
    totals: Totals,
    /// The server's figures for the vehicle beside the truth, once checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Vec<Comparison>>,
    /// Drives and charges in time order.
    sessions: Vec<Report>,
}

/// What the server says of everything.
struct Answers {
    charges: Vec<ServerCharge>,
    refuels: Vec<ServerRefuel>,
    vehicles: Vec<ServerVehicle>,
}

/// Runs the days, prints their truth and, if asked to, checks the server.
///
/// # Errors
/// When an upload could not be brought to the server, or `--check` finds a figure outside its
/// tolerance.
pub async fn run(
    args: &SimulateArgs,
    days: u32,
    start_ms: i64,
    sender: &Sender,
    api: &Api,
) -> anyhow::Result<()> {
    let mut lives = live_all(args, days, start_ms, sender).await?;
    if args.check {
        check(&mut lives, api, Duration::from_secs(args.timeout_seconds)).await?;
    }
    let failed: Vec<String> = lives.iter().flat_map(Life::failed_figures).collect();
    if args.json {
        let mut document = json!({ "vehicles": lives });
        if args.check {
            document["passed"] = json!(failed.is_empty());
        }
        report::print_json(document)?;
    } else {
        print!("{}", table::truth(&lives));
        if args.check {
            print!("{}", table::check(&lives));
        }
    }
    ensure!(
        failed.is_empty(),
        "the server's figures differ from the truth by more than is allowed: {}",
        failed.join("; ")
    );
    Ok(())
}

/// Lets all cars live at the same time; in the order of their numbers.
async fn live_all(
    args: &SimulateArgs,
    days: u32,
    start_ms: i64,
    sender: &Sender,
) -> anyhow::Result<Vec<Life>> {
    let speed_up = args.speed_up.unwrap_or(0.0);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 1..=args.vehicles {
        let spec = DaysSpec {
            seed: args.seed.wrapping_add(u64::from(number - 1)),
            number,
            days,
            start_ms,
            interval_ms: args.interval_ms,
            loses_network: number == 1,
        };
        let sender = sender.clone();
        tasks.spawn(async move { live(spec, started, speed_up, &sender).await });
    }
    let mut lives = Vec::new();
    while let Some(done) = tasks.join_next().await {
        lives.push(done.context("a simulated vehicle stopped unexpectedly")??);
    }
    lives.sort_by_key(|life| life.vehicle);
    Ok(lives)
}

/// Uploads one session of a car after the other.
async fn live(spec: DaysSpec, started: Instant, speed_up: f64, sender: &Sender) -> anyhow::Result<Life> {
    let mut sessions = Vec::new();
    for session in Days::new(spec) {
        let (mut sent, mut resends) = (0, 0);
        for upload in session.uploads() {
            if let Some(due) = due(upload.time_ms, spec.start_ms, speed_up) {
                tokio::time::sleep_until(started + due).await;
            }
            let failed = || {
                let Session { identity, .. } = &session;
                format!(
                    "{} stopped after {sent} readings of session {}",
                    identity.profile_name,
                    identity.session()
                )
            };
            resends += sender.send(&upload.query).await.with_context(failed)?;
            sent += u64::from(upload.is_reading);
        }
        let offline_minutes = session.offline_minutes();
        let Session { identity, drive, charge, fill, .. } = session;
        let report = Report::new(spec.number, &identity, drive.truth, sent, resends)?;
        let report = Report { charge, fill, ..report };
        say(&table::session(&report));
        if offline_minutes > 0 {
            say(&format!(
                "{}: of it {offline_minutes} minutes offline, sent afterwards",
                report.profile_name
            ));
        }
        sessions.push(report);
    }
    let profile_name = sessions.first().map(|report| report.profile_name.clone()).unwrap_or_default();
    let totals = Totals::of(sessions.iter().map(|report| &report.truth));
    Ok(Life { vehicle: spec.number, profile_name, totals, check: None, sessions })
}

/// Waits until the server's figures rest, and puts them beside the truth.
async fn check(lives: &mut [Life], api: &Api, timeout: Duration) -> anyhow::Result<()> {
    let reports = lives.iter().flat_map(|life| &life.sessions);
    let sessions: Vec<String> = reports.map(|report| report.session_id.clone()).collect();
    say(&format!("waiting for the server to close {} trips", sessions.len()));
    let trips = api.resting_trips(&sessions, timeout).await?;
    let answers = Answers {
        charges: api.list("charging", "charging_sessions").await?,
        refuels: api.list("refuels", "refuels").await?,
        vehicles: api.list("vehicles", "vehicles").await?,
    };
    for life in lives {
        let mut vehicle_id = None;
        for report in &mut life.sessions {
            let trip = trips.get(&report.session_id).context("a closed trip is missing")?;
            report.check = Some(answers.beside(report, trip));
            vehicle_id = Some(&trip.vehicle_id);
        }
        let vehicle = answers.vehicles.iter().find(|vehicle| Some(&vehicle.vehicle_id) == vehicle_id);
        let vehicle =
            vehicle.with_context(|| format!("the server has no vehicle for {}", life.profile_name))?;
        life.check = Some(compare_totals(&life.totals, vehicle));
    }
    Ok(())
}

impl Answers {
    /// All of a session and of its trip.
    fn beside(&self, report: &Report, trip: &ServerTrip) -> Vec<Comparison> {
        let charges: Vec<_> = self.charges.iter().filter(|charge| charge.trip_id == trip.trip_id).collect();
        let refuels: Vec<_> = self.refuels.iter().filter(|refuel| refuel.trip_id == trip.trip_id).collect();
        let mut rows = compare(&report.truth, trip);
        rows.extend(compare_energy(report.charge.as_ref(), report.fill.as_ref(), &charges, &refuels));
        rows
    }
}

impl Life {
    /// What is outside its tolerance: whose, of when, which figure.
    fn failed_figures(&self) -> impl Iterator<Item = String> {
        let name = &self.profile_name;
        let of_sessions = self.sessions.iter().flat_map(move |report| {
            report.failed_figures().map(move |figure| format!("{name}, {}: {figure}", report.start_time))
        });
        let of_vehicle = self.check.iter().flatten().filter(|row| !row.ok);
        of_sessions.chain(of_vehicle.map(move |row| format!("{name}: {}", row.figure)))
    }
}
