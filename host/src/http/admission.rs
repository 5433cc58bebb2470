//! Who may come in, as extractors: a handler that takes one of these runs for
//! nobody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};

/// Somebody who may read.
pub(super) struct Reader;

/// Somebody who may change what is kept.
pub(super) struct Admin;

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        admit_reader(app, &parts.headers).map(|()| Self)
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        admit_admin(app, &parts.headers).map(|()| Self)
    }
}

pub(super) fn admit_reader(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if app.tokens.admit_read(headers) {
        return Ok(());
    }
    Err(refused("the token is missing or wrong: send it as Authorization: Bearer …"))
}

pub(super) fn admit_admin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if app.tokens.admit_admin(headers) {
        return Ok(());
    }
    Err(refused(if app.tokens.has_admin() {
        "the admin token is missing or wrong: send it as Authorization: Bearer …"
    } else {
        "admin requests are refused: ADMIN_TOKEN is not set"
    }))
}

fn refused(message: &str) -> Problem {
    Problem(Failure::new(Code::E001, message))
}
