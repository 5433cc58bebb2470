//! What an operation pins: one plugin for each slot, and every call that the
//! host makes of them. A set never changes; another one takes its place.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Notify;

use super::Slot;
use super::active::{Active, CallCounts, PluginStatus, Serving};
use super::bindings::charging::Session;
use super::bindings::costs::{Cost, Usage};
use super::bindings::live::{Figures, Point};
use super::bindings::routes::Ends;
use super::bindings::sampling::{Facts, Verdict};
use super::bindings::soc_floor::Floor;
use super::bindings::tiers::VehicleStats;
use super::bindings::trips::SocTransition;
use super::bindings::weather::{Impact, Sample};
use super::error::PluginError;
use super::health::Trouble;
use super::imports::EventFields;
use super::prepared::Placed;
use super::readings::TripReadings;
use super::settings::SlotSettings;
use super::shadow::Shadows;
use super::tiers::KnownTiers;
use super::world::{SamplingPolicy, TripCalculator, UsageTier};

/// Which plugin, in which version and with which settings, is active in a
/// slot: what each event says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PluginIdentity {
    /// What the plugin calls itself: 1 to 64 characters.
    pub name: String,
    /// What the plugin calls its version.
    pub version: String,
    /// SHA-256 of the component file, in hex.
    pub digest: String,
    /// The number of this activation of the slot, from 1 on.
    pub generation: u64,
    /// SHA-256 of the settings in force, in hex.
    pub settings_digest: String,
}

/// One plugin for each slot. An operation pins the set when it starts and
/// asks only this one, so nothing that it reports mixes generations. Clones
/// share the plugins.
#[derive(Clone)]
pub struct PluginSet {
    pub(super) sampling_policy: Arc<Active<SamplingPolicy>>,
    pub(super) usage_tier: Arc<Active<UsageTier>>,
    /// What that one has said.
    known_tiers: Arc<KnownTiers>,
    pub(super) trip_calculator: Arc<Active<TripCalculator>>,
    /// What runs beside them, and decides nothing.
    pub(super) shadows: Shadows,
}

/// Does the same with the plugin of any slot.
macro_rules! of {
    ($set:expr, $slot:expr, $active:ident => $does:expr) => {
        match $slot {
            Slot::SamplingPolicy => {
                let $active = &$set.sampling_policy;
                $does
            }
            Slot::UsageTier => {
                let $active = &$set.usage_tier;
                $does
            }
            Slot::TripCalculator => {
                let $active = &$set.trip_calculator;
                $does
            }
        }
    };
}

impl PluginSet {
    /// The plugin in a slot.
    pub fn identity(&self, slot: Slot) -> &PluginIdentity {
        of!(self, slot, active => &active.identity)
    }

    /// When the plugin in a slot was activated: epoch milliseconds.
    pub fn since_ms(&self, slot: Slot) -> i64 {
        of!(self, slot, active => active.since_ms())
    }

    /// What is set for the plugin in a slot.
    pub fn settings(&self, slot: Slot) -> &SlotSettings {
        of!(self, slot, active => active.settings())
    }

    /// Whether a slot is served, but not as it should be.
    pub fn is_degraded(&self, slot: Slot) -> bool {
        of!(self, slot, active => active.is_degraded())
    }

    /// Why a slot is not served as it should be, if so.
    pub fn degraded(&self, slot: Slot) -> Option<String> {
        of!(self, slot, active => active.degraded())
    }

    /// How the plugin in a slot does.
    pub fn status(&self, slot: Slot) -> PluginStatus {
        let status = of!(self, slot, active => active.status());
        PluginStatus { shadow: self.shadows.status(slot), ..status }
    }

    /// How often the plugin in a slot was called, and how that went.
    pub fn call_counts(&self, slot: Slot) -> CallCounts {
        of!(self, slot, active => active.call_counts())
    }

    /// The plugin in a slot fails too often: how it failed last.
    pub fn trouble(&self, slot: Slot) -> Option<Trouble> {
        of!(self, slot, active => active.health.trouble())
    }

    /// Whether the plugin's row of failures is told for the first time.
    pub fn tell_trouble_once(&self, slot: Slot) -> bool {
        of!(self, slot, active => active.health.tell_once())
    }

    /// This set with other plugins in these slots.
    pub(super) fn with(&self, placed: Vec<Placed>, alarm: &Arc<Notify>) -> Self {
        let mut set = self.clone();
        for placed in placed {
            set.shadows.beside_another(&placed.plugin);
            match Serving::new(placed, alarm) {
                Serving::SamplingPolicy(active) => set.sampling_policy = active,
                Serving::UsageTier(active) => {
                    set.usage_tier = active;
                    set.known_tiers = Arc::default();
                }
                Serving::TripCalculator(active) => set.trip_calculator = active,
            }
        }
        set
    }

    /// The first set: nothing unless every slot has its plugin.
    pub(super) fn first(placed: Vec<Placed>, alarm: &Arc<Notify>) -> Option<Self> {
        let (mut policy, mut tier, mut calculator) = (None, None, None);
        for placed in placed {
            match Serving::new(placed, alarm) {
                Serving::SamplingPolicy(active) => policy = Some(active),
                Serving::UsageTier(active) => tier = Some(active),
                Serving::TripCalculator(active) => calculator = Some(active),
            }
        }
        let shadows = Shadows::default();
        Some(Self {
            sampling_policy: policy?,
            usage_tier: tier?,
            known_tiers: Arc::default(),
            trip_calculator: calculator?,
            shadows,
        })
    }

    /// This set with other shadows.
    pub(super) fn with_shadows(&self, shadows: Shadows) -> Self {
        Self { shadows, ..self.clone() }
    }

    /// Lets go of the instances of plugins that `next` does not have. Calls
    /// under way end as they would have.
    pub(super) fn retire_for(&self, next: &Self) {
        for slot in Slot::ALL {
            // Not by its generation: one that begins anew keeps that.
            if self.instances(slot) != next.instances(slot) {
                of!(self, slot, active => active.pool.retire());
            }
        }
        self.shadows.end_for(next);
    }

    /// Where the instances of a slot are: in one place only if they are the same.
    fn instances(&self, slot: Slot) -> *const () {
        of!(self, slot, active => Arc::as_ptr(&active.pool).cast())
    }

    /// The usage tier of a vehicle's owner: a snake_case word. `at_ms` (epoch
    /// milliseconds), here and below, is the time that the plugin sees. It is
    /// asked once for the same figures, unless its answer depends on the time.
    pub async fn classify(&self, stats: VehicleStats, at_ms: i64) -> Result<Arc<str>, PluginError> {
        let active = &self.usage_tier;
        if let Some(tier) = self.known_tiers.get(&stats) {
            // Or one vehicle of which it fails would be all that it is judged by.
            active.health.succeeded();
            return Ok(tier);
        }
        let began = active.begin()?;
        let classified = active.judge(began, active.pool.classify(stats, at_ms).await)?;
        let tier = Arc::from(classified.tier);
        if !classified.depends_on_time {
            self.known_tiers.remember(&stats, Arc::clone(&tier));
        }
        Ok(tier)
    }

    /// With what probability, and why, a finished event is kept.
    pub async fn decide(
        &self,
        facts: Facts,
        event: Arc<dyn EventFields>,
        at_ms: i64,
    ) -> Result<Verdict, PluginError> {
        let policy = &self.sampling_policy;
        let began = policy.begin()?;
        policy.judge(began, policy.pool.decide(facts, event, at_ms).await)
    }

    /// Figures of a running trip, from its first known values to its latest.
    pub async fn figures_of(&self, first: Point, latest: Point, at_ms: i64) -> Result<Figures, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.figures_of(first, latest, at_ms)).await
    }

    /// A WMO weather code (0 to 99) in words.
    pub async fn condition(&self, code: Option<i32>, at_ms: i64) -> Result<String, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.condition(code, at_ms)).await
    }

    /// What the weather along a trip does to its consumption; nothing without
    /// samples.
    pub async fn assess(&self, samples: Vec<Sample>, at_ms: i64) -> Result<Option<Impact>, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.assess(samples, at_ms)).await
    }

    /// The charging sessions within the readings from the one with index
    /// `from` on, in time order.
    pub async fn sessions(
        &self,
        readings: Arc<TripReadings>,
        from: usize,
        at_ms: i64,
    ) -> Result<Vec<Session>, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.sessions(readings, from, at_ms)).await
    }

    /// What a trip's consumption costs.
    pub async fn cost_of(&self, usage: Usage, at_ms: i64) -> Result<Cost, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.cost_of(usage, at_ms)).await
    }

    /// At which charge the engine takes over, as these transitions show it.
    pub async fn floor_of(&self, transitions: Vec<SocTransition>, at_ms: i64) -> Result<Floor, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.floor_of(transitions, at_ms)).await
    }

    /// Miles that the battery still reaches, at the consumption of the last
    /// trips; nothing where it cannot be said.
    pub async fn predict_range(
        &self,
        state_of_charge: f64,
        recent_kwh_per_mile: f64,
        at_ms: i64,
    ) -> Result<Option<f64>, PluginError> {
        let calculator = &self.trip_calculator;
        calculator.metered(calculator.pool.predict(state_of_charge, recent_kwh_per_mile, at_ms)).await
    }

    /// Which of these routes a trip went: an index, nothing for a new one.
    pub async fn match_route(
        &self,
        trip: Ends,
        known: &[Ends],
        at_ms: i64,
    ) -> Result<Option<usize>, PluginError> {
        let calculator = &self.trip_calculator;
        let index = calculator.metered(calculator.pool.match_route(trip, known, at_ms)).await?;
        Ok(index.and_then(|index| usize::try_from(index).ok()))
    }
}
