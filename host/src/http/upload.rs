//! `GET` and `POST` on `/torque/upload` and `/torque/upload/{token}`, and what is
//! neither.
//!
//! The answer `OK!` means "kept for good"; anything else makes the app send
//! the same point again.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::body::read_body;
use super::detached::Gone;
use super::head::Head;
use super::problem::{RETRY_AFTER, status_of};
use crate::app::App;
use crate::events::{Code, Failure, Outcome, UploadDetails, WideEvent};
use crate::ingest::{self, RawUpload, Received};
use crate::rate_limit::TooOften;

/// The largest body: a unit request has about 15 KB.
const LARGEST_BODY: usize = 64 * 1024;

pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    Extension(gone): Extension<Gone>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let token = token_in(&path);
    let event = open(&app, &request, client, token.as_deref());
    story(app, event, client, request, token, gone).await
}

/// What is on the uploads' path and is no upload: another method.
pub(super) async fn refuse_method(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let event = open(&app, &request, client, token_in(&path).as_deref());
    let message = "an upload is a GET or a POST";
    let mut response = refuse(&app, event, client, StatusCode::METHOD_NOT_ALLOWED, message);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

/// What begins like the uploads' path, and goes on.
pub(super) async fn refuse_path(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let mut event = open(&app, &request, client, token_in(&path).as_deref());
    event.details.route = None;
    let message = "there is no such page: upload to /torque/upload/{token}";
    refuse(&app, event, client, StatusCode::NOT_FOUND, message)
}

fn refuse(
    app: &App,
    mut event: WideEvent<UploadDetails>,
    client: SocketAddr,
    status: StatusCode,
    message: &str,
) -> Response {
    let (response, outcome) = match app.rate_limits.admit_address(client.ip()) {
        Ok(()) => (plain(status, message), Outcome::Rejected(Failure::new(Code::E300, message))),
        Err(too_often) => slow_down(too_often),
    };
    event.details.http_status = Some(response.status().as_u16());
    event.finish(outcome);
    response
}

fn token_in(path: &Result<RawPathParams, RawPathParamsRejection>) -> Option<String> {
    match path {
        Ok(path) => path.iter().find(|(name, _)| *name == "token").map(|(_, token)| token.to_owned()),
        // What cannot be decoded is no token that anybody has.
        Err(_) => Some(String::new()),
    }
}

fn open(app: &App, request: &Request, client: SocketAddr, token: Option<&str>) -> WideEvent<UploadDetails> {
    let details = UploadDetails {
        route: Some(if token.is_some() { "/torque/upload/{token}" } else { "/torque/upload" }),
        remote_addr: Some(client.ip()),
        ..UploadDetails::default()
    };
    let mut event = app.events.open(app.plugins.pin(), details);
    let head = Head::of(request, token, &mut event.known);
    event.details.method = Some(head.method);
    event.details.user_agent = head.user_agent;
    event.details.has_token = Some(head.has_token);
    event.client_request_id = head.client_request_id;
    event
}

/// From the open event to the finished one. The event is finished when the
/// outcome is durable, and before the answer leaves.
async fn story(
    app: Arc<App>,
    mut event: WideEvent<UploadDetails>,
    client: SocketAddr,
    request: Request,
    token: Option<String>,
    gone: Gone,
) -> Response {
    let place = app.uploads.try_acquire();
    let received = match &place {
        Ok(_) => admit(&app, &mut event, client, request, token.as_deref()).await,
        Err(_) => Ok(Received::NotKept(Failure::new(Code::E501, "too many uploads are under way"))),
    };
    let (response, outcome) = match received {
        Ok(Received::Kept) => (plain(StatusCode::OK, "OK!"), Outcome::Success),
        Ok(Received::Quarantined(failure)) => (plain(StatusCode::OK, "OK!"), Outcome::Rejected(failure)),
        Ok(Received::NotKept(failure)) => (come_back(), Outcome::Failure(failure)),
        Ok(Received::TooOften(too_often)) => slow_down(too_often),
        Err(failure) if is_temporary(failure.code) => (come_back(), Outcome::Failure(failure)),
        Err(failure) => (plain(status_of(failure.code), &failure.message), Outcome::Rejected(failure)),
    };
    event.details.http_status = Some(response.status().as_u16());
    if gone.is_gone() {
        event.details.client_gone = Some(true);
        event.note(Failure::new(Code::E504, "the client was gone before the answer"));
    }
    event.finish(outcome);
    drop(place);
    response
}

async fn admit(
    app: &App,
    event: &mut WideEvent<UploadDetails>,
    client: SocketAddr,
    request: Request,
    token: Option<&str>,
) -> Result<Received, Failure> {
    let (parts, body) = request.into_parts();
    #[cfg(debug_assertions)]
    injected_panic(&parts.headers);
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    event.details.request_bytes = Some(query.len() as u64);
    // Before the token is looked at: who guesses tokens is slowed down too.
    if let Err(too_often) = app.rate_limits.admit_address(client.ip()) {
        return Ok(Received::TooOften(too_often));
    }
    if !app.tokens.admit_upload(token, &parts.headers) {
        let message = "the token is missing or wrong: upload to /torque/upload/{token}";
        return Err(Failure::new(Code::E001, message));
    }
    let body = match parts.method {
        Method::POST => read_body(app, &parts.headers, body, LARGEST_BODY).await?,
        _ => Bytes::new(),
    };
    event.details.request_bytes = Some((query.len() + body.len()) as u64);
    Ok(ingest::receive(app, event, RawUpload { query, body: &body }).await)
}

/// Whether the same request may do better later.
fn is_temporary(code: Code) -> bool {
    status_of(code) == StatusCode::SERVICE_UNAVAILABLE
}

fn come_back() -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "not kept: send it again later");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    response
}

fn slow_down(too_often: TooOften) -> (Response, Outcome) {
    let failure = came_too_often(&too_often);
    let mut response = plain(status_of(failure.code), "not kept: send it again, more slowly");
    let seconds = HeaderValue::from(too_often.retry_after_seconds());
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    (response, Outcome::Rejected(failure))
}

pub(super) fn came_too_often(too_often: &TooOften) -> Failure {
    let message = format!("more uploads a minute from this {} than it may send", too_often.limit);
    Failure::new(Code::E007, message)
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}

/// A head that HTTP refuses reaches no handler; its answer is hyper's, the
/// event is ours.
pub(super) fn tell_of_refused(app: &App, client: SocketAddr, error: &hyper::Error) {
    if !error.is_parse() {
        return;
    }
    let (code, message, status) = if error.is_parse_version_h2() {
        // Hyper hangs up without a word.
        (Code::E300, "the client speaks HTTP/2 without having asked", None)
    } else if !error.is_parse_too_large() {
        (Code::E300, "the request line or a header cannot be read", Some(400))
    } else {
        (Code::E006, "the head of the request is too large", Some(431))
    };
    let details =
        UploadDetails { http_status: status, remote_addr: Some(client.ip()), ..UploadDetails::default() };
    let event = app.events.open(app.plugins.pin(), details);
    let outcome = match app.rate_limits.admit_address(client.ip()) {
        Ok(()) => Outcome::Rejected(Failure::new(code, message).caused_by("HttpError", error)),
        Err(too_often) => Outcome::Rejected(came_too_often(&too_often)),
    };
    event.finish(outcome);
}

/// Development builds only: lets a test see what a panic leaves behind.
#[cfg(debug_assertions)]
fn injected_panic(headers: &axum::http::HeaderMap) {
    if headers.get("x-volttracker-fault").is_some_and(|fault| fault == "panic") {
        panic!("injected by the request");
    }
}
