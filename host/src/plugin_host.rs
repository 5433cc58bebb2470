//! The façade of the plugin runtime: business rules as WebAssembly components,
//! called on a pinned plugin set. No wasmtime type leaves this module, and no
//! threshold of a business rule lives in it.

mod answers;
mod bindings;
mod canary;
mod console;
mod engine;
mod error;
mod imports;
mod load;
mod moment;
mod pool;
mod questions;
mod readings;
mod samples;
mod sandbox;
mod set;
mod settings;
mod usage;
mod workbench;
mod world;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::identity::hex;

pub use bindings::charging::Session;
pub use bindings::costs::{Cost, Usage};
pub use bindings::live::{Figures, Point};
pub use bindings::sampling::{Facts, Verdict};
pub use bindings::tiers::VehicleStats;
pub use bindings::trips::{Failure, Refuel, SocTransition, Summary, Trip};
pub use bindings::weather::{Impact, Sample};
pub use error::{PluginError, PluginErrorKind, Refusal, StartError, SummarizeError};
pub use imports::{EventFields, FieldValue};
pub use readings::TripReadings;
pub use set::{Calculation, PluginIdentity, PluginSet};
pub use settings::Limits;
pub use usage::Spent;
pub use workbench::{CallError, Called, Fit, Inspection, Instances, Measured, Measurement, Workbench};

/// Version of the WebAssembly runtime; a test holds it to the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// A decision that the server leaves to a plugin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// What did this trip do?
    TripCalculator,
    /// Which tier is this vehicle's owner in?
    UsageTier,
    /// With what probability, and why, is an event kept?
    SamplingPolicy,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Slot; 3] = [Slot::TripCalculator, Slot::UsageTier, Slot::SamplingPolicy];

    /// The slot's name in files, settings and events: `trip-calculator`.
    pub fn as_str(self) -> &'static str {
        match self {
            Slot::TripCalculator => "trip-calculator",
            Slot::UsageTier => "usage-tier",
            Slot::SamplingPolicy => "sampling-policy",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The active plugins of this process. Clones share them.
#[derive(Clone)]
pub struct PluginHost {
    active: Arc<ArcSwap<PluginSet>>,
}

impl PluginHost {
    /// Loads `<slot>.wasm` for each slot from `dir` (`PLUGIN_DIR`), with the
    /// limits and settings in its `plugins.toml`, if there is one. Each plugin
    /// is compiled, configured and tried before the set is published.
    ///
    /// # Errors
    /// All slots that have no fit plugin, each with what is wrong.
    pub async fn start(dir: &Path) -> Result<PluginHost, StartError> {
        let settings = read_settings(dir).await?;
        let engine = engine::start(engine::Fuel::NotCounted)
            .map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let set = load_set(&engine, dir, settings).await?;
        for slot in Slot::ALL {
            let PluginIdentity { name, version, digest, .. } = set.identity(slot);
            tracing::info!(%slot, name, version, digest, "plugin active");
        }
        Ok(Self { active: Arc::new(ArcSwap::from_pointee(set)) })
    }

    /// The plugin set of one operation: pin it once, when the operation
    /// starts, and ask only this one.
    pub fn pin(&self) -> Arc<PluginSet> {
        self.active.load_full()
    }
}

async fn read_settings(dir: &Path) -> Result<settings::PluginSettings, StartError> {
    let file = dir.join("plugins.toml");
    let read = match tokio::fs::read_to_string(&file).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| error.to_string()),
    };
    read.and_then(|text| settings::parse(&text)).map_err(|problem| StartError::Settings { file, problem })
}

/// Loads a whole set. All three slots are tried, so that an operator reads of
/// all that is wrong at once.
async fn load_set(
    engine: &wasmtime::Engine,
    dir: &Path,
    settings: settings::PluginSettings,
) -> Result<PluginSet, StartError> {
    let loaded = tokio::join!(
        load::load(engine, dir, settings.sampling_policy),
        load::load(engine, dir, settings.usage_tier),
        load::load(engine, dir, settings.trip_calculator),
    );
    match loaded {
        (Ok(sampling_policy), Ok(usage_tier), Ok(trip_calculator)) => {
            Ok(PluginSet { sampling_policy, usage_tier, trip_calculator })
        }
        (policy, tier, calculator) => Err(StartError::Unfit(
            [calculator.err(), tier.err(), policy.err()].into_iter().flatten().collect(),
        )),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
