//! `volttracker events`, in words and as JSON.

use std::process::{Output, Stdio};

use anyhow::Context as _;
use e2e::{Engine, Server, Settings, binary};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::{PATIENCE, drive, start, wait_for_stored};

fn command(server: &Server, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .arg("events")
        .args(arguments)
        .args(["--url", &format!("http://{}", server.address())])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

async fn run(server: &Server, arguments: &[&str]) -> anyhow::Result<Output> {
    let output = command(server, arguments)?.output();
    Ok(tokio::time::timeout(PATIENCE, output).await.context("it does not end")??)
}

/// What a command that succeeds says.
async fn said(server: &Server, arguments: &[&str]) -> anyhow::Result<String> {
    let output = run(server, arguments).await?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn each_command_answers_in_words_and_as_json() -> anyhow::Result<()> {
    let mut server = start(Engine::Sqlite).await?.context("SQLite is always there")?;
    let finalization = drive(&server, 1).await?;
    assert!(server.upload("v=9&time=1").await?.is_ok());
    wait_for_stored(&server, &json!({"operation": {"$in": ["trip_finalization", "telemetry_upload"]}}), 5)
        .await?;
    let id = finalization["request_id"].as_str().context("an id")?;
    let trace_id = finalization["trace_id"].as_str().context("a trace")?;

    let found = said(&server, &["query", r#"{"operation": "trip_finalization"}"#]).await?;
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.starts_with("timestamp") && found.contains(id), "{found}");
    let found = said(&server, &["query", r#"{"operation": "trip_finalization"}"#, "--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(&found)?, json!({"events": [finalization], "more": false}));

    let counted = said(
        &server,
        &[
            "query",
            r#"{"operation": "telemetry_upload"}"#,
            "--group-by",
            "error.code",
            "--count",
            "--order=-count",
        ],
    );
    insta::assert_snapshot!(counted.await?, @r"
    error.code  count  stored
    -               3       3
    E002            1       1
    4 stored events match; they stand for 4.
    ");
    let failures =
        said(&server, &["dashboard", "failures-by-deployment", "--since", "2026-01-05T00:00:00Z"]).await?;
    insta::assert_snapshot!(failures, @r"
    service.deployment_id  count  stored
    first                      1       1
    1 stored events match; they stand for 1.
    ");

    let shown = said(&server, &["show", id]).await?;
    assert!(shown.starts_with("operation                          trip_finalization\n"), "{shown}");
    let shown = said(&server, &["show", id, "--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(&shown)?, finalization);

    let trace = said(&server, &["trace", trace_id]).await?;
    let lines: Vec<_> = trace.lines().collect();
    assert!(lines[0].starts_with(&format!("{trace_id}: 4 events in ")), "{trace}");
    assert!(lines[1].contains("+0.000 s  telemetry_upload") && lines[1].contains("trip_created"), "{trace}");
    assert!(lines[4].contains("trip_finalization"), "{trace}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_mistake_is_told_in_a_line_and_fails_the_command() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut told = Vec::new();
    for arguments in [
        &["query", "{success: false}"][..],
        &["query", r#"{"duration_ms": {"$gt": "5"}}"#],
        &["query", "--avg", "operation"],
        &["query", "--order", "-count"],
        &["show", "nobody"],
        &["trace", "nobody"],
        &["tail", r#"{"success": 1}"#],
    ] {
        let output = run(&server, arguments).await?;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        told.push(format!("{arguments:?}\n{}", String::from_utf8(output.stderr)?));
    }
    insta::assert_snapshot!(told.join(""));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn tail_prints_events_as_they_come_until_the_receiver_stops() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut tail = command(&server, &["tail", r#"{"operation": "telemetry_upload"}"#])?.spawn()?;
    let mut lines = BufReader::new(tail.stdout.take().context("it is piped")?).lines();
    // It may not listen yet when the first upload comes.
    let line = async {
        loop {
            assert!(server.upload("v=9&time=1").await?.is_ok());
            tokio::select! {
                line = lines.next_line() => return anyhow::Ok(line?.context("it ended")?),
                () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
            }
        }
    };
    let line = tokio::time::timeout(PATIENCE, line).await.context("it prints nothing")??;
    assert!(
        line.contains("telemetry_upload") && line.contains("rejected") && line.contains("E002"),
        "{line}"
    );
    server.stop().await?;
    let output =
        tokio::time::timeout(PATIENCE, tail.wait_with_output()).await.context("it does not end")??;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr)?.contains("it is stopping"));
    Ok(())
}
