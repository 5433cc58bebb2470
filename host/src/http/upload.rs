//! `GET` and `POST` on `/torque/upload` and `/torque/upload/{token}`.
//!
//! The answer `OK!` means "kept for good"; anything else makes the app send
//! the same point again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::detached::Gone;
use super::problem::{RETRY_AFTER, status_of};
use super::tokens::bearer;
use crate::app::App;
use crate::events::{Code, Failure, Outcome, UploadDetails, WideEvent};
use crate::ingest::{self, RawUpload, Received};
use crate::rate_limit::TooOften;

/// The largest body: a unit request has about 15 KB.
const LARGEST_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    Extension(gone): Extension<Gone>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let token = match &path {
        Ok(path) => path.iter().find(|(name, _)| *name == "token").map(|(_, token)| token.to_owned()),
        // What cannot be decoded is no token that anybody has.
        Err(_) => Some(String::new()),
    };
    let event = open(&app, &request, client, token.as_deref());
    story(app, event, client, request, token, gone).await
}

fn open(app: &App, request: &Request, client: SocketAddr, token: Option<&str>) -> WideEvent<UploadDetails> {
    let header = |name| {
        request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let details = UploadDetails {
        method: Some(request.method().to_string()),
        route: Some(if token.is_some() { "/torque/upload/{token}" } else { "/torque/upload" }),
        remote_addr: Some(client.ip().to_string()),
        user_agent: header(header::USER_AGENT),
        has_token: Some(token.is_some() || bearer(request.headers()).is_some()),
        ..UploadDetails::default()
    };
    let mut event = app.events.open(app.plugins.pin(), details);
    event.client_request_id = header(header::HeaderName::from_static("x-request-id"));
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
        Method::POST => read(app, &parts.headers, body).await?,
        _ => Bytes::new(),
    };
    event.details.request_bytes = Some((query.len() + body.len()) as u64);
    Ok(ingest::receive(app, event, RawUpload { query, body: &body }).await)
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::new(Code::E300, "the body is encoded: send it as it is"));
    }
    let Ok(_place) = app.bodies.try_acquire() else {
        return Err(Failure::new(Code::E501, "too many bodies are under way"));
    };
    let mut stopping = app.stopping.subscribe();
    let reading = gather(Limited::new(body, LARGEST_BODY));
    let read = tokio::select! {
        read = tokio::time::timeout(BODY_TIMEOUT, reading) => read,
        _ = stopping.wait_for(|stopping| *stopping) => {
            return Err(Failure::new(Code::E503, "the service is shutting down: send it again"));
        }
    };
    match read {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Failure::new(Code::E006, format!("the body is larger than {LARGEST_BODY} bytes")))
        }
        Ok(Err(error)) => {
            Err(Failure::new(Code::E300, "the body cannot be read").caused_by("BodyError", error))
        }
        Err(_) => {
            Err(Failure::new(Code::E502, format!("the body took longer than {BODY_TIMEOUT:?} to arrive")))
        }
    }
}

/// Copies a body as it arrives. Its frames must not be kept: each keeps the 8
/// KiB that it was read into, and a slow client may send a byte a frame.
async fn gather(mut body: Limited<Body>) -> Result<Bytes, axum::BoxError> {
    let mut gathered = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            gathered.extend_from_slice(&data);
        }
    }
    Ok(gathered.into())
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
    // In whole seconds, and not before the time.
    let seconds = too_often.retry_after.as_secs() + 1;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
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
    let details = UploadDetails {
        http_status: status,
        remote_addr: Some(client.ip().to_string()),
        ..UploadDetails::default()
    };
    let event = app.events.open(app.plugins.pin(), details);
    let outcome = match app.rate_limits.admit_address(client.ip()) {
        Ok(()) => Outcome::Rejected(Failure::new(code, message).caused_by("HttpError", error)),
        Err(too_often) => Outcome::Rejected(came_too_often(&too_often)),
    };
    event.finish(outcome);
}

/// Development builds only: lets a test see what a panic leaves behind.
#[cfg(debug_assertions)]
fn injected_panic(headers: &HeaderMap) {
    if headers.get("x-volttracker-fault").is_some_and(|fault| fault == "panic") {
        panic!("injected by the request");
    }
}
