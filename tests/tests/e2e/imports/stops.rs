//! An import that a stop or a hang-up meets half-way: what was kept is told, and
//! the file given again brings the rest.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Server, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::refusals::post;

/// Rows: what takes some seconds.
const ROWS: i64 = 40_000;

#[tokio::test]
async fn a_stop_says_what_an_import_has_kept_and_the_same_file_brings_the_rest() -> anyhow::Result<()> {
    let settings = Settings::default().in_a_fresh_folder()?;
    let mut server = Server::start(settings.clone()).await?;
    let stream = begin(&server).await?;
    wait_for_readings(&server, 500).await?;
    let stopped = server.terminate().await?;
    assert!(stopped.status.success() && stopped.took < Duration::from_secs(10), "{stopped:?}");
    drop(stream);
    let event = import_of(&stopped.events)?;
    assert_eq!((&event["outcome"], &event["error"]["code"]), (&"failure".into(), &"E503".into()), "{event}");
    let kept = event["imported_rows"].as_i64().context("a number")?;
    assert!((1..ROWS).contains(&kept), "{kept}");

    let mut server = Server::start(settings).await?;
    assert_eq!(readings(&server).await?, kept, "the event says what is kept");
    let answer = post(&server, "?device_id=car", "", &log()).await?;
    let counts: Value = serde_json::from_str(&answer.body)?;
    assert_eq!((&counts["imported"], &counts["duplicates"]), (&(ROWS - kept).into(), &kept.into()));
    assert_eq!((&counts["trips_count"], &counts["trips_created"]), (&1.into(), &0.into()));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_import_goes_on_when_its_client_is_gone_and_says_so() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let stream = begin(&server).await?;
    wait_for_readings(&server, 500).await?;
    drop(stream);
    let event = server.wait_for_operation("csv_import", 1).await?.remove(0);
    assert_eq!((&event["success"], &event["imported_rows"]), (&true.into(), &ROWS.into()), "{event}");
    assert_eq!((&event["client_gone"], &event["error"]["code"]), (&true.into(), &"E504".into()));
    server.stop().await?;
    Ok(())
}

/// Gives the server the whole file, and reads how it begins to answer.
async fn begin(server: &Server) -> anyhow::Result<TcpStream> {
    let log = log();
    let mut stream = TcpStream::connect(server.address()).await?;
    let head = format!(
        "POST /api/import?device_id=car HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        log.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(log.as_bytes()).await?;
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).await?;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{answer:?}");
    Ok(stream)
}

/// One drive, a row a second.
fn log() -> String {
    let mut log = "Device Time,Engine RPM(rpm)\n".to_owned();
    for second in 0..ROWS {
        let _ = writeln!(log, "{},900", 1_767_400_000 + second);
    }
    log
}

async fn wait_for_readings(server: &Server, count: i64) -> anyhow::Result<()> {
    let waited = async {
        while readings(server).await? < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.context("no row is imported")?
}

async fn readings(server: &Server) -> anyhow::Result<i64> {
    server.look().await?.number("SELECT COUNT(*) FROM readings").await
}

fn import_of(events: &[Value]) -> anyhow::Result<&Value> {
    let mut imports = events.iter().filter(|event| event["operation"] == "csv_import");
    let import = imports.next().context("an import")?;
    anyhow::ensure!(imports.next().is_none(), "it is told once");
    Ok(import)
}
