//! Glue between the plugin contract and the rule. No rule lives here.

use std::cell::RefCell;

use plugin_settings::SettingSet;

use self::bindings::exports::volttracker::plugins::{identity, sampling};
use crate::{
    rules::policy::{Facts, decide},
    settings::Settings,
};

mod bindings {
    //! What `wit-bindgen` makes of the contract.
    #![expect(unsafe_code, reason = "generated: values cross the component boundary as raw memory")]
    use super::Plugin;

    wit_bindgen::generate!({ world: "sampling-policy", path: "../../wit" });
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
            description: "Keeps failures, slow operations, critical events and heavy users; \
                          samples the rest."
                .into(),
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

impl sampling::Guest for Plugin {
    fn decide(facts: sampling::Facts, _event: &sampling::WideEvent) -> sampling::Verdict {
        let facts = Facts {
            success: facts.success,
            duration_ms: facts.duration_ms,
            slow_threshold_ms: facts.slow_threshold_ms,
            base_rate: facts.base_rate,
            business_flags: &facts.business_flags,
            usage_tier: facts.usage_tier.as_deref(),
            account_age_days: facts.account_age_days,
        };
        let verdict = SETTINGS.with_borrow(|settings| decide(&facts, settings));
        sampling::Verdict { probability: verdict.probability, reason: verdict.reason.into() }
    }
}
