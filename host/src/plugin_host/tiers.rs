//! Tiers by the figures that they were said of. Plugins are pure: what one said
//! of a vehicle stands until the figures change, or another serves the slot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bindings::tiers::VehicleStats;

/// Vehicles whose tier is remembered: some 150 bytes each. Beyond them all is
/// forgotten, and asked again.
const MOST: usize = 16_384;

/// A vehicle's figures, bit by bit.
type Figures = (u32, u64, u32, Option<u64>, Option<u64>);

/// What the plugin in the slot has said of vehicles.
#[derive(Default)]
pub(super) struct KnownTiers(Mutex<HashMap<Figures, Arc<str>>>);

impl KnownTiers {
    pub(super) fn get(&self, stats: &VehicleStats) -> Option<Arc<str>> {
        self.tiers().get(&figures(stats)).cloned()
    }

    pub(super) fn remember(&self, stats: &VehicleStats, tier: Arc<str>) {
        let mut tiers = self.tiers();
        if tiers.len() >= MOST {
            tiers.clear();
        }
        tiers.insert(figures(stats), tier);
    }

    fn tiers(&self) -> MutexGuard<'_, HashMap<Figures, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn figures(stats: &VehicleStats) -> Figures {
    let VehicleStats { total_trips, total_miles, account_age_days, avg_kwh_per_mile, avg_gas_mpg } = *stats;
    let bits = |figure: Option<f64>| figure.map(f64::to_bits);
    (total_trips, total_miles.to_bits(), account_age_days, bits(avg_kwh_per_mile), bits(avg_gas_mpg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(total_trips: u32) -> VehicleStats {
        VehicleStats {
            total_trips,
            total_miles: 0.1,
            account_age_days: 3,
            avg_kwh_per_mile: None,
            avg_gas_mpg: Some(40.0),
        }
    }

    #[test]
    fn a_tier_is_known_of_the_very_figures_only() {
        let known = KnownTiers::default();
        known.remember(&stats(1), "light".into());
        assert_eq!(known.get(&stats(1)).as_deref(), Some("light"));
        let others = [
            stats(2),
            VehicleStats { total_miles: 0.1_f64.next_up(), ..stats(1) },
            VehicleStats { account_age_days: 4, ..stats(1) },
            VehicleStats { avg_kwh_per_mile: Some(0.3), ..stats(1) },
            VehicleStats { avg_gas_mpg: None, ..stats(1) },
        ];
        for other in others {
            assert_eq!(known.get(&other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let known = KnownTiers::default();
        (0..=MOST as u32).for_each(|trips| known.remember(&stats(trips), "light".into()));
        assert_eq!(known.tiers().len(), 1);
        assert!(known.get(&stats(MOST as u32)).is_some());
    }
}
