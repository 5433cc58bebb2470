//! A file in DATA_DIR that says whether a process runs on it, and which one
//! was before and how it ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

/// Held while the process runs.
pub struct RunMarker {
    file: File,
    path: PathBuf,
    previous: &'static str,
    /// Whom the file names: the process before, until this one begins.
    instance: String,
}

impl RunMarker {
    /// Takes `data_dir` for this process, making it where it is missing.
    ///
    /// # Errors
    /// Another process runs on it, or it cannot be written.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("DATA_DIR {} cannot be made", data_dir.display()))?;
        let path = data_dir.join("volttracker.run");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!(
                    "another volttracker runs on DATA_DIR {}: stop it, or give this one a DATA_DIR of its own",
                    data_dir.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("{} cannot be read", path.display()))?;
        let (how, instance) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let previous = match how {
            "" => "none",
            "stopped" => "clean",
            _ => "unclean",
        };
        Ok(Self { file, path, previous, instance: instance.to_owned() })
    }

    /// Says that this process, of that id, serves from now on.
    pub fn begin(&mut self, instance: Uuid) -> anyhow::Result<()> {
        self.instance = instance.to_string();
        self.write("running")
    }

    /// How the process before this one ended: `clean`, `unclean`, or `none`
    /// when there was none.
    pub fn previous_shutdown(&self) -> &'static str {
        self.previous
    }

    /// The id of the process before this one, which is dead; before this one
    /// begins.
    pub fn previous_instance(&self) -> Option<&str> {
        Some(self.instance.as_str()).filter(|instance| !instance.is_empty())
    }

    /// Says that this process ended as it should.
    pub fn clear(mut self) -> anyhow::Result<()> {
        self.write("stopped")
    }

    /// One write over what is there, and always of one length: a process that
    /// is killed meanwhile leaves no half of it.
    fn write(&mut self, how: &str) -> anyhow::Result<()> {
        let Self { file, path, instance, .. } = self;
        let text = format!("{how} {instance:36}\n");
        file.rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_start_knows_how_the_last_one_ended() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut first = RunMarker::take(dir.path()).expect("free");
        assert_eq!((first.previous_shutdown(), first.previous_instance()), ("none", None));
        let instance = Uuid::now_v7();
        first.begin(instance).expect("written");
        drop(first);
        let second = RunMarker::take(dir.path()).expect("free again");
        assert_eq!(second.previous_shutdown(), "unclean");
        assert_eq!(second.previous_instance(), Some(instance.to_string().as_str()));
        second.clear().expect("written");
        let third = RunMarker::take(dir.path()).expect("free");
        assert_eq!(third.previous_shutdown(), "clean");
        assert_eq!(third.previous_instance(), Some(instance.to_string().as_str()), "it never began");
    }

    #[test]
    fn a_start_that_never_served_leaves_no_trace() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        drop(RunMarker::take(dir.path()).expect("free"));
        assert_eq!(RunMarker::take(dir.path()).expect("free").previous_shutdown(), "none");
    }

    #[test]
    fn two_processes_cannot_share_a_data_dir() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let _first = RunMarker::take(dir.path()).expect("free");
        let refusal = RunMarker::take(dir.path()).map(|_| ()).expect_err("taken");
        assert!(refusal.to_string().contains("another volttracker runs"), "{refusal}");
    }
}
