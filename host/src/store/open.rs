//! Opening the database: engine, pools, migrations.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor, Transaction};

use super::batch::UploadBatch;
use super::group_commit::{GroupCommit, WriterLoad};
use super::last_answers::LastAnswers;
use super::layout::{Layout, Layouts};
use super::record::{Put, Record};
use super::{StoreError, batch};
use crate::config::{StoreConfig, TripConfig};
use crate::identity::IdentityKey;

/// How long a statement may wait for another process's lock on SQLite.
const SQLITE_BUSY_MS: u32 = 2_000;
/// Pages of SQLite's log after which they are copied into the file: 16 MB.
const CHECKPOINT_PAGES: u32 = 4_000;
/// Pages that the connection that writes to SQLite keeps in memory: 16 MB,
const WRITER_CACHE_PAGES: u32 = 4_000;
/// and each of those that read: 2 MB.
const READER_CACHE_PAGES: u32 = 500;
/// A lock taken at the start cannot fail half-way. SQLite opens a file that it
/// may not write for reading only, keeps to that when it may, and begins all
/// the same: a write that changes nothing tells.
const BEGIN_ON_SQLITE: &str = "BEGIN IMMEDIATE; DELETE FROM installation WHERE FALSE";
/// Connections that read,
const READERS: u32 = 8;
/// and those that write to PostgreSQL: uploads, ends of trips, activations, and
/// one for who asks whether it can be written.
const WRITERS: u32 = 4;
/// How long a batch, a query or a wait for a connection may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file, for one host.
    Sqlite,
    /// A server, for several.
    Postgres,
}

impl Engine {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// What makes a failing statement of a batch fail at once. The transaction
    /// is rolled back then, so SQLite need not copy each page beforehand to
    /// undo the statement alone; PostgreSQL has no such choice.
    pub(super) fn or_fail(self) -> &'static str {
        match self {
            Self::Sqlite => "OR FAIL",
            Self::Postgres => "",
        }
    }

    /// How a statement of a write transaction locks the trips it finds, in one
    /// order for all hosts. SQLite has one writer at a time, and nothing to lock.
    pub(super) fn lock_trips(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "ORDER BY trips.phone_id, session_id FOR UPDATE OF trips",
        }
    }
}

/// The database and its writer.
pub struct Store {
    engine: Engine,
    /// For reads.
    pub(super) pool: AnyPool,
    /// For writes, so that no read keeps them waiting. SQLite has one writer at a
    /// time: a pool of one connection hands it out first come, first served.
    pub(super) writes: WritePool,
    pub(super) answers: LastAnswers,
    pub(super) layouts: Arc<Layouts>,
    uploads: GroupCommit<UploadBatch>,
}

/// Connections that write.
#[derive(Clone)]
pub(super) struct WritePool {
    engine: Engine,
    pub(super) pool: AnyPool,
}

impl WritePool {
    pub(super) fn engine(&self) -> Engine {
        self.engine
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        match self.engine {
            Engine::Sqlite => match self.pool.begin_with(BEGIN_ON_SQLITE).await {
                Err(error) if StoreError::spoils_connection(&error) => {
                    self.give_up_connection().await;
                    Err(error.into())
                }
                begun => Ok(begun?),
            },
            Engine::Postgres => Ok(self.pool.begin().await?),
        }
    }

    /// The next transaction opens the file anew.
    async fn give_up_connection(&self) {
        let closed = async { self.pool.acquire().await?.close().await };
        if let Err(error) = closed.await {
            tracing::warn!(%error, "a connection that cannot write could not be closed");
        }
    }

    /// Whether anything could be written now.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        Ok(self.begin().await?.rollback().await?)
    }
}

impl Store {
    /// Opens the database and brings its schema up to date. Readings are packed
    /// by `layout`. Must be called on the runtime.
    pub async fn open(config: &StoreConfig, trips: &TripConfig, layout: Layout) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        sqlx::any::install_default_drivers();
        let url = match &config.database_url {
            Some(url) => url.expose().to_owned(),
            None => sqlite_url(&config.data_dir, "volttracker.db")?,
        };
        let engine = engine_of(&url)?;
        let in_memory = engine == Engine::Sqlite && (url.contains(":memory:") || url.contains("mode=memory"));
        anyhow::ensure!(!in_memory, "DATABASE_URL must name a file: what is in memory is not kept");
        let options: AnyConnectOptions = url.parse().context("DATABASE_URL is not a URL")?;
        let pool = |connections, cache_pages| {
            pool_options(engine, Durability::AtCommit, connections, cache_pages).connect_with(options.clone())
        };
        let reads = pool(READERS, READER_CACHE_PAGES).await.with_context(|| match engine {
            Engine::Sqlite => {
                "the SQLite file cannot be opened: check DATA_DIR or DATABASE_URL, and its permissions"
            }
            Engine::Postgres => "PostgreSQL cannot be reached: check DATABASE_URL, and that the server runs",
        })?;
        migrate(engine, &reads, &sqlx::migrate!())
            .await
            .context("the database schema cannot be brought up to date")?;
        let writes = match engine {
            Engine::Sqlite => {
                pool(1, WRITER_CACHE_PAGES).await.context("the SQLite file cannot be opened for writing")?
            }
            Engine::Postgres => {
                pool(WRITERS, WRITER_CACHE_PAGES).await.context("PostgreSQL cannot be reached for writing")?
            }
        };
        let writes = WritePool { engine, pool: writes };
        writes
            .probe()
            .await
            .context("the database cannot be written: check DATA_DIR or DATABASE_URL, and its permissions")?;
        let layouts = Layouts::open(&writes.pool, layout).await.context("the layout of readings")?;
        let layouts = Arc::new(layouts);
        let batch = UploadBatch::new(writes.clone(), reads.clone(), layouts.clone(), trips.late_readings());
        let (answers, uploads) = (LastAnswers::default(), GroupCommit::start(batch));
        Ok(Self { engine, pool: reads, writes, answers, layouts, uploads })
    }

    /// How this process packs readings.
    pub fn layout(&self) -> &Layout {
        &self.layouts.current
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Makes one upload durable, together with whatever else waits.
    pub async fn put(&self, record: Record) -> Result<Put, StoreError> {
        self.uploads.submit(record).await.map(batch::put)
    }

    /// Makes some records durable, together with whatever else waits; returns
    /// what became of each, in their order. They hold a place in the writer's
    /// queue each: a few at a time leave room for all others.
    pub async fn put_all(&self, records: Vec<Record>) -> Vec<Result<Put, StoreError>> {
        let committed = self.uploads.submit_all(records).await;
        committed.into_iter().map(|committed| committed.map(batch::put)).collect()
    }

    /// How much the writer of uploads has to do.
    pub fn writer_load(&self) -> WriterLoad {
        self.uploads.load()
    }

    /// The key of all hashes: the given one, else the one that was made when
    /// the database was new.
    pub async fn identity_key(&self, config: &StoreConfig) -> anyhow::Result<IdentityKey> {
        if let Some(key) = &config.id_key {
            anyhow::ensure!(key.expose().len() >= 16, "ID_KEY must have at least 16 characters");
            return Ok(IdentityKey::new(key.expose()));
        }
        sqlx::query("INSERT INTO installation (name, value) VALUES ('id_key', $1) ON CONFLICT DO NOTHING")
            .bind(IdentityKey::generate())
            .execute(&self.writes.pool)
            .await?;
        let key: String = sqlx::query_scalar("SELECT value FROM installation WHERE name = 'id_key'")
            .fetch_one(&self.pool)
            .await?;
        Ok(IdentityKey::new(&key))
    }

    /// Commits what waits and closes the database, for at most `patience`:
    /// uploads that it does not take by then are not kept, and told so.
    pub async fn close(&self, patience: Duration) {
        let by = Instant::now() + patience;
        self.uploads.close(patience).await;
        let pools = async {
            self.writes.pool.close().await;
            self.pool.close().await;
        };
        if tokio::time::timeout_at(by.into(), pools).await.is_err() {
            tracing::warn!("the database could not be closed in time");
        }
    }
}

pub(super) fn engine_of(url: &str) -> anyhow::Result<Engine> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Engine::Sqlite),
        Some("postgres" | "postgresql") => Ok(Engine::Postgres),
        _ => anyhow::bail!("DATABASE_URL must start with sqlite: or postgres://"),
    }
}

/// The URL of a SQLite file in a folder.
pub(super) fn sqlite_url(data_dir: &Path, file: &str) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let dir =
        data_dir.canonicalize().with_context(|| format!("DATA_DIR {} cannot be used", data_dir.display()))?;
    let path = dir.join(file);
    let path = path.to_str().context("DATA_DIR must be UTF-8")?;
    // The characters that end a path within a URL.
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    Ok(format!("sqlite://{path}?mode=rwc"))
}

pub(super) fn pool_options(
    engine: Engine,
    durability: Durability,
    connections: u32,
    cache_pages: u32,
) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file cannot hang up; a server can.
        .test_before_acquire(engine == Engine::Postgres)
        // SQLite itself rolls back what found no room, and sqlx, told that
        // there is nothing to roll back, believes in its transaction for ever.
        .before_acquire(|connection, _| {
            let is_usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_usable) })
        })
        .after_connect(move |connection, _| Box::pin(prepare(engine, durability, connection, cache_pages)))
}

/// Brings a schema up to date. What is there already is written anew by some
/// migrations, and a host waits for another that is at it: that takes as long as
/// it takes.
pub(super) async fn migrate(
    engine: Engine,
    pool: &AnyPool,
    migrations: &Migrator,
) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    if engine == Engine::Postgres {
        connection.execute("SET statement_timeout = 0").await?;
    }
    migrations.run(&mut *connection).await?;
    if engine == Engine::Postgres {
        connection.execute(sqlx::AssertSqlSafe(statement_timeout())).await?;
    }
    Ok(())
}

/// No statement takes longer on PostgreSQL.
fn statement_timeout() -> String {
    format!("SET statement_timeout = {}", PATIENCE.as_millis())
}

/// When what is committed outlives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// At once: a commit returns when it is.
    AtCommit,
    /// Soon.
    Soon,
}

async fn prepare(
    engine: Engine,
    durability: Durability,
    connection: &mut AnyConnection,
    cache_pages: u32,
) -> Result<(), sqlx::Error> {
    let (synchronous, synchronous_commit) = match durability {
        Durability::AtCommit => ("FULL", "on"),
        Durability::Soon => ("NORMAL", "off"),
    };
    match engine {
        Engine::Sqlite => {
            // WAL lets reads go on while one writes; FULL makes each commit
            // durable before it returns. A page that many batches write is
            // copied from a longer log less often.
            let pragmas = format!(
                "PRAGMA busy_timeout = {SQLITE_BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
                 PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = {cache_pages};"
            );
            connection.execute(sqlx::AssertSqlSafe(pragmas)).await?;
        }
        Engine::Postgres => {
            // A commit returns when it is durable, whatever the server's default.
            let settings = format!("{}; SET synchronous_commit = {synchronous_commit}", statement_timeout());
            connection.execute(sqlx::AssertSqlSafe(settings)).await?;
        }
    }
    Ok(())
}
