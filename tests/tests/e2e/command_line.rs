//! What commands say, and to whom.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Server, Settings, binary};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_command_whose_reader_is_gone_ends_without_a_word() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let url = format!("http://{}", server.address());
    let simulate = ["simulate", "--minutes", "1", "--speed-up", "0", "--url", &url];
    for arguments in
        [&["plugin", "list", "--url", &url][..], &["plugin", "list", "--json", "--url", &url], &simulate]
    {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let command = Command::new(binary()?)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, command).await.context("it does not end")??;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("error"), "{arguments:?}: {said}");
    }
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_simulation_says_that_the_server_slows_it_down() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("RATE_LIMIT_PER_MINUTE", "5")).await?;
    let mut simulation = Command::new(binary()?)
        .args(["simulate", "--speed-up", "0", "--url", &format!("http://{}", server.address())])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(simulation.stderr.take().context("it is piped")?).lines();
    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("it says nothing")??;
    let first = first.context("it ended")?;
    assert!(first.contains("/torque/upload answered 429: more uploads a minute than"), "{first}");
    simulation.kill().await?;
    server.stop().await?;
    Ok(())
}
