//! Bodies that are small enough to be held whole.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::app::App;
use crate::events::{Code, Failure};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads a body whole.
///
/// # Errors
/// E006: it is larger than `largest` bytes. E300: it is encoded, or cannot be
/// read. E501: too many are under way. E502: it took too long. E503: the process
/// stops.
pub(super) async fn read_body(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    largest: usize,
) -> Result<Bytes, Failure> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::new(Code::E300, "the body is encoded: send it as it is"));
    }
    let Ok(_place) = app.bodies.try_acquire() else {
        return Err(Failure::new(Code::E501, "too many bodies are under way"));
    };
    let mut stopping = app.stopping.subscribe();
    let reading = gather(Limited::new(body, largest));
    let read = tokio::select! {
        read = tokio::time::timeout(BODY_TIMEOUT, reading) => read,
        _ = stopping.wait_for(|stopping| *stopping) => {
            return Err(Failure::new(Code::E503, "the service is shutting down: send it again"));
        }
    };
    match read {
        Ok(Ok(body)) => Ok(body.into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Failure::new(Code::E006, format!("the body is larger than {largest} bytes")))
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
pub(super) async fn gather(mut body: Limited<Body>) -> Result<Vec<u8>, axum::BoxError> {
    let mut gathered = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            gathered.extend_from_slice(&data);
        }
    }
    Ok(gathered)
}
