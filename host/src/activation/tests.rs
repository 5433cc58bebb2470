//! The story of activations on real components and a real library.

use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::{Started, start};
use crate::config::Config;
use crate::plugin_host::{PluginHost, StartError};
use crate::store::Store;

/// A host's folder with its SQLite file, which outlives its processes.
pub(crate) struct Home {
    data_dir: TempDir,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

impl Home {
    /// A fresh one.
    pub(crate) fn fresh() -> Self {
        Self { data_dir: tempfile::tempdir().expect("temporary directory") }
    }

    /// The settings of a process that lives there.
    pub(crate) fn config(&self, plugin_dir: &Path) -> Config {
        let path = |path: &Path| path.display().to_string();
        let (data_dir, plugin_dir) = (path(self.data_dir.path()), path(plugin_dir));
        let flags = ["volttracker", "--data-dir", &data_dir, "--plugin-dir", &plugin_dir];
        Cli::try_parse_from(flags).expect("flags").config
    }

    /// What a start on these files comes to.
    pub(crate) async fn start(&self, plugin_dir: &Path) -> Result<Started, StartError> {
        let config = self.config(plugin_dir);
        let store = Store::open(&config.store, &config.trips).await.expect("a store");
        let started = start(plugin_dir, self.data_dir.path(), &store).await;
        store.close().await;
        started
    }
}

/// The plugins of a first start on these files.
pub(crate) async fn first_start(plugin_dir: &Path) -> Result<PluginHost, StartError> {
    Home::fresh().start(plugin_dir).await.map(|started| started.plugins)
}
