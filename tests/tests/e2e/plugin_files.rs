//! `volttracker plugin` on component files, as its author runs it: no server,
//! an exit code, and nothing but the answer on standard output.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use e2e::{binary, plugin_dir};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it with the project's plugins in the folder where it runs.
async fn plugin(arguments: &[&str], stdin: &str) -> anyhow::Result<Output> {
    let mut child = Command::new(binary()?)
        .arg("plugin")
        .args(arguments)
        .current_dir(plugin_dir()?)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("standard input is piped")?;
    // A command that refuses its options reads nothing.
    input.write_all(stdin.as_bytes()).await.ok();
    drop(input);
    tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .context("it does not end")?
        .context("output")
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The answer of a function.
async fn call(slot: &str, function: &str, options: &[&str], arguments: &str) -> anyhow::Result<Value> {
    let file = format!("{slot}.wasm");
    let arguments_of = [&["call", "--slot", slot], options, &[&file, function]].concat();
    let output = plugin(&arguments_of, arguments).await?;
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("time ") && stderr.contains("fuel ") && stderr.contains("peak memory "),
        "{stderr}"
    );
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    Ok(serde_json::from_str(&stdout)?)
}

#[tokio::test]
async fn each_slots_plugin_answers_on_the_command_line() -> anyhow::Result<()> {
    let stats = r#"{"stats": {"total_trips": 40, "total_miles": 310.5, "account_age_days": 20}}"#;
    assert_eq!(call("usage-tier", "classify", &[], stats).await?, "moderate");
    let heavy = ["--set", "moderate_from=1", "--set", "heavy_from=40"];
    assert_eq!(call("usage-tier", "classify", &heavy, stats).await?, "heavy");

    let facts = r#"{"facts": {"operation": "telemetry_upload", "success": false, "duration_ms": 3,
        "slow_threshold_ms": 1000, "base_rate": 0.05, "business_flags": []}, "event": {"error": {"code": "E200"}}}"#;
    let verdict = call("sampling-policy", "decide", &[], facts).await?;
    assert_eq!(verdict, serde_json::json!({ "probability": 1.0, "reason": "error" }));

    let trip = r#"{"trip": {"start_time_ms": 0, "start_soc": 60},
        "readings": [{"time_ms": 0, "odometer_miles": 100, "state_of_charge": 60},
                     {"time_ms": 60000, "odometer_miles": 101.5, "state_of_charge": 58}]}"#;
    let summary = call("trip-calculator", "summarize", &[], trip).await?;
    assert_eq!(summary["ok"]["distance_miles"], 1.5);
    assert_eq!(summary["ok"]["gas_mode_entered"], false);
    assert_eq!(call("trip-calculator", "condition", &[], r#"{"code": 61}"#).await?, "Light Rain");
    Ok(())
}

#[tokio::test]
async fn a_call_without_an_answer_says_why_and_prints_none() -> anyhow::Result<()> {
    for (arguments, part) in [
        (r#"{"stat": 1}"#, "unknown argument `stat`, expected `stats`"),
        ("{}", "missing argument `stats`"),
        (r#"{"stats": {"total_trips": "many"}}"#, "argument stats.total_trips: invalid type"),
        ("40", "not one JSON object"),
    ] {
        let output =
            plugin(&["call", "--slot", "usage-tier", "usage-tier.wasm", "classify"], arguments).await?;
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    let output = plugin(&["call", "--slot", "usage-tier", "usage-tier.wasm", "decide"], "{}").await?;
    let (_, stderr) = texts(&output);
    assert!(stderr.contains("there are describe, configure, classify"), "{stderr}");
    Ok(())
}

#[tokio::test]
async fn a_check_ends_with_a_code_that_a_script_can_use() -> anyhow::Result<()> {
    for (arguments, code) in [
        (&["check", "--slot", "usage-tier", "usage-tier.wasm"][..], 0),
        (&["check", "--slot", "usage-tier", "--set", "heavy_from=200", "usage-tier.wasm"], 0),
        (&["check", "--slot", "usage-tier", "--set", "heavy_from=often", "usage-tier.wasm"], 1),
        (&["check", "--slot", "usage-tier", "sampling-policy.wasm"], 1),
        (&["check", "--slot", "usage-tier", "no.wasm"], 1),
        (&["check", "--slot", "tier", "usage-tier.wasm"], 2),
        (&["check", "usage-tier.wasm"], 2),
        (&["check", "--slot", "usage-tier", "--set", "heavy_from", "usage-tier.wasm"], 2),
    ] {
        let output = plugin(arguments, "").await?;
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert_eq!(stdout.contains("fits"), code == 0, "{stdout}");
        assert_eq!(stderr.is_empty(), code == 0, "{stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn an_inspection_is_text_or_json() -> anyhow::Result<()> {
    let output = plugin(&["inspect", "sampling-policy.wasm"], "").await?;
    let (text, _) = texts(&output);
    let output = plugin(&["inspect", "--json", "sampling-policy.wasm"], "").await?;
    let json: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(json["slot"], "sampling-policy");
    assert_eq!(json["settings"].as_array().map(Vec::len), Some(4));
    for part in [&json["name"], &json["version"], &json["digest"], &json["world"], &json["imports"][0]] {
        let part = part.as_str().context("a text")?;
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(plugin(&["inspect", "plugins.toml"], "").await?.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_bench_is_a_table_with_every_function() -> anyhow::Result<()> {
    let output = plugin(&["bench", "--slot", "trip-calculator", "trip-calculator.wasm"], "").await?;
    let (table, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    for function in ["summarize", "sessions", "figures_of", "condition", "assess", "cost_of"] {
        for instances in ["fresh*", "pooled"] {
            let row = table.lines().find(|line| line.starts_with(function) && line.contains(instances));
            assert!(row.is_some(), "{function} {instances}: {table}");
        }
    }
    assert!(table.contains("linear memory, peak") && table.contains("deadline 2000 ms"), "{table}");
    Ok(())
}
