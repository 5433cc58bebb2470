//! `volttracker plugin list`: the slots of a running receiver in words.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::remote::{self, Receiver};
use super::shadow::compared;
use crate::cli::output::print;
use crate::cli::table::{duration, size};
use crate::config::Secret;

/// What is shown.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker plugin list
  volttracker plugin list --json | jq '.plugins[\"usage-tier\"].calls'")]
pub(super) struct ListArgs {
    /// Show the receiver's answer as it is.
    #[arg(long)]
    json: bool,
    /// The receiver's token of reads, where there is no admin token.
    #[arg(long, env, hide_env_values = true)]
    torque_api_token: Option<Secret>,
    #[command(flatten)]
    receiver: Receiver,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<()> {
    let answer = args.receiver.read("/api/plugins", args.torque_api_token.as_ref()).await?;
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&answer)?));
    }
    let slots = answer["plugins"].as_object().into_iter().flatten();
    print(&slots.map(|(slot, plugin)| describe(slot, plugin)).collect::<String>())
}

fn describe(slot: &str, plugin: &Value) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    lines(&mut text, slot, plugin).ok();
    text
}

fn lines(text: &mut String, slot: &str, plugin: &Value) -> std::fmt::Result {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    writeln!(text, "{slot}: {}", named(plugin))?;
    writeln!(text, "  since {} by {}", word(&plugin["since"]), word(&plugin["way"]))?;
    if let Some(reason) = plugin["degraded"].as_str() {
        writeln!(text, "  DEGRADED: {reason}")?;
    }
    writeln!(text, "  settings {}", plugin["set"])?;
    file_settings(text, plugin)?;
    calls(text, "  ", plugin)?;
    let (pool, memory) = (&plugin["pool"], &plugin["memory"]);
    writeln!(
        text,
        "  {} of {} instances at work, {} idle, {} made; {} of {} of memory",
        pool["at_work"],
        pool["size"],
        pool["idle"],
        pool["made"],
        bytes(&memory["peak_bytes"]),
        bytes(&memory["limit_bytes"])
    )?;
    let shadow = &plugin["shadow"];
    if shadow.is_object() {
        writeln!(text, "  shadow: {}, since {}", remote::named(shadow), word(&shadow["since"]))?;
        writeln!(text, "    {}", compared(shadow))?;
        calls(text, "    ", shadow)?;
    }
    for earlier in plugin["predecessors"].as_array().into_iter().flatten() {
        writeln!(text, "  before: {} by {}", named(earlier), word(&earlier["way"]))?;
    }
    rejections(text, plugin)
}

fn file_settings(text: &mut String, plugin: &Value) -> std::fmt::Result {
    if let Some(set) = plugin["plugins_toml"].get("set") {
        let back = plugin["way"].as_str().is_some_and(|way| way.ends_with("rollback"));
        let since = if back { ": a rollback brought these back" } else { "" };
        writeln!(text, "  plugins.toml says {set}{since}")?;
    }
    if let Some(problem) = plugin["plugins_toml"]["problem"].as_str() {
        writeln!(text, "  plugins.toml cannot be used: {}", problem.replace('\n', "\n    "))?;
    }
    Ok(())
}

/// What was refused since the plugin serves, and what was before that.
fn rejections(text: &mut String, plugin: &Value) -> std::fmt::Result {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    for (rejections, when) in [("rejections", ""), ("earlier_rejections", "earlier ")] {
        for rejection in plugin[rejections].as_array().into_iter().flatten() {
            let (verdict, reason) = (word(&rejection["verdict"]), word(&rejection["reason"]));
            let at = rejection["rejected_ms"].as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let at = at.map_or_else(String::new, |at| format!(" {at:.0}"));
            writeln!(text, "  {when}{verdict}{at}: {}: {reason}", short(&rejection["digest"]))?;
        }
    }
    Ok(())
}

fn calls(text: &mut String, indent: &str, plugin: &Value) -> std::fmt::Result {
    let calls = &plugin["calls"];
    if calls["calls"] == 0 {
        return writeln!(text, "{indent}no calls yet");
    }
    let within = |percentile: &str| calls[percentile].as_f64().map_or_else(|| "?".to_owned(), duration);
    writeln!(
        text,
        "{indent}{} calls, half within {}, 99 % within {}, all within {}",
        calls["calls"],
        within("p50_us"),
        within("p99_us"),
        within("max_us")
    )?;
    writeln!(
        text,
        "{indent}{} trapped, {} late, {} over memory, {} nonsense, {} without an instance; {} failures in a row",
        calls["trapped"],
        calls["deadline_exceeded"],
        calls["memory_limit"],
        calls["nonsense"],
        calls["rejected"],
        plugin["failures_in_a_row"]
    )
}

fn bytes(number: &Value) -> String {
    number.as_u64().and_then(|bytes| usize::try_from(bytes).ok()).map_or_else(|| "?".to_owned(), size)
}

fn named(plugin: &Value) -> String {
    let word = |name: &str| plugin[name].as_str().unwrap_or("?").to_owned();
    let (name, version, generation) = (word("name"), word("version"), &plugin["generation"]);
    format!("{name} {version}, digest {}, generation {generation}", short(&plugin["digest"]))
}

fn short(digest: &Value) -> String {
    digest.as_str().unwrap_or("?").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use serde_json::json;

    #[test]
    fn a_slot_is_told_in_lines() {
        let plugin = json!({
            "name": "sampling-policy", "version": "0.1.0", "generation": 3,
            "digest": "1f0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c",
            "since": "2026-01-05T14:30:00Z", "way": "watch", "degraded": null,
            "set": {"deadline_ms": 70}, "plugins_toml": {"set": {"deadline_ms": 80}},
            "calls": {"calls": 1200, "p50_us": 1.5, "p99_us": 98.304, "max_us": 81_231.5, "trapped": 1,
                "deadline_exceeded": 0, "rejected": 0, "memory_limit": 0, "nonsense": 2},
            "failures_in_a_row": 0,
            "pool": {"size": 8, "at_work": 1, "idle": 2, "made": 4},
            "memory": {"limit_bytes": 16_777_216, "peak_bytes": 1_114_112},
            "shadow": {"name": "my-policy", "version": "0.2.0", "digest": "cc0c9a3b5d7e1f0c",
                "since": "2026-01-05T15:00:00Z", "agreements": 90, "disagreements": 10, "keeps_gained": 3,
                "keeps_lost": 1, "skipped": 0, "late": 2, "failures_in_a_row": 0,
                "calls": {"calls": 100, "p50_us": 2.5, "p99_us": 19.2, "max_us": 12.0, "trapped": 0,
                "deadline_exceeded": 0, "rejected": 0, "memory_limit": 0, "nonsense": 0}},
            "predecessors": [{"generation": 2, "name": "sampling-policy", "version": "0.0.9", "way": "start",
                "digest": "aa0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c9a3b5d7e1f0c"}],
            "rejections": [{"digest": "bb0c9a3b5d7e1f0c", "verdict": "refused", "reason": "is empty",
                "rejected_ms": 1_767_625_200_000_i64}],
            "earlier_rejections": [{"digest": "dd0c9a3b5d7e1f0c", "verdict": "rolled_back",
                "reason": "an operator rolled it back", "rejected_ms": 1_767_600_000_000_i64}],
        });
        assert_snapshot!(describe("sampling-policy", &plugin), @r#"
        sampling-policy: sampling-policy 0.1.0, digest 1f0c9a3b5d7e, generation 3
          since 2026-01-05T14:30:00Z by watch
          settings {"deadline_ms":70}
          plugins.toml says {"deadline_ms":80}
          1200 calls, half within 1.5 µs, 99 % within 98.3 µs, all within 81.2 ms
          1 trapped, 0 late, 0 over memory, 2 nonsense, 0 without an instance; 0 failures in a row
          1 of 8 instances at work, 2 idle, 4 made; 1.1 MB of 16.0 MB of memory
          shadow: my-policy 0.2.0 (cc0c9a3b5d7e), since 2026-01-05T15:00:00Z
            90 agreements, 10 disagreements, 3 keeps gained, 1 lost; 0 skipped, 2 late
            100 calls, half within 2.5 µs, 99 % within 19.2 µs, all within 12.0 µs
            0 trapped, 0 late, 0 over memory, 0 nonsense, 0 without an instance; 0 failures in a row
          before: sampling-policy 0.0.9, digest aa0c9a3b5d7e, generation 2 by start
          refused 2026-01-05T15:00:00Z: bb0c9a3b5d7e: is empty
          earlier rolled_back 2026-01-05T08:00:00Z: dd0c9a3b5d7e: an operator rolled it back
        "#);
    }
}
