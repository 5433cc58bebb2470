//! The sender beside an in-process server that answers what the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri};

use super::*;

/// Answers in order, the last one for ever, and remembers what was asked.
#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<Vec<(StatusCode, &'static str)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn answer(State(script): State<Script>, uri: Uri) -> (StatusCode, HeaderMap, &'static str) {
    script.asked.lock().unwrap().push(uri.to_string());
    let mut answers = script.answers.lock().unwrap();
    let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    let header = (RETRY_AFTER, HeaderValue::from_static("0"));
    (status, HeaderMap::from_iter([header]), body)
}

/// A server on a free port; its address and what it was asked.
async fn server(answers: &[(StatusCode, &'static str)]) -> (Url, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::default();
    let script = Script { answers: Arc::new(Mutex::new(answers.to_vec())), asked: Arc::clone(&asked) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Url::parse(&url).unwrap(), asked)
}

fn sender(base: &Url, token: Option<&str>) -> Sender {
    let policy = ResendPolicy {
        busy_tries: 5,
        longest_busy_pause: Duration::ZERO,
        error_tries: 3,
        error_pause: Duration::ZERO,
    };
    let client = crate::outbound::client(false).no_proxy().build().unwrap();
    Sender::new(client, base, token, policy)
}

const OK: (StatusCode, &str) = (StatusCode::OK, "OK!");
const BUSY: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "busy");
const TOO_OFTEN: (StatusCode, &str) = (StatusCode::TOO_MANY_REQUESTS, "more slowly");

#[tokio::test]
async fn a_busy_server_gets_the_same_upload_again() {
    let (url, asked) = server(&[BUSY, TOO_OFTEN, OK]).await;

    let resends = sender(&url, None).send("session=1&k5=20.0").await.unwrap();

    assert_eq!(resends, 2);
    let expected = "/torque/upload?session=1&k5=20.0";
    assert_eq!(*asked.lock().unwrap(), [expected, expected, expected]);
}

#[tokio::test]
async fn only_ok_is_ok() {
    let (url, asked) = server(&[(StatusCode::OK, "OK"), (StatusCode::OK, "OK!\n"), OK]).await;
    assert_eq!(sender(&url, None).send("session=1").await.unwrap(), 2);
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_given_up_with_its_address() {
    let (url, asked) = server(&[BUSY]).await;
    let error = sender(&url, None).send("session=1").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{url}torque/upload answered 503 5 times")));
    assert_eq!(asked.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_strange_answer_is_shown_after_a_few_tries() {
    let (url, asked) = server(&[(StatusCode::OK, "<html>hello")]).await;
    let error = sender(&url, None).send("session=1").await.unwrap_err();
    assert!(error.to_string().contains("200 OK \"<html>hello\""), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_nor_shown() {
    let (url, asked) = server(&[(StatusCode::UNAUTHORIZED, "no")]).await;
    let error = sender(&url, Some("s3 cret")).send("session=1").await.unwrap_err();
    assert!(error.to_string().contains("--token"), "{error}");
    assert!(!format!("{error:#}").contains("cret"), "{error:#}");
    assert_eq!(*asked.lock().unwrap(), ["/torque/upload/s3%20cret?session=1"]);
}

#[tokio::test]
async fn an_absent_server_is_named_and_the_token_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = sender(&url, Some("s3cret")).send("session=1").await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with(&format!("{url}torque/upload did not keep")), "{text}");
    assert!(text.contains("is the server running") && !text.contains("s3cret"), "{text}");
}
