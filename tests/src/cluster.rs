//! A PostgreSQL cluster of one test's own, to be stopped and started again.
//! The cluster that tests share is `with-postgres.sh`'s.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::database::Database;

/// A running cluster. Dropping it ends it.
pub struct Cluster {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
}

/// How a cluster is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// Every session is ended, and all is written.
    Fast,
    /// As a crash of the database, which recovers at its next start.
    Crash,
}

impl Cluster {
    /// Makes and starts one; `None` where this machine has no PostgreSQL,
    /// which is told, and which a CI run does not accept.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let Some(bin) = std::env::var_os("TEST_POSTGRES_BIN") else {
            ensure!(std::env::var_os("CI").is_none(), "CI runs need TEST_POSTGRES_BIN");
            println!("SKIPPED: TEST_POSTGRES_BIN names no PostgreSQL");
            return Ok(None);
        };
        // Short, because the path of a socket may have 107 bytes only.
        let dir = tempfile::Builder::new().prefix("volttracker-pg.").tempdir_in("/tmp")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let cluster = Self { bin: bin.into(), dir, port };
        if is_root() {
            let chown = Command::new("chown").arg("postgres").arg(cluster.dir.path()).status().await?;
            ensure!(chown.success(), "chown ended with {chown}");
        }
        let data = cluster.data();
        let arguments = ["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];
        cluster.run("initdb", &arguments).await?;
        cluster.start_again().await?;
        Ok(Some(cluster))
    }

    /// Its first database.
    pub fn database(&self) -> Database {
        Database { url: Some(format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)) }
    }

    /// Stops it.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(&self, how: Stop) -> anyhow::Result<()> {
        self.run("pg_ctl", &["-D", &self.data(), "-m", how.mode(), "-w", "stop"]).await
    }

    /// Starts it again after a stop.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        let log = self.dir.path().join("log").display().to_string();
        // A crash of the database alone loses nothing that it has written.
        let (socket, port) = (self.dir.path().display(), self.port);
        let settings = format!("-k {socket} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off");
        let arguments = ["-D", &self.data(), "-w", "-t", "60", "-l", &log, "-o", &settings, "start"];
        self.run("pg_ctl", &arguments).await
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let status = self.command(program, arguments).status().await.context("it cannot be run");
        ensure!(status?.success(), "{program} {arguments:?} failed");
        Ok(())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = as_postgres(&self.bin.join(program));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Stop {
    fn mode(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Crash => "immediate",
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stop = ["-D", &self.data(), "-m", "immediate", "-w", "stop"];
        let mut command = self.command("pg_ctl", &stop);
        // It fails where the cluster is stopped, which is what is wanted.
        command.as_std_mut().stderr(Stdio::null()).status().ok();
    }
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
