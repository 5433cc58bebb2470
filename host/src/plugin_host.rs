//! The façade of the plugin runtime: business rules as WebAssembly components,
//! called on a pinned plugin set. No wasmtime type leaves this module, and no
//! threshold of a business rule lives in it.

mod active;
mod answers;
mod bindings;
mod calculation;
mod calls;
mod canary;
mod code_cache;
pub(crate) mod compiler;
mod console;
mod engine;
mod error;
mod health;
mod imports;
mod interfaces;
mod load;
mod meter;
mod moment;
mod pool;
mod prepared;
mod questions;
mod readings;
mod runtime;
mod samples;
mod sandbox;
mod set;
mod settings;
mod shadow;
mod tiers;
mod usage;
mod workbench;
mod world;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::identity::hex;

pub use active::{CallCounts, PluginStatus};
pub use bindings::charging::Session;
pub use bindings::costs::{Cost, Usage};
pub use bindings::live::{Figures, Point};
pub use bindings::routes::{Ends, Place};
pub use bindings::sampling::{Facts, Verdict};
pub use bindings::soc_floor::{Bar, ByTemperature, Floor};
pub use bindings::tiers::VehicleStats;
pub use bindings::trips::{Failure, Refuel, SocTransition, Summary, Trip};
pub use bindings::weather::{Impact, Sample};
pub use calculation::Calculation;
pub use compiler::Compiling;
pub use error::{Fault, PluginError, PluginErrorKind, Refusal, StartError, SummarizeError};
pub use health::Trouble;
pub use imports::{EventFields, FieldValue};
pub use prepared::{Candidate, CheckTimes, Placed, Prepared};
pub use readings::TripReadings;
pub use runtime::{PluginRuntime, Purpose};
pub use set::{PluginIdentity, PluginSet};
pub use settings::{Limits, PluginSettings, SlotSettings};
pub use shadow::{Decided, Said, ShadowStatus, Shadowed};
pub use usage::Spent;
pub use workbench::{CallError, Called, Fit, Inspection, Instances, Measured, Measurement, Workbench};

/// Version of the WebAssembly runtime; a test holds it to the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// A decision that the server leaves to a plugin.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    utoipa::ToSchema,
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

impl FromStr for Slot {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let slot = Self::ALL.into_iter().find(|slot| slot.as_str() == name);
        slot.ok_or_else(|| {
            format!("there is no slot {name:?}: there are {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// The active plugins of this process. Clones share them.
#[derive(Clone)]
pub struct PluginHost {
    runtime: PluginRuntime,
    active: Arc<ArcSwap<PluginSet>>,
    alarm: Arc<Notify>,
}

impl PluginHost {
    /// A host that begins with these plugins: nothing unless there is one for
    /// every slot.
    pub fn new(runtime: PluginRuntime, placed: Vec<Placed>) -> Option<Self> {
        let alarm = Arc::default();
        let set = PluginSet::first(placed, &alarm)?;
        Some(Self { runtime, active: Arc::new(ArcSwap::from_pointee(set)), alarm })
    }

    /// What candidates are made ready with.
    pub fn runtime(&self) -> &PluginRuntime {
        &self.runtime
    }

    /// The plugin set of one operation: pin it once, when the operation
    /// starts, and ask only this one.
    pub fn pin(&self) -> Arc<PluginSet> {
        self.active.load_full()
    }

    /// Puts plugins in their slots, all at once: operations that start from
    /// now on use them. Not to be called twice at the same time.
    pub fn publish(&self, placed: Vec<Placed>) {
        self.replace(self.pin().with(placed, &self.alarm));
    }

    /// Lets a prepared plugin run beside the one that serves its slot, in
    /// place of the shadow before it. Like [`PluginHost::publish`] not to be
    /// called twice at the same time.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub fn begin_shadow(&self, plugin: Prepared) -> std::io::Result<()> {
        let set = self.pin();
        let shadows = set.shadows.with(plugin, &self.alarm)?;
        self.replace(set.with_shadows(shadows));
        Ok(())
    }

    /// Ends the shadow of a slot: it is asked nothing more. Like
    /// [`PluginHost::publish`] not to be called twice at the same time.
    pub fn end_shadow(&self, slot: Slot) {
        let set = self.pin();
        self.replace(set.with_shadows(set.shadows.without(slot)));
    }

    fn replace(&self, next: PluginSet) {
        let next = Arc::new(next);
        let before = self.active.swap(Arc::clone(&next));
        before.retire_for(&next);
    }

    /// Waits until the plugin in some slot, or the one beside it, has failed
    /// too often in a row.
    pub async fn alarm(&self) {
        self.alarm.notified().await;
    }
}

/// SHA-256 in hex: what components and settings are named by.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
