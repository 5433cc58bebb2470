//! What the process owns, its start and its graceful stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::activation::{self, Activations, Report, Started};
use crate::config::{Config, HttpConfig, SinkName};
use crate::events::sink::{self, Sinks};
use crate::events::{Drained, Events, Outcome, ServiceStartDetails, ServiceStopDetails};
use crate::finalize::Wish;
use crate::http::{self, Tokens};
use crate::identity::{IdentityKey, VehicleId};
use crate::metrics::Metrics;
use crate::plugin_host::{Compiling, PluginHost, VehicleStats};
use crate::rate_limit::RateLimits;
use crate::run_marker::RunMarker;
use crate::store::{EventStore, Layout, Store};
use crate::torque::Catalogue;
use crate::weather::Weather;

/// How long a stop may take: a service manager kills after ten seconds at the
/// earliest.
const STOP: Duration = Duration::from_secs(8);
/// How much of it requests and finalizations under way may take,
const LAST_REQUESTS: Duration = Duration::from_secs(3);
/// how much what they gave to the store, and
const LAST_COMMITS: Duration = Duration::from_secs(2);
/// how much their answers, and what is done for clients that are gone. What
/// is left is for the events.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long a sink that takes nothing is waited for at most, and
const LAST_EVENTS: Duration = Duration::from_secs(3);
/// how long each is waited for in any case.
const LAST_WRITES: Duration = Duration::from_millis(700);
/// What is committed is kept without it.
const LAST_CHECKPOINT: Duration = Duration::from_millis(300);
/// Uploads under way at one time; further ones are told to come back.
pub const UPLOADS: u32 = 2048;
/// Bodies that arrive at one time: slow ones leave the other half of the
/// uploads to those that need none, as the app's.
const BODIES: usize = UPLOADS as usize / 2;
/// Pages of trips that are made, or taken by their readers, at one time: the
/// largest takes a few megabytes while it is made.
const PAGES: usize = 16;
/// Answers with a trip's readings that are under way at one time: each holds a
/// page of readings, and a connection of the store while it reads one.
const EXPORTS: usize = 4;
/// Wishes for a recalculation that wait: one takes as long as a finalization.
const WISHES: usize = 8;
/// Admin requests under way at one time, waiting ones included: each may hold a
/// component, and have one compiled.
const ADMIN_REQUESTS: usize = 4;
/// Imports under way at one time: each has a file in DATA_DIR, a thread, and a
/// handful of readings with the writer.
const IMPORTS: u32 = 2;
/// Readers who follow running trips at one time.
const LISTENERS: usize = 32;
/// Questions about events at one time: two of them have a connection each, and
/// an answer takes up to 8 MB until it is taken.
const EVENT_QUERIES: usize = 8;
/// Readers who follow events as they come at one time.
const EVENT_LISTENERS: usize = 8;
/// Vehicles whose last known figures are remembered.
const KNOWN_VEHICLES: u64 = 10_000;

/// What the process owns.
pub struct App {
    /// Everything that is kept.
    pub store: Store,
    /// The business rules.
    pub plugins: PluginHost,
    /// Where events are opened.
    pub events: Events,
    /// Kept events, for queries, where there is a store of them.
    pub event_store: Option<Arc<EventStore>>,
    /// A place for each question about events.
    pub event_queries: Arc<Semaphore>,
    /// A place for each reader who follows events as they come.
    pub event_listeners: Arc<Semaphore>,
    /// The meaning of PIDs.
    pub catalogue: &'static Catalogue,
    /// The key of all hashes.
    pub key: IdentityKey,
    /// Vehicles' last known figures, for events of uploads that the store failed.
    pub known_vehicles: moka::sync::Cache<VehicleId, VehicleStats>,
    /// Who may upload and read.
    pub tokens: Tokens,
    /// How often they may.
    pub rate_limits: RateLimits,
    /// What is counted, for those who watch over many processes.
    pub metrics: Metrics,
    /// A place for each upload under way.
    pub uploads: Arc<Semaphore>,
    /// A place for each of their bodies that arrives.
    pub bodies: Semaphore,
    /// A place for each page under way to a reader.
    pub pages: Arc<Semaphore>,
    /// A place for each answer that is as long as its trip.
    pub exports: Arc<Semaphore>,
    /// Trips that somebody wants to be calculated again.
    pub wishes: mpsc::Sender<Wish>,
    /// A place for each admin request under way.
    pub admin_requests: Arc<Semaphore>,
    /// A place for a rollback where those are taken.
    pub way_back: Arc<Semaphore>,
    /// A place for each import under way.
    pub imports: Arc<Semaphore>,
    /// The folder of everything that this process keeps.
    pub data_dir: PathBuf,
    /// A place for each reader who follows running trips.
    pub listeners: Arc<Semaphore>,
    /// A place for the plugin that is being uploaded.
    pub plugin_uploads: Semaphore,
    /// Whether the process is stopping.
    pub stopping: watch::Sender<bool>,
    /// What the story of activations needs.
    pub activations: Activations,
    /// The folder of components and `plugins.toml`.
    pub plugin_dir: PathBuf,
    /// A trip ends when nothing was received for it for this long.
    pub trip_timeout: Duration,
    /// Where the weather along a trip comes from, if it is wanted.
    pub weather: Option<Weather>,
}

impl App {
    /// Waits until the process stops.
    pub async fn stopped(&self) {
        // The sender is this one's own.
        self.stopping.subscribe().wait_for(|stopping| *stopping).await.ok();
    }

    /// Waits for `work`, but not any longer once the process stops.
    pub async fn until_stop<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            done = work => Some(done),
        }
    }
}

/// Runs the receiver until `stop` resolves with the reason; returns when
/// everything acknowledged is durable and every event is written.
pub async fn serve(config: Config, stop: impl Future<Output = &'static str>) -> anyhow::Result<()> {
    let started = Instant::now();
    // Handled from the beginning: by default it would end the process.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let mut marker = RunMarker::take(&config.store.data_dir)?;
    let sinks = Sinks::start(&config)?;
    let compiling = Compiling::Apart(config.plugins.compile_limits);
    let mut stop = std::pin::pin!(stop);
    let Some((app, swaps, wishes)) = start(&config, compiling, sinks, &mut stop).await? else {
        // The process before it is still the last one that served.
        return Ok(());
    };
    if let Some(dead) = marker.previous_instance() {
        app.store
            .release_claims(dead)
            .await
            .context("the claims of the process before cannot be released")?;
    }
    let listener = http::listen(config.http.bind_addr)
        .with_context(|| format!("BIND_ADDR {} cannot be listened on", config.http.bind_addr))?;
    let address = listener.local_addr().context("the listening address is not known")?;

    let details = ServiceStartDetails {
        bind_addr: address.to_string(),
        database: app.store.engine().as_str(),
        pid_catalogue: app.catalogue.name().to_owned(),
        previous_shutdown: marker.previous_shutdown(),
    };
    app.events.open(app.plugins.pin(), details).finish(Outcome::Success);
    activation::tell(&app, swaps);
    tracing::info!("listening on http://{address}");

    marker.begin(app.events.instance_id())?;
    let finalizer = tokio::spawn(crate::finalize::run(app.clone(), wishes, app.stopping.subscribe()));
    let activations = tokio::spawn(activation::run(app.clone(), hangup));
    let server = http::serve(app.clone(), listener);
    let reason = stop.await;
    tracing::info!(reason, "stopping");

    let by = Instant::now() + STOP;
    stop_receiving(&app, server, finalizer, activations).await;
    stop_events(&app, reason, started, by).await;
    marker.clear()
}

/// Everything but the door: store, plugins, events; what became of the plugins
/// that were found; and the wishes that the finalizer is to fulfil. Nothing where
/// `stop` comes while plugins are checked.
pub async fn start(
    config: &Config,
    compiling: Compiling,
    mut sinks: Sinks,
    stop: impl Future<Output = &'static str>,
) -> anyhow::Result<Option<(Arc<App>, Vec<Report>, mpsc::Receiver<Wish>)>> {
    let catalogue = catalogue(&config.http)?;
    let weather = config.features.feature_weather.then(|| Weather::new(&config.weather)).transpose()?;
    let store = Store::open(&config.store, &config.trips, layout_of(catalogue)).await?;
    let key = store.identity_key(&config.store).await?;
    let event_store = start_event_store(config, &mut sinks).await?;
    let plugin_dir = config.plugins.plugin_dir.clone();
    let started = activation::start(compiling, &plugin_dir, &config.store.data_dir, &store, stop).await?;
    let Some(Started { plugins, activations, reports }) = started else {
        store.close(LAST_COMMITS).await;
        return Ok(None);
    };
    let (wishes, wished) = mpsc::channel(WISHES);
    let app = Arc::new(App {
        events: Events::start(config, &key, sinks),
        event_store,
        event_queries: Arc::new(Semaphore::new(EVENT_QUERIES)),
        event_listeners: Arc::new(Semaphore::new(EVENT_LISTENERS)),
        plugins,
        store,
        catalogue,
        key,
        known_vehicles: moka::sync::Cache::new(KNOWN_VEHICLES),
        tokens: Tokens::new(&config.http),
        rate_limits: RateLimits::new(&config.http),
        metrics: Metrics::default(),
        uploads: Arc::new(Semaphore::new(UPLOADS as usize)),
        bodies: Semaphore::new(BODIES),
        pages: Arc::new(Semaphore::new(PAGES)),
        exports: Arc::new(Semaphore::new(EXPORTS)),
        wishes,
        admin_requests: Arc::new(Semaphore::new(ADMIN_REQUESTS)),
        way_back: Arc::new(Semaphore::new(1)),
        imports: Arc::new(Semaphore::new(IMPORTS as usize)),
        data_dir: config.store.data_dir.clone(),
        listeners: Arc::new(Semaphore::new(LISTENERS)),
        plugin_uploads: Semaphore::new(1),
        stopping: watch::Sender::new(false),
        activations,
        plugin_dir,
        trip_timeout: config.trips.timeout(),
        weather,
    });
    Ok(Some((app, reports, wished)))
}

/// Opens the store of events, if there is to be one, and fills it.
async fn start_event_store(config: &Config, sinks: &mut Sinks) -> anyhow::Result<Option<Arc<EventStore>>> {
    let Some(consumer) = sinks.add(SinkName::Store, &config.events) else { return Ok(None) };
    let store = Arc::new(EventStore::open(&config.store, &config.event_store).await?);
    sink::store::start(consumer, store.clone());
    Ok(Some(store))
}

/// Ends everything that still has an event to finish.
async fn stop_receiving(
    app: &App,
    server: http::Server,
    mut finalizer: JoinHandle<()>,
    mut activations: JoinHandle<()>,
) {
    app.stopping.send_replace(true);
    let finalized = tokio::time::timeout(LAST_REQUESTS, &mut finalizer);
    let activated = tokio::time::timeout(LAST_REQUESTS, &mut activations);
    let (finalized, activated, connections) = tokio::join!(finalized, activated, server.stop(LAST_REQUESTS));
    match finalized {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the finalizer ended badly"),
        Err(_) => {
            tracing::warn!("a finalization did not finish in time; its trip is claimed again");
            finalizer.abort();
        }
    }
    match activated {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the watch over the plugins ended badly"),
        Err(_) => {
            tracing::warn!("the watch over the plugins did not end in time");
            activations.abort();
        }
    }
    app.store.close(LAST_COMMITS).await;
    connections.end(LAST_ANSWERS).await;
    // What nobody waits for any more still has an event to finish.
    let all = async { tokio::join!(app.uploads.acquire_many(UPLOADS), app.imports.acquire_many(IMPORTS)) };
    if tokio::time::timeout(LAST_ANSWERS, all).await.is_err() {
        tracing::warn!("some uploads did not finish in time");
    }
}

async fn stop_events(app: &App, reason: &str, started: Instant, by: Instant) {
    if app.events.drain(by).await == Drained::TimedOut {
        tracing::warn!("the event tasks did not finish in time; the last events may be missing");
    }
    let now = Instant::now();
    app.events.flush(by.min(now + LAST_EVENTS).max(now + LAST_WRITES)).await;
    let totals = app.events.totals();
    let details = ServiceStopDetails {
        stop_reason: reason.to_owned(),
        uptime_seconds: started.elapsed().as_secs_f64(),
        events_received: totals.received,
        events_kept: totals.kept,
        events_sampled_out: totals.sampled_out,
        events_lost_by_sink: totals.lost_by_sink,
        sinks: app.events.sinks(),
    };
    // It goes straight to the sinks, behind all others.
    app.events.open(app.plugins.pin(), details).finish(Outcome::Success);
    app.events.close(Instant::now() + LAST_WRITES).await;
    if let Some(store) = &app.event_store {
        store.close(LAST_CHECKPOINT).await;
    }
}

/// Readings have the fields of the catalogue.
fn layout_of(catalogue: &Catalogue) -> Layout {
    Layout::new(catalogue.fields().iter().map(|field| field.name))
}

fn catalogue(config: &HttpConfig) -> anyhow::Result<&'static Catalogue> {
    match config.pid_catalogue.as_deref() {
        None | Some("volt-gen2") => Ok(Catalogue::volt_gen2()),
        Some("volttracker-legacy") => Ok(Catalogue::legacy()),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("PID_CATALOGUE {path} cannot be read"))?;
            let catalogue =
                Catalogue::from_toml(&text).with_context(|| format!("PID_CATALOGUE {path} is unfit"))?;
            // Loaded once, used until the process ends.
            Ok(Box::leak(Box::new(catalogue)))
        }
    }
}
