//! The simulated drive, and the receiver's figures beside its truth.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Server, Settings, binary};
use tokio::process::Command;

#[tokio::test]
async fn a_simulated_drive_comes_out_as_it_was_driven() -> anyhow::Result<()> {
    simulated_drives_come_out(1).await
}

#[tokio::test]
async fn three_simulated_cars_at_once_come_out_as_they_were_driven() -> anyhow::Result<()> {
    simulated_drives_come_out(3).await
}

async fn simulated_drives_come_out(vehicles: usize) -> anyhow::Result<()> {
    // Longer than a slow machine takes from one upload to the next: a trip that
    // goes on while it is finalized has an event that says so.
    let mut server = Server::start(Settings::default().set("TRIP_TIMEOUT_SECONDS", "8")).await?;
    let simulate = Command::new(binary()?)
        .args(["simulate", "--speed-up", "0", "--check", "--minutes", "20", "--seed", "3"])
        .args(["--vehicles", &vehicles.to_string(), "--timeout-seconds", "60"])
        .args(["--url", &format!("http://{}", server.address())])
        .env_remove("TORQUE_API_TOKEN")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), simulate).await.context("simulate")??;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    assert_eq!(server.trips().await?.len(), vehicles);
    let events = server.stop().await?;
    let failed: Vec<_> = events.iter().filter(|event| event["success"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    Ok(())
}
