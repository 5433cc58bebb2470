//! Glue between the plugin contract and the rule. No rule lives here.

use std::cell::RefCell;

use plugin_settings::SettingSet;

use self::bindings::exports::volttracker::plugins::{identity, tiers};
use crate::{rules::tier::tier, settings::Settings};

mod bindings {
    //! What `wit-bindgen` makes of the contract.
    #![expect(unsafe_code, reason = "generated: values cross the component boundary as raw memory")]
    use super::Plugin;

    wit_bindgen::generate!({ world: "usage-tier", path: "../../wit" });
    export!(Plugin with_types_in self);
}

thread_local! {
    static SETTINGS: RefCell<Settings> = RefCell::default();
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> identity::PluginInfo {
        let settings = Settings::declarations().into_iter();
        identity::PluginInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Puts a vehicle into a usage tier by its number of closed trips.".into(),
            settings: settings
                .map(|setting| identity::Setting {
                    key: setting.key.into(),
                    default: setting.default.into(),
                    doc: setting.doc,
                })
                .collect(),
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        let settings = plugin_settings::configure(&settings)?;
        SETTINGS.set(settings);
        Ok(())
    }
}

impl tiers::Guest for Plugin {
    fn classify(stats: tiers::VehicleStats) -> String {
        SETTINGS.with_borrow(|settings| tier(stats.total_trips, settings).into())
    }
}
