//! Requests of an odd form: long ones, some in two parts, some that say they
//! are something else.

use sqlx::Row as _;

use super::{EMAIL, HEADER, ID, TIME_MS, post, reading, readings, server, told};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_target_of_15_kilobytes() -> anyhow::Result<()> {
    let server = server().await?;
    let mut query = reading("kc=900");
    for pid in 0xfe_0000.. {
        if query.len() >= 15 * 1024 {
            break;
        }
        query.push_str(&format!("&k{pid:x}={pid}.25"));
    }
    assert!(server.upload(&query).await?.is_ok());
    assert_eq!(readings(&server).await?, 1);
    insta::assert_json_snapshot!(told(server).await?);
    Ok(())
}

#[tokio::test]
async fn a_unit_request_of_438_parameters() -> anyhow::Result<()> {
    let server = server().await?;
    let mut query = HEADER.to_owned();
    for pid in 0..146 {
        query.push_str(&format!(
            "&userUnit{pid:02x}=°F&userShortName{pid:02x}=T{pid}&userFullName{pid:02x}=°"
        ));
    }
    assert!(server.upload(&query).await?.is_ok());
    assert!(server.trips().await?.is_empty(), "a unit request is no reading");
    let rows = server.look().await?.rows("SELECT user_units FROM sessions").await?;
    let units: serde_json::Value = serde_json::from_str(rows[0].try_get("user_units")?)?;
    assert_eq!(units.as_object().map(serde_json::Map::len), Some(438));
    insta::assert_json_snapshot!(told(server).await?);
    Ok(())
}

#[tokio::test]
async fn query_and_body_together() -> anyhow::Result<()> {
    let server = server().await?;
    let answer = post(&server, &reading("kc=700&k42=13.9"), FORM, "kc=900&kff1001=48.28").await?;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(readings(&server).await?, 1);
    let event = told(server).await?;
    assert_eq!(event["engine_rpm"], 900.0, "the body comes later");
    assert_eq!(event["battery_voltage"], 13.9);
    insta::assert_json_snapshot!(event);
    Ok(())
}

#[tokio::test]
async fn a_form_with_the_wrong_content_type() -> anyhow::Result<()> {
    let server = server().await?;
    let answer = post(&server, "", "text/plain", &reading("kc=900")).await?;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(readings(&server).await?, 1, "a form is read as what it is");
    insta::assert_json_snapshot!(told(server).await?);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_no_form() -> anyhow::Result<()> {
    let server = server().await?;
    let body = format!(r#"{{"eml":"{EMAIL}","id":"{ID}","time":{TIME_MS},"kc":900}}"#);
    let answer = post(&server, "", "application/json", &body).await?;
    assert!(answer.is_ok(), "the app would send it for ever: {answer:?}");
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 1);
    let rows = server.look().await?.rows("SELECT request FROM quarantine").await?;
    let request: &str = rows[0].try_get("request")?;
    assert!(request.contains(r#""kc":900"#), "{request}");
    let event = told(server).await?;
    assert_eq!(event["error"]["code"], "E300");
    insta::assert_json_snapshot!(event);
    Ok(())
}
