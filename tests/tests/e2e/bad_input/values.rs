//! Values that are none: they are dropped and counted, and the rest is kept.

use e2e::Engine;
use serde_json::Value;

use super::{is_kept, reading, readings, server, server_on, told};
use crate::on_both_engines;

/// Uploads a reading with this value for the engine speed, and with a voltage;
/// its event.
async fn dropped(value: &str) -> anyhow::Result<Value> {
    let server = server().await?;
    let answer = server.upload(&reading(&format!("kc={value}&k42=13.9"))).await?;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(readings(&server).await?, 1);
    let event = told(server).await?;
    assert_eq!((&event["success"], &event["dropped_values_count"]), (&true.into(), &1.into()));
    assert_eq!((event.get("engine_rpm"), &event["battery_voltage"]), (None, &13.9.into()));
    Ok(event)
}

#[tokio::test]
async fn infinity() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("Infinity").await?);
    Ok(())
}

#[tokio::test]
async fn nan() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("NaN").await?);
    Ok(())
}

#[tokio::test]
async fn the_sign_of_infinity() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("%E2%88%9E").await?);
    Ok(())
}

#[tokio::test]
async fn a_dash() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("-").await?);
    Ok(())
}

#[tokio::test]
async fn an_overflow() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("3.4028234663852886E38").await?);
    Ok(())
}

#[tokio::test]
async fn an_implausible_value() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(dropped("65535").await?);
    Ok(())
}

#[tokio::test]
async fn an_impossible_position() -> anyhow::Result<()> {
    let server = server().await?;
    assert!(server.upload(&reading("kff1005=-121.5&kff1006=137.25&k42=13.9")).await?.is_ok());
    assert_eq!(readings(&server).await?, 1);
    let event = told(server).await?;
    assert_eq!((&event["success"], &event["has_gps"]), (&true.into(), &false.into()));
    insta::assert_json_snapshot!(event);
    Ok(())
}

#[tokio::test]
async fn unknown_keys() -> anyhow::Result<()> {
    let server = server().await?;
    let answer = server.upload(&reading("kfe1234=kept%20as%20sent&k9f01=-&k42=13.9&colour=red")).await?;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(readings(&server).await?, 1);
    let data_dir = server.data_dir().to_owned();
    // Before the folder goes with its server.
    assert!(is_kept(&data_dir, "kept as sent")?);
    insta::assert_json_snapshot!(told(server).await?);
    Ok(())
}

#[tokio::test]
async fn repeated_keys() -> anyhow::Result<()> {
    let server = server().await?;
    assert!(server.upload(&reading("kc=800&kc=900&kc=NaN&kC=&k00c=-")).await?.is_ok());
    let event = told(server).await?;
    assert_eq!(event["engine_rpm"], 900.0, "the last finite value wins");
    insta::assert_json_snapshot!(event);
    Ok(())
}

on_both_engines! {
    escapes_that_are_no_utf8
    nul_bytes
}

async fn escapes_that_are_no_utf8(engine: Engine) -> anyhow::Result<()> {
    let Some(server) = server_on(engine).await? else { return Ok(()) };
    assert!(server.upload(&reading("kfe1234=%B0C%FF&k%ff=1&kc=900")).await?.is_ok());
    assert_eq!(readings(&server).await?, 1);
    let event = told(server).await?;
    assert_eq!(event["engine_rpm"], 900.0);
    insta::assert_json_snapshot!("escapes_that_are_no_utf8", event);
    Ok(())
}

async fn nul_bytes(engine: Engine) -> anyhow::Result<()> {
    let Some(server) = server_on(engine).await? else { return Ok(()) };
    assert!(server.upload(&reading("kfe1234=a%00b&k%00c=9%0000&k42=13.9")).await?.is_ok());
    assert_eq!(readings(&server).await?, 1);
    let event = told(server).await?;
    assert_eq!(event["engine_rpm"], 900.0);
    insta::assert_json_snapshot!("nul_bytes", event);
    Ok(())
}
