//! The story of activations on real components, a real library and real
//! events; only the door is missing.

mod containment;
mod doubts;
mod hosts;
mod requests;
mod shadows;
mod starts;
mod stops;
mod watching;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Report, start};
use crate::app::App;
use crate::config::Config;
use crate::events::sink::Sinks;
use crate::events::tests::contract::assert_as_published;
use crate::finalize::Wish;
use crate::plugin_host::tests::plugin_dir;
use crate::plugin_host::{Compiling, PluginHost, Slot, StartError, sha256_hex};
use crate::store::{Layout, NewActivation, Store};

/// Deadlines that a busy machine keeps.
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

const PATIENT: &str = "[sampling-policy]\ndeadline_ms = 2000\n[usage-tier]\ndeadline_ms = 2000\n";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// A host's folders, which outlive its processes.
pub(crate) struct Home {
    data_dir: TempDir,
    plugin_dir: TempDir,
    database_url: Option<String>,
}

impl Home {
    /// A fresh one with all three guests, and patient deadlines.
    fn with_guests() -> Self {
        Self::with(plugin_dir(PATIENT), None)
    }

    fn with(plugin_dir: TempDir, database_url: Option<String>) -> Self {
        let data_dir = tempfile::tempdir().expect("temporary directory");
        Self { data_dir, plugin_dir, database_url }
    }

    fn config(&self) -> Config {
        config(self.data_dir.path(), self.plugin_dir.path(), self.database_url.as_deref())
    }

    /// The file of a slot.
    fn file(&self, slot: Slot) -> PathBuf {
        self.plugin_dir.path().join(format!("{slot}.wasm"))
    }

    fn component(&self, slot: Slot) -> Vec<u8> {
        std::fs::read(self.file(slot)).expect("read")
    }

    /// Puts a file into the inbox.
    fn put(&self, slot: Slot, bytes: &[u8]) {
        std::fs::write(self.file(slot), bytes).expect("write");
    }

    /// Sets `plugins.toml`, beside patient deadlines.
    fn set(&self, text: &str) {
        std::fs::write(self.plugin_dir.path().join("plugins.toml"), format!("{PATIENT}{text}"))
            .expect("write");
    }

    /// Removes all compiled code.
    fn forget_code(&self) {
        let cache = self.data_dir.path().join("plugin-cache");
        for code in std::fs::read_dir(cache).expect("a folder") {
            std::fs::remove_file(code.expect("a file").path()).expect("remove");
        }
    }

    /// Everything of a process but its door.
    async fn process(&self) -> Process {
        let written = Arc::default();
        let started = self.start(Arc::clone(&written), pending()).await.expect("a start");
        let (app, reports, _) = started.expect("nobody stops it");
        super::tell(&app, reports);
        Process { app, written }
    }

    async fn start(
        &self,
        written: Arc<Mutex<Vec<Value>>>,
        stop: impl Future<Output = &'static str>,
    ) -> anyhow::Result<Option<(Arc<App>, Vec<Report>, mpsc::Receiver<Wish>)>> {
        crate::app::start(&self.config(), Compiling::InPlace, Sinks::memory(written), stop).await
    }
}

/// A process, and its events.
struct Process {
    app: Arc<App>,
    written: Arc<Mutex<Vec<Value>>>,
}

impl Process {
    /// Its swaps so far, oldest first.
    fn swaps(&self) -> Vec<Value> {
        let written = self.written.lock().expect("no writer panicked");
        assert_as_published(&written);
        written.iter().filter(|event| event["operation"] == "plugin_swap").cloned().collect()
    }

    fn generation(&self, slot: Slot) -> u64 {
        self.app.plugins.pin().identity(slot).generation
    }

    fn digest(&self, slot: Slot) -> String {
        self.app.plugins.pin().identity(slot).digest.clone()
    }

    fn degraded(&self, slot: Slot) -> Option<String> {
        self.app.plugins.pin().degraded(slot)
    }

    /// Has others compile as much as they may, until that is dropped.
    async fn busy_compilers(&self) -> OwnedSemaphorePermit {
        let compilers = Arc::clone(self.app.plugins.runtime().compilers());
        let all = compilers.available_permits() as u32;
        compilers.acquire_many_owned(all).await.expect("compilers")
    }

    /// Another host that shares the library activates this.
    async fn other_host_activates(&self, slot: Slot, component: &[u8]) {
        let other = NewActivation {
            slot,
            bytes: component,
            digest: &sha256_hex(component),
            settings_digest: "others",
            settings: "{}",
            name: "a plugin",
            version: "1.0.0",
            way: "api",
            activated_ms: 1,
            follows: None,
        };
        self.app.store.activate_plugins(&[other]).await.expect("a library");
    }

    async fn stop(self) -> Vec<Value> {
        let swaps = self.swaps();
        self.app.store.close(PATIENCE).await;
        swaps
    }
}

/// The same component with another digest: a section that nobody reads.
fn variant(component: &[u8], number: u8) -> Vec<u8> {
    [component, &[0, 6, 4, b'n', b'o', b't', b'e', number]].concat()
}

fn config(data_dir: &Path, plugin_dir: &Path, database_url: Option<&str>) -> Config {
    let (data_dir, plugin_dir) = (data_dir.display().to_string(), plugin_dir.display().to_string());
    let mut flags = vec!["volttracker", "--data-dir", &data_dir, "--plugin-dir", &plugin_dir];
    // Tests talk to nobody outside.
    flags.extend(["--feature-weather", "false"]);
    flags.extend(database_url.into_iter().flat_map(|url| ["--database-url", url]));
    Cli::try_parse_from(flags).expect("flags").config
}

/// The plugins of a first start on these files.
pub(crate) async fn first_start(plugin_dir: &Path) -> Result<PluginHost, StartError> {
    let data_dir = tempfile::tempdir().expect("temporary directory");
    let config = config(data_dir.path(), plugin_dir, None);
    let store = Store::open(&config.store, &config.trips, Layout::new(["speed_mph"])).await.expect("a store");
    let started = start(Compiling::InPlace, plugin_dir, data_dir.path(), &store, pending()).await;
    store.close(PATIENCE).await;
    started.map(|started| started.expect("nobody stops it").plugins)
}
