//! What an event says of the vehicle. How it is counted is not known here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::shadow::ShadowTier;
use crate::plugin_host::VehicleStats;

/// What is known of the vehicle.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(with = "Written<'static>")]
pub struct VehicleContext {
    /// Closed trips, added up.
    pub stats: Option<VehicleStats>,
    /// The owner's tier, as the `usage-tier` plugin sees it.
    pub usage_tier: Option<Arc<str>>,
    /// The same, as the plugin beside it sees it.
    pub shadow_tier: Option<ShadowTier>,
    /// Whether the figures come from a cache because the store did not answer.
    pub stale: bool,
    /// The last trips, on a finalization.
    pub battery_health: Option<BatteryHealth>,
}

/// Means over the vehicle's last closed trips with electric miles, at most 30.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct BatteryHealth {
    /// Mean electric miles, 1 decimal.
    pub electric_miles: f64,
    /// Mean kWh per mile, 3 decimals.
    pub kwh_per_mile: Option<f64>,
    /// Mean drop of the state of charge down to gas mode: percent, 1 decimal.
    pub soc_drop_percent: Option<f64>,
    /// Number of trips in these means.
    pub trips: u32,
}

/// What is known of the vehicle, as it is written.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VehicleContext")]
struct Written<'a> {
    /// Closed trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_trips: Option<u32>,
    /// Miles of closed trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_miles: Option<f64>,
    /// Days since the first upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_age_days: Option<u32>,
    /// Mean consumption: kWh for a mile on the battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_kwh_per_mile: Option<f64>,
    /// Mean miles on the engine for a US gallon.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_gas_mpg: Option<f64>,
    /// The owner's tier, in the words of the `usage-tier` plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_tier: Option<&'a str>,
    /// The owner's tier, as the plugin beside sees it: it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_tier: Option<&'a ShadowTier>,
    /// Whether the figures are from a cache because the store did not answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// Mean electric miles of the last trips with any, this one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_avg_electric_miles: Option<f64>,
    /// Mean consumption of the last trips with electric miles: kWh per mile.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_avg_efficiency_kwh_per_mile: Option<f64>,
    /// Mean drop of the state of charge down to gas mode of the last trips with electric miles: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_avg_soc_drop_percent: Option<f64>,
    /// Number of the last trips in these means, at most 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_size_trips: Option<u32>,
}

impl Serialize for VehicleContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stats, health) = (self.stats.as_ref(), self.battery_health.as_ref());
        let written = Written {
            total_trips: stats.map(|stats| stats.total_trips),
            total_miles: stats.map(|stats| stats.total_miles),
            account_age_days: stats.map(|stats| stats.account_age_days),
            avg_kwh_per_mile: stats.and_then(|stats| stats.avg_kwh_per_mile),
            avg_gas_mpg: stats.and_then(|stats| stats.avg_gas_mpg),
            usage_tier: self.usage_tier.as_deref(),
            shadow_tier: self.shadow_tier.as_ref(),
            stale: self.stale,
            recent_avg_electric_miles: health.map(|health| health.electric_miles),
            recent_avg_efficiency_kwh_per_mile: health.and_then(|health| health.kwh_per_mile),
            recent_avg_soc_drop_percent: health.and_then(|health| health.soc_drop_percent),
            sample_size_trips: health.map(|health| health.trips),
        };
        written.serialize(serializer)
    }
}
