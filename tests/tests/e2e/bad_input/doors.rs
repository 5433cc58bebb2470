//! What does not get in: too large, without the token, too often, or not HTTP.

use e2e::{Server, get, raw, raw_from};
use serde_json::Value;

use super::{
    EMAIL, HEADER, ID, as_snapshot, no_output_contains, post, reading, readings, server, settings, told,
};
use crate::volt::Phone;

const TOKEN: &str = "the-right-token-4711";
const WRONG_TOKEN: &str = "a-wrong-token-0815";
/// The largest body, and the largest head: bytes.
const LARGEST_BODY: usize = 64 * 1024;
const LARGEST_HEAD: usize = 24 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_body_over_the_limit() -> anyhow::Result<()> {
    let server = server().await?;
    let mut body = reading("kc=900&x=");
    body.push_str(&"x".repeat(LARGEST_BODY + 1 - body.len()));
    let answer = post(&server, "", FORM, &body).await?;
    assert_eq!(answer.status, 413);
    assert!(server.trips().await?.is_empty());
    let event = told(server).await?;
    assert_eq!(event["error"]["code"], "E006");
    insta::assert_json_snapshot!(event);
    Ok(())
}

#[tokio::test]
async fn the_largest_body_is_taken() -> anyhow::Result<()> {
    let server = server().await?;
    let mut body = reading("kc=900&x=");
    body.push_str(&"x".repeat(LARGEST_BODY - body.len()));
    assert!(post(&server, "", FORM, &body).await?.is_ok());
    assert_eq!(readings(&server).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_wrong_token() -> anyhow::Result<()> {
    let settings = settings().set("TORQUE_API_TOKEN", TOKEN).set("RUST_LOG", "debug");
    let mut server = Server::start(settings).await?;
    let target = format!("/torque/upload/{WRONG_TOKEN}?{}", reading("kc=900"));
    let answer = get(server.address(), &target, &[]).await?;
    assert_eq!(answer.status, 401);
    for secret in [TOKEN, WRONG_TOKEN] {
        assert!(!answer.head.contains(secret) && !answer.body.contains(secret), "{answer:?}");
    }
    let events = server.stop().await?;
    no_output_contains(&server, &events, &[TOKEN, WRONG_TOKEN, ID, EMAIL]);
    super::nothing_kept_contains(&server, &[TOKEN, WRONG_TOKEN, ID, EMAIL]).await?;
    let uploads: Vec<_> =
        events.into_iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    let [event] = uploads.try_into().expect("one upload");
    assert_eq!(event["error"]["code"], "E001");
    insta::assert_json_snapshot!(as_snapshot(event));
    Ok(())
}

#[tokio::test]
async fn a_token_is_told_nowhere_whether_right_wrong_or_missing() -> anyhow::Result<()> {
    let settings = settings().set("TORQUE_API_TOKEN", TOKEN).set("RUST_LOG", "debug");
    let mut server = Server::start(settings).await?;
    let query = reading("kc=900");
    let (right, wrong) = (format!("Bearer {TOKEN}"), format!("Bearer {WRONG_TOKEN}"));
    let plain = format!("/torque/upload?{query}");
    for (target, bearer, status) in [
        (format!("/torque/upload/{WRONG_TOKEN}?{query}"), None, 401),
        (plain.clone(), Some(&wrong), 401),
        (plain.clone(), None, 401),
        (format!("/torque/upload/{TOKEN}?{query}"), None, 200),
        (plain, Some(&right), 200),
    ] {
        let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        assert_eq!(get(server.address(), &target, &headers).await?.status, status, "{target} {bearer:?}");
    }
    let events = server.stop().await?;
    assert_eq!(events.iter().filter(|event| event["error"]["code"] == "E001").count(), 3);
    no_output_contains(&server, &events, &[TOKEN, WRONG_TOKEN, ID, EMAIL]);
    Ok(())
}

/// Uploads until one is refused for coming too often; that one's event.
async fn refused_after(
    admitted: usize,
    upload: impl AsyncFn(&Server, usize) -> anyhow::Result<e2e::Answer>,
) -> anyhow::Result<Value> {
    let mut server = Server::start(settings().set("RATE_LIMIT_PER_MINUTE", admitted.to_string())).await?;
    for number in 0..admitted {
        assert!(upload(&server, number).await?.is_ok());
    }
    let answer = upload(&server, admitted).await?;
    assert_eq!(answer.status, 429);
    assert!(!answer.body.contains("OK!"), "{answer:?}");
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=61).contains(&seconds)), "{answer:?}");
    let events = server.stop().await?;
    let refused: Vec<_> = events.into_iter().filter(|event| event["error"]["code"] == "E007").collect();
    let [event] = refused.try_into().expect("one refusal");
    assert_eq!((&event["outcome"], &event["http_status"]), (&"rejected".into(), &429.into()));
    Ok(as_snapshot(event))
}

#[tokio::test]
async fn an_address_that_comes_too_often() -> anyhow::Result<()> {
    let event = refused_after(3, async |server, number| {
        let phone = Phone::new(u32::try_from(number)?, super::TIME_MS);
        server.upload(&phone.reading(super::TIME_MS, "kc=900")).await
    });
    insta::assert_json_snapshot!(event.await?);
    Ok(())
}

#[tokio::test]
async fn a_vehicle_that_comes_too_often() -> anyhow::Result<()> {
    let event = refused_after(3, async |server, number| {
        // Each time from another address.
        let client = [127, 0, 0, u8::try_from(number)? + 2].into();
        let query = format!("{HEADER}&time={}&kc=900", super::TIME_MS + i64::try_from(number)?);
        let request = format!("GET /torque/upload?{query} HTTP/1.0\r\n\r\n");
        raw_from(client, server.address(), request.as_bytes()).await
    });
    insta::assert_json_snapshot!(event.await?);
    Ok(())
}

#[tokio::test]
async fn a_vehicle_that_sends_nothing_but_nonsense_too_often() -> anyhow::Result<()> {
    let event = refused_after(3, async |server, number| {
        let client = [127, 0, 0, u8::try_from(number)? + 2].into();
        let request = format!("GET /torque/upload?{HEADER}&time=never&kc=900 HTTP/1.0\r\n\r\n");
        raw_from(client, server.address(), request.as_bytes()).await
    });
    assert_eq!(event.await?["upload_kind"], "telemetry");
    Ok(())
}

#[tokio::test]
async fn without_a_limit_nobody_comes_too_often() -> anyhow::Result<()> {
    let server = server().await?;
    let queries = (0..500).map(|number| format!("{HEADER}&time={}&kc=900", super::TIME_MS + number));
    let answers = e2e::upload_all(server.address(), queries.collect(), 4).await?;
    assert!(answers.iter().all(e2e::Answer::is_ok));
    assert_eq!(readings(&server).await?, 500);
    Ok(())
}

#[tokio::test]
async fn a_request_line_that_http_refuses() -> anyhow::Result<()> {
    let server = server().await?;
    let answer = raw(server.address(), b"GET /torque/upload?defaultUnit5=\xb0C HTTP/1.0\r\n\r\n").await?;
    assert_eq!(answer.status, 400);
    let event = told(server).await?;
    assert_eq!(event["error"]["code"], "E300");
    insta::assert_json_snapshot!(event);
    Ok(())
}

#[tokio::test]
async fn a_head_over_the_limit() -> anyhow::Result<()> {
    let server = server().await?;
    let mut head = format!("GET /torque/upload?{}&x=", reading("kc=900")).into_bytes();
    head.resize(LARGEST_HEAD, b'x');
    assert_eq!(raw(server.address(), &head).await?.status, 431);
    assert!(server.trips().await?.is_empty());
    let event = told(server).await?;
    assert_eq!((&event["error"]["code"], &event["http_status"]), (&"E006".into(), &431.into()));
    Ok(())
}

#[tokio::test]
async fn a_client_that_speaks_http_2_is_told_of_without_an_answer() -> anyhow::Result<()> {
    let server = server().await?;
    let answer = raw(server.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_err(), "it is hung up on: {answer:?}");
    let event = told(server).await?;
    assert_eq!((&event["error"]["code"], event.get("http_status")), (&"E300".into(), None));
    Ok(())
}

#[tokio::test]
async fn an_address_that_sends_nothing_but_what_http_refuses_too_often() -> anyhow::Result<()> {
    let mut server = Server::start(settings().set("RATE_LIMIT_PER_MINUTE", "3")).await?;
    for _ in 0..4 {
        assert_eq!(raw(server.address(), b"GET /torque/\xb0 HTTP/1.0\r\n\r\n").await?.status, 400);
    }
    let codes: Vec<_> = server.stop().await?.iter().map(|event| event["error"]["code"].clone()).collect();
    let count = |code: &str| codes.iter().filter(|other| **other == code).count();
    assert_eq!((count("E300"), count("E007")), (3, 1));
    Ok(())
}

#[tokio::test]
async fn a_degree_sign_in_utf8_passes() -> anyhow::Result<()> {
    let server = server().await?;
    assert!(server.upload(&format!("{HEADER}&defaultUnit05=°C")).await?.is_ok());
    assert_eq!(told(server).await?["upload_kind"], "default_units");
    Ok(())
}

#[tokio::test]
async fn odd_paths_to_the_door_have_their_event_and_head_stores_nothing() -> anyhow::Result<()> {
    let mut server = server().await?;
    let query = reading("kc=900");
    let doors = [
        ("GET", "upload/", 200, Some("/torque/upload")),
        ("GET", "upload/%FF", 200, Some("/torque/upload/{token}")),
        ("GET", "upload/a-token/", 200, Some("/torque/upload/{token}")),
        ("HEAD", "upload", 405, Some("/torque/upload")),
        ("PUT", "upload/a-token", 405, Some("/torque/upload/{token}")),
        ("GET", "upload/a-token/and/more", 404, None),
    ];
    for (method, path, status, _) in doors {
        let request = format!("{method} /torque/{path}?{query} HTTP/1.0\r\n\r\n");
        let answer = raw(server.address(), request.as_bytes()).await?;
        assert_eq!(answer.status, status, "{method} {path}");
        let allowed = (status == 405).then_some("GET, POST");
        assert_eq!(answer.header("allow"), allowed, "{answer:?}");
    }
    let trips = server.trips().await?;
    assert_eq!((&trips[0]["readings"], &trips[0]["duplicates"]), (&1.into(), &2.into()));
    let events = server.stop().await?;
    no_output_contains(&server, &events, &["a-token"]);
    let uploads: Vec<_> = events.iter().filter(|event| event["operation"] == "telemetry_upload").collect();
    assert_eq!(uploads.len(), doors.len());
    for (method, path, status, route) in doors {
        let told = uploads.iter().any(|event| {
            let rejected = event["outcome"] == "rejected" && event["error"]["code"] == "E300";
            event["method"] == method
                && event["http_status"] == status
                && event["route"].as_str() == route
                && rejected == (status != 200)
        });
        assert!(told, "{method} {path}: {uploads:?}");
    }
    Ok(())
}
