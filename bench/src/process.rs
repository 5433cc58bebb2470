//! A server as a process of its own: started, watched, stopped. Which one it
//! is belongs elsewhere.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// How long a server may take to listen, its plugins' compilation included.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Microseconds in a tick of `/proc`; Linux shows every process 100 a second.
const TICK_US: u64 = 10_000;

/// A running server. It ends with this value at the latest.
pub struct ServerProcess {
    name: &'static str,
    child: Child,
}

/// A free port of this machine's loopback.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

impl ServerProcess {
    /// Starts a server and waits until it listens on `address`.
    pub fn start(name: &'static str, mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("{name}: {command:?} cannot be started"))?;
        let mut server = Self { name, child };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended before it listened: {status}");
            }
            ensure!(Instant::now() < deadline, "{name} did not listen within {START:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The processor time it has used so far: microseconds.
    pub fn cpu_us(&self) -> anyhow::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .with_context(|| format!("{} is gone", self.name))?;
        // The second field, in parentheses, may hold anything; utime and
        // stime are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<Result<u64, _>>()? * TICK_US)
    }

    /// Waits until it has done what it was given: events are finished after
    /// the answers that they tell of.
    pub fn settle(&self) -> anyhow::Result<u64> {
        let mut before = self.cpu_us()?;
        loop {
            std::thread::sleep(Duration::from_millis(150));
            let now = self.cpu_us()?;
            if now - before <= TICK_US {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Stops it as an operator would, and waits until it has ended.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().context("kill cannot be run")?;
        ensure!(sent.success(), "{} could not be told to stop", self.name);
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended badly: {status}", self.name);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} did not stop within {STOP:?}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
