//! The receiver is killed under load, again and again on the same data: what
//! it acknowledged is kept once, and what comes of it is what one undisturbed
//! run gives. Five rounds here, as many as one likes with `just soak`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::{Backlog, Database, Engine, Look, Point, Random, Server, Settings, upload_all};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    killed_again_and_again_it_keeps_each_acknowledged_reading_once
}

const VEHICLES: u32 = 3;
const CONNECTIONS: usize = 6;
/// Minutes of one drive: on the battery, then on gas.
const MINUTES: u32 = 30;
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// How long a round's uploads, or the end of all trips, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A kill comes shortly after some acknowledgement,
const SHORTLY: Duration = Duration::from_millis(30);
/// or, once in three times, when the drives of the round are finalized.
const UNTIL_TRIPS_END: Duration = Duration::from_millis(2500);

/// How many rounds, and which.
struct Plan {
    rounds: usize,
    seed: u64,
}

impl Plan {
    fn from_environment() -> anyhow::Result<Self> {
        let number = |variable: &str, default| match std::env::var(variable) {
            Ok(text) => text.parse().with_context(|| format!("{variable} takes a number")),
            Err(_) => Ok(default),
        };
        Ok(Self { rounds: usize::try_from(number("KILL_ROUNDS", 5)?)?, seed: number("KILL_SEED", 1)? })
    }
}

async fn killed_again_and_again_it_keeps_each_acknowledged_reading_once(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let Plan { rounds, seed } = Plan::from_environment()?;
    let settings = settings(&database).in_a_fresh_folder()?;
    let mut story =
        Story { backlog: Backlog::default(), random: Random::new(seed), finalizations: Vec::new() };
    let drives = drives(rounds, &mut story.random);
    for (round, points) in drives.iter().enumerate() {
        story.backlog.add(points.clone());
        story
            .round(&settings)
            .await
            .with_context(|| format!("round {round} of seed {seed} on {engine:?}"))?;
    }
    let unanswered = story.backlog.unanswered();
    ensure!(unanswered > 0, "no kill met an upload under way: other seeds do");

    let mut server = Server::start(settings).await?;
    story.backlog.send(server.address(), CONNECTIONS).await;
    ensure!(story.backlog.is_empty(), "{} points cannot be sent", story.backlog.len());
    let killed = Outcome::of(&server).await?;
    server.stop().await?;
    story.finalizations.extend(finalizations_of(&server));
    are_told_once(&story.finalizations)?;

    let mut sent: Vec<_> = drives.concat().iter().map(|point| point.time_ms).collect();
    sent.sort_unstable();
    assert_eq!(killed.readings, sent, "each acknowledged reading is kept, and kept once");
    let undisturbed = undisturbed(engine, drives.concat()).await?;
    assert_eq!(killed.trips, undisturbed.trips);
    assert_eq!(killed.vehicles, undisturbed.vehicles);
    println!(
        "{engine:?}: {rounds} kills of seed {seed}, {unanswered} uploads cut off, {} readings kept once in {} trips",
        sent.len(),
        killed.trips.len()
    );
    Ok(())
}

fn settings(database: &Database) -> Settings {
    Settings::default()
        .set("TRIP_TIMEOUT_SECONDS", "1")
        // The same vehicle ids in every database.
        .set("ID_KEY", "a key that never changes")
        .database(database)
}

/// What is sent in each round: a drive of each vehicle, some of its readings
/// rounds later, so that closed trips open again.
fn drives(rounds: usize, random: &mut Random) -> Vec<Vec<Point>> {
    let first_ms = now_ms() - 10 * DAY_MS;
    let mut sent = vec![Vec::new(); rounds];
    for round in 0..rounds {
        for vehicle in 1..=VEHICLES {
            // No two readings of all have one time.
            let start_ms = first_ms + round as i64 * HOUR_MS + i64::from(vehicle);
            for point in Phone::new(vehicle, start_ms).drive(start_ms, 0..MINUTES) {
                let late = if random.once_in(6) { 1 + random.below(3) } else { 0 };
                sent[(round + late).min(rounds - 1)].push(point);
            }
        }
    }
    sent.iter_mut().for_each(|points| random.shuffle(points));
    sent
}

/// What goes on across the kills.
struct Story {
    backlog: Backlog,
    random: Random,
    finalizations: Vec<(String, Option<u64>)>,
}

impl Story {
    /// Starts a server, perhaps after one that was killed before it was up,
    /// and kills it while it is uploaded to.
    async fn round(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let Self { backlog, random, finalizations } = self;
        let started = Instant::now();
        let mut server = Server::start(settings.clone()).await?;
        let start = started.elapsed();
        let enough = backlog.acknowledged() + random.below(backlog.len() + 1);
        let load = backlog.send(server.address(), CONNECTIONS);
        let kill = async {
            backlog.wait_for_acknowledged(enough, PATIENCE).await?;
            let within = if random.once_in(3) { UNTIL_TRIPS_END } else { SHORTLY };
            // The random moment itself; nothing is waited for.
            tokio::time::sleep(random.shorter_than(within)).await;
            server.kill().await
        };
        let ((), killed) = tokio::join!(load, kill);
        killed?;
        finalizations.extend(finalizations_of(&server));
        if random.once_in(4) {
            Server::cut_off(settings, random.shorter_than(start)).await?;
        }
        Ok(())
    }
}

/// The trips that a server has told to be finalized, and for which time.
fn finalizations_of(server: &Server) -> Vec<(String, Option<u64>)> {
    let events = server.events();
    let of_trips = events
        .iter()
        .filter(|event| event["operation"] == "trip_finalization" && event["success"] == true)
        .map(|event| (event["trip_id"].to_string(), event["finalization_number"].as_u64()));
    of_trips.collect()
}

/// A finalization's event is lost with its process at most, never told twice.
fn are_told_once(finalizations: &[(String, Option<u64>)]) -> anyhow::Result<()> {
    let mut told = HashSet::new();
    for finalization in finalizations {
        ensure!(told.insert(finalization), "told twice: {finalization:?}");
    }
    Ok(())
}

/// The same readings, each sent once to a server that nobody disturbs.
async fn undisturbed(engine: Engine, points: Vec<Point>) -> anyhow::Result<Outcome> {
    let database = Database::fresh(engine).await?.context("there was one before")?;
    let mut server = Server::start(settings(&database)).await?;
    let queries = points.into_iter().map(|point| point.query).collect();
    for answer in upload_all(server.address(), queries, CONNECTIONS).await? {
        ensure!(answer.is_ok(), "{answer:?}");
    }
    let outcome = Outcome::of(&server).await?;
    server.stop().await?;
    Ok(outcome)
}

/// What a database holds once all trips are finalized.
struct Outcome {
    /// Times of all readings.
    readings: Vec<i64>,
    /// What each trip is, whoever received it when.
    trips: Vec<String>,
    /// Each vehicle, with its closed trips added up.
    vehicles: Vec<String>,
}

impl Outcome {
    async fn of(server: &Server) -> anyhow::Result<Self> {
        let mut look = server.look().await?;
        all_trips_end(&mut look).await.with_context(|| server.stderr())?;
        let readings = look.rows("SELECT time_ms FROM readings ORDER BY time_ms").await?;
        let trips = "SELECT vehicle_id, session_id, status, CAST(start_time_ms AS TEXT), CAST(end_time_ms AS TEXT),
                            CAST(reading_count AS TEXT), CAST(counted AS TEXT), CAST(counted_miles_e6 AS TEXT),
                            CAST(counted_kwh_per_mile_e6 AS TEXT), CAST(counted_gas_mpg_e6 AS TEXT), summary
                     FROM trips ORDER BY vehicle_id, session_id";
        let vehicles = "SELECT vehicle_id, CAST(first_trip_start_ms AS TEXT), CAST(total_trips AS TEXT),
                               CAST(miles_e6 AS TEXT), CAST(kwh_per_mile_e6 AS TEXT),
                               CAST(kwh_per_mile_trips AS TEXT), CAST(gas_mpg_e6 AS TEXT),
                               CAST(gas_mpg_trips AS TEXT)
                        FROM vehicles ORDER BY vehicle_id";
        let counted = "SELECT COUNT(*) FROM trips WHERE reading_count
                           <> (SELECT COUNT(*) FROM readings WHERE readings.trip_id = trips.trip_id)";
        ensure!(look.number(counted).await? == 0, "a trip counts other readings than it has");
        Ok(Self {
            readings: readings.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
            trips: look.rows(trips).await?.iter().map(text).collect::<anyhow::Result<_>>()?,
            vehicles: look.rows(vehicles).await?.iter().map(text).collect::<anyhow::Result<_>>()?,
        })
    }
}

/// Waits until every trip is closed and counted for its vehicle.
async fn all_trips_end(look: &mut Look) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while look.number("SELECT COUNT(*) FROM trips WHERE status <> 'closed' OR counted <> 1").await? > 0 {
        ensure!(Instant::now() < deadline, "some trips are never finalized");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A row of texts as one.
fn text(row: &AnyRow) -> anyhow::Result<String> {
    let columns = (0..row.len()).map(|column| row.try_get::<Option<String>, _>(column));
    let texts: Vec<_> = columns.collect::<Result<_, _>>()?;
    Ok(texts.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" "))
}
