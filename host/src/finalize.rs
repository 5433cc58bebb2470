//! The story of a trip's end: claim → readings → calculate → weather → store → events.
//! No rule on trips lives here; the `trip-calculator` plugin holds them.

mod findings;
mod outlook;
mod telling;
mod wishes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::events::{
    Business, Code, Failure, FinalizationDetails, Outcome, Technical, Timing, VehicleContext, WideEvent,
};
use crate::plugin_host::{Calculation, Impact, PluginSet, Slot, SummarizeError, Trip, Trouble};
use crate::store::{Calculator, Claim, ClaimRequest, Closed, Closing, Retry, StoreError, TripData};
use crate::supervision::guarded;
use crate::weather::Missed;

pub use wishes::Wish;

/// How often ended trips are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long a claim holds: far more than a calculation may take.
const LEASE: Duration = Duration::from_secs(60);
/// How long the trips of one look may ask for weather, all of them together.
/// What is left of the lease is for calculating and storing.
const WEATHER_OF_A_LOOK: Duration = Duration::from_secs(30);
/// How long one trip may.
const WEATHER_OF_A_TRIP: Duration = Duration::from_secs(15);
/// Trips that one look claims.
const CLAIMS: i64 = 8;
/// Attempts before a trip waits for another calculator.
const ATTEMPTS: i64 = 5;
/// Pause after the first failed attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Readings of the largest trip that is summarized, one a second for a day:
/// what a trip costs in memory is bounded here.
const LARGEST_TRIP: i64 = 86_400;

/// Finalizes ended trips, and recalculates those that are wished for, until
/// `stop` says so.
pub async fn run(app: Arc<App>, wishes: mpsc::Receiver<Wish>, stop: watch::Receiver<bool>) {
    tokio::join!(finalize_ended(app.clone(), stop.clone()), wishes::fulfil(app, wishes, stop));
}

async fn finalize_ended(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        // A panic is logged there; the next look tries again.
        if let Ok(Err(error)) = guarded("the finalizer", finalize_stale(&app, &stop)).await {
            tracing::warn!(%error, "ended trips could not be looked for; trying again");
        }
        if let Err(error) = sweep(&app, &stop).await {
            tracing::warn!(%error, "readings of deleted trips could not be deleted; trying again");
        }
    }
}

/// Deletes what deleted trips left, a portion at a time.
async fn sweep(app: &App, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    while !*stop.borrow() && app.store.sweep_deleted().await? {}
    Ok(())
}

/// Finalizes all trips that ended, one after the other.
pub(crate) async fn finalize_stale(app: &Arc<App>, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    while !*stop.borrow() {
        let now_ms = Timestamp::now().as_millisecond();
        // All trips of one look use one plugin set.
        let plugins = app.plugins.pin();
        let calculator = calculator_digest(&plugins);
        if !app.store.has_stale(now_ms, app.trip_timeout, &calculator).await? {
            return Ok(());
        }
        let owner = app.events.instance_id().to_string();
        let request = ClaimRequest {
            owner: &owner,
            now_ms,
            timeout: app.trip_timeout,
            lease: LEASE,
            calculator_digest: &calculator,
            limit: CLAIMS,
        };
        let weather_by = Instant::now() + WEATHER_OF_A_LOOK;
        let claims = app.store.claim_stale(request).await?;
        if claims.is_empty() {
            return Ok(());
        }
        for claim in claims {
            if *stop.borrow() {
                // What is left is claimed again after the next start.
                return Ok(());
            }
            // A task of its own: a panic ends this trip's attempt only. When a
            // stop does not wait for it any more, it ends with the set.
            let mut finalization = JoinSet::new();
            finalization.spawn(finalize(app.clone(), claim, plugins.clone(), weather_by));
            if let Some(Err(error)) = finalization.join_next().await {
                tracing::error!(%error, "a finalization ended badly; its claim runs out");
            }
        }
    }
    Ok(())
}

/// What a trip that was given up waits for a change of: the calculator, or its
/// settings.
fn calculator_digest(plugins: &PluginSet) -> String {
    let identity = plugins.identity(Slot::TripCalculator);
    format!("{} {}", identity.digest, identity.settings_digest)
}

/// Finalizes one claimed trip and tells about it.
async fn finalize(app: Arc<App>, claim: Claim, plugins: Arc<PluginSet>, weather_by: Instant) {
    let mut event = app.events.open(plugins, FinalizationDetails::default());
    let outcome = match end(&app, &claim, &mut event, weather_by).await {
        Ok(()) => Outcome::Success,
        Err(failure) => unsuccessful(failure),
    };
    event.finish(outcome);
}

fn unsuccessful(failure: Failure) -> Outcome {
    match failure.code {
        Code::E204 | Code::E205 | Code::E400 | Code::E402 | Code::E403 => Outcome::Rejected(failure),
        _ => Outcome::Failure(failure),
    }
}

/// Brings a claimed trip to its end, or gives it back.
async fn end(
    app: &App,
    claim: &Claim,
    event: &mut WideEvent<FinalizationDetails>,
    weather_by: Instant,
) -> Result<(), Failure> {
    event.details.trip_id.clone_from(&claim.trip_id);
    event.details.session_id.clone_from(&claim.session_id);
    event.details.vehicle_id = claim.vehicle.to_string();
    event.details.attempt = Some(claim.attempt);
    event.trace_id = claim.session_id.parse().ok();
    let hopeless = hopeless(claim);
    let gives_up = hopeless.is_some();
    let ended = match hopeless {
        Some(failure) => Err(failure),
        None => attempt(app, claim, event, weather_by).await,
    };
    if let Err(failure) = &ended {
        add_vehicle(app, claim, event).await;
        give_back(app, claim, event, failure, gives_up).await;
    }
    ended
}

/// Why nothing of a trip is even loaded. The calculator is not to blame, but
/// only another one is worth a try.
fn hopeless(claim: &Claim) -> Option<Failure> {
    if claim.readings > LARGEST_TRIP {
        let message =
            format!("the trip has {} readings: more than {LARGEST_TRIP} are not summarized", claim.readings);
        return Some(Failure::new(Code::E501, message));
    }
    let message = "no attempt came to an end: each went with its process, or took too long";
    (claim.attempt > ATTEMPTS).then(|| Failure::new(Code::E500, message))
}

async fn attempt(
    app: &App,
    claim: &Claim,
    event: &mut WideEvent<FinalizationDetails>,
    weather_by: Instant,
) -> Result<(), Failure> {
    let now_ms = Timestamp::now().as_millisecond();
    let begun = app.store.begin_attempt(claim, now_ms, LEASE).await.map_err(|error| Failure::from(&error))?;
    if !begun {
        return Err(not_ours());
    }
    let started = Instant::now();
    let data = app.store.trip_data(claim).await.map_err(|error| Failure::from(&error))?;
    event.timings.add_since(Timing::DB_QUERY_TELEMETRY, started);
    let asked = Instant::now();
    let calculation = calculate(claim, event, &data).await?;
    let weather = weather(app, event, &data, weather_by).await;
    let identity = event.plugins().identity(Slot::TripCalculator).clone();
    let charges = findings::charges(&data.readings, &calculation.charging);
    let fills = findings::fills(&data.readings, &calculation);
    let route = outlook::route(app, claim, event, &data).await?;
    let closing = Closing {
        now_ms: Timestamp::now().as_millisecond(),
        data: &data,
        summary: &calculation.summary,
        charging: &charges,
        fills: &fills,
        route: route.as_ref(),
        cost: calculation.cost.as_ref(),
        weather: weather.as_ref(),
        calculator: Calculator { name: &identity.name, version: &identity.version, digest: &identity.digest },
    };
    let started = Instant::now();
    let closed = app.store.close_trip(claim, &closing).await.map_err(|error| Failure::from(&error))?;
    event.timings.add_since(Timing::CONTEXT_ENRICHMENT, started);
    match closed {
        Closed::Done { finalization_number, vehicle, battery_health, charging, route } => {
            app.known_vehicles.insert(claim.vehicle.clone(), vehicle);
            event.details.finalization_number = Some(finalization_number);
            event.vehicle =
                Some(VehicleContext { stats: Some(vehicle), battery_health, ..VehicleContext::default() });
            telling::describe(event, &data, &calculation);
            telling::describe_weather(event, weather);
            telling::describe_route(event, route);
            outlook::predict_range(app, event, &data.readings).await;
            for (charge, change) in charges.iter().zip(charging) {
                telling::tell_of_charging(app, event, &data.readings, charge, (change, asked));
            }
            Ok(())
        }
        Closed::Outdated => {
            Err(Failure::new(Code::E205, "the trip goes on: something was received meanwhile"))
        }
        Closed::NotOurs => Err(not_ours()),
    }
}

fn not_ours() -> Failure {
    Failure::new(Code::E204, "another host holds the trip's claim")
}

/// Asks the calculator, and the one beside it, for which nobody waits.
async fn calculate(
    claim: &Claim,
    event: &mut WideEvent<FinalizationDetails>,
    data: &TripData,
) -> Result<Calculation, Failure> {
    let trip = Trip {
        start_time_ms: data.start_time_ms,
        start_odometer_miles: data.start_odometer_miles,
        start_soc: data.start_soc,
        previous_fuel_level_percent: data.previous_fuel_level_percent,
    };
    let readings = &data.readings;
    event.business.set(Business::TELEMETRY_POINTS, readings.times_ms.len());
    let started = Instant::now();
    let plugins = event.plugins().clone();
    let (trip_id, at_ms) = (&claim.trip_id, event.began_ms());
    let result = plugins.calculate(trip_id, trip, readings.clone(), at_ms).await;
    event.timings.add_since(Timing::TRIP_CALCULATOR, started);
    let served = result.as_ref().ok().map(|calculation| &calculation.summary);
    event.shadow_trip = plugins.shadow_summarize(trip_id, trip, readings.clone(), at_ms, served);
    let stages = match &result {
        Ok(calculation) => &calculation.stages,
        Err(SummarizeError::Failed { stages, .. } | SummarizeError::Plugin { stages, .. }) => stages,
    };
    for (stage, ms) in stages {
        event.timings.add_stage(stage, *ms);
    }
    result.map_err(|error| Failure::from(&Trouble::from(&error)))
}

/// The weather along the trip, where it is wanted and can be had by then.
async fn weather(
    app: &App,
    event: &mut WideEvent<FinalizationDetails>,
    data: &TripData,
    by: Instant,
) -> Option<Impact> {
    let weather = app.weather.as_ref()?;
    let started = Instant::now();
    let by = by.min(started + WEATHER_OF_A_TRIP);
    let open = |details| {
        let mut asked = app.events.open(event.plugins().clone(), details);
        asked.trace_id = event.trace_id;
        asked.parent_request_id = Some(event.request_id);
        asked
    };
    let found = weather.along(&data.readings, by, app.stopping.subscribe(), open).await;
    let impact = found.impact(event.plugins(), event.began_ms()).await;
    event.timings.add_since(Timing::FETCH_WEATHER, started);
    event.technical.set(Technical::WEATHER_POINTS, found.points);
    event.technical.set(Technical::WEATHER_REQUESTS, found.requests);
    event.technical.set_some(Technical::WEATHER_MISSED, found.missed.map(Missed::as_str));
    impact.unwrap_or_else(|error| {
        // The trip's figures are there: it is closed without this one.
        event.note(Failure::from(&error));
        None
    })
}

impl From<&Trouble> for Failure {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Calculation { stage, message } => {
                let code = if stage == "process_gas_mode" { Code::E404 } else { Code::E405 };
                let failure = Failure::new(code, format!("the calculator failed in the stage {stage}"));
                failure.caused_by("trip-calculator", message)
            }
            Trouble::Plugin(error) => Failure::from(error),
        }
    }
}

/// Adds the vehicle as it was before, for a finalization that failed.
async fn add_vehicle(app: &App, claim: &Claim, event: &mut WideEvent<FinalizationDetails>) {
    let (stats, stale) = match app.store.vehicle_stats(&claim.vehicle, event.began_ms()).await {
        Ok(stats) => (stats, false),
        Err(_) => (app.known_vehicles.get(&claim.vehicle), true),
    };
    if let Some(stats) = stats {
        event.vehicle = Some(VehicleContext { stats: Some(stats), stale, ..VehicleContext::default() });
    }
}

/// Gives the trip back: for another try after a pause, or for another
/// calculator.
async fn give_back(
    app: &App,
    claim: &Claim,
    event: &mut WideEvent<FinalizationDetails>,
    failure: &Failure,
    gives_up: bool,
) {
    let calculator = calculator_digest(event.plugins());
    let retry = match failure.code {
        Code::E204 => return,
        Code::E205 => Retry::GoesOn,
        _ if gives_up => Retry::WithAnotherCalculator(&calculator),
        code if !by_calculator(code) => Retry::Uncounted(after_pause(claim.setbacks)),
        _ if claim.attempt >= ATTEMPTS => Retry::WithAnotherCalculator(&calculator),
        _ => Retry::At(after_pause(claim.attempt - 1)),
    };
    event.technical.set(Technical::GAVE_UP, matches!(retry, Retry::WithAnotherCalculator(_)));
    if let Err(error) = app.store.fail_attempt(claim, retry).await {
        // The claim runs out by itself, and the trip is tried again.
        event.note(Failure::from(&error));
    }
}

/// When the pause after that many failures before the last is over: epoch
/// milliseconds.
fn after_pause(failures: i64) -> i64 {
    let doublings = u32::try_from(failures).unwrap_or_default().min(8);
    let pause_ms = i64::try_from((FIRST_PAUSE * 2u32.pow(doublings)).as_millis()).unwrap_or(i64::MAX);
    Timestamp::now().as_millisecond() + pause_ms
}

/// Whether the calculator is to blame.
fn by_calculator(code: Code) -> bool {
    use Code::{E404, E405, E410, E411, E412, E413, E414};
    matches!(code, E404 | E405 | E410 | E411 | E412 | E413 | E414)
}
