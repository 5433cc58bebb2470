//! Who comes in at the doors of readers and administrators, and how many of the
//! latter at one time. The uploads' door is `upload`'s own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};

/// Who may read.
pub(super) struct Reader;

/// Who may administer, and holds a place for as long as that takes.
pub(super) struct Administrator {
    _place: OwnedSemaphorePermit,
}

/// Who may go back to what served a slot before. What others upload or have
/// compiled takes minutes: a place is kept for the way out of trouble.
pub(super) struct OnTheWayBack {
    _place: OwnedSemaphorePermit,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if app.tokens.admit_read(&parts.headers) {
            return Ok(Self);
        }
        Err(refuse(app, parts, "the token is missing or wrong: send it as Authorization: Bearer …"))
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let place = admit(app, parts, &[&app.admin_requests]);
        Ok(Self { _place: place.map_err(|refused| *refused)? })
    }
}

impl FromRequestParts<Arc<App>> for OnTheWayBack {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let place = admit(app, parts, &[&app.admin_requests, &app.way_back]);
        Ok(Self { _place: place.map_err(|refused| *refused)? })
    }
}

/// A place for an administrator, in the first that has one.
fn admit(
    app: &App,
    parts: &Parts,
    places: &[&Arc<Semaphore>],
) -> Result<OwnedSemaphorePermit, Box<Response>> {
    if !app.tokens.admit_admin(&parts.headers) {
        let message = if app.tokens.has_admin() {
            "the admin token is missing or wrong: send it as Authorization: Bearer …"
        } else {
            "admin requests are refused: ADMIN_TOKEN is not set"
        };
        return Err(Box::new(refuse(app, parts, message)));
    }
    let place = places.iter().find_map(|places| Arc::clone(places).try_acquire_owned().ok());
    place.ok_or_else(|| {
        let failure = Failure::new(Code::E501, "too many admin requests are under way");
        Box::new(Problem(failure).into_response())
    })
}

/// Refuses a wrong token, and slows down who guesses. The right one is looked
/// at first: nobody can shut its owner out by sending wrong ones.
fn refuse(app: &App, parts: &Parts, message: &'static str) -> Response {
    let Some(client) = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip) else {
        return Problem(Failure::new(Code::E001, message)).into_response();
    };
    match app.rate_limits.admit_wrong_token(client) {
        Ok(()) => {
            tracing::warn!(%client, "refused: {message}");
            Problem(Failure::new(Code::E001, message)).into_response()
        }
        Err(too_often) => {
            let message = "too many requests with a missing or wrong token came from this address";
            let mut response = Problem(Failure::new(Code::E007, message)).into_response();
            let seconds = HeaderValue::from(too_often.retry_after_seconds());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            response
        }
    }
}
