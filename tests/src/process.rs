//! A process seen from outside, and the limits of this one. Starting one is
//! `server`'s business.

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};

/// A process that this one started and has not waited for, so that its id is
/// still its own.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub(crate) id: u32,
}

impl Process {
    /// Its memory that is in RAM: bytes.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident_bytes(self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is in kB")?;
        Ok(kilobytes * 1024)
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// It has ended.
    pub fn threads(self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.id))?.count())
    }

    /// How many files it has open, connections included.
    ///
    /// # Errors
    /// It has ended.
    pub fn open_files(self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id))?.count())
    }

    /// The processes that it started and that have not ended.
    ///
    /// # Errors
    /// It has ended.
    pub fn children(self) -> anyhow::Result<Vec<u32>> {
        let mut children = Vec::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id))? {
            // A thread that has ended meanwhile has none.
            let text = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            children.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        Ok(children)
    }

    /// Lets it write no file at this offset or behind it; `None` lifts that.
    /// Pipes and sockets are no files here.
    ///
    /// # Errors
    /// It has ended.
    pub fn limit_files(self, bytes: Option<u64>) -> anyhow::Result<()> {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit { current: bytes.or(maximum), maximum };
        prlimit(Some(self.pid()?), Resource::Fsize, limit).context("limiting its files")?;
        Ok(())
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// It has ended.
    pub fn terminate(self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM).context("asking it to stop")
    }

    fn pid(self) -> anyhow::Result<Pid> {
        i32::try_from(self.id).ok().and_then(Pid::from_raw).context("no process has this id")
    }
}

/// Lets this process open as many files as the machine allows; says how many.
///
/// # Errors
/// The machine does not allow what it said it would.
pub fn raise_open_files() -> anyhow::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raising RLIMIT_NOFILE")?;
    Ok(maximum.unwrap_or(u64::MAX))
}
