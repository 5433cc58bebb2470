//! The receiver in this process, with everything but its door, and what it
//! knows in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore, watch};

use crate::activation::Activations;
use crate::app::App;
use crate::config::Config;
use crate::events::sink::Sinks;
use crate::events::{Events, Outcome, UploadDetails};
use crate::finalize::finalize_stale;
use crate::http::Tokens;
use crate::identity::{IdentityKey, VehicleId};
use crate::ingest::{RawUpload, Received, receive};
use crate::metrics::Metrics;
use crate::plugin_host::PluginHost;
use crate::rate_limit::RateLimits;
use crate::store::tests::home::{Home, homes, let_days_pass};
use crate::store::{Page, TripFilter};
use crate::torque::Catalogue;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// What is known in the end: the trips, by the how-many-th device and session,
/// and the vehicles, by the device and the name of their profile.
pub(super) type Figures = (BTreeMap<(usize, String), Value>, BTreeMap<(usize, Option<String>), Value>);

/// Long after every drive: epoch milliseconds.
const LATER_MS: i64 = 1_800_000_000_000;

/// A receiver and its database.
pub(super) struct Receiver {
    app: Arc<App>,
    /// Kept as long as its store.
    _home: Home,
}

impl Receiver {
    pub(super) async fn on_each_engine() -> Vec<Self> {
        let mut receivers = Vec::new();
        for home in homes().await {
            let app = Arc::new(app(&home).await);
            receivers.push(Self { app, _home: home });
        }
        receivers
    }

    /// Receives these queries at one time, so that they are committed together.
    pub(super) async fn receive_together(&self, queries: Vec<String>) {
        let mut uploads = tokio::task::JoinSet::new();
        for query in queries {
            uploads.spawn(receive_one(self.app.clone(), query));
        }
        uploads.join_all().await;
    }

    /// Ends every trip, as if nothing was received for long enough.
    pub(super) async fn end_trips(&self) {
        finalize_stale(&self.app, &self.app.stopping.subscribe()).await.expect("the store answers");
        let status = self.app.store.status().await.expect("the store answers");
        assert_eq!((status.open_trips, status.failed_trips, status.quarantined), (0, 0, 0));
    }

    pub(super) async fn let_days_pass(&self, days: i64) {
        let_days_pass(&self.app.store, days).await;
    }

    /// What is known of these devices; without what may depend on the order:
    /// ids, and how often something came or was calculated.
    pub(super) async fn figures(&self, devices: &BTreeSet<String>) -> Figures {
        const MAY_DIFFER: [&str; 5] =
            ["trip_id", "vehicle_id", "last_received_ms", "duplicates", "finalization_number"];
        let (mut trips, mut vehicles) = (BTreeMap::new(), BTreeMap::new());
        for (number, vehicle, name) in self.vehicles(devices).await {
            let filter = TripFilter { vehicle_id: Some(vehicle.to_string()), ..TripFilter::default() };
            let page = Page { filter, behind: None, limit: 100 };
            for trip in self.app.store.trips(&page).await.expect("the store answers") {
                assert_eq!(trip.conflicting_readings, 0);
                assert_eq!(trip.profile_name, name, "a trip is of its session's car");
                let session = trip.session_id.clone();
                let mut trip = json!(trip);
                for name in MAY_DIFFER {
                    trip.as_object_mut().expect("a trip is an object").remove(name).expect("a known field");
                }
                trips.insert((number, session), trip);
            }
            let stats = self.app.store.vehicle_stats(&vehicle, LATER_MS).await.expect("the store answers");
            let twin = vehicles.insert((number, name), json!(stats.expect("a vehicle that was driven")));
            assert!(twin.is_none(), "a car is one vehicle");
        }
        (trips, vehicles)
    }

    /// The vehicles that each of these devices has been in. Which of them has
    /// its own id, and so which name that has, depends on what came first.
    async fn vehicles(&self, devices: &BTreeSet<String>) -> Vec<(usize, VehicleId, Option<String>)> {
        let all = self.app.store.vehicles("", 100).await.expect("the store answers");
        let names: BTreeSet<_> = all.iter().filter_map(|vehicle| vehicle.profile_name.clone()).collect();
        let mut found = Vec::new();
        for (number, device) in devices.iter().enumerate() {
            let phone = self.app.key.phone(device);
            let further = names.iter().map(|name| self.app.key.further_vehicle(&phone, name));
            let ids: Vec<_> = [phone.own_vehicle()].into_iter().chain(further).collect();
            for row in &all {
                if let Some(id) = ids.iter().find(|id| id.as_str() == row.vehicle_id) {
                    found.push((number, id.clone(), row.profile_name.clone()));
                }
            }
        }
        found
    }
}

async fn receive_one(app: Arc<App>, query: String) {
    let mut event = app.events.open(app.plugins.pin(), UploadDetails::default());
    let received = receive(&app, &mut event, RawUpload { query: query.as_bytes(), body: b"" }).await;
    assert!(matches!(received, Received::Kept), "{query}: {received:?}");
    event.finish(Outcome::Success);
}

/// As [`crate::app::start`] makes it, but for trips that end at once.
async fn app(home: &Home) -> App {
    let flags = ["volttracker", "--feature-weather", "false"];
    let config = Cli::try_parse_from(flags).expect("defaults are complete").config;
    let key = IdentityKey::new("a key of sixteen");
    let sinks = Sinks::memory(Arc::<Mutex<_>>::default());
    App {
        metrics: Metrics::default(),
        store: home.open().await,
        plugins: plugins().await,
        events: Events::start(&config, &key, sinks),
        catalogue: Catalogue::volt_gen2(),
        key,
        known_vehicles: moka::sync::Cache::new(100),
        tokens: Tokens::new(&config.http),
        rate_limits: RateLimits::new(&config.http),
        bodies: Semaphore::new(100),
        pages: Arc::new(Semaphore::new(100)),
        exports: Arc::new(Semaphore::new(1)),
        wishes: tokio::sync::mpsc::channel(1).0,
        admin_requests: Arc::new(Semaphore::new(1)),
        way_back: Arc::new(Semaphore::new(1)),
        imports: Arc::new(Semaphore::new(1)),
        data_dir: config.store.data_dir.clone(),
        listeners: Arc::new(Semaphore::new(1)),
        event_store: None,
        event_queries: Arc::new(Semaphore::new(1)),
        event_listeners: Arc::new(Semaphore::new(1)),
        plugin_uploads: Semaphore::new(1),
        activations: Activations::of(&config.plugins.plugin_dir),
        plugin_dir: config.plugins.plugin_dir.clone(),
        uploads: Arc::new(Semaphore::new(100)),
        stopping: watch::Sender::new(false),
        trip_timeout: Duration::ZERO,
        weather: None,
    }
}

/// The compiled components, made once: they are the same for all.
async fn plugins() -> PluginHost {
    static PLUGINS: OnceCell<PluginHost> = OnceCell::const_new();
    PLUGINS.get_or_init(|| crate::tests::plugin_host("")).await.clone()
}
