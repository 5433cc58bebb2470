//! What an event says of the vehicle. How it is counted is not known here.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::shadow::ShadowTier;
use crate::plugin_host::VehicleStats;

/// What is known of the vehicle.
#[derive(Debug, Clone, Default)]
pub struct VehicleContext {
    /// Closed trips, added up.
    pub stats: Option<VehicleStats>,
    /// The owner's tier, as the `usage-tier` plugin sees it.
    pub usage_tier: Option<String>,
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

impl Serialize for VehicleContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(stats) = &self.stats {
            map.serialize_entry("total_trips", &stats.total_trips)?;
            map.serialize_entry("total_miles", &stats.total_miles)?;
            map.serialize_entry("account_age_days", &stats.account_age_days)?;
            entry_some(&mut map, "avg_kwh_per_mile", stats.avg_kwh_per_mile)?;
            entry_some(&mut map, "avg_gas_mpg", stats.avg_gas_mpg)?;
        }
        entry_some(&mut map, "usage_tier", self.usage_tier.as_deref())?;
        entry_some(&mut map, "shadow_tier", self.shadow_tier.as_ref())?;
        if self.stale {
            map.serialize_entry("stale", &true)?;
        }
        if let Some(health) = &self.battery_health {
            map.serialize_entry("recent_avg_electric_miles", &health.electric_miles)?;
            entry_some(&mut map, "recent_avg_efficiency_kwh_per_mile", health.kwh_per_mile)?;
            entry_some(&mut map, "recent_avg_soc_drop_percent", health.soc_drop_percent)?;
            map.serialize_entry("sample_size_trips", &health.trips)?;
        }
        map.end()
    }
}

fn entry_some<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}
