//! What cannot be stored: each has its code, and none makes the phone send it
//! for ever.

use e2e::{Server, Settings, get, raw, upload_all};
use serde_json::Value;
use sqlx::Row as _;

use crate::volt::{Phone, now_ms};

const TOKEN: &str = "the-right-token-4711";
const WRONG_TOKEN: &str = "a-wrong-token-0815";
/// The largest body: bytes.
const LARGEST_BODY: usize = 64 * 1024;

#[tokio::test]
async fn what_can_never_be_stored_is_quarantined_without_identity() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let phone = Phone::new(1, now_ms());
    let Phone { id, email, session } = &phone;
    let now = now_ms();
    let cases = [
        ("no session", "E005", format!("eml={email}&v=9&id={id}&time={now}&kc=900")),
        ("a blank session", "E005", format!("eml={email}&v=9&session=%20&id={id}&time={now}&kc=900")),
        ("no time", "E304", format!("eml={email}&v=9&session={session}&id={id}&kc=900")),
        ("time zero", "E301", format!("{}&kc=900", phone.header(0))),
        ("a negative time", "E301", format!("{}&kc=900", phone.header(-1))),
        ("a time in seconds", "E301", format!("{}&kc=900", phone.header(now / 1000))),
        ("a malformed time", "E301", format!("{}&kc=900", phone.header("yesterday"))),
        ("a time two days ahead", "E301", format!("{}&kc=900", phone.header(now + 2 * 86_400_000))),
        ("no id and no e-mail", "E002", format!("v=9&session={session}&time={now}&kc=900")),
    ];
    let queries = cases.iter().map(|(.., query)| query.clone()).collect();
    for (answer, (what, ..)) in upload_all(server.address(), queries, 1).await?.iter().zip(&cases) {
        assert!(answer.is_ok(), "{what}: {answer:?}");
    }
    assert!(server.trips().await?.is_empty());
    let uploads = server.wait_for_operation("telemetry_upload", cases.len()).await?;
    for (what, code, _) in &cases {
        let wanted = cases.iter().filter(|(_, other, _)| other == code).count();
        let of_code = |event: &&Value| event["error"]["code"] == *code && event["outcome"] == "rejected";
        assert_eq!(uploads.iter().filter(of_code).count(), wanted, "{what}");
    }

    let rows = server.look().await?.rows("SELECT code, request FROM quarantine").await?;
    assert_eq!(rows.len(), cases.len());
    for row in rows {
        let request: String = row.try_get("request")?;
        assert!(request.contains("kc=900"), "the reading itself can be mended: {request}");
        assert!(!request.contains(id.as_str()) && !request.contains(email.as_str()), "{request}");
    }
    no_output_contains(&mut server, &[id, email]).await
}

#[tokio::test]
async fn an_upload_without_the_token_is_refused_and_no_token_is_told() -> anyhow::Result<()> {
    let settings = Settings::default().set("TORQUE_API_TOKEN", TOKEN).set("RUST_LOG", "debug");
    let mut server = Server::start(settings).await?;
    let phone = Phone::new(2, now_ms());
    let query = phone.reading(now_ms(), "kc=900");
    let wrong = [
        (format!("/torque/upload/{WRONG_TOKEN}?{query}"), None),
        (format!("/torque/upload?{query}"), Some(format!("Bearer {WRONG_TOKEN}"))),
        (format!("/torque/upload?{query}"), None),
    ];
    for (target, bearer) in &wrong {
        let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        assert_eq!(get(server.address(), target, &headers).await?.status, 401);
    }
    let bearer = format!("Bearer {TOKEN}");
    let right = format!("/torque/upload/{TOKEN}?{query}");
    assert!(get(server.address(), &right, &[]).await?.is_ok());
    let plain = format!("/torque/upload?{query}");
    assert!(get(server.address(), &plain, &[("Authorization", &bearer)]).await?.is_ok());

    let uploads = server.wait_for_operation("telemetry_upload", wrong.len() + 2).await?;
    let refused: Vec<_> = uploads.iter().filter(|event| event["error"]["code"] == "E001").collect();
    assert_eq!(refused.len(), wrong.len());
    for event in refused {
        assert_eq!((&event["http_status"], &event["outcome"]), (&Value::from(401), &Value::from("rejected")));
    }
    no_output_contains(&mut server, &[TOKEN, WRONG_TOKEN, &phone.id, &phone.email]).await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let phone = Phone::new(3, now_ms());
    let mut body = phone.reading(now_ms(), "kc=900&x=");
    body.push_str(&"x".repeat(LARGEST_BODY - body.len()));
    assert!(post(&server, &body).await?.is_ok(), "the largest body is taken");
    let answer = post(&server, &format!("{body}x")).await?;
    assert_eq!(answer.status, 413);

    let events = server.stop().await?;
    let refused: Vec<_> = events.iter().filter(|event| event["success"] == false).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["error"]["code"], "E006");
    assert_eq!(refused[0]["http_status"], 413);
    Ok(())
}

#[tokio::test]
async fn a_request_line_that_http_refuses_still_has_its_event() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let answer = raw(server.address(), b"GET /torque/upload?defaultUnit5=\xb0C HTTP/1.0\r\n\r\n").await?;
    assert_eq!(answer.status, 400);
    // The same degree sign in UTF-8 passes, as does an e-mail's own sign.
    let query = format!("{}&defaultUnit05=°C", Phone::new(4, now_ms()).header(now_ms()));
    assert!(server.upload(&query).await?.is_ok());

    let events = server.stop().await?;
    let refused: Vec<_> = events.iter().filter(|event| event["success"] == false).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["operation"], "telemetry_upload");
    assert_eq!(refused[0]["error"]["code"], "E300");
    assert_eq!(refused[0]["http_status"], 400);
    Ok(())
}

async fn post(server: &Server, body: &str) -> anyhow::Result<e2e::Answer> {
    let head = format!(
        "POST /torque/upload HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw(server.address(), [head.as_bytes(), body.as_bytes()].concat().as_slice()).await
}

/// Stops the server and searches all that it ever said.
async fn no_output_contains(server: &mut Server, secrets: &[&str]) -> anyhow::Result<()> {
    let events = server.stop().await?;
    let stderr = server.stderr();
    for secret in secrets {
        assert!(!stderr.contains(secret), "{secret} in {stderr}");
        for event in &events {
            assert!(!event.to_string().contains(secret), "{secret} in {event}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn odd_paths_to_the_door_have_their_event_and_head_stores_nothing() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let phone = Phone::new(5, now_ms());
    let query = phone.reading(now_ms(), "kc=900");
    for (method, path, status) in
        [("HEAD", "upload", 405), ("GET", "upload/", 200), ("GET", "upload/%FF", 200)]
    {
        let request = format!("{method} /torque/{path}?{query} HTTP/1.0\r\n\r\n");
        assert_eq!(raw(server.address(), request.as_bytes()).await?.status, status, "{method} {path}");
    }
    let trips = server.trips().await?;
    assert_eq!((&trips[0]["readings"], &trips[0]["duplicates"]), (&1.into(), &1.into()));
    let events = server.stop().await?;
    assert_eq!(events.iter().filter(|event| event["operation"] == "telemetry_upload").count(), 2);
    Ok(())
}
