//! What an author asks of a component file, on the guests.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::super::workbench::{CallError, Called, Instances, Workbench};
use super::*;

async fn workbench(overrides: &[(&str, &str)]) -> Workbench {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("plugins.toml");
    let patient: String = Slot::ALL.iter().map(|slot| format!("[{slot}]\n{PATIENT}\n")).collect();
    std::fs::write(&file, patient).expect("write settings");
    let overrides = overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Workbench::open(Some(&file), overrides.collect()).await.expect("workbench")
}

async fn call(slot: Slot, function: &str, arguments: &Value) -> Result<Called, CallError> {
    let workbench = workbench(&[]).await;
    workbench.call(slot, &guest(slot), function, &arguments.to_string(), AT_MS).await
}

async fn answer(slot: Slot, function: &str, arguments: Value) -> String {
    match call(slot, function, &arguments).await {
        Ok(called) => called.answer.to_string(),
        Err(error) => panic!("{function}: {error}"),
    }
}

fn decide(operation: &str, event: &Value) -> Value {
    json!({ "facts": facts(operation), "event": event })
}

#[tokio::test]
async fn every_function_of_a_calculator_answers_in_json() {
    let ask = async |function, arguments| answer(Slot::TripCalculator, function, arguments).await;
    let readings = json!([
        { "time_ms": AT_MS, "odometer_miles": 10.5 },
        { "time_ms": AT_MS + 60_000, "odometer_miles": 12.5, "engine_rpm": null },
    ]);
    let trip =
        |soc: f64| json!({ "trip": { "start_time_ms": AT_MS, "start_soc": soc }, "readings": readings });
    assert_snapshot!(ask("summarize", trip(50.0)).await, @r#"{"ok":{"ambient_temp_avg_f":null,"distance_miles":2.0,"distance_source":"odometer","electric_kwh_used":null,"electric_miles":null,"end_odometer_miles":12.5,"end_time_ms":1700000060000,"fuel_level_at_end":null,"fuel_level_at_gas_entry":null,"fuel_used_gallons":null,"gas_miles":null,"gas_mode_entered":false,"gas_mode_entry_time_ms":null,"gas_mpg":null,"kwh_per_mile":null,"metrics":[["columns_asked_for",1.0]],"refuels":[],"soc_at_gas_transition":null,"soc_transition":null}}"#);
    assert_snapshot!(ask("summarize", trip(-1.0)).await, @r#"{"err":{"message":"told to","stage":"process_gas_mode"}}"#);
    let points = json!({ "first": { "odometer_miles": 1.0 }, "latest": { "odometer_miles": 3.0 } });
    assert_snapshot!(ask("figures-of", points.clone()).await, @r#"{"fuel_used_gallons":null,"in_gas_mode":false,"kwh_per_mile":null,"kwh_used":null,"miles_driven":2.0}"#);
    assert_eq!(ask("figures_of", points.clone()).await, ask("figures-of", points).await);
    assert_snapshot!(ask("condition", json!({ "code": 61 })).await, @r#""Code 61""#);
    assert_snapshot!(ask("condition", json!({ "code": null })).await, @r#""Unknown""#);
    let samples = json!([{ "temperature_f": 41.5, "is_raining": true, "conditions": "Rain" }]);
    assert_snapshot!(ask("assess", json!({ "samples": samples })).await, @r#"{"conditions":"Rain","extreme":false,"factor":1.0,"precipitation_in":null,"temperature_f":41.5,"wind_speed_mph":null}"#);
    assert_snapshot!(ask("assess", json!({ "samples": [] })).await, @"null");
    assert_snapshot!(ask("sessions", json!({ "readings": readings })).await, @"[]");
    assert_snapshot!(ask("cost_of", json!({ "usage": { "gas_gallons": 2.0 } })).await, @r#"{"cost_per_mile":null,"electric_cost":0.0,"gas_cost":6.0,"total_cost":6.0}"#);
    assert_snapshot!(ask("describe", json!({})).await, @r#"{"description":"Repeats what it is given.","name":"plain-calculator","settings":[{"default":"","doc":"What it does when asked of a short trip.","key":"in_call"}],"version":"0.1.0"}"#);
    assert_snapshot!(ask("configure", json!({ "settings": [] })).await, @r#"{"ok":null}"#);
    assert_snapshot!(ask("configure", json!({ "settings": [["rate", "1"]] })).await, @r#"{"err":"no setting `rate`; there is in_call"}"#);
}

#[tokio::test]
async fn a_policy_reads_the_event_of_its_arguments_by_path() {
    let event = json!({ "error": { "code": "E200" } });
    assert_snapshot!(answer(Slot::SamplingPolicy, "decide", decide("event", &event)).await, @r#"{"probability":0.5,"reason":"e200"}"#);
    assert_snapshot!(answer(Slot::SamplingPolicy, "decide", decide("event", &json!({}))).await, @r#"{"probability":0.5,"reason":"nothing"}"#);
}

#[tokio::test]
async fn settings_in_place_of_the_files_reach_the_plugin() {
    let workbench = workbench(&[("rate", "0.125")]).await;
    let arguments = decide("x", &json!({})).to_string();
    let file = guest(Slot::SamplingPolicy);
    let called = workbench.call(Slot::SamplingPolicy, &file, "decide", &arguments, AT_MS).await;
    assert_eq!(called.expect("an answer").answer["probability"], 0.125);
}

#[tokio::test]
async fn the_same_call_uses_the_same_fuel_and_memory() {
    let arguments = decide("x", &json!({}));
    let spent = async || call(Slot::SamplingPolicy, "decide", &arguments).await.expect("an answer").spent;
    let (first, again) = (spent().await, spent().await);
    assert!(first.fuel.is_some_and(|fuel| fuel > 100), "{first:?}");
    assert_eq!((first.fuel, first.memory_bytes), (again.fuel, again.memory_bytes));
    assert!(first.memory_bytes >= 1 << 20 && first.memory_bytes <= 16 << 20, "{first:?}");
    assert!(!first.time.is_zero());
    let longer = call(Slot::SamplingPolicy, "decide", &decide("print", &json!({}))).await.expect("an answer");
    assert!(longer.spent.fuel > first.fuel);
}

#[tokio::test]
async fn a_call_that_fails_says_so_as_an_event_would() {
    let error = call(Slot::SamplingPolicy, "decide", &decide("loop", &json!({}))).await.expect_err("no end");
    assert_snapshot!(error, @"E411 sampling-policy exceeded its deadline: still computing after 400 ms");
    assert!(matches!(error, CallError::Failed { spent, .. } if spent.time.as_millis() >= 400));
    let error = call(Slot::SamplingPolicy, "decide", &decide("two", &json!({}))).await.expect_err("nonsense");
    assert_snapshot!(error, @"E414 sampling-policy answered nonsense: probability is 2, not 0 to 1");
    let error = call(Slot::UsageTier, "decide", &json!({})).await.expect_err("no such function");
    assert!(matches!(error, CallError::Arguments(_)), "{error}");
}

#[tokio::test]
async fn an_inspection_names_the_slot_or_says_what_keeps_it_out_of_each() {
    let workbench = workbench(&[]).await;
    let tier = workbench.inspect(&guest(Slot::UsageTier)).await.expect("a component");
    assert_eq!((tier.slot, tier.name.as_deref()), (Some(Slot::UsageTier), Some("plain-tier")));
    assert_eq!(tier.world.as_deref(), Some("volttracker:plugins/usage-tier@0.1.0"));
    assert_eq!(tier.settings.len(), 1);
    assert!(tier.problems.is_empty());
    let file = std::fs::read(guest(Slot::UsageTier)).expect("read");
    assert_eq!((tier.size_bytes, tier.digest), (file.len(), super::super::sha256_hex(&file)));

    let mistyped = workbench.inspect(&guests().join("guest_mistyped_tier.wasm")).await.expect("a component");
    assert_eq!((mistyped.slot, mistyped.name), (None, None));
    assert_eq!(mistyped.exports, tier.exports);
    let problems: Vec<_> = mistyped.problems.keys().copied().collect();
    assert_eq!(problems, Slot::ALL);
    assert_snapshot!(mistyped.problems[&Slot::UsageTier].join("\n"), @r"
    export of another type: identity.describe: type mismatch with results: expected `record` found `string`
    export of another type: identity.configure: type mismatch with parameters: expected `tuple` found `string`
    export of another type: tiers.classify: type mismatch with parameters: expected `record` found `u32`
    build it against volttracker:plugins@0.1.0 as it is in wit/
    ");

    let toml = workbench.inspect(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path()).await;
    assert_snapshot!(toml.expect_err("a text"), @"is a text, not a component: it must be the binary that a build makes");
}

#[tokio::test]
async fn a_measurement_has_each_function_with_both_kinds_of_instances() {
    let slot = Slot::UsageTier;
    let measured = workbench(&[]).await.measure(slot, &guest(slot)).await.expect("measured");
    let calls: Vec<_> = measured.measurements.iter().map(|m| (m.question.as_str(), m.instances)).collect();
    assert_eq!(calls, [("classify", Instances::Fresh), ("classify", Instances::Pooled)]);
    assert_eq!(measured.used, Instances::Pooled);
    for measurement in &measured.measurements {
        assert!(measurement.calls() >= 20);
        assert!(measurement.percentile(50) <= measurement.percentile(99));
        assert!(measurement.percentile(99) <= measurement.percentile(100));
    }
    assert!(measured.memory_bytes >= 1 << 20 && !measured.compile.is_zero());
}
