//! What a start and a stop say, and what makes a start refuse.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Inbox, Server, Settings, Stopped, guest, plugin_dir, upload_all};
use serde_json::{Value, json};

use crate::volt::{Phone, now_ms};

#[tokio::test]
async fn a_start_says_how_the_process_before_it_ended() -> anyhow::Result<()> {
    let mut first = Server::start(Settings::default()).await?;
    let events = first.stop().await?;
    let operations: Vec<_> = events.iter().map(|event| event["operation"].clone()).collect();
    assert_eq!(operations, ["service_start", "plugin_swap", "plugin_swap", "plugin_swap", "service_stop"]);
    assert_eq!(events[0]["previous_shutdown"], "none");
    assert_eq!(events[4]["stop_reason"], "SIGTERM");

    let mut second = Server::start(Settings::default().data_of(&first)).await?;
    let phone = Phone::new(1, now_ms());
    assert!(second.upload(&phone.reading(now_ms(), "kc=900")).await?.is_ok());
    assert_eq!(second.wait_for_operation("service_start", 1).await?[0]["previous_shutdown"], "clean");
    second.kill().await?;

    let mut third = Server::start(Settings::default().data_of(&first)).await?;
    assert_eq!(third.wait_for_operation("service_start", 1).await?[0]["previous_shutdown"], "unclean");
    assert_eq!(third.trips().await?[0]["readings"], 1, "what was acknowledged outlives the process");
    third.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_a_receiver_keeps_is_its_owners_alone() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let data_dir = parent.path().join("made/by/the/receiver");
    let mut server = Server::start(Settings::default().set("DATA_DIR", &data_dir)).await?;
    let phone = Phone::new(1, now_ms());
    assert!(server.upload(&phone.reading(now_ms(), "kc=900")).await?.is_ok());
    let mut seen = vec![data_dir.clone()];
    for entry in std::fs::read_dir(&data_dir)? {
        seen.push(entry?.path());
    }
    for name in ["volttracker.db", "volttracker.db-wal", "volttracker.db-shm", "volttracker.run"] {
        assert!(seen.contains(&data_dir.join(name)), "{name}: {seen:?}");
    }
    for path in seen {
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has the mode {mode:o}", path.display());
    }
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_ledger_of_a_stop_adds_up() -> anyhow::Result<()> {
    const UPLOADS: usize = 120;
    let settings = Settings::default().set("LOG_SAMPLE_TELEMETRY", "0.5").set("SAMPLING_UNIT", "request");
    let mut server = Server::start(settings).await?;
    let start_ms = now_ms();
    let phone = Phone::new(1, start_ms);
    let readings = (0..UPLOADS).map(|n| phone.reading(start_ms + 1 + n as i64, "kc=900"));
    let queries = readings.collect();
    upload_all(server.address(), queries, 4).await?;
    let events = server.stop().await?;

    // The stop's own event comes after its totals.
    let (stop, before) = events.split_last().expect("a stop has its event");
    assert_eq!(stop["operation"], "service_stop");
    let total = |name: &str| stop[name].as_u64().unwrap_or_else(|| panic!("{name}: {stop}"));
    // The start, an activation in each slot, the uploads.
    assert_eq!(total("events_received"), 1 + 3 + UPLOADS as u64);
    assert_eq!(total("events_kept"), before.len() as u64);
    assert_eq!(total("events_lost_by_sink"), 0);
    assert!(total("events_sampled_out") > 0);
    assert_eq!(
        total("events_received"),
        total("events_kept") + total("events_sampled_out") + total("events_lost_by_sink")
    );
    let all = json!({"delivered": before.len(), "lost": 0, "waiting": 0});
    assert_eq!(stop["sinks"], json!({"stdout": all, "store": all}));
    Ok(())
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() -> anyhow::Result<()> {
    let mut first = Server::start(Settings::default()).await?;
    let refused = Server::refused(Settings::default().data_of(&first)).await?;
    assert!(!refused.status.success());
    let folder = first.data_dir().display().to_string();
    for part in ["another volttracker runs", folder.as_str(), "DATA_DIR"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(first.upload(&Phone::new(1, 1).reading(now_ms(), "kc=900")).await?.is_ok(), "the first goes on");
    first.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_start_names_the_slot_and_the_file_of_an_unfit_plugin() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let fit = plugin_dir()?;
    for slot in ["trip-calculator", "sampling-policy"] {
        std::fs::copy(component(&fit, slot), component(dir.path(), slot))?;
    }
    refuses_plugin(dir.path(), "usage-tier", "is missing").await?;
    std::fs::write(component(dir.path(), "usage-tier"), "tiers = [1, 20, 100]\n")?;
    refuses_plugin(dir.path(), "usage-tier", "is a text, not a component").await?;
    std::fs::copy(component(&fit, "usage-tier"), component(dir.path(), "usage-tier"))?;
    Server::start(Settings::default().set("PLUGIN_DIR", dir.path())).await?.stop().await?;
    Ok(())
}

async fn refuses_plugin(dir: &Path, slot: &str, problem: &str) -> anyhow::Result<()> {
    let refused = Server::refused(Settings::default().set("PLUGIN_DIR", dir)).await?;
    assert!(!refused.status.success());
    let file = component(dir, slot).display().to_string();
    for part in [slot, &file, problem, "just build-plugins"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    Ok(())
}

fn component(dir: &Path, slot: &str) -> std::path::PathBuf {
    dir.join(slot).with_extension("wasm")
}

#[tokio::test]
async fn a_start_names_the_variable_of_a_malformed_setting() -> anyhow::Result<()> {
    for (variable, value) in [
        ("TRIP_TIMEOUT_SECONDS", "soon"),
        ("LOG_SAMPLE_TELEMETRY", "5"),
        ("EVENT_SINKS", "stdout,moon"),
        ("EVENT_SINKS", ""),
        ("ID_KEY", "short"),
        ("DATABASE_URL", "mysql://db/volttracker"),
    ] {
        let refused = Server::refused(Settings::default().set(variable, value)).await?;
        assert!(!refused.status.success(), "{variable}");
        assert!(refused.stderr.contains(variable), "{variable}: {}", refused.stderr);
        assert!(!refused.stderr.contains("panicked"), "{variable}: {}", refused.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_while_a_client_stays_connected() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let idle = tokio::net::TcpStream::connect(server.address()).await?;
    let events = server.stop().await?;
    assert_eq!(events.last().map(|event| &event["operation"]), Some(&Value::from("service_stop")));
    drop(idle);
    Ok(())
}

#[tokio::test]
async fn an_upload_whose_body_is_under_way_at_a_stop_still_has_its_event() -> anyhow::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut server = Server::start(Settings::default()).await?;
    let mut client = tokio::net::TcpStream::connect(server.address()).await?;
    let head =
        "POST /torque/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).await?;
    // The server asks for the body, so the upload has begun.
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 100");

    let events = server.stop().await?;
    let uploads: Vec<_> = events.iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0]["error"]["code"], "E503");
    assert_eq!(uploads[0]["http_status"], 503);
    assert_eq!(events.last().expect("a stop has its event")["operation"], "service_stop");
    Ok(())
}

#[tokio::test]
async fn an_activation_that_is_under_way_at_a_stop_is_given_up_without_waiting_for_it() -> anyhow::Result<()>
{
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", inbox.path())).await?;
    let compiled = || std::fs::read_dir(server.data_dir().join("plugin-cache")).map(Iterator::count);
    let before = compiled()?;
    // Its checks take a minute.
    let settings = "[sampling-policy]\ndeadline_ms = 60000\nsettings = { in_configure = 'sleep' }\n";
    inbox.put("sampling-policy", &guest("guest-wayward-policy")?)?;
    std::fs::write(inbox.path().join("plugins.toml"), settings)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while compiled()? <= before {
        anyhow::ensure!(Instant::now() < deadline, "it is not compiled: {}", server.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Stopped { status, took, events } = server.terminate().await?;
    assert!(status.success() && took < Duration::from_secs(8), "{status} after {took:?}");
    assert!(events.iter().all(|event| event["outcome"] != "abandoned"), "{events:?}");
    let swap = events.iter().rfind(|event| event["slot"] == "sampling-policy").context("a swap")?;
    // A stop that somebody planned is nobody's failure.
    assert_eq!((&swap["swap"], &swap["outcome"]), (&"given_up".into(), &"success".into()), "{swap}");
    assert!(swap.get("error").is_none(), "{swap}");
    Ok(())
}
