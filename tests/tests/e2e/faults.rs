//! What goes wrong around an upload, and what is told of it: once.

use anyhow::Context as _;
use e2e::{Server, Settings, get};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::volt::{Phone, now_ms};

#[tokio::test]
async fn a_panic_is_one_abandoned_event_and_the_server_goes_on() -> anyhow::Result<()> {
    let phone = Phone::new(1, now_ms());
    let mut server = Server::start(Settings::default()).await?;
    let target = format!("/torque/upload?{}", phone.reading(now_ms(), "kc=900"));
    let answer = get(server.address(), &target, &[("x-volttracker-fault", "panic")]).await?;
    assert_eq!(answer.status, 500);
    assert!(server.upload(&phone.reading(now_ms(), "kc=900")).await?.is_ok());
    assert_eq!(server.trips().await?[0]["readings"], 1, "the panicked upload left nothing behind");

    let [abandoned, kept] = uploads(&server.stop().await?).try_into().expect("two uploads");
    assert_eq!(abandoned["outcome"], "abandoned");
    assert_eq!(abandoned["success"], false);
    assert_eq!(abandoned["error"]["code"], "E500");
    assert_eq!(abandoned["http_status"], 500);
    assert_eq!(kept["outcome"], "success");
    Ok(())
}

#[tokio::test]
async fn an_upload_whose_client_is_gone_is_stored_and_says_so() -> anyhow::Result<()> {
    let phone = Phone::new(2, now_ms());
    let mut server = Server::start(Settings::default()).await?;
    let mut lock = server.look().await?;
    // The upload waits for this lock, for less than its 2 s of patience.
    lock.execute("BEGIN IMMEDIATE").await?;
    let mut client = TcpStream::connect(server.address()).await?;
    let request = format!("GET /torque/upload?{} HTTP/1.0\r\n\r\n", phone.reading(now_ms(), "kc=900"));
    client.write_all(request.as_bytes()).await?;
    client.shutdown().await?;
    // The server hangs up in turn: it has seen that nobody waits.
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await?;
    assert_eq!(answer, b"");
    lock.execute("ROLLBACK").await?;
    server.wait_for_operation("telemetry_upload", 1).await?;
    assert_eq!(server.trips().await?[0]["readings"], 1);

    let [upload] = uploads(&server.stop().await?).try_into().expect("one upload");
    assert_eq!(upload["client_gone"], true);
    assert_eq!(upload["success"], true);
    assert_eq!(upload["outcome"], "success");
    assert_eq!(upload["error"]["code"], "E504");
    Ok(())
}

#[tokio::test]
async fn an_upload_that_cannot_be_committed_is_sent_again_and_stored_once() -> anyhow::Result<()> {
    let phone = Phone::new(3, now_ms());
    let mut server = Server::start(Settings::default()).await?;
    let (first, second) = (phone.reading(now_ms(), "kc=900"), phone.reading(now_ms() + 1000, "kc=950"));
    assert!(server.upload(&first).await?.is_ok());
    let mut lock = server.look().await?;
    lock.execute("BEGIN IMMEDIATE").await?;
    let refused = server.upload(&second).await?;
    lock.execute("ROLLBACK").await?;
    assert_eq!(refused.status, 503);
    assert!(!refused.body.contains("OK!"), "{refused:?}");
    let seconds = refused.header("retry-after").context("Retry-After")?;
    assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{seconds}");
    assert!(server.upload(&second).await?.is_ok());
    assert_eq!(server.trips().await?[0]["readings"], 2);
    assert_eq!(server.trips().await?[0]["duplicates"], 0, "the failed commit left nothing behind");

    let [_, failed, kept] = uploads(&server.stop().await?).try_into().expect("three uploads");
    assert_eq!(failed["success"], false);
    assert_eq!(failed["outcome"], "failure");
    assert_eq!(failed["error"]["code"], "E200");
    assert_eq!(failed["error"]["alert"], true);
    assert_eq!(failed["http_status"], 503);
    assert_eq!(failed["vehicle_context"]["stale"], true);
    assert_eq!(failed["vehicle_context"]["usage_tier"], "new");
    assert_eq!(kept["success"], true);
    assert_eq!(kept["vehicle_context"].get("stale"), None);
    Ok(())
}

/// The events of uploads, in the order in which they began.
fn uploads(events: &[Value]) -> Vec<Value> {
    let mut uploads: Vec<_> =
        events.iter().filter(|event| event["operation"] == "telemetry_upload").cloned().collect();
    // Ids are ordered by time.
    uploads.sort_by_key(|event| event["request_id"].as_str().map(str::to_owned));
    uploads
}
