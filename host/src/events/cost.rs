//! What an event costs the process, from its opening to its end, beside a bare
//! `serde_json` of the same event. The events are those of real readings, on
//! their real way: tasks, plugins, coin, standard output. Nothing of the
//! receiver asks for it.

use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use uuid::Uuid;

use super::names::{Business, Timing};
use super::record::{Record, SamplingRecord};
use super::{Heard, Outcome, UploadDetails, VehicleContext, WideEvent};
use crate::app::App;
use crate::config::Config;
use crate::identity::{TripId, VehicleId};
use crate::ingest;
use crate::plugin_host::{Slot, VehicleStats};
use crate::simulate::{Drive, DriveSpec, Identity, uploads};
use crate::store::{Put, Stored};
use crate::torque::{self, Content, Header, Reading, UploadKind};

/// Events of a figure.
const EVENTS: usize = 20_000;
/// Trips that they belong to.
const TRIPS: usize = 64;
/// Events are opened so many at a time,
const HANDFUL: usize = 128;
/// and so far apart: as many as a busy receiver has.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the last event of a figure may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Processor time of the process for an event: microseconds, a figure a round.
#[derive(Debug, Serialize)]
pub struct Costs {
    /// Values that the event has, those in objects each for itself.
    pub fields: usize,
    /// Length of its JSON.
    pub bytes: usize,
    /// A bare `serde_json` of it, into memory that is there already.
    pub serialized_us: Vec<f64>,
    /// Built, decided, and dropped by the coin.
    pub dropped_us: Vec<f64>,
    /// Built, decided, kept, and written to standard output.
    pub kept_us: Vec<f64>,
}

/// Measures all three in turn, round by round; one more goes before them to
/// warm up.
///
/// # Errors
/// An event did not become what it was to become.
pub async fn measure(app: &App, config: &Config, rounds: u32) -> anyhow::Result<Costs> {
    let rate = config.sampling.telemetry_rate(config.service.environment);
    ensure!(rate > 0.0 && rate < 1.0, "with a rate of {rate} no coin decides");
    let drive =
        Drive::simulate(DriveSpec { seed: 1, minutes: 1, initial_soc_percent: 60.0, interval_ms: 1_000 });
    let mut kept = trips(app, &drive, |coin| coin < rate)?;
    let mut dropped = trips(app, &drive, |coin| coin >= rate)?;
    let event = as_written(app, &mut kept[0]);
    let json = serde_json::to_vec(&event)?;
    let (fields, kept_fields) = (fields(&json)?, fields(&one_kept(app, &mut kept[0]).await?)?);
    ensure!(fields == kept_fields, "a kept event has the fields {kept_fields:?}, and not {fields:?}");
    let mut costs = Costs {
        fields: fields.len(),
        bytes: json.len(),
        serialized_us: Vec::new(),
        dropped_us: Vec::new(),
        kept_us: Vec::new(),
    };
    for round in 0..=rounds {
        let serialized_us = serialize(&event)?;
        let dropped_us = through(app, &mut dropped, false).await?;
        let kept_us = through(app, &mut kept, true).await?;
        if round > 0 {
            costs.serialized_us.push(serialized_us);
            costs.dropped_us.push(dropped_us);
            costs.kept_us.push(kept_us);
        }
    }
    Ok(costs)
}

/// A trip under way: its last reading, and what the store said of it.
struct Trip {
    vehicle: VehicleId,
    session: Uuid,
    header: Header,
    reading: Reading,
    query: String,
    put: Put,
}

/// Trips of whose events the coin makes all the same.
fn trips(app: &App, drive: &Drive, is_wanted: impl Fn(f64) -> bool) -> anyhow::Result<Vec<Trip>> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let identities = (1..).map(|number| {
        Identity::new(u64::from(number), number, now_ms - 100_000_000 + i64::from(number) * 250)
    });
    identities
        .filter(|identity| is_wanted(app.key.fraction(identity.session_id().to_string().as_bytes())))
        .take(TRIPS)
        .map(|identity| Trip::of(app, drive, &identity))
        .collect()
}

impl Trip {
    fn of(app: &App, drive: &Drive, identity: &Identity) -> anyhow::Result<Self> {
        // In the middle of the drive.
        let sent =
            uploads(drive, identity).filter(|upload| upload.is_reading).nth(30).context("a reading")?;
        let upload = torque::decode(app.catalogue, sent.query.as_bytes(), b"", sent.time_ms + 400)
            .map_err(|refusal| anyhow::anyhow!("a reading is refused: {refusal:?}"))?;
        let Content::Reading(reading) = upload.content else { anyhow::bail!("it is no reading") };
        let vehicle = app.key.phone(upload.identity.key()).own_vehicle();
        // Neither new nor heavy: the base rate decides.
        let stats = VehicleStats {
            total_trips: 42,
            total_miles: 512.3,
            account_age_days: 365,
            avg_kwh_per_mile: Some(0.287),
            avg_gas_mpg: Some(38.4),
        };
        let stored = Stored::Reading {
            trip_id: TripId::from_stored(&Uuid::now_v7().to_string()),
            vehicle_id: vehicle.clone(),
            trip_created: false,
            trip_reopened: false,
            duplicate: false,
            conflicting: false,
            vehicle: stats,
        };
        let put = Put {
            stored,
            queue_ms: 0.412,
            trip_query_ms: 0.163,
            insert_ms: 0.438,
            vehicle_ms: 0.071,
            commit_ms: 0.502,
            batch_size: 35,
            retried: false,
        };
        let (session, header) = (upload.session_id, upload.header);
        Ok(Self { vehicle, session, header, reading, query: sent.query, put })
    }

    /// The event of its next reading, as an upload makes it.
    fn event(&mut self, app: &App) -> WideEvent<UploadDetails> {
        self.reading.time_ms += 1000;
        let details = UploadDetails {
            method: Some("GET"),
            route: Some("/torque/upload"),
            remote_addr: Some(Ipv4Addr::new(203, 0, 113, 7).into()),
            user_agent: Some("Apache-HttpClient/UNAVAILABLE (java 1.4)".to_owned()),
            has_token: Some(false),
            request_bytes: Some(self.query.len() as u64),
            vehicle_id: Some(self.vehicle.clone()),
            session_id: Some(self.session),
            ..UploadDetails::default()
        };
        let mut event = app.events.open(app.plugins.pin(), details);
        let started = Instant::now();
        event.timings.add_since(Timing::PARSE_TELEMETRY, started);
        event.known.add_form(self.query.as_bytes());
        event.trace_id = Some(self.session);
        ingest::describe_header(&mut event, &self.header, Some(UploadKind::Telemetry));
        ingest::describe_reading(&mut event, &self.reading, self.reading.time_ms + 400);
        ingest::describe_put(&mut event, &self.put);
        if let Stored::Reading { trip_id, vehicle, .. } = &self.put.stored {
            event.details.trip_id = Some(trip_id.clone());
            for flag in [
                Business::TRIP_CREATED,
                Business::TRIP_REOPENED,
                Business::DUPLICATE_READING,
                Business::CONFLICTING_READING,
            ] {
                event.business.set(flag, false);
            }
            event.vehicle = Some(VehicleContext { stats: Some(*vehicle), ..VehicleContext::default() });
            event.timings.add(Timing::CONTEXT_ENRICHMENT, self.put.vehicle_ms);
            event.timings.add_since(Timing::CONTEXT_ENRICHMENT, started);
        }
        event.details.http_status = Some(200);
        event
    }
}

/// An event as its line is made of; nobody else is told of this one.
fn as_written(app: &App, trip: &mut Trip) -> Box<Record> {
    let mut event = ManuallyDrop::new(trip.event(app));
    event.outcome = Some(Outcome::Success);
    let mut record = event.record(Instant::now());
    record.performance_breakdown.add(Timing::USAGE_TIER, 0.0015);
    record.performance_breakdown.add(Timing::SAMPLING_POLICY, 0.0021);
    if let Some(vehicle) = &mut record.vehicle_context {
        vehicle.usage_tier = Some("moderate".into());
    }
    let policy = record.service.plugins.identity(Slot::SamplingPolicy);
    let (policy, policy_version) = (Some(policy.name.clone()), Some(policy.version.clone()));
    let reason = "base_rate".into();
    let sampling =
        SamplingRecord { probability: 0.05, rate: 20.0, reason, policy, policy_version, shadow: None };
    record.sampling = Some(sampling);
    record
}

/// The line of an event that is kept.
async fn one_kept(app: &App, trip: &mut Trip) -> anyhow::Result<Vec<u8>> {
    let mut listener = app.events.tail().listen();
    trip.event(app).finish(Outcome::Success);
    match tokio::time::timeout(PATIENCE, listener.next()).await {
        Ok(Some(Heard::Event(event))) => Ok(event.line().to_vec()),
        _ => anyhow::bail!("an event that is to be kept is not"),
    }
}

fn serialize(event: &Record) -> anyhow::Result<f64> {
    let mut json = Vec::with_capacity(8192);
    let began = processor_time();
    for _ in 0..EVENTS {
        json.clear();
        serde_json::to_writer(&mut json, black_box(event))?;
        black_box(&json);
    }
    Ok(each(began))
}

/// Opens and finishes events, and waits until all are where they are to be.
async fn through(app: &App, trips: &mut [Trip], kept: bool) -> anyhow::Result<f64> {
    let events = &app.events;
    let before = events.totals();
    let began = processor_time();
    for number in 0..EVENTS {
        trips[number % TRIPS].event(app).finish(Outcome::Success);
        if number % HANDFUL == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    events.drain(Instant::now() + PATIENCE).await;
    while events.sinks().values().any(|sink| sink.waiting > 0) {
        tokio::time::sleep(PAUSE).await;
    }
    let spent = each(began);
    let after = events.totals();
    let (received, written) = (after.received - before.received, after.kept - before.kept);
    let wanted = if kept { EVENTS as u64 } else { 0 };
    ensure!(
        received == EVENTS as u64 && written == wanted && after.lost_by_sink == 0,
        "of {received} events {written} were kept, instead of {wanted}"
    );
    Ok(spent)
}

/// Processor time for an event, of all threads: microseconds.
fn each(began: Duration) -> f64 {
    (processor_time() - began).as_secs_f64() * 1e6 / EVENTS as f64
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The paths of all values of an event.
fn fields(json: &[u8]) -> serde_json::Result<Vec<String>> {
    fn walk(path: &str, value: &serde_json::Value, paths: &mut Vec<String>) {
        match value.as_object() {
            Some(fields) => {
                fields.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value, paths));
            }
            None => paths.push(path.to_owned()),
        }
    }
    let mut paths = Vec::new();
    walk("", &serde_json::from_slice(json)?, &mut paths);
    Ok(paths)
}
