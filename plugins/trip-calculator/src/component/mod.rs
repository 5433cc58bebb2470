//! Glue between the plugin contract and the rules: who the plugin is and how
//! each world's function reaches its rule. No rule lives here.

mod convert;

use std::cell::RefCell;

use plugin_settings::SettingSet;

use self::bindings::{
    exports::volttracker::plugins::{
        charging, costs, identity, live, range, routes, soc_floor, trips, weather,
    },
    volttracker::plugins::{progress, readings::Readings as Handle},
};
use crate::{rules, settings::Settings};

mod bindings {
    //! What `wit-bindgen` makes of the contract.
    #![expect(unsafe_code, reason = "generated: values cross the component boundary as raw memory")]
    use super::Plugin;

    wit_bindgen::generate!({ world: "trip-calculator", path: "../../wit" });
    export!(Plugin with_types_in self);
}

thread_local! {
    static SETTINGS: RefCell<Settings> = RefCell::default();
}

struct Plugin;

impl rules::readings::Source for Handle {
    fn times(&self) -> Vec<i64> {
        Handle::times(self)
    }

    fn column(&self, name: &str) -> Option<Vec<f64>> {
        Handle::column(self, name)
    }
}

impl identity::Guest for Plugin {
    fn describe() -> identity::PluginInfo {
        let settings = Settings::declarations().into_iter();
        identity::PluginInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Computes what trips of a plug-in hybrid did, used and cost.".into(),
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

impl trips::Guest for Plugin {
    fn summarize(trip: trips::Trip, readings: &Handle) -> Result<trips::Summary, trips::Failure> {
        SETTINGS.with_borrow(|settings| {
            rules::summary::summarize(&trip.into(), readings, settings, &progress::stage)
                .map(Into::into)
                .map_err(Into::into)
        })
    }
}

impl live::Guest for Plugin {
    fn figures_of(first: live::Point, latest: live::Point) -> live::Figures {
        SETTINGS.with_borrow(|settings| rules::live::figures(&first.into(), &latest.into(), settings)).into()
    }
}

impl weather::Guest for Plugin {
    fn condition(code: Option<i32>) -> String {
        rules::weather::condition(code)
    }

    fn assess(samples: Vec<weather::Sample>) -> Option<weather::Impact> {
        let samples: Vec<_> = samples.into_iter().map(Into::into).collect();
        SETTINGS.with_borrow(|settings| rules::weather::assess(&samples, settings)).map(Into::into)
    }
}

impl charging::Guest for Plugin {
    fn sessions(readings: &Handle) -> Vec<charging::Session> {
        let readings = rules::readings::Readings::new(readings);
        // The contract has no failure here: readings that contradict
        // themselves show no session.
        let charger = rules::charging::charger(&readings).unwrap_or_default();
        let sessions =
            SETTINGS.with_borrow(|settings| rules::charging::sessions(readings.times(), &charger, settings));
        sessions.into_iter().map(Into::into).collect()
    }
}

impl costs::Guest for Plugin {
    fn cost_of(usage: costs::Usage) -> costs::Cost {
        SETTINGS.with_borrow(|settings| rules::costs::cost(&usage.into(), settings)).into()
    }
}

impl soc_floor::Guest for Plugin {
    fn floor_of(transitions: Vec<trips::SocTransition>) -> soc_floor::Floor {
        let entries: Vec<_> = transitions.into_iter().map(Into::into).collect();
        SETTINGS.with_borrow(|settings| rules::soc_floor::floor(&entries, settings)).into()
    }
}

impl range::Guest for Plugin {
    fn predict(state_of_charge: f64, recent_kwh_per_mile: f64) -> Option<f64> {
        SETTINGS.with_borrow(|settings| rules::range::predict(state_of_charge, recent_kwh_per_mile, settings))
    }
}

impl routes::Guest for Plugin {
    fn match_route(trip: routes::Ends, known: Vec<routes::Ends>) -> Option<u32> {
        let known: Vec<_> = known.into_iter().map(Into::into).collect();
        let found =
            SETTINGS.with_borrow(|settings| rules::routes::match_route(&trip.into(), &known, settings));
        found.and_then(|index| u32::try_from(index).ok())
    }
}
