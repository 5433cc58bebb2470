//! Which events are kept: by the compiled policy alone, and where the host
//! tosses its coin.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use uuid::Uuid;
use vectors::{Group, Ours, Report};

use super::AT_MS;
use crate::config::Config;
use crate::events::sink::Sinks;
use crate::events::{Events, Outcome, UploadDetails, VehicleContext};
use crate::identity::IdentityKey;
use crate::plugin_host::{EventFields, Facts, FieldValue, PluginSet, VehicleStats};

const PATIENCE: Duration = Duration::from_secs(30);
const NOT_LOWERED: &str = "a new account never lowers the base rate";
const FLAG_NAME: &str = "the critical flag is named charging_started";
const ONE_COIN: &str = "one coin; a new account never lowers the base rate";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// An event without a field.
struct Nothing;

impl EventFields for Nothing {
    fn get(&self, _: &str) -> Option<FieldValue> {
        None
    }
}

pub(super) async fn ask(report: &mut Report, plugins: &Arc<PluginSet>) {
    should_emit(report, plugins).await;
    emit_call_site(report, plugins).await;
}

async fn should_emit(report: &mut Report, plugins: &PluginSet) {
    let ours = [
        ("073", false, FLAG_NAME),
        ("075", true, FLAG_NAME),
        ("087", true, NOT_LOWERED),
        ("097", false, FLAG_NAME),
        ("099", true, FLAG_NAME),
        ("111", true, NOT_LOWERED),
    ];
    let ours =
        ours.map(|(number, kept, why)| Ours::instead(&format!("should_emit-{number}"), json!(kept), why));
    // A coin of 0 keeps whatever has a chance at all.
    let ours: Vec<_> = ours.into_iter().chain([Ours::the_same("should_emit-063", NOT_LOWERED)]).collect();
    let group = Group::read("sampling.json", "should_emit");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let verdict = plugins.decide(facts(input), Arc::new(Nothing), AT_MS).await.expect("a verdict");
        let coin = input["random"].as_f64().expect("a case has a coin");
        answers.push(json!(coin < verdict.probability));
    }
    report.compare(&group, &ours, &answers);
}

fn facts(input: &Value) -> Facts {
    let context = &input["context"];
    let vehicle = &context["vehicle_context"];
    let age = vehicle["account_age_days"].as_u64();
    Facts {
        operation: "telemetry_upload".to_owned(),
        success: context["success"].as_bool().unwrap_or(true),
        duration_ms: context["duration_ms"].as_f64().unwrap_or(0.0),
        slow_threshold_ms: input["slow_threshold_ms"].as_f64().unwrap_or(1000.0),
        base_rate: input["sample_rate"].as_f64().unwrap_or(0.05),
        business_flags: flags(context),
        usage_tier: vehicle["usage_tier"].as_str().map(str::to_owned),
        account_age_days: age.map(|days| u32::try_from(days).expect("within 32 bits")),
    }
}

/// The names of the flags that are true.
fn flags(context: &Value) -> Vec<String> {
    let metrics = context["business_metrics"].as_object().into_iter().flatten();
    metrics.filter(|(_, value)| **value == true).map(|(name, _)| name.clone()).collect()
}

async fn emit_call_site(report: &mut Report, plugins: &Arc<PluginSet>) {
    let ours = ["002", "006", "010", "014", "015", "016"]
        .map(|number| Ours::instead(&format!("emit_call_site-{number}"), json!(true), ONE_COIN));
    let group = Group::read("sampling.json", "emit_call_site");
    let mut answers = Vec::new();
    for input in group.inputs() {
        answers.push(json!(is_emitted(plugins, input).await));
    }
    report.compare(&group, &ours, &answers);
}

/// Whether the event of an upload gets as far as the sink. The reference has
/// two coins; ours is where its first one is.
async fn is_emitted(plugins: &Arc<PluginSet>, input: &Value) -> bool {
    let number = |name: &str| input[name].as_f64().expect("a number").to_string();
    let (rate, slow) = (number("sample_rate"), number("slow_threshold_ms"));
    let flags = ["volttracker", "--log-sample-telemetry", &rate, "--log-slow-threshold-ms", &slow];
    let config = Cli::try_parse_from(flags).expect("settings of the vectors are within range").config;
    let key = IdentityKey::new("a key of sixteen");
    let written = Arc::<Mutex<Vec<Value>>>::default();
    let events = Events::start(&config, &key, Sinks::memory(written.clone()));

    let context = &input["context"];
    let mut event = events.open(plugins.clone(), UploadDetails::default());
    event.trace_id = Some(trace_with_coin(&key, input["random_1"].as_f64().expect("a coin")));
    self::flags(context).into_iter().for_each(|flag| event.business.set_flag(flag));
    event.vehicle = vehicle(&context["vehicle_context"]);
    event.finish(Outcome::Success);
    events.drain(Instant::now() + PATIENCE).await;
    let totals = events.totals();
    assert_eq!((totals.received, totals.lost_by_sink), (1, 0));
    let emitted = written.lock().expect("no writer panicked").len();
    assert_eq!(totals.kept, u64::try_from(emitted).expect("0 or 1"));
    emitted == 1
}

/// A trace whose coin shows nearly this number.
fn trace_with_coin(key: &IdentityKey, wanted: f64) -> Uuid {
    let near = |trace: &Uuid| (key.fraction(trace.to_string().as_bytes()) - wanted).abs() < 0.005;
    (0..100_000).map(Uuid::from_u128).find(near).expect("coins are spread evenly")
}

/// A vehicle that the tier plugin finds in the tier that the case names.
fn vehicle(context: &Value) -> Option<VehicleContext> {
    let total_trips = match context["usage_tier"].as_str()? {
        "light" => 5,
        "heavy" => 500,
        other => panic!("no case has the tier {other}"),
    };
    let stats = VehicleStats {
        total_trips,
        total_miles: 1000.0,
        account_age_days: u32::try_from(context["account_age_days"].as_u64()?).ok()?,
        avg_kwh_per_mile: None,
        avg_gas_mpg: None,
    };
    Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() })
}
