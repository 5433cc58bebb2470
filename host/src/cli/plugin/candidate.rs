//! The options that say which component is meant for which slot, and with
//! which settings.

use std::path::PathBuf;

use clap::Args;

use crate::plugin_host::{Slot, Workbench};

/// A component file, meant for a slot.
#[derive(Args, Clone, Debug)]
pub(super) struct Candidate {
    /// The slot that the component is meant for
    #[arg(long, value_enum)]
    pub slot: Slot,
    /// A plugins.toml with limits and settings [default: none, all defaults]
    #[arg(long, value_name = "PLUGINS_TOML")]
    pub settings: Option<PathBuf>,
    /// A setting of the plugin; once for each, in place of what plugins.toml says
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub overrides: Vec<(String, String)>,
    /// The component
    pub file: PathBuf,
}

impl Candidate {
    pub(super) async fn workbench(&self) -> anyhow::Result<Workbench> {
        Ok(Workbench::open(self.settings.as_deref(), self.overrides.clone()).await?)
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it takes KEY=VALUE, such as heavy_from=200".to_owned()),
    }
}
