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
    Unread,
    /// Reads the query and commits its values, with others, then answers `OK!`.
    Minimal,
}

/// Serves a control until SIGTERM.
pub fn serve(control: Control, listen: SocketAddr, data_dir: &Path) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let writer = match control {
            Control::Bare => None,
            Control::Unread | Control::Minimal => {
                Some(Arc::new(GroupCommit::start(Uploads::open(data_dir).await?)))
            }
        };
        let route = |uploads| Router::new().route("/torque/upload", uploads);
        let router = match (control, &writer) {
            (Control::Unread, Some(writer)) => route(get(keep_unread)).with_state(writer.clone()),
            (Control::Minimal, Some(writer)) => route(get(keep)).with_state(writer.clone()),
            _ => Router::new().route("/torque/upload", get(async || "OK!")),
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

type Writer = State<Arc<GroupCommit<Uploads>>>;

async fn keep_unread(writer: Writer, RawQuery(query): RawQuery) -> (StatusCode, &'static str) {
    let unread = Upload { session: query.unwrap_or_default(), time_ms: 0, values: Vec::new() };
    commit(&writer, unread).await
}

async fn keep(writer: Writer, RawQuery(query): RawQuery) -> (StatusCode, &'static str) {
    match Upload::read(&query.unwrap_or_default()) {
        Some(upload) => commit(&writer, upload).await,
        None => (StatusCode::BAD_REQUEST, "no upload"),
    }
}

async fn commit(writer: &GroupCommit<Uploads>, upload: Upload) -> (StatusCode, &'static str) {
    match writer.submit(upload).await {
        Ok(_) => (StatusCode::OK, "OK!"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not kept"),
    }
}

/// The least that an upload is read to be.
struct Upload {
    session: String,
    time_ms: i64,
    /// The PID and the value of each reading, in bytes.
    values: Vec<u8>,
}

impl Upload {
    fn read(query: &str) -> Option<Self> {
        let (mut session, mut time_ms, mut values) = (None, None, Vec::with_capacity(1024));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "session" => session = Some(value.into_owned()),
                "time" => time_ms = value.parse().ok(),
                _ => {
                    let pid = name.strip_prefix('k').and_then(|pid| u32::from_str_radix(pid, 16).ok());
                    if let Some((pid, value)) = pid.zip(value.parse::<f64>().ok()) {
                        values.extend_from_slice(&pid.to_le_bytes());
                        values.extend_from_slice(&value.to_le_bytes());
                    }
                }
            }
        }
        Some(Self { session: session?, time_ms: time_ms?, values })
    }
}

/// One table of uploads, as durable as the receiver's.
struct Uploads(AnyConnection);

impl Uploads {
    async fn open(data_dir: &Path) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", data_dir.join(DATABASE).display());
        let mut connection = AnyConnection::connect(&url).await.context("the control's database")?;
        connection
            .execute(
                "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE uploads (
                     upload_id INTEGER PRIMARY KEY, session TEXT NOT NULL, time_ms BIGINT NOT NULL, vals BLOB NOT NULL
                 );",
            )
            .await?;
        Ok(Self(connection))
    }
}

impl Batch for Uploads {
    type Item = Upload;
    type Outcome = ();

    async fn commit(&mut self, items: &[Upload]) -> Result<Vec<()>, StoreError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let rows = vec!["(?,?,?)"; items.len()].join(",");
        let text = format!("INSERT INTO uploads (session, time_ms, vals) VALUES {rows}");
        let insert = items.iter().fold(sqlx::query(AssertSqlSafe(text)), |insert, upload| {
            insert.bind(&upload.session).bind(upload.time_ms).bind(&upload.values)
        });
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(vec![(); items.len()])
    }
}
