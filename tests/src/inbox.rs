//! A PLUGIN_DIR of one test's own, filled as `just build-plugins` fills it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::plugin_dir;

/// Deadlines that a busy machine keeps.
const PATIENT: &str = "[sampling-policy]\ndeadline_ms = 5000\n[usage-tier]\ndeadline_ms = 5000\n\
    [trip-calculator]\ndeadline_ms = 20000\n";

/// A folder of components.
pub struct Inbox {
    dir: TempDir,
}

impl Inbox {
    /// One with the built components, and patient deadlines.
    ///
    /// # Errors
    /// It cannot be made, or the components are not built.
    pub fn fresh() -> anyhow::Result<Self> {
        let inbox = Self { dir: tempfile::Builder::new().prefix("volttracker-inbox-").tempdir()? };
        for slot in ["trip-calculator", "usage-tier", "sampling-policy"] {
            inbox.put(slot, &built(slot)?)?;
        }
        std::fs::write(inbox.path().join("plugins.toml"), PATIENT)?;
        Ok(inbox)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The file of a slot.
    pub fn file(&self, slot: &str) -> PathBuf {
        self.path().join(slot).with_extension("wasm")
    }

    /// Puts a component into a slot's place: written aside, then renamed.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put(&self, slot: &str, component: &[u8]) -> anyhow::Result<()> {
        let aside = self.path().join(format!(".{slot}.wasm.new"));
        std::fs::write(&aside, component)?;
        std::fs::rename(&aside, self.file(slot))?;
        Ok(())
    }
}

/// A component of this project.
///
/// # Errors
/// It is not built.
pub fn built(slot: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(plugin_dir()?.join(slot).with_extension("wasm")).context("a built component")
}

/// The same component with another digest, that many bytes larger.
pub fn enlarged(component: &[u8], number: u8, bytes: u32) -> Vec<u8> {
    // A section that nobody reads: its size in LEB128, its name, its content.
    let mut section = vec![0];
    let mut left = bytes + 5;
    while left >= 0x80 {
        section.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    section.push(left as u8);
    section.extend(b"\x04note");
    section.resize(section.len() + bytes as usize, number);
    [component, &section].concat()
}

/// The same component with another digest: it ends with a section that nobody
/// reads.
pub fn variant(component: &[u8], number: u8) -> Vec<u8> {
    [component, &[0, 6, 4, b'n', b'o', b't', b'e', number]].concat()
}
