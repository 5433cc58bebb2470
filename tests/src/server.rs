//! The receiver as a child process: its start, its events, its stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::binary::{binary, patient_plugins};
use crate::contract;
use crate::database::{Database, Engine, Look};
use crate::http_client;
use crate::phone::{self, Answer};
use crate::process::Process;
use crate::settings::Settings;

/// How long anything that the server does by itself may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A start that was refused.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub stderr: String,
}

/// A graceful stop.
#[derive(Debug)]
pub struct Stopped {
    /// How it ended.
    pub status: ExitStatus,
    /// How long it took.
    pub took: Duration,
    /// All its events.
    pub events: Vec<Value>,
}

/// A running receiver. Dropping it kills it; then it panics if an event was not
/// as published, so that no test passes that saw one.
pub struct Server {
    child: Child,
    address: SocketAddr,
    pub(crate) data_dir: Arc<TempDir>,
    /// Kept as long as it runs.
    _plugin_dir: TempDir,
    database: Database,
    events: watch::Receiver<Vec<Value>>,
    /// Events by operation.
    counts: watch::Receiver<HashMap<String, usize>>,
    readers: [JoinHandle<()>; 2],
    stderr: watch::Receiver<String>,
    /// The first event that is not as published, and why it is not.
    violation: watch::Receiver<Option<String>>,
}

impl Server {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It does not listen in time; with what it said.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let data_dir = settings.data_dir.clone().map_or_else(fresh_dir, Ok)?;
        let plugin_dir = patient_plugins()?;
        let mut child = spawn(&settings, data_dir.path(), plugin_dir.path())?;
        let (event_sender, mut events) = watch::channel(Vec::new());
        let (count_sender, counts) = watch::channel(HashMap::new());
        let (stderr_sender, stderr) = watch::channel(String::new());
        let (violation_sender, violation) = watch::channel(None);
        let stdout = child.stdout.take().context("standard output is piped")?;
        let errors = child.stderr.take().context("standard error is piped")?;
        let readers = [
            tokio::spawn(read_events(stdout, event_sender, count_sender, violation_sender)),
            tokio::spawn(read_text(errors, stderr_sender)),
        ];
        let first = events.wait_for(|events| !events.is_empty());
        let address = match tokio::time::timeout(PATIENCE, first).await {
            Ok(Ok(events)) => events[0]["bind_addr"].as_str().map(str::to_owned),
            _ => bail!("the server did not start: {}", *stderr.borrow()),
        };
        let address = address.context("the first event is service_start")?.parse()?;
        let (database, _plugin_dir) = (settings.database, plugin_dir);
        Ok(Self {
            child,
            address,
            data_dir,
            _plugin_dir,
            database,
            events,
            counts,
            readers,
            stderr,
            violation,
        })
    }

    /// Starts one that is expected to refuse, and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub async fn refused(settings: Settings) -> anyhow::Result<Refused> {
        let data_dir = settings.data_dir.clone().map_or_else(fresh_dir, Ok)?;
        let plugin_dir = patient_plugins()?;
        let child = spawn(&settings, data_dir.path(), plugin_dir.path())?;
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
        let output = output.await.context("it was not refused: it runs")??;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Refused { status: output.status, stderr })
    }

    /// Starts one, asks it to stop as soon as `when` is over, and waits until it
    /// has.
    ///
    /// # Errors
    /// It cannot be started, `when` fails, or it does not end.
    pub async fn stopped_early(
        settings: &Settings,
        when: impl AsyncFnOnce(Process) -> anyhow::Result<()>,
    ) -> anyhow::Result<Stopped> {
        let data_dir = settings.data_dir.clone().map_or_else(fresh_dir, Ok)?;
        let plugin_dir = patient_plugins()?;
        let child = spawn(settings, data_dir.path(), plugin_dir.path())?;
        let process = Process { id: child.id().context("it runs")? };
        when(process).await?;
        let asked = Instant::now();
        process.terminate()?;
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
        let output = output.await.context("it does not end")??;
        let took = asked.elapsed();
        let events = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events = events.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        Ok(Stopped { status: output.status, took, events })
    }

    /// Starts one and ends it as a power cut would that long after, whether it
    /// listens by then or not.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn cut_off(settings: &Settings, after: Duration) -> anyhow::Result<()> {
        let data_dir = settings.data_dir.clone().map_or_else(fresh_dir, Ok)?;
        let plugin_dir = patient_plugins()?;
        let mut child = spawn(settings, data_dir.path(), plugin_dir.path())?;
        let output = [drain(child.stdout.take()), drain(child.stderr.take())];
        // The moment is the caller's choice; nothing is waited for.
        tokio::time::sleep(after).await;
        child.kill().await?;
        for drained in output {
            drained.await?;
        }
        Ok(())
    }

    /// Its process.
    ///
    /// # Errors
    /// It has ended.
    pub fn process(&self) -> anyhow::Result<Process> {
        Ok(Process { id: self.child.id().context("the server has ended")? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Uploads one query.
    ///
    /// # Errors
    /// No answer comes.
    pub async fn upload(&self, query: &str) -> anyhow::Result<Answer> {
        phone::upload(self.address, query).await
    }

    /// Reads a page of the API.
    ///
    /// # Errors
    /// No JSON comes.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let client = http_client()?;
        Ok(client.get(format!("http://{}{path}", self.address)).send().await?.json().await?)
    }

    /// All trips, newest first.
    ///
    /// # Errors
    /// No JSON comes.
    pub async fn trips(&self) -> anyhow::Result<Vec<Value>> {
        Ok(self.api("/api/trips").await?["trips"].as_array().context("a list of trips")?.clone())
    }

    /// Waits until the events so far fulfil the condition, and returns them.
    ///
    /// # Errors
    /// They do not in time; `what` says what was waited for.
    pub async fn wait_for(
        &self,
        what: &str,
        condition: impl FnMut(&Vec<Value>) -> bool,
    ) -> anyhow::Result<Vec<Value>> {
        let mut events = self.events.clone();
        let waited = tokio::time::timeout(PATIENCE, events.wait_for(condition)).await;
        match waited {
            Ok(Ok(events)) => Ok(events.clone()),
            _ => {
                let said = self.stderr.borrow().clone();
                bail!("waited in vain for {what}; {} events; {said}", self.events.borrow().len())
            }
        }
    }

    /// Waits until there are that many events of an operation, and returns
    /// these.
    ///
    /// # Errors
    /// There are fewer in time.
    pub async fn wait_for_operation(&self, operation: &str, count: usize) -> anyhow::Result<Vec<Value>> {
        self.wait_for_count(operation, count).await?;
        let events = self.events.borrow();
        Ok(events.iter().filter(|event| event["operation"] == operation).cloned().collect())
    }

    /// Waits until there are that many events of an operation. It costs the same
    /// however many there are: a test under load waits so.
    ///
    /// # Errors
    /// There are fewer in time.
    pub async fn wait_for_count(&self, operation: &str, count: usize) -> anyhow::Result<()> {
        let mut counts = self.counts.clone();
        let enough = |counts: &HashMap<String, usize>| counts.get(operation).is_some_and(|&all| all >= count);
        let waited = tokio::time::timeout(PATIENCE, counts.wait_for(enough)).await;
        if !matches!(waited, Ok(Ok(_))) {
            bail!("waited in vain for {count} events {operation}; {}", self.stderr());
        }
        Ok(())
    }

    /// Sends it a signal, by its name.
    ///
    /// # Errors
    /// It does not run.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("it runs")?;
        // This child is not waited for yet, so the id is still its own.
        let kill = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().await?;
        anyhow::ensure!(kill.success(), "kill ended with {kill}");
        Ok(())
    }

    /// Its events so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.borrow().clone()
    }

    /// What it said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// Which database it runs on.
    pub fn engine(&self) -> Engine {
        if self.database.url.is_none() { Engine::Sqlite } else { Engine::Postgres }
    }

    /// Opens its database.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn look(&self) -> anyhow::Result<Look> {
        self.database.look(self.data_dir.path()).await
    }

    /// Its folder.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// Stops it gracefully; returns all its events.
    ///
    /// # Errors
    /// It does not end, or ends badly.
    pub async fn stop(&mut self) -> anyhow::Result<Vec<Value>> {
        let Stopped { status, events, .. } = self.terminate().await?;
        anyhow::ensure!(status.success(), "the server ended with {status}: {}", self.stderr());
        Ok(events)
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// It does not end.
    pub async fn terminate(&mut self) -> anyhow::Result<Stopped> {
        let asked = Instant::now();
        self.process()?.terminate()?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.with_context(|| format!("the server does not end: {}", self.stderr()))??;
        let took = asked.elapsed();
        self.read_to_the_end().await?;
        Ok(Stopped { status, took, events: self.events.borrow().clone() })
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// It does not end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        self.read_to_the_end().await
    }

    async fn read_to_the_end(&mut self) -> anyhow::Result<()> {
        for reader in &mut self.readers {
            reader.await?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let violation = self.violation.borrow();
        if let (Some(violation), false) = (&*violation, std::thread::panicking()) {
            panic!("an event is not as published: {violation}");
        }
    }
}

pub(crate) fn fresh_dir() -> anyhow::Result<Arc<TempDir>> {
    Ok(Arc::new(tempfile::Builder::new().prefix("volttracker-e2e-").tempdir()?))
}

fn spawn(settings: &Settings, data_dir: &Path, plugin_dir: &Path) -> anyhow::Result<Child> {
    let mut command = match settings.open_files {
        None => Command::new(binary()?),
        Some(limit) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -S -n {limit} && exec \"$0\" \"$@\"")]).arg(binary()?);
            shell
        }
    };
    // Nothing of the developer's environment may change what is tested.
    command.env_clear().arg("serve");
    for variable in ["PATH", "HOME", "TMPDIR"] {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    command
        .env("BIND_ADDR", "127.0.0.1:0")
        .env("DATA_DIR", data_dir)
        .env("PLUGIN_DIR", plugin_dir)
        .env("FEATURE_WEATHER", "false")
        .envs(settings.database.url.as_ref().map(|url| ("DATABASE_URL", url)))
        .envs(settings.variables.iter().map(|(variable, value)| (variable, value)))
        .current_dir(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().context("the binary cannot be started")
}

fn drain(output: Option<impl AsyncRead + Unpin + Send + 'static>) -> JoinHandle<()> {
    let (text, _) = watch::channel(String::new());
    tokio::spawn(async move {
        if let Some(output) = output {
            read_text(output, text).await;
        }
    })
}

async fn read_events(
    output: impl AsyncRead + Unpin,
    events: watch::Sender<Vec<Value>>,
    counts: watch::Sender<HashMap<String, usize>>,
    violation: watch::Sender<Option<String>>,
) {
    let (mut output, mut line) = (BufReader::new(output), Vec::new());
    while let Ok(1..) = output.read_until(b'\n', &mut line).await {
        // What is no JSON must not go unseen: no expectation holds of it.
        let text = || Value::String(String::from_utf8_lossy(&line).into_owned());
        let event = serde_json::from_slice(&line).unwrap_or_else(|_| text());
        // A process that is killed may leave half a line.
        if line.ends_with(b"\n") && violation.borrow().is_none() {
            violation.send_replace(contract::violation(&event));
        }
        let operation = event["operation"].as_str().unwrap_or_default().to_owned();
        events.send_modify(|events| events.push(event));
        counts.send_modify(|counts| *counts.entry(operation).or_default() += 1);
        line.clear();
    }
}

async fn read_text(mut output: impl AsyncRead + Unpin, text: watch::Sender<String>) {
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut part).await {
        text.send_modify(|text| text.push_str(&String::from_utf8_lossy(&part[..length])));
    }
}
