//! What the receiver is compared with: a route that does nothing, and the
//! least that could answer `OK!` truthfully. Both behind the receiver's own
//! connection code.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use clap::ValueEnum;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tokio::signal::unix::{SignalKind, signal};
use volttracker::http::Server;
use volttracker::store::{Batch, GroupCommit, StoreError};

/// The file of the minimal handler, in its data folder.
pub const DATABASE: &str = "minimal.db";

/// A control.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Control {
    /// A route that answers `OK!`.
    Bare,
    /// Commits the query's text as it came, with others, then answers `OK!`.
    Minimal,
}

/// Serves a control until SIGTERM.
pub fn serve(control: Control, listen: SocketAddr, data_dir: &Path) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let writer = match control {
            Control::Bare => None,
            Control::Minimal => Some(Arc::new(GroupCommit::start(Queries::open(data_dir).await?))),
        };
        let router = match &writer {
            None => Router::new().route("/torque/upload", get(async || "OK!")),
            Some(writer) => Router::new().route("/torque/upload", get(keep)).with_state(writer.clone()),
        };
        let server = Server::start(router, listener, |_, _| {});
        terminate.recv().await;
        server.stop(Duration::from_secs(2)).await;
        if let Some(writer) = writer {
            writer.close(Duration::from_secs(8)).await;
        }
        Ok(())
    })
}

async fn keep(
    State(writer): State<Arc<GroupCommit<Queries>>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, &'static str) {
    match writer.submit(query.unwrap_or_default()).await {
        Ok(_) => (StatusCode::OK, "OK!"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not kept"),
    }
}

/// One table of query texts, as durable as the receiver's.
struct Queries(AnyConnection);

impl Queries {
    async fn open(data_dir: &Path) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", data_dir.join(DATABASE).display());
        let mut connection = AnyConnection::connect(&url).await.context("the control's database")?;
        connection
            .execute(
                "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE uploads (upload_id INTEGER PRIMARY KEY, query TEXT NOT NULL);",
            )
            .await?;
        Ok(Self(connection))
    }
}

impl Batch for Queries {
    type Item = String;
    type Outcome = ();

    async fn commit(&mut self, items: &[String]) -> Result<Vec<()>, StoreError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let text = format!("INSERT INTO uploads (query) VALUES {}", vec!["(?)"; items.len()].join(","));
        let insert = items.iter().fold(sqlx::query(AssertSqlSafe(text)), sqlx::query::Query::bind);
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(vec![(); items.len()])
    }
}
