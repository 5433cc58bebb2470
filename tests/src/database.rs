//! The database of one test: where it is, and a look into it from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::id;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use reqwest::Url;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the server's folder.
    Sqlite,
    /// A fresh database of the cluster that `TEST_POSTGRES_URL` names.
    Postgres,
}

/// The database of one test.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where the server is told to find it; `None` is its own file.
    pub url: Option<String>,
}

impl Database {
    /// A fresh one; `None` where this machine has no such engine, which is
    /// told, and which a CI run does not accept.
    ///
    /// # Errors
    /// The cluster cannot be reached, or a CI run has none.
    pub async fn fresh(engine: Engine) -> anyhow::Result<Option<Self>> {
        if engine == Engine::Sqlite {
            return Ok(Some(Self { url: None }));
        }
        let Ok(cluster) = std::env::var("TEST_POSTGRES_URL") else {
            anyhow::ensure!(std::env::var_os("CI").is_none(), "CI runs need TEST_POSTGRES_URL");
            println!("SKIPPED: TEST_POSTGRES_URL names no PostgreSQL cluster");
            return Ok(None);
        };
        let mut url = Url::parse(&cluster).context("TEST_POSTGRES_URL is not a URL")?;
        let name = unique_name();
        let mut connection = connect(&cluster).await?;
        let create = format!("CREATE DATABASE {name}");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.context("creating a database")?;
        connection.close().await?;
        url.set_path(&name);
        Ok(Some(Self { url: Some(url.into()) }))
    }

    /// Opens it beside the server, whose folder is `data_dir`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn look(&self, data_dir: &Path) -> anyhow::Result<Look> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("sqlite://{}", data_dir.join("volttracker.db").display()),
        };
        Ok(Look { connection: connect(&url).await? })
    }
}

/// Unique among test runs that share a cluster, too.
fn unique_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("e2e_{}_{now}_{}", id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn connect(url: &str) -> anyhow::Result<AnyConnection> {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.with_context(|| format!("opening {url}"))
}

/// A connection of the test's own.
pub struct Look {
    connection: AnyConnection,
}

impl Look {
    /// The rows of a query.
    ///
    /// # Errors
    /// The database refuses it.
    pub async fn rows(&mut self, sql: &'static str) -> anyhow::Result<Vec<AnyRow>> {
        sqlx::query(sql).fetch_all(&mut self.connection).await.context(sql)
    }

    /// Every reading: its time and its numbers by name, read by this test's
    /// own understanding of how they rest.
    ///
    /// # Errors
    /// The database refuses it, or holds something else.
    pub async fn readings(&mut self) -> anyhow::Result<Vec<(i64, BTreeMap<String, f64>)>> {
        let rows = self
            .rows(
                "SELECT time_ms, numbers, field_names FROM readings
                 JOIN layouts ON layouts.layout_id = readings.layout_id",
            )
            .await?;
        let reading = |row: &AnyRow| {
            let names: Vec<String> = serde_json::from_str(row.try_get("field_names")?)?;
            let packed: &[u8] = row.try_get("numbers")?;
            let (bits, mut numbers) = packed.split_at(names.len().div_ceil(8));
            let mut fields = BTreeMap::new();
            for (place, name) in names.into_iter().enumerate() {
                if bits[place / 8] & (1 << (place % 8)) != 0 {
                    let (number, rest) = numbers.split_first_chunk().context("a number for each bit")?;
                    fields.insert(name, f64::from_le_bytes(*number));
                    numbers = rest;
                }
            }
            anyhow::ensure!(numbers.is_empty(), "a bit for each number");
            Ok((row.try_get("time_ms")?, fields))
        };
        rows.iter().map(reading).collect()
    }

    /// The one number that a query gives.
    ///
    /// # Errors
    /// The database refuses it, or gives something else.
    pub async fn number(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        sqlx::query_scalar(sql).fetch_one(&mut self.connection).await.context(sql)
    }

    /// Lets nobody else write trips until this is dropped, or `ROLLBACK`.
    ///
    /// # Errors
    /// Somebody else does so.
    pub async fn hold_writes(&mut self, engine: Engine) -> anyhow::Result<()> {
        match engine {
            Engine::Sqlite => self.execute("BEGIN IMMEDIATE").await,
            Engine::Postgres => {
                self.execute("BEGIN").await?;
                self.execute("LOCK TABLE trips IN EXCLUSIVE MODE").await
            }
        }
    }

    /// Every row of every table of a PostgreSQL database, as text.
    ///
    /// # Errors
    /// The database refuses it.
    pub async fn everything(&mut self) -> anyhow::Result<Vec<String>> {
        let tables =
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'";
        let tables: Vec<String> =
            sqlx::query_scalar(tables).fetch_all(&mut self.connection).await.context(tables)?;
        let mut rows = Vec::new();
        for table in tables {
            let every =
                AssertSqlSafe(format!("SELECT CAST(everything AS TEXT) FROM \"{table}\" AS everything"));
            rows.extend(sqlx::query_scalar::<_, String>(every).fetch_all(&mut self.connection).await?);
        }
        Ok(rows)
    }

    /// Does something without rows, such as taking a lock.
    ///
    /// # Errors
    /// The database refuses it.
    pub async fn execute(&mut self, sql: &'static str) -> anyhow::Result<()> {
        sqlx::query(sql).execute(&mut self.connection).await.context(sql)?;
        Ok(())
    }
}
