//! Events that are kept for queries: with SQLite in a file of their own, so
//! that no upload waits for them; with PostgreSQL in the same database. They
//! are worth less than readings: a commit need not be durable at once.

mod columns;
mod figures;
mod narrowing;
mod reading;
mod retention;
mod row;
#[cfg(test)]
mod tests;
mod writing;

use std::time::Duration;

use anyhow::Context as _;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyPool, Executor as _};

use super::StoreError;
use super::open::{Durability, Engine, PATIENCE, engine_of, migrate, pool_options, sqlite_url};
use crate::config::{EventStoreConfig, Secret, StoreConfig};
use crate::query::QueryError;

use writing::{Numbers, Services};

pub use reading::Found;

/// Connections that answer queries: two leave processors for uploads.
const READERS: u32 = 2;
/// Pages that the connection that writes to SQLite keeps in memory: 8 MB,
const WRITER_CACHE_PAGES: u32 = 2_000;
/// and each of those that read: 16 MB.
const READER_CACHE_PAGES: u32 = 4_000;

/// Kept events.
pub struct EventStore {
    engine: Engine,
    reads: AnyPool,
    writes: AnyPool,
    numbers: Numbers,
    services: Services,
    longest: Duration,
    most_bytes: i64,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It asks for too much.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AskError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl EventStore {
    /// Opens it and brings its schema up to date.
    pub async fn open(store: &StoreConfig, events: &EventStoreConfig) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let given = store.database_url.as_ref().map(Secret::expose);
        let url = match given {
            Some(url) if engine_of(url)? == Engine::Postgres => url.to_owned(),
            _ => sqlite_url(&store.data_dir, "events.db")?,
        };
        let engine = engine_of(&url)?;
        let options: AnyConnectOptions = url.parse().context("DATABASE_URL is not a URL")?;
        let pool = |connections, cache_pages| {
            pool_options(engine, Durability::Soon, connections, cache_pages).connect_with(options.clone())
        };
        let unfit = match engine {
            Engine::Sqlite => {
                "the store of events cannot be opened: check DATA_DIR and its permissions; events.db there can be \
                 removed where it is damaged"
            }
            Engine::Postgres => {
                "the store of events cannot be opened: check DATABASE_URL, and that the server runs"
            }
        };
        let writes = pool(1, WRITER_CACHE_PAGES).await.context(unfit)?;
        let mut migrations = sqlx::migrate!("migrations/events");
        // On PostgreSQL it stands beside that of everything else.
        migrations.dangerous_set_table_name("_event_migrations");
        migrate(engine, &writes, &migrations).await.context(unfit)?;
        if engine == Engine::Postgres {
            // Events of usual size stay as they are in their rows: taking them
            // apart is most of what a query costs.
            writes.execute("ALTER TABLE event_bodies SET (toast_tuple_target = 8160)").await?;
        }
        let reads = pool(READERS, READER_CACHE_PAGES).await.context(unfit)?;
        Ok(Self {
            engine,
            reads,
            writes,
            numbers: Numbers::default(),
            services: Services::default(),
            longest: Duration::from_secs(events.event_store_max_age_days * 86_400),
            most_bytes: i64::try_from(events.event_store_max_mb << 20).unwrap_or(i64::MAX),
        })
    }

    /// Closes it, for at most that long.
    pub async fn close(&self, patience: Duration) {
        let pools = async { tokio::join!(self.writes.close(), self.reads.close()) };
        if tokio::time::timeout(patience, pools).await.is_err() {
            tracing::warn!("the store of events could not be closed in time");
        }
    }
}

/// No question takes longer.
async fn in_time<T, E: From<StoreError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let timed_out = |_| Err(StoreError::TimedOut(PATIENCE).into());
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(timed_out)
}
