//! The settings of this plugin, with defaults and ranges. No rule lives here.

use plugin_settings::{Names, Word};

plugin_settings::settings! {
    /// What makes an event worth keeping.
    pub struct Settings {
        critical_flags: Names = "trip_created,gas_mode_entered,charging_started,refuel_detected", 64, "Business flags that keep an event whatever its rate.";
        new_user_days: u32 = "30", 0..=36_500, "Below how many days since the first trip an account counts as new.";
        new_user_probability: f64 = "0.25", 0.0..=1.0, "Probability with which a new account's events are kept at least.";
        heavy_tier: Word = "heavy", 64, "Usage tier whose events are always kept.";
    }
    check = |_| Ok(());
}
