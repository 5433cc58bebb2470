//! A plugin that serves its slot: who it is, its instances, and how it does.
//! What is asked of it lives in `set`.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::bindings::identity::Setting;
use super::code_cache::Held;
use super::error::{PluginError, PluginErrorKind};
use super::health::{Health, Trouble};
use super::meter::{CallStatus, Meter};
use super::pool::{MemoryStatus, Pool, PoolStatus, bounded};
use super::prepared::{Placed, Ready};
use super::set::PluginIdentity;
use super::settings::SlotSettings;
use super::shadow::ShadowStatus;
use super::world::{SamplingPolicy, TripCalculator, UsageTier, World};
use crate::histogram::Distribution;

/// Settings of a plugin that are shown.
const KNOWN_SETTINGS: usize = 100;

/// A plugin that serves its slot.
pub(super) struct Active<W: World> {
    pub(super) identity: PluginIdentity,
    pub(super) pool: Arc<Pool<W>>,
    pub(super) meter: Meter,
    pub(super) health: Health,
    placing: Placing,
}

/// How it came to serve.
struct Placing {
    description: String,
    known_settings: Vec<Setting>,
    settings: SlotSettings,
    since_ms: i64,
    way: String,
    compiled: bool,
    degraded: Option<String>,
    /// The next start needs it again.
    _code: Held,
}

/// What an operator sees of the plugin in one slot.
#[derive(Debug, Clone, Serialize)]
pub struct PluginStatus {
    /// Who it is.
    #[serde(flatten)]
    pub identity: PluginIdentity,
    /// What it decides, in its own words.
    pub description: String,
    /// When it was activated.
    pub since: Option<jiff::Timestamp>,
    /// Which way it came.
    pub way: String,
    /// Whether its code was compiled for it, and not found in the cache.
    pub compiled: bool,
    /// Why the slot is not served as it should be, if so.
    pub degraded: Option<String>,
    /// What the operator set: limits, and `settings` of the plugin.
    pub set: Value,
    /// Every setting that it knows.
    pub known_settings: Vec<Setting>,
    /// How its calls went, since its activation on this host.
    pub calls: CallStatus,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// Its instances.
    pub pool: PoolStatus,
    /// Their memory.
    pub memory: MemoryStatus,
    /// What runs beside it, if anything does.
    pub shadow: Option<ShadowStatus>,
}

/// How often the plugin in one slot was called, and how that went, since its
/// activation on this host.
#[derive(Debug, Clone)]
pub struct CallCounts {
    /// How long calls took, failed ones included: nanoseconds.
    pub durations: Distribution,
    /// Calls that failed, by how they did.
    pub failures: [(PluginErrorKind, u64); PluginErrorKind::ALL.len()],
}

impl<W: World> Active<W> {
    pub(super) fn call_counts(&self) -> CallCounts {
        CallCounts {
            durations: self.meter.durations(),
            failures: PluginErrorKind::ALL.map(|kind| (kind, self.meter.failures(kind))),
        }
    }

    /// Waits for a call and counts it.
    pub(super) async fn metered<T>(
        &self,
        call: impl Future<Output = Result<T, PluginError>>,
    ) -> Result<T, PluginError> {
        let started = Instant::now();
        let answer = call.await;
        self.meter.count(started.elapsed(), answer.as_ref().err().map(|error| error.kind));
        answer
    }

    /// Begins a call that is taken as a sign of health.
    ///
    /// # Errors
    /// A plugin that fails too often is spared most of them: how it failed last.
    pub(super) fn begin(&self) -> Result<Instant, PluginError> {
        match self.health.spared() {
            Some(Trouble::Plugin(error)) => Err(error),
            _ => Ok(Instant::now()),
        }
    }

    /// Counts a call that has begun, and takes it as a sign of health.
    pub(super) fn judge<T>(&self, began: Instant, answer: Result<T, PluginError>) -> Result<T, PluginError> {
        self.meter.count(began.elapsed(), answer.as_ref().err().map(|error| error.kind));
        match &answer {
            Ok(_) => self.health.succeeded(),
            Err(error) => self.health.failed(Trouble::Plugin(error.clone()), None),
        }
        answer
    }

    pub(super) fn since_ms(&self) -> i64 {
        self.placing.since_ms
    }

    pub(super) fn settings(&self) -> &SlotSettings {
        &self.placing.settings
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.placing.degraded.is_some() || self.health.is_failing()
    }

    pub(super) fn degraded(&self) -> Option<String> {
        match self.health.trouble() {
            Some(trouble) => Some(format!("{} failures in a row: {trouble}", self.health.in_a_row())),
            None => self.placing.degraded.clone(),
        }
    }

    pub(super) fn status(&self) -> PluginStatus {
        let Placing { description, known_settings, settings, since_ms, way, compiled, .. } = &self.placing;
        PluginStatus {
            identity: self.identity.clone(),
            description: description.clone(),
            since: jiff::Timestamp::from_millisecond(*since_ms).ok(),
            way: way.clone(),
            compiled: *compiled,
            degraded: self.degraded(),
            set: settings.as_json(),
            known_settings: known_settings.clone(),
            calls: self.meter.status(),
            failures_in_a_row: self.health.in_a_row(),
            pool: self.pool.status(),
            memory: self.pool.memory(),
            shadow: None,
        }
    }
}

/// An active plugin of any slot.
pub(super) enum Serving {
    SamplingPolicy(Arc<Active<SamplingPolicy>>),
    UsageTier(Arc<Active<UsageTier>>),
    TripCalculator(Arc<Active<TripCalculator>>),
}

impl Serving {
    /// Gives a prepared plugin its place.
    pub(super) fn new(placed: Placed, alarm: &Arc<Notify>) -> Self {
        let Placed { plugin, generation, since_ms, way, degraded } = placed;
        let limit = plugin.settings.limits.failures_before_rollback;
        let health = Health::new(limit, Arc::clone(alarm));
        let identity = PluginIdentity {
            name: plugin.about.name,
            version: plugin.about.version,
            digest: plugin.digest,
            generation,
            settings_digest: plugin.settings.digest(),
        };
        let placing = Placing {
            description: bounded(&plugin.about.description, 1000),
            known_settings: plugin.about.settings.into_iter().take(KNOWN_SETTINGS).collect(),
            settings: plugin.settings,
            since_ms,
            way,
            compiled: plugin.compiled,
            degraded,
            _code: plugin.code,
        };
        let meter = Meter::new();
        match plugin.ready {
            Ready::SamplingPolicy(pool) => {
                Self::SamplingPolicy(Arc::new(Active { identity, pool, meter, health, placing }))
            }
            Ready::UsageTier(pool) => {
                Self::UsageTier(Arc::new(Active { identity, pool, meter, health, placing }))
            }
            Ready::TripCalculator(pool) => {
                Self::TripCalculator(Arc::new(Active { identity, pool, meter, health, placing }))
            }
        }
    }
}
