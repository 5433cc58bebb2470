//! The `@NAME@` plugin: with what probability, and why, is an event kept?
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "sampling-policy", path: "@WIT@" });

use std::cell::Cell;

use exports::volttracker::plugins::identity::{self, PluginInfo, Setting};
use exports::volttracker::plugins::sampling::{self, Facts, Verdict, WideEvent};
use volttracker::plugins::wide_events::Value;

/// What an operator can set. It is all that an instance may remember.
#[derive(Clone, Copy)]
struct Settings {
    large_bytes: f64,
}

const DEFAULT: Settings = Settings { large_bytes: 10_000.0 };

thread_local! {
    static SETTINGS: Cell<Settings> = const { Cell::new(DEFAULT) };
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Keeps failures and large requests; samples the rest.".into(),
            settings: vec![Setting {
                key: "large_bytes".into(),
                default: DEFAULT.large_bytes.to_string(),
                doc: "From how many bytes on a request counts as large.".into(),
            }],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        SETTINGS.set(read(&settings)?);
        Ok(())
    }
}

impl sampling::Guest for Plugin {
    fn decide(facts: Facts, event: &WideEvent) -> Verdict {
        // Any field of the event, by its path; only what is asked for is read.
        let request_bytes = match event.get("request_bytes") {
            Some(Value::Number(bytes)) => bytes,
            _ => 0.0,
        };
        let (probability, reason) = decide(&facts, request_bytes, SETTINGS.get());
        Verdict { probability, reason: reason.into() }
    }
}

/// The rule. It depends on its arguments only: the host tosses the coin.
fn decide(facts: &Facts, request_bytes: f64, settings: Settings) -> (f64, &'static str) {
    if !facts.success {
        (1.0, "error")
    } else if request_bytes >= settings.large_bytes {
        (1.0, "large")
    } else {
        (facts.base_rate, "base_rate")
    }
}

/// Settings from their texts; what is not named keeps its default.
fn read(given: &[(String, String)]) -> Result<Settings, String> {
    let mut settings = DEFAULT;
    for (key, value) in given {
        match key.as_str() {
            "large_bytes" => {
                settings.large_bytes = value
                    .parse()
                    .ok()
                    .filter(|bytes: &f64| bytes.is_finite())
                    .ok_or_else(|| format!("large_bytes is `{value}`, but takes a number"))?;
            }
            _ => return Err(format!("unknown setting `{key}`: there is large_bytes")),
        }
    }
    Ok(settings)
}

export!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_large_requests_are_kept() {
        let facts = |success| Facts {
            operation: "telemetry_upload".into(),
            success,
            duration_ms: 1.0,
            slow_threshold_ms: 1000.0,
            base_rate: 0.05,
            business_flags: vec![],
            usage_tier: None,
            account_age_days: None,
        };
        assert_eq!(decide(&facts(false), 0.0, DEFAULT), (1.0, "error"));
        assert_eq!(decide(&facts(true), 20_000.0, DEFAULT), (1.0, "large"));
        assert_eq!(decide(&facts(true), 500.0, DEFAULT), (0.05, "base_rate"));
    }
}
