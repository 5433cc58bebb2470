//! A process that is killed while it activates a plugin.

use std::time::Duration;

use e2e::{Inbox, Server, Settings, built, enlarged, variant};
use serde_json::Value;
use tokio::time::Instant;

use crate::plugins::{ADMIN, put};
use crate::volt::{Phone, now_ms};

const POLICY: &str = "sampling-policy";
/// Kills, spread over the time that an activation takes and a little more.
const KILLS: u32 = 6;

#[tokio::test]
async fn a_kill_during_an_upload_of_a_plugin_leaves_the_old_or_the_new_one() -> anyhow::Result<()> {
    kill_during_uploads_of(variant).await
}

#[tokio::test]
async fn a_kill_during_an_upload_of_a_large_plugin_leaves_the_old_or_the_new_one() -> anyhow::Result<()> {
    kill_during_uploads_of(|component, number| enlarged(component, number, 16 << 20)).await
}

async fn kill_during_uploads_of(version: fn(&[u8], u8) -> Vec<u8>) -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let settings = Settings::default().set("PLUGIN_DIR", inbox.path()).set("ADMIN_TOKEN", ADMIN);
    let mut server = Server::start(settings.clone()).await?;
    let began = Instant::now();
    let answer = put(&server, POLICY, version(&built(POLICY)?, 0)).await?;
    let whole = began.elapsed();
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut digest = answer.body["to"]["digest"].clone();
    let mut ended = [0, 0];
    for kill in 0..KILLS {
        let component = version(&built(POLICY)?, u8::try_from(kill)? + 1);
        // In the background; where the process is killed no answer comes.
        let address = server.address();
        let upload = tokio::spawn(async move { crate::plugins::put_to(address, POLICY, component).await });
        tokio::time::sleep(whole * kill * 5 / (KILLS - 1) / 4).await;
        server.kill().await?;
        upload.await?.ok();
        server = restarted(&settings, &server).await?;
        let now = policy(&server).await?;
        let new = now["digest"] != digest;
        ended[usize::from(new)] += 1;
        digest = now["digest"].clone();
    }
    println!("{} old and {} new ones", ended[0], ended[1]);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_kill_after_a_file_came_leaves_a_receiver_that_starts_with_it() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let settings = Settings::default().set("PLUGIN_DIR", inbox.path());
    let mut server = Server::start(settings.clone()).await?;
    for kill in 0..3_u8 {
        inbox.put(POLICY, &variant(&built(POLICY)?, kill))?;
        tokio::time::sleep(Duration::from_millis(20) * u32::from(kill)).await;
        server.kill().await?;
        server = restarted(&settings, &server).await?;
        assert_eq!(policy(&server).await?["generation"], 2 + kill, "each file is one activation");
    }
    server.stop().await?;
    Ok(())
}

/// The next process, which must take uploads with a whole, sound set.
async fn restarted(settings: &Settings, killed: &Server) -> anyhow::Result<Server> {
    let server = Server::start(settings.clone().data_of(killed)).await?;
    assert!(server.upload(&Phone::new(1, 1).reading(now_ms(), "kc=900")).await?.is_ok());
    for (slot, plugin) in server.api("/api/plugins").await?["plugins"].as_object().expect("slots") {
        assert_eq!(plugin["degraded"], Value::Null, "{slot}");
    }
    Ok(server)
}

async fn policy(server: &Server) -> anyhow::Result<Value> {
    Ok(server.api("/api/plugins").await?["plugins"][POLICY].clone())
}
