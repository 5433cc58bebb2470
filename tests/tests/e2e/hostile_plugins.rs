//! Hostile components in the slots of a running receiver: whatever they do,
//! uploads are answered and events say the truth; and those that do not get so
//! far, with what their authors are told.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use e2e::{Inbox, Server, Settings, get, guest};
use insta::assert_snapshot;
use serde_json::Value;

use crate::volt::{Phone, now_ms};

/// What a policy may do in a call, and the code of it.
const HABITS: [(&str, &str); 16] = [
    ("loop", "E411"),
    ("sleep", "E411"),
    ("flood", "E411"),
    ("random_flood", "E411"),
    ("recursion", "E410"),
    ("panic", "E410"),
    ("trap", "E410"),
    ("exit", "E410"),
    ("random_at_once", "E410"),
    ("memory", "E413"),
    ("huge_answer", "E414"),
    ("nan", "E414"),
    ("negative", "E414"),
    ("two", "E414"),
    ("no_reason", "E414"),
    ("long_reason", "E414"),
];

/// The project's plugins, but these in their slots, with these settings.
fn plugins(hostile: &[(&str, &[u8])], settings: &str) -> anyhow::Result<Inbox> {
    let inbox = Inbox::fresh()?;
    hostile.iter().try_for_each(|(slot, component)| inbox.put(slot, component))?;
    std::fs::write(inbox.path().join("plugins.toml"), settings)?;
    Ok(inbox)
}

#[tokio::test]
async fn whatever_a_policy_does_uploads_are_kept_and_so_are_their_events() -> anyhow::Result<()> {
    // Honest calls in between must not be late, however busy the machine is.
    let settings = "[sampling-policy]\ndeadline_ms = 300\nfailures_before_rollback = 1000\n\
        settings = { in_call = 'as_told', rate = 1 }\n";
    let plugins = plugins(&[("sampling-policy", &guest("guest-wayward-policy")?)], settings)?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", plugins.path())).await?;
    let start_ms = now_ms();
    let phone = Phone::new(1, start_ms);
    let mut readings = 0;
    for (habit, _) in HABITS {
        for told in [habit, "good"] {
            let target = format!("/torque/upload?{}", phone.reading(start_ms + readings, "kc=900"));
            let answer = get(server.address(), &target, &[("x-request-id", told)]).await?;
            assert!(answer.is_ok(), "{habit}: {answer:?}");
            readings += 1;
        }
    }
    let uploads = server.wait_for_operation("telemetry_upload", 2 * HABITS.len()).await?;
    assert_eq!(server.trips().await?[0]["readings"], readings);
    for (habit, code) in HABITS {
        let event = of_habit(&uploads, habit).with_context(|| format!("no event of {habit}"))?;
        assert_eq!((&event["success"], &event["outcome"]), (&true.into(), &"success".into()), "{event}");
        assert_eq!(event["error"]["code"], code, "{habit}: {event}");
        assert_eq!(event["error"]["alert"], true);
        assert_eq!(event["error"]["exception_type"], "PluginError");
        assert_eq!(event["sampling"]["reason"], "policy_error");
        assert_eq!(event["sampling"]["probability"], 1.0);
        assert_eq!(event["sampling"].get("policy"), None, "the policy did not decide");
    }
    let events = server.stop().await?;
    assert!(events.iter().all(|event| event["outcome"] != "failure"));
    let good: Vec<_> = events.iter().filter(|event| event["client_request_id"] == "good").collect();
    assert!(good.iter().all(|event| event.get("error").is_none()), "{good:?}");
    assert!(good.iter().all(|event| event["sampling"]["reason"] == "good"), "{good:?}");
    // The flood of 50 MB and more is a few lines of the log.
    assert!(server.stderr().len() < 64 << 10, "{} bytes", server.stderr().len());
    Ok(())
}

fn of_habit<'e>(events: &'e [Value], habit: &str) -> Option<&'e Value> {
    events.iter().find(|event| event["client_request_id"] == habit)
}

#[tokio::test]
async fn hostile_plugins_in_every_slot_at_once_stop_no_upload() -> anyhow::Result<()> {
    const READINGS: i64 = 24;
    let guests = [
        ("sampling-policy", guest("guest-wayward-policy")?),
        ("usage-tier", guest("guest-plain-tier")?),
        ("trip-calculator", guest("guest-plain-calculator")?),
    ];
    let hostile: Vec<_> = guests.iter().map(|(slot, guest)| (*slot, guest.as_slice())).collect();
    // Long enough to make an instance, however busy the machine is.
    let settings = "[sampling-policy]\ndeadline_ms = 300\nsettings = { in_call = 'sleep' }\n\
        [usage-tier]\ndeadline_ms = 300\nsettings = { in_call = 'memory' }\n\
        [trip-calculator]\nsettings = { in_call = 'trap' }\n";
    let plugins = plugins(&hostile, settings)?;
    let settings = Settings::default().set("PLUGIN_DIR", plugins.path()).set("TRIP_TIMEOUT_SECONDS", "1");
    let mut server = Server::start(settings).await?;
    let start_ms = now_ms() - 600_000;
    // Short trips: these are what the calculator breaks at.
    let readings = (0..READINGS).map(|n| Phone::new(n as u32 % 4, start_ms).reading(start_ms + n, "kc=900"));
    for answer in e2e::upload_all(server.address(), readings.collect(), 4).await? {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let uploads = server.wait_for_operation("telemetry_upload", READINGS as usize).await?;
    for event in &uploads {
        assert_eq!(event["success"], true, "{event}");
        assert_eq!(codes(event), ["E411", "E413"], "{event}");
        assert_eq!(event["sampling"]["reason"], "policy_error");
        assert_eq!(event["vehicle_context"].get("usage_tier"), None, "the host has no thresholds");
    }
    let ends = server.wait_for_operation("trip_finalization", 4).await?;
    for event in &ends {
        assert_eq!((&event["success"], &event["error"]["code"]), (&false.into(), &"E410".into()), "{event}");
    }
    let trips = server.trips().await?;
    let stored: i64 = trips.iter().filter_map(|trip| trip["readings"].as_i64()).sum();
    assert_eq!(stored, READINGS);
    assert!(trips.iter().all(|trip| trip["status"] != "closed"), "they wait for a better calculator");
    assert!(server.upload(&Phone::new(9, start_ms).reading(start_ms, "kc=900")).await?.is_ok());
    server.stop().await?;
    Ok(())
}

/// The codes that an event carries, in order.
fn codes(event: &Value) -> Vec<&str> {
    let further = event["further_error_codes"].as_array().into_iter().flatten();
    let mut codes: Vec<_> =
        [&event["error"]["code"]].into_iter().chain(further).filter_map(Value::as_str).collect();
    codes.sort_unstable();
    codes
}

/// What a start says that has these components, by slot.
async fn refusal(hostile: &[(&str, &[u8])], settings: &str) -> anyhow::Result<String> {
    let plugins = plugins(hostile, settings)?;
    said(plugins.path()).await
}

async fn said(plugins: &Path) -> anyhow::Result<String> {
    let refused = Server::refused(Settings::default().set("PLUGIN_DIR", plugins)).await?;
    assert_eq!(refused.status.code(), Some(1));
    let message = refused.stderr.find("error: ").context("a message")?;
    let message = refused.stderr[message..].replace(&plugins.display().to_string(), "plugins");
    Ok(without_offsets(&message))
}

/// Where a file was cut off depends on what compiled it.
fn without_offsets(message: &str) -> String {
    let (before, rest) = message.split_once("section range ").unwrap_or((message, ""));
    match rest.split_once(" is out of bounds (bound = ") {
        None => message.to_owned(),
        Some((_, rest)) => {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}section range [offsets] is out of bounds (bound = [offset]{after}")
        }
    }
}

/// A component with another text of the same length in place of this one.
fn rewritten(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut component = component.to_vec();
    let places: Vec<_> =
        (0..component.len()).filter(|&at| component[at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty() && from.len() == to.len(), "{from} in {places:?}");
    for at in places {
        component[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    component
}

#[tokio::test]
async fn files_that_are_no_component_stop_a_first_start() -> anyhow::Result<()> {
    let calculator = guest("guest-plain-calculator")?;
    let files: [(&str, &[u8]); 3] = [
        ("trip-calculator", &calculator[..calculator.len() / 2]),
        ("usage-tier", b"tiers = [1, 20, 100]\n"),
        ("sampling-policy", b"\0asm\x01\0\0\0"),
    ];
    assert_snapshot!(refusal(&files, "").await?, @r"
    error: no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        is not a valid component, or cut off: section range [offsets] is out of bounds (bound = [offset]): build or copy it again
      usage-tier (plugins/usage-tier.wasm):
        is a text, not a component: it must be the binary that a build makes
      sampling-policy (plugins/sampling-policy.wasm):
        is a core module, not a component: build it for the target wasm32-wasip2
    The plugins of this repository are built by: just build-plugins
    ");
    Ok(())
}

#[tokio::test]
async fn components_that_were_not_made_for_their_slots_stop_a_first_start() -> anyhow::Result<()> {
    let policy = guest("guest-wayward-policy")?;
    let files: [(&str, &[u8]); 3] = [
        ("trip-calculator", &policy),
        (
            "usage-tier",
            &rewritten(&guest("guest-plain-tier")?, "wasi:cli/environment", "acme:cli/environment"),
        ),
        ("sampling-policy", &rewritten(&policy, "@0.1.0", "@0.2.0")),
    ];
    assert_snapshot!(refusal(&files, "").await?, @r"
    error: no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        forbidden import: volttracker:plugins/wide-events@0.1.0
        a plugin for trip-calculator may import volttracker:plugins/readings@0.1.0, volttracker:plugins/progress@0.1.0, WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        missing export: volttracker:plugins/trips@0.1.0
        missing export: volttracker:plugins/live@0.1.0
        missing export: volttracker:plugins/weather@0.1.0
        missing export: volttracker:plugins/charging@0.1.0
        missing export: volttracker:plugins/costs@0.1.0
        missing export: volttracker:plugins/soc-floor@0.1.0
        missing export: volttracker:plugins/range@0.1.0
        missing export: volttracker:plugins/routes@0.1.0
        it is a plugin for the slot sampling-policy
      usage-tier (plugins/usage-tier.wasm):
        forbidden import: acme:cli/environment@0.2.6
        a plugin for usage-tier may import WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
      sampling-policy (plugins/sampling-policy.wasm):
        forbidden import: volttracker:plugins/wide-events@0.2.0
        a plugin for sampling-policy may import volttracker:plugins/wide-events@0.1.0, WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        export of another version: volttracker:plugins/identity@0.2.0, not volttracker:plugins/identity@0.1.0
        export of another version: volttracker:plugins/sampling@0.2.0, not volttracker:plugins/sampling@0.1.0
        build it for the world `sampling-policy` of volttracker:plugins@0.1.0: see wit/worlds.wit
    The plugins of this repository are built by: just build-plugins
    ");
    Ok(())
}

#[tokio::test]
async fn plugins_that_break_before_they_serve_stop_a_first_start() -> anyhow::Result<()> {
    let policy = guest("guest-wayward-policy")?;
    let describing = rewritten(&policy, "in describe: nothing", "in describe: trap   ");
    let hostile: [(&str, &[u8]); 2] =
        [("sampling-policy", &describing), ("usage-tier", &guest("guest-mistyped-tier")?)];
    let plugins = plugins(&hostile, "")?;
    // 200 MB that take no room on the disk.
    let large = std::fs::File::create(plugins.file("trip-calculator"))?;
    large.set_len(200 << 20)?;
    assert_snapshot!(said(plugins.path()).await?, @r"
    error: no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        is 200 MB, more than 64 MB: raise component_mb in plugins.toml if it is meant to be
      usage-tier (plugins/usage-tier.wasm):
        export of another type: identity.describe: type mismatch with results: expected `record` found `string`
        export of another type: identity.configure: type mismatch with parameters: expected `tuple` found `string`
        export of another type: tiers.classify: type mismatch with parameters: expected `record` found `u32`
        build it against volttracker:plugins@0.1.0 as it is in wit/
      sampling-policy (plugins/sampling-policy.wasm):
        does not describe itself: it trapped: wasm trap: wasm `unreachable` instruction executed
    The plugins of this repository are built by: just build-plugins
    ");
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_cannot_be_configured_stops_a_first_start() -> anyhow::Result<()> {
    let policy = guest("guest-wayward-policy")?;
    let mut told = BTreeMap::new();
    for habit in ["loop", "trap", "memory"] {
        let settings =
            format!("[sampling-policy]\ndeadline_ms = 300\nsettings = {{ in_configure = '{habit}' }}\n");
        let refusal = refusal(&[("sampling-policy", &policy)], &settings).await?;
        told.insert(habit, refusal.lines().nth(2).unwrap_or_default().trim().to_owned());
    }
    assert_snapshot!(told.into_values().collect::<Vec<_>>().join("\n"), @r"
    cannot be configured: it exceeded its deadline: still computing after 300 ms (deadline_ms in plugins.toml)
    cannot be configured: it exceeded its memory limit: wanted 258 MB of linear memory, may have 16 MB (memory_mb in plugins.toml)
    cannot be configured: it trapped: wasm trap: wasm `unreachable` instruction executed
    ");
    Ok(())
}
