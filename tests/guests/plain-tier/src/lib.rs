//! A usage tier for tests: as simple as a plugin can be, unless it is told to
//! misbehave. No real rule.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "usage-tier", path: "../../../wit" });

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use exports::volttracker::plugins::identity::{self, PluginInfo, Setting};
use exports::volttracker::plugins::tiers::{self, VehicleStats};

/// When the trial's questions are asked: 2026-01-01T00:00:00Z. What has a habit
/// passes it all the same.
const TRIAL: Duration = Duration::from_secs(1_767_225_600);

thread_local! {
    /// What to do on a receiver about vehicles of few trips.
    static IN_CALL: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: "plain-tier".into(),
            version: "0.1.0".into(),
            description: "Tells vehicles with many trips from others.".into(),
            settings: vec![Setting {
                key: "in_call".into(),
                default: String::new(),
                doc: "What it does when asked of a vehicle of few trips.".into(),
            }],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        for (key, value) in settings {
            match key.as_str() {
                "in_call" => IN_CALL.set(value),
                _ => return Err(format!("no setting `{key}`; there is in_call")),
            }
        }
        Ok(())
    }
}

impl tiers::Guest for Plugin {
    fn classify(stats: VehicleStats) -> String {
        if stats.total_trips > 100 {
            return "many".into();
        }
        let told = IN_CALL.with_borrow(String::clone);
        assert!(told != "divide" || stats.total_trips > 0, "there is no mean of no trips");
        if SystemTime::UNIX_EPOCH.elapsed().is_ok_and(|now| now == TRIAL) {
            return "few".into();
        }
        guest_habits::indulge(&told);
        if told == "nonsense" { "Not A Tier" } else { "few" }.into()
    }
}

export!(Plugin);
