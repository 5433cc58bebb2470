//! What can never be stored as a reading: answered `OK!`, kept in quarantine
//! with its code, who sent it replaced by a hash.

use serde_json::Value;
use sqlx::Row as _;

use super::{EMAIL, HEADER, ID, TIME_MS, server, told};
use crate::volt::now_ms;

const DAY_MS: i64 = 86_400_000;

/// Uploads what is to be quarantined with this code; its event.
async fn quarantined(code: &str, query: &str) -> anyhow::Result<Value> {
    let server = server().await?;
    let answer = server.upload(query).await?;
    assert!(answer.is_ok(), "{answer:?}");
    assert!(server.trips().await?.is_empty());
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 1);
    let rows = server.look().await?.rows("SELECT code, request FROM quarantine").await?;
    let (kept_code, request): (String, String) = (rows[0].try_get("code")?, rows[0].try_get("request")?);
    assert_eq!((rows.len(), kept_code.as_str()), (1, code));
    assert!(request.contains("kc=900"), "the reading itself can be mended: {request}");
    assert!(!request.contains(ID) && !request.contains(EMAIL), "{request}");
    let event = told(server).await?;
    assert_eq!((&event["error"]["code"], &event["outcome"]), (&Value::from(code), &Value::from("rejected")));
    if let Some(vehicle) = event["vehicle_id"].as_str() {
        assert!(request.contains(&format!("id={vehicle}")), "{request}");
    }
    Ok(event)
}

fn at(time: impl std::fmt::Display) -> String {
    format!("{HEADER}&time={time}&kc=900")
}

#[tokio::test]
async fn no_session() -> anyhow::Result<()> {
    let query = format!("eml={EMAIL}&v=9&id={ID}&time={TIME_MS}&kc=900");
    insta::assert_json_snapshot!(quarantined("E005", &query).await?);
    Ok(())
}

#[tokio::test]
async fn a_blank_session() -> anyhow::Result<()> {
    let query = format!("eml={EMAIL}&v=9&session=%20&id={ID}&time={TIME_MS}&kc=900");
    insta::assert_json_snapshot!(quarantined("E005", &query).await?);
    Ok(())
}

#[tokio::test]
async fn no_time() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E304", &format!("{HEADER}&kc=900")).await?);
    Ok(())
}

#[tokio::test]
async fn a_malformed_time() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E301", &at("yesterday")).await?);
    Ok(())
}

#[tokio::test]
async fn a_time_of_zero() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E301", &at(0)).await?);
    Ok(())
}

#[tokio::test]
async fn a_negative_time() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E301", &at(-TIME_MS)).await?);
    Ok(())
}

#[tokio::test]
async fn a_time_in_seconds() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E301", &at(TIME_MS / 1000)).await?);
    Ok(())
}

#[tokio::test]
async fn a_time_in_the_far_future() -> anyhow::Result<()> {
    insta::assert_json_snapshot!(quarantined("E301", &at(now_ms() + 2 * DAY_MS)).await?);
    Ok(())
}

#[tokio::test]
async fn no_id_and_no_email() -> anyhow::Result<()> {
    let query = format!("v=9&session=1767312000000&time={TIME_MS}&kc=900");
    insta::assert_json_snapshot!(quarantined("E002", &query).await?);
    Ok(())
}
