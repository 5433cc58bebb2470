//! The files of PLUGIN_DIR as they lie there. What of them is news, and for
//! whom, is `inbox`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::plugin_host::{PluginSettings, Slot, SlotSettings, sha256_hex};

/// Where the operator sets limits and settings, beside the components.
pub(super) const SETTINGS: &str = "plugins.toml";

/// The largest `plugins.toml` that is read: bytes.
const LARGEST_SETTINGS: u64 = 1 << 20;

/// What one look found.
pub(super) struct Found {
    /// What the operator set, or what is wrong with it.
    pub(super) settings: Result<PluginSettings, String>,
    /// Without those that somebody writes.
    pub(super) files: BTreeMap<Slot, Content>,
    /// Whether there is no folder at all, which says nothing about settings.
    pub(super) absent: bool,
    pub(super) stamps: Stamps,
}

/// What lies in a slot's place.
pub(super) enum Content {
    Missing,
    Unusable(String),
    Component { bytes: Arc<[u8]>, digest: String },
}

impl Content {
    /// What it is told from another one by.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Missing => "missing",
            Self::Unusable(problem) => problem,
            Self::Component { digest, .. } => digest,
        }
    }
}

/// Size, inode and time (seconds and nanoseconds) of each file that counts;
/// absent where there is none. It is the time of the last change of anything:
/// the one of the content can be set to what it was, as copies and builds do.
pub(super) type Stamps = Vec<Option<(u64, u64, (i64, i64))>>;

fn stamps(dir: &Path, written: &BTreeSet<String>) -> Stamps {
    use std::os::unix::fs::MetadataExt as _;
    file_names()
        .map(|file| {
            if written.contains(&file) {
                // No file has it: when it is whole, it is another one.
                return Some((u64::MAX, 0, (0, 0)));
            }
            let metadata = fs::metadata(dir.join(file)).ok()?;
            Some((metadata.len(), metadata.ino(), (metadata.ctime(), metadata.ctime_nsec())))
        })
        .collect()
}

/// Looks at the folder, but for the files that somebody writes; nothing where
/// it is as it was, or changes just now.
pub(super) fn look(
    dir: &Path,
    written: &BTreeSet<String>,
    in_force: Option<PluginSettings>,
    dealt_with: Option<&Stamps>,
) -> Option<Found> {
    let before = stamps(dir, written);
    if dealt_with == Some(&before) {
        return None;
    }
    let (settings, absent) = (in_force.map_or_else(|| read_settings(dir), Ok), !dir.is_dir());
    let whole = Slot::ALL.into_iter().filter(|slot| !written.contains(&file_name(*slot)));
    let files = whole.map(|slot| match &settings {
        Ok(settings) => (slot, read(&dir.join(file_name(slot)), settings.of(slot))),
        // Nobody knows how large they may be; and they must wait anyway.
        Err(_) => (slot, Content::Missing),
    });
    let files = files.collect();
    // A file that changed while it was read is looked at when it is whole.
    (stamps(dir, written) == before).then_some(Found { settings, files, absent, stamps: before })
}

/// Reads `plugins.toml` of this folder; without one all is default.
pub(super) fn read_settings(dir: &Path) -> Result<PluginSettings, String> {
    let mut text = String::new();
    let read =
        open(&dir.join(SETTINGS)).and_then(|file| file.take(LARGEST_SETTINGS + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
        Ok(length) if length as u64 > LARGEST_SETTINGS => {
            return Err(format!("it is more than {} MB", LARGEST_SETTINGS >> 20));
        }
        Ok(_) => {}
    }
    PluginSettings::parse(&text)
}

/// Opens a file, and nothing else: a pipe would keep its reader waiting for
/// ever, and a device may have no end.
fn open(path: &Path) -> io::Result<fs::File> {
    // Without waiting for who writes into a pipe, which nobody may ever do.
    let file = fs::File::from(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

fn read(path: &Path, settings: &SlotSettings) -> Content {
    let read = || {
        let file = open(path)?;
        let length = file.metadata()?.len();
        if let Err(problem) = settings.check_size(length) {
            return Ok(Content::Unusable(problem));
        }
        let mut bytes = Vec::new();
        file.take(settings.largest_component() + 1).read_to_end(&mut bytes)?;
        let digest = sha256_hex(&bytes);
        Ok(Content::Component { bytes: bytes.into(), digest })
    };
    read().unwrap_or_else(|error: io::Error| match error.kind() {
        ErrorKind::NotFound => Content::Missing,
        _ => Content::Unusable(format!("cannot be read: {error}")),
    })
}

/// The names of the files that count.
pub(super) fn file_names() -> impl Iterator<Item = String> {
    Slot::ALL.map(file_name).into_iter().chain([SETTINGS.to_owned()])
}

/// The name of a slot's file.
pub(super) fn file_name(slot: Slot) -> String {
    format!("{slot}.wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dir: &Path) -> Found {
        look(dir, &BTreeSet::new(), None, None).expect("nothing changes")
    }

    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
        assert!(made.success(), "no pipe");
    }

    #[test]
    fn what_is_no_file_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().expect("temporary directory");
        pipe(&dir.path().join("usage-tier.wasm"));
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("trip-calculator.wasm")).expect("a link");
        fs::create_dir(dir.path().join("sampling-policy.wasm")).expect("a folder");
        // A thread of its own: before, nobody came back from it.
        let (told, tells) = std::sync::mpsc::channel();
        let looked_at = dir.path().to_owned();
        std::thread::spawn(move || {
            let files = found(&looked_at).files;
            pipe(&looked_at.join(SETTINGS));
            told.send((files, read_settings(&looked_at))).ok();
        });
        let (files, settings) = tells.recv_timeout(std::time::Duration::from_secs(60)).expect("an end");
        for (slot, content) in files {
            assert_eq!(content.name(), "cannot be read: it is not a regular file", "{slot}");
        }
        assert_eq!(settings.expect_err("no file"), "it is not a regular file");
    }

    #[test]
    fn settings_without_end_are_not_read() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = fs::File::create(dir.path().join(SETTINGS)).expect("create");
        file.set_len(LARGEST_SETTINGS + 1).expect("a hole");
        assert_eq!(read_settings(dir.path()).expect_err("too large"), "it is more than 1 MB");
    }

    #[test]
    fn a_file_that_is_written_over_with_the_time_of_before_is_another_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("usage-tier.wasm");
        // As `cp -p` and reproducible builds do.
        let write = |text: &str| {
            fs::write(&path, text).expect("write");
            fs::File::open(&path).and_then(|file| file.set_modified(std::time::UNIX_EPOCH)).expect("set");
        };
        write("one");
        let before = found(dir.path()).stamps;
        assert!(look(dir.path(), &BTreeSet::new(), None, Some(&before)).is_none(), "nothing is new");
        // The clock of the file system may not have moved between the two.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while look(dir.path(), &BTreeSet::new(), None, Some(&before)).is_none() {
            assert!(std::time::Instant::now() < deadline, "it is never seen");
            write("two");
        }
    }
}
