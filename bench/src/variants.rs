//! The five servers that are measured: how each is started, and where it
//! keeps what it was sent.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sqlx::{AnyConnection, Connection as _, Row as _};

use crate::controls::{Control, DATABASE};
use crate::process::{ServerProcess, free_address};
use crate::{Options, history};

/// The key of the receivers' hashes: the uploading vehicles' names in the
/// store must be known beforehand.
pub const ID_KEY: &str = "the key of the bench";

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// A route that answers `OK!`.
    Bare,
    /// The least that keeps the query's text and then answers.
    Unread,
    /// The least that reads an upload, keeps it, and then answers.
    Minimal,
    /// The receiver with an empty store.
    Empty,
    /// The receiver with a history of closed trips.
    History,
}

/// A running variant.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub process: ServerProcess,
}

/// What a variant kept.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Kept {
    /// Readings, those of the history excepted.
    pub readings: u64,
    /// Uploads that were a reading again.
    pub duplicates: u64,
    /// Finished events.
    pub events: u64,
    /// Events that were written.
    pub events_written: u64,
    /// Events that were written unasked, because the policy could not keep up.
    pub events_overload: u64,
}

impl Variant {
    /// All of them, in the order of a round.
    pub const ALL: [Self; 5] = [Self::Bare, Self::Unread, Self::Minimal, Self::Empty, Self::History];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum route",
            Self::Unread => "handler that keeps queries unread",
            Self::Minimal => "minimal handler",
            Self::Empty => "receiver, empty store",
            Self::History => "receiver, 100,000 closed trips",
        }
    }

    fn control(self) -> Option<Control> {
        match self {
            Self::Bare => Some(Control::Bare),
            Self::Unread => Some(Control::Unread),
            Self::Minimal => Some(Control::Minimal),
            Self::Empty | Self::History => None,
        }
    }

    fn database(self, dir: &Path) -> PathBuf {
        dir.join(if self.control().is_some() { DATABASE } else { "volttracker.db" })
    }

    /// Starts it with `dir` as its own.
    pub fn start(self, options: &Options, dir: &Path) -> anyhow::Result<Running> {
        std::fs::create_dir(dir)?;
        if self == Self::History {
            history::seed(dir)?;
        }
        let address = free_address()?;
        let own = std::env::current_exe().context("this program's path is not known")?;
        let command = match self.control() {
            Some(control) => control_command(&own, control, address, dir),
            None => {
                let mut command = receiver_command(options, "serve", dir)?;
                command.env("BIND_ADDR", address.to_string()).stdout(File::create(events_file(dir))?);
                command
            }
        };
        Ok(Running { address, process: ServerProcess::start(self.name(), command, address)? })
    }

    /// What is in `dir` after it was stopped.
    pub fn kept(self, dir: &Path) -> anyhow::Result<Kept> {
        let readings = match self {
            Self::Bare => return Ok(Kept::default()),
            Self::Unread | Self::Minimal => "SELECT COUNT(*) AS readings, 0 AS duplicates FROM uploads",
            // The history is closed, what was uploaded is open.
            Self::Empty | Self::History => {
                "SELECT COUNT(*) AS readings,
                        (SELECT SUM(duplicate_count) FROM trips WHERE status <> 'closed') AS duplicates
                 FROM readings WHERE trip_id IN (SELECT trip_id FROM trips WHERE status <> 'closed')"
            }
        };
        let database = format!("sqlite://{}", self.database(dir).display());
        let row = tokio::runtime::Runtime::new()?.block_on(async {
            sqlx::any::install_default_drivers();
            let mut connection = AnyConnection::connect(&database).await?;
            sqlx::query(readings).fetch_one(&mut connection).await
        })?;
        let kept = Kept {
            readings: row.try_get::<i64, _>("readings")?.try_into()?,
            duplicates: row.try_get::<i64, _>("duplicates")?.try_into()?,
            ..Kept::default()
        };
        if self.control().is_some() { Ok(kept) } else { with_events(kept, &events_file(dir)) }
    }
}

fn control_command(own: &Path, control: Control, address: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new(own);
    let control = match control {
        Control::Bare => "bare",
        Control::Unread => "unread",
        Control::Minimal => "minimal",
    };
    command.args(["control", control, "--listen", &address.to_string(), "--data-dir"]).arg(dir);
    command
}

/// The receiver as it is measured, with `dir` as its own.
pub fn receiver_command(options: &Options, subcommand: &str, dir: &Path) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("this program's path is not known")?;
    let beside = own.with_file_name("volttracker");
    let program = options.receiver.clone().unwrap_or(beside);
    ensure!(
        program.is_file(),
        "there is no receiver at {}: cargo build --release -p volttracker",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .arg(subcommand)
        .env("DATA_DIR", dir)
        .env("ENVIRONMENT", "production")
        .env("ID_KEY", ID_KEY)
        .env("FEATURE_WEATHER", "false")
        .env("RUST_LOG", "warn")
        // The longest bench must not end the trips that it uploads to.
        .env("TRIP_TIMEOUT_SECONDS", "86400");
    Ok(command)
}

fn events_file(dir: &Path) -> PathBuf {
    dir.join("events.jsonl")
}

/// Adds what the last event says of those before it.
fn with_events(kept: Kept, file: &Path) -> anyhow::Result<Kept> {
    let events = std::fs::read_to_string(file)?;
    let last: serde_json::Value =
        serde_json::from_str(events.lines().next_back().unwrap_or_default()).context("the last event")?;
    let count = |name: &str| last[name].as_u64().with_context(|| format!("the last event has no {name}"));
    let overload = events.lines().filter(|line| line.contains(r#""reason":"policy_overload""#)).count();
    Ok(Kept {
        events: count("events_received")?,
        events_written: count("events_kept")?,
        events_overload: overload as u64,
        ..kept
    })
}
