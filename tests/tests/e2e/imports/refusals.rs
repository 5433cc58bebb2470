//! What is not imported, and how the request, the command and the event say so.

use std::path::Path;

use anyhow::Context as _;
use e2e::{Answer, Server, Settings, raw};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{DEVICE, path, run};

const LOG: &str = "GPS Time,Engine RPM(rpm)\n2026-01-03 10:00:00,900\n-,900\n2026-01-03 10:00:01,901\n";

#[tokio::test]
async fn a_request_that_cannot_be_imported_is_refused_with_its_reason_and_told_once() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("TORQUE_API_TOKEN", "s3cret")).await?;
    let token = "Authorization: Bearer s3cret\r\n";
    let large = format!("{token}Content-Length: {}\r\n", 600_u64 << 20);
    let form = format!("{token}Content-Type: multipart/form-data; boundary=x\r\n");
    let both = format!("{token}X-Vehicle: b\r\n");
    let (all, none) = (format!("?device_id={DEVICE}"), String::new());
    let refused = [
        (&all, "", LOG),
        (&all, "Authorization: Bearer wrong\r\n", LOG),
        (&none, token, LOG),
        (&"?vehicle=nobody".to_owned(), token, LOG),
        (&"?car=mine".to_owned(), token, LOG),
        (&"?device_id=a".to_owned(), both.as_str(), LOG),
        (&"?device_id=a%00b".to_owned(), token, LOG),
        (&all, &form, LOG),
        (&all, &large, ""),
        (&all, token, ""),
        (&all, token, "<html>"),
        (&all, token, "GPS Time,Engine RPM(rpm)\n-,900\n"),
    ];
    let mut answers = Vec::new();
    for (query, headers, body) in refused {
        let answer = post(&server, query, headers, body).await?;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_str(&answer.body)?;
        answers.push(json!([answer.status, problem["code"], problem["detail"]]));
    }
    insta::assert_json_snapshot!(answers);
    let events = server.stop().await?;
    let mut told: Vec<_> = events.iter().filter(|event| event["operation"] == "csv_import").collect();
    // Two tasks write events.
    told.sort_by_key(|event| event["timestamp"].as_str());
    let told: Vec<_> = told
        .iter()
        .map(|event| json!([event["http_status"], event["error"]["code"], event["failure_reason"]]))
        .collect();
    assert_eq!(told, answers, "an event each, which says what was answered");
    assert!(events.iter().all(|event| !event.to_string().contains(DEVICE)));
    Ok(())
}

#[tokio::test]
async fn a_bad_row_is_told_with_its_line_and_the_rest_is_imported() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let answer = post(&server, "", &format!("X-Device-Id: {DEVICE}\r\n"), LOG).await?;
    let counts: Value = serde_json::from_str(&answer.body)?;
    assert_eq!((answer.status, &counts["imported"]), (200, &json!(2)));
    assert_eq!(counts["bad_rows"], json!([{ "line": 3, "reason": "it has no time" }]));
    let events = server.stop().await?;
    let event = events.iter().find(|event| event["operation"] == "csv_import").context("an import")?;
    assert_eq!((&event["success"], &event["bad_rows"]), (&json!(true), &json!(1)));
    assert_eq!(event["bad_row_examples"], json!(["line 3: it has no time"]));
    assert_eq!(event["error"]["code"], "E305", "{event}");
    Ok(())
}

#[tokio::test]
async fn the_command_says_what_it_could_not_import_and_ends_badly() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let folder = tempfile::tempdir()?;
    let (good, bad) = (folder.path().join("good.csv"), folder.path().join("bad.csv"));
    std::fs::write(&good, LOG)?;
    std::fs::write(&bad, "Foo,Bar\n1,2\n")?;
    let url = format!("http://{}", server.address());
    let missing = Path::new("missing.csv");
    let output =
        run(&["import", "--url", &url, "--device-id", DEVICE, path(&bad)?, path(missing)?, path(&good)?])
            .await?;
    let said = String::from_utf8(output.stdout)?;
    let said = said.replace(&format!("{}/", path(folder.path())?), "");
    // How long it took is another number each time.
    let said: Vec<_> = said.lines().map(|line| line.split("), ").next().unwrap_or(line)).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr)?;
    assert!(errors.ends_with("error: 2 of 3 files could not be imported\n"), "{errors}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_file_is_there_is_told_of() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    let head =
        format!("POST /api/import?device_id={DEVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    stream.write_all(format!("{head}{LOG}").as_bytes()).await?;
    drop(stream);
    let event = server.wait_for_operation("csv_import", 1).await?.remove(0);
    assert_eq!((&event["success"], &event["error"]["code"]), (&json!(false), &json!("E300")), "{event}");
    assert_eq!(event["request_bytes"], LOG.len());
    assert_eq!(server.look().await?.number("SELECT COUNT(*) FROM readings").await?, 0);
    let left: Vec<_> = std::fs::read_dir(server.data_dir())?.collect::<Result<_, _>>()?;
    let names: Vec<_> = left.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| !name.contains("tmp")), "nothing of the file is left: {names:?}");
    server.stop().await?;
    Ok(())
}

pub(super) async fn post(server: &Server, query: &str, headers: &str, body: &str) -> anyhow::Result<Answer> {
    let length = if headers.contains("Content-Length") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("POST /api/import{query} HTTP/1.0\r\n{headers}{length}\r\n");
    raw(server.address(), format!("{head}{body}").as_bytes()).await
}
