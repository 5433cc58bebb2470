//! Which tier a number of closed trips is in. Nothing else is looked at.

use crate::settings::Settings;

/// The tier of a vehicle with `closed_trips` closed trips: `new`, `light`,
/// `moderate` or `heavy`.
#[must_use]
pub fn tier(closed_trips: u32, settings: &Settings) -> &'static str {
    if closed_trips >= settings.heavy_from {
        "heavy"
    } else if closed_trips >= settings.moderate_from {
        "moderate"
    } else if closed_trips >= settings.light_from {
        "light"
    } else {
        "new"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_starts_at_its_setting() {
        let settings = Settings::default();

        let tiers = [0, 1, 19, 20, 99, 100, u32::MAX].map(|trips| tier(trips, &settings));

        assert_eq!(tiers, ["new", "light", "light", "moderate", "moderate", "heavy", "heavy"]);
    }

    #[test]
    fn the_settings_decide() {
        let settings = Settings { heavy_from: 50, ..Settings::default() };

        assert_eq!(tier(50, &settings), "heavy");
    }
}
