//! Fresh databases for the tests, one of each engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use super::model::layout;
use crate::config::{EventStoreConfig, StoreConfig, TripConfig};
use crate::store::{Engine, EventStore, Layout, Store};

/// A closed trip takes readings for that many days.
pub(super) const LATE_DAYS: i64 = 30;

/// A fresh database, which may be opened again and again.
pub(crate) struct Home {
    pub(crate) engine: Engine,
    url: String,
    dir: TempDir,
}

/// One fresh database of each engine.
pub(crate) async fn homes() -> Vec<Home> {
    let mut homes = vec![sqlite()];
    homes.extend(postgres().await);
    homes
}

/// A fresh SQLite file.
pub(crate) fn sqlite() -> Home {
    sqlx::any::install_default_drivers();
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("volttracker.db").display());
    Home { engine: Engine::Sqlite, url, dir }
}

/// A fresh database on PostgreSQL, where there is one.
pub(crate) async fn postgres() -> Option<Home> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    sqlx::any::install_default_drivers();
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("CI").is_none(), "CI tests PostgreSQL too: use tests/with-postgres.sh");
        eprintln!("SKIPPED: PostgreSQL (use tests/with-postgres.sh)");
        return None;
    };
    let name = format!("store_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut server = AnyConnection::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
    let (server, options) = url.split_once('?').unwrap_or((&url, ""));
    let (server, _) = server.rsplit_once('/').unwrap();
    let url = format!("{server}/{name}?{options}");
    Some(Home { engine: Engine::Postgres, url, dir: tempfile::tempdir().unwrap() })
}

impl Home {
    /// Opens the store, as a host does when it starts.
    pub(crate) async fn open(&self) -> Store {
        self.open_with(layout()).await
    }

    /// Opens the store, as a host with another PID catalogue does.
    pub(crate) async fn open_with(&self, layout: Layout) -> Store {
        let store = self.config();
        let late_reading_days = LATE_DAYS.unsigned_abs();
        let trips = TripConfig { trip_timeout_seconds: 120, late_reading_days };
        Store::open(&store, &trips, layout).await.unwrap()
    }

    /// Opens the store of events, to keep them so many days and megabytes.
    pub(crate) async fn open_events(&self, (days, mb): (u64, u64)) -> EventStore {
        let limits = EventStoreConfig { event_store_max_age_days: days, event_store_max_mb: mb };
        EventStore::open(&self.config(), &limits).await.unwrap()
    }

    /// The database of events as it was before a migration.
    pub(crate) async fn events_before(&self, version: i64) -> AnyPool {
        let url = match self.engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", self.dir.path().join("events.db").display()),
            Engine::Postgres => self.url.clone(),
        };
        let database = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let mut older = sqlx::migrate!("migrations/events");
        older.migrations.to_mut().retain(|migration| migration.version < version);
        older.dangerous_set_table_name("_event_migrations").run(&database).await.unwrap();
        database
    }

    /// A stranger's connection to the file of events.
    pub(crate) async fn event_stranger(&self) -> AnyPool {
        let url = format!("sqlite://{}", self.dir.path().join("events.db").display());
        AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap()
    }

    /// How large the file of events is, where there is one.
    pub(crate) fn event_file_bytes(&self) -> Option<u64> {
        std::fs::metadata(self.dir.path().join("events.db")).ok().map(|file| file.len())
    }

    fn config(&self) -> StoreConfig {
        let database_url = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(self.url.parse().unwrap()),
        };
        StoreConfig { data_dir: self.dir.path().to_owned(), database_url, id_key: None }
    }

    /// A stranger's connection to the same database.
    pub(crate) async fn stranger(&self) -> AnyPool {
        let options = AnyPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(20));
        options.connect(&self.url).await.unwrap()
    }

    /// Comes back when so many wait for a lock on PostgreSQL.
    pub(crate) async fn until_waiting(&self, wanted: i64) {
        let server = self.stranger().await;
        let by = Instant::now() + Duration::from_secs(20);
        while waiting(&server).await < wanted {
            assert!(Instant::now() < by, "nobody waits for a lock");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// How many wait for a lock in a database on PostgreSQL.
pub(crate) async fn waiting(server: &AnyPool) -> i64 {
    let text = "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(text).fetch_one(server).await.unwrap()
}

/// One number that a query gives.
pub(super) async fn number(store: &Store, text: &'static str) -> i64 {
    sqlx::query_scalar(text).fetch_one(&store.pool).await.unwrap()
}

/// Moves what a store knows that many days into the past, as if they passed.
pub(crate) async fn let_days_pass(store: &Store, days: i64) {
    let ms = days * super::model::DAY_MS;
    let text = "UPDATE trips SET closed_ms = closed_ms - $1, last_received_ms = last_received_ms - $2";
    let mut transaction = store.writes.begin().await.unwrap();
    sqlx::query(text).bind(ms).bind(ms).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}
