//! A store that cannot be written for a while: phones are told to come back,
//! nothing acknowledged is lost, and nobody has to start the receiver again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Backlog, Cluster, Database, Engine, Server, Settings, Stop};
use serde_json::Value;

use crate::account::{every_acknowledged_reading_is_kept, every_answer_is_told_once, ledger_adds_up};
use crate::volt::{Phone, now_ms};

/// How long it may take until everything is acknowledged after an outage.
const RECOVERY: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 8;

#[tokio::test]
async fn a_sqlite_file_that_another_locks() -> anyhow::Result<()> {
    let mut lock = None;
    let begin = async |server: &Server| lock.insert(server.look().await?).hold_writes(Engine::Sqlite).await;
    let outage = Outage::begin(Settings::default(), begin).await?;
    outage.end(&["E200"], async |_| lock.context("held")?.execute("ROLLBACK").await).await
}

#[tokio::test]
async fn files_that_may_not_grow() -> anyhow::Result<()> {
    let begin = async |server: &Server| server.process()?.limit_files(Some(0));
    let outage = Outage::begin(Settings::default(), begin).await?;
    outage.end(&["E200"], async |server| server.process()?.limit_files(None)).await
}

#[tokio::test]
async fn files_that_became_read_only() -> anyhow::Result<()> {
    let Some(scratch) = Immutable::is_possible()? else { return Ok(()) };
    drop(scratch);
    let mut files = None;
    let begin = async |server: &Server| {
        files = Some(Immutable::make(database_files(server.data_dir()))?);
        Ok(())
    };
    let outage = Outage::begin(Settings::default(), begin).await?;
    outage
        .end(&["E200"], async |_| {
            drop(files);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_full_disk() -> anyhow::Result<()> {
    let Some(disk) = SmallDisk::mount()? else { return Ok(()) };
    let outage = Outage::begin(Settings::default().folder_in(disk.path())?, async |_| disk.fill()).await?;
    outage.end(&["E501"], async |_| disk.free()).await
}

#[tokio::test]
async fn postgres_tables_that_another_locks() -> anyhow::Result<()> {
    let Some(database) = Database::fresh(Engine::Postgres).await? else { return Ok(()) };
    let mut lock = None;
    let begin = async |server: &Server| lock.insert(server.look().await?).hold_writes(Engine::Postgres).await;
    let outage = Outage::begin(Settings::default().database(&database), begin).await?;
    outage.end(&["E201"], async |_| lock.context("held")?.execute("ROLLBACK").await).await
}

#[tokio::test]
async fn a_postgres_that_is_stopped_and_started_again() -> anyhow::Result<()> {
    a_postgres_that_ends(Stop::Fast).await
}

#[tokio::test]
async fn a_postgres_that_crashes_and_is_started_again() -> anyhow::Result<()> {
    a_postgres_that_ends(Stop::Crash).await
}

async fn a_postgres_that_ends(how: Stop) -> anyhow::Result<()> {
    let Some(cluster) = Cluster::start().await? else { return Ok(()) };
    let settings = Settings::default().database(&cluster.database());
    let outage = Outage::begin(settings, async |_| cluster.stop(how).await).await?;
    outage.end(&["E200"], async |_| cluster.start_again().await).await
}

#[tokio::test]
async fn a_start_on_a_read_only_folder_or_file_says_what_to_check() -> anyhow::Result<()> {
    let Some(scratch) = Immutable::is_possible()? else { return Ok(()) };
    drop(scratch);
    let mut before = Server::start(Settings::default()).await?;
    before.stop().await?;
    let folder = before.data_dir();
    for path in [folder.to_owned(), folder.join("volttracker.db")] {
        let read_only = Immutable::make(vec![path])?;
        let refused = Server::refused(Settings::default().data_of(&before)).await?;
        drop(read_only);
        assert!(!refused.status.success());
        for part in ["DATA_DIR", "permissions"] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
    }
    Server::start(Settings::default().data_of(&before)).await?.stop().await?;
    Ok(())
}

/// A server in an outage, in which every point that is left was refused once.
struct Outage {
    server: Server,
    backlog: Backlog,
    acknowledged_before: usize,
}

impl Outage {
    async fn begin(
        settings: Settings,
        begin: impl AsyncFnOnce(&Server) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let server = Server::start(settings).await?;
        let start_ms = now_ms() - 86_400_000;
        let phone = Phone::new(1, start_ms);
        let backlog = Backlog::default();
        backlog.add(phone.drive(start_ms, 0..20));
        backlog.send(server.address(), CONNECTIONS).await;
        let acknowledged_before = backlog.acknowledged();
        assert_eq!(acknowledged_before, 20);

        begin(&server).await?;
        backlog.add(phone.drive(start_ms, 20..60));
        backlog.send_once(server.address(), 40).await;
        Ok(Self { server, backlog, acknowledged_before })
    }

    /// Ends it, and holds what was answered, told and kept against each other.
    async fn end(
        self,
        codes: &[&str],
        end: impl AsyncFnOnce(&Server) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { mut server, backlog, acknowledged_before } = self;
        let refused = backlog.answered().split_off(acknowledged_before);
        assert_eq!(refused.len(), 40, "each was answered");
        for answered in &refused {
            let answer = &answered.answer;
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(!answer.body.contains("OK!"), "{answer:?}");
            let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| seconds > 0), "{answer:?}");
        }
        end(&server).await?;
        tokio::time::timeout(RECOVERY, backlog.send(server.address(), CONNECTIONS))
            .await
            .with_context(|| format!("{} points are refused still: {}", backlog.len(), server.stderr()))?;
        ensure!(backlog.is_empty(), "the server is gone: {}", server.stderr());

        let answered = backlog.answered();
        every_acknowledged_reading_is_kept(&server, &answered).await?;
        let kept = server.look().await?.number("SELECT COUNT(*) FROM readings").await?;
        assert_eq!(kept, 60, "each is kept once");
        let events = server.stop().await?;
        every_answer_is_told_once(&answered, &events);
        ledger_adds_up(&events);
        let told = events.iter().filter(|event| event["http_status"] == 503);
        for event in told {
            let code = event["error"]["code"].as_str().unwrap_or_default();
            assert!(codes.contains(&code), "{event}");
            assert_eq!(event["error"]["alert"], true);
            assert_eq!(event["outcome"], Value::from("failure"));
        }
        Ok(())
    }
}

/// What SQLite writes to. Not the index beside it, which it maps into memory:
/// a process that writes to read-only memory is ended by the kernel.
fn database_files(data_dir: &Path) -> Vec<PathBuf> {
    ["volttracker.db", "volttracker.db-wal"].map(|name| data_dir.join(name)).to_vec()
}

/// Files that nobody may write, whoever has them open, until this is dropped.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn make(files: Vec<PathBuf>) -> anyhow::Result<Self> {
        // Dropped on the way out, this undoes what was done.
        let files = Self(files);
        ensure!(files.chattr("+i")?, "the files cannot be made immutable");
        Ok(files)
    }

    /// Something immutable, or `None` where this machine allows no such
    /// thing, which is told.
    fn is_possible() -> anyhow::Result<Option<Self>> {
        let scratch = tempfile::Builder::new().prefix("volttracker-e2e-").tempdir()?;
        let file = scratch.path().join("file");
        std::fs::write(&file, "")?;
        let mut open = std::fs::OpenOptions::new().append(true).open(&file)?;
        let files = Self(vec![file]);
        if files.chattr("+i")? && std::io::Write::write(&mut open, b"x").is_err() {
            return Ok(Some(files));
        }
        println!("SKIPPED: no file can be made immutable here: that takes root, and a file system like ext4");
        Ok(None)
    }

    fn chattr(&self, change: &str) -> anyhow::Result<bool> {
        let output = Command::new("chattr").arg(change).args(&self.0).output().context("chattr")?;
        Ok(output.status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.chattr("-i").ok();
    }
}

/// A file system of a few megabytes, unmounted when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this machine lets nobody mount one, which is told.
    fn mount() -> anyhow::Result<Option<Self>> {
        let dir = tempfile::Builder::new().prefix("volttracker-e2e-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path());
        if mount.output().context("mount")?.status.success() {
            return Ok(Some(Self(dir)));
        }
        println!("SKIPPED: no file system can be mounted here: that takes root");
        Ok(None)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that is left.
    fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write as _;
        let mut filler = std::fs::File::create(self.filler())?;
        // Smaller and smaller pieces, until not a byte fits.
        for piece in [64 * 1024, 4096, 1] {
            while filler.write_all(&vec![0; piece]).is_ok() {}
        }
        Ok(())
    }

    fn free(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the last server may still be ending.
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}
