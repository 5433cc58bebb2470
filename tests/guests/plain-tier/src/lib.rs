//! A usage tier for tests: the simplest plugin there can be. No real rule.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "usage-tier", path: "../../../wit" });

use exports::volttracker::plugins::identity::{self, PluginInfo};
use exports::volttracker::plugins::tiers::{self, VehicleStats};

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: "plain-tier".into(),
            version: "0.1.0".into(),
            description: "Tells vehicles with many trips from others.".into(),
            settings: vec![],
        }
    }

    fn configure(_settings: Vec<(String, String)>) -> Result<(), String> {
        Ok(())
    }
}

impl tiers::Guest for Plugin {
    fn classify(stats: VehicleStats) -> String {
        if stats.total_trips > 100 { "many" } else { "few" }.into()
    }
}

export!(Plugin);
