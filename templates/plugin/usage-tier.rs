//! The `@NAME@` plugin: which tier is a vehicle's owner in?
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "usage-tier", path: "@WIT@" });

use std::cell::Cell;

use exports::volttracker::plugins::identity::{self, PluginInfo, Setting};
use exports::volttracker::plugins::tiers::{self, VehicleStats};

/// What an operator can set. It is all that an instance may remember.
#[derive(Clone, Copy)]
struct Settings {
    frequent_from: u32,
}

const DEFAULT: Settings = Settings { frequent_from: 50 };

thread_local! {
    static SETTINGS: Cell<Settings> = const { Cell::new(DEFAULT) };
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Tells frequent drivers from others.".into(),
            settings: vec![Setting {
                key: "frequent_from".into(),
                default: DEFAULT.frequent_from.to_string(),
                doc: "From how many closed trips on a vehicle is in the tier `frequent`.".into(),
            }],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        SETTINGS.set(read(&settings)?);
        Ok(())
    }
}

impl tiers::Guest for Plugin {
    fn classify(stats: VehicleStats) -> String {
        tier(&stats, SETTINGS.get()).into()
    }
}

/// The rule. It depends on its arguments only.
fn tier(stats: &VehicleStats, settings: Settings) -> &'static str {
    if stats.total_trips >= settings.frequent_from { "frequent" } else { "occasional" }
}

/// Settings from their texts; what is not named keeps its default.
fn read(given: &[(String, String)]) -> Result<Settings, String> {
    let mut settings = DEFAULT;
    for (key, value) in given {
        match key.as_str() {
            "frequent_from" => {
                settings.frequent_from = value
                    .parse()
                    .map_err(|_| format!("frequent_from is `{value}`, but takes a whole number"))?;
            }
            _ => return Err(format!("unknown setting `{key}`: there is frequent_from")),
        }
    }
    Ok(settings)
}

export!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_begins_at_its_threshold() {
        let stats = |total_trips| VehicleStats {
            total_trips,
            total_miles: 0.0,
            account_age_days: 0,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        assert_eq!(tier(&stats(49), DEFAULT), "occasional");
        assert_eq!(tier(&stats(50), DEFAULT), "frequent");
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(read(&[("often".into(), "1".into())]).is_err());
    }
}
