//! A plugin on its way into its slot: first a candidate, then, with every
//! check passed, prepared. What serves a slot lives in `set`.

use std::sync::Arc;

use super::bindings::identity::PluginInfo;
use super::code_cache::Held;
use super::error::Refusal;
use super::pool::Pool;
use super::settings::SlotSettings;
use super::world::{SamplingPolicy, TripCalculator, UsageTier};
use super::{Slot, sha256_hex};

/// A component that somebody wants to serve a slot.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The slot.
    pub slot: Slot,
    /// Where it comes from: a file, or words.
    pub origin: String,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// Its SHA-256, in hex.
    pub digest: String,
    /// What it is to be configured with.
    pub settings: SlotSettings,
}

impl Candidate {
    /// A candidate with its digest, which is made off the async threads: it
    /// takes a while for a large one.
    ///
    /// # Errors
    /// The process ends before it is made.
    pub async fn new(
        slot: Slot,
        origin: impl Into<String>,
        bytes: impl Into<Arc<[u8]>> + Send + 'static,
        settings: SlotSettings,
    ) -> Result<Self, Refusal> {
        let origin = origin.into();
        let hashed = tokio::task::spawn_blocking(move || {
            let bytes = bytes.into();
            (sha256_hex(&bytes), bytes)
        });
        match hashed.await {
            Ok((digest, bytes)) => Ok(Self { slot, origin, bytes, digest, settings }),
            Err(panic) => Err(Refusal::new(slot, origin, vec![panic.to_string()])),
        }
    }
}

/// How long the checks of a plugin took: milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct CheckTimes {
    /// Compiling it, or loading its compiled code.
    pub compile_ms: f64,
    /// Starting it and trying it out.
    pub trial_ms: f64,
}

/// A plugin that passed every check. Clones share its instances.
#[derive(Clone)]
pub struct Prepared {
    pub(super) about: PluginInfo,
    pub(super) bytes: Arc<[u8]>,
    pub(super) digest: String,
    pub(super) settings: SlotSettings,
    pub(super) compiled: bool,
    pub(super) times: CheckTimes,
    pub(super) code: Held,
    pub(super) ready: Ready,
}

/// Its instances, by slot.
#[derive(Clone)]
pub(super) enum Ready {
    SamplingPolicy(Arc<Pool<SamplingPolicy>>),
    UsageTier(Arc<Pool<UsageTier>>),
    TripCalculator(Arc<Pool<TripCalculator>>),
}

impl Prepared {
    /// The slot that it can serve.
    pub fn slot(&self) -> Slot {
        match self.ready {
            Ready::SamplingPolicy(_) => Slot::SamplingPolicy,
            Ready::UsageTier(_) => Slot::UsageTier,
            Ready::TripCalculator(_) => Slot::TripCalculator,
        }
    }

    /// What it calls itself: 1 to 64 characters.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// What it calls its version.
    pub fn version(&self) -> &str {
        &self.about.version
    }

    /// The component.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the component, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it is configured with.
    pub fn settings(&self) -> &SlotSettings {
        &self.settings
    }

    /// Whether its code had to be compiled.
    pub fn compiled(&self) -> bool {
        self.compiled
    }

    /// What it was before the checks.
    pub fn as_candidate(&self, origin: impl Into<String>) -> Candidate {
        Candidate {
            slot: self.slot(),
            origin: origin.into(),
            bytes: Arc::clone(&self.bytes),
            digest: self.digest.clone(),
            settings: self.settings.clone(),
        }
    }

    /// Whether both are clones of one: then they share their instances.
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }

    /// How long its checks took.
    pub fn times(&self) -> CheckTimes {
        self.times
    }
}

/// A prepared plugin with its place in the slot's history.
pub struct Placed {
    /// The plugin.
    pub plugin: Prepared,
    /// The number of this activation of the slot, from 1 on.
    pub generation: u64,
    /// When it was activated: epoch milliseconds.
    pub since_ms: i64,
    /// Which way it came.
    pub way: String,
    /// Why the slot is not served by what it should be served by, if so.
    pub degraded: Option<String>,
}
