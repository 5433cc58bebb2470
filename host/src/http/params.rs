//! Parameters of a request: typed, or refused with the code that fits. What
//! nobody knows is refused too, so that a mistyped filter is no filter that
//! silently matches everything.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::body::read_body;
use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};

/// The largest page.
pub(super) const LARGEST_PAGE: i64 = 500;
/// A page, where nobody says how large.
const PAGE: i64 = 100;
/// The longest vehicle id that is looked for, and the longest cursor.
const LONGEST_TEXT: usize = 200;

/// The query of a request.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query.
///
/// # Errors
/// E003: a parameter is unknown, comes twice, has the wrong type, or holds NUL,
/// which no store keeps. E002: one that is needed is not there.
pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    for (name, value) in pairs {
        if name.contains('\0') || value.contains('\0') {
            return Err(wrong_type("a parameter must not contain NUL"));
        }
    }
    let parsed = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
    parsed.map_err(|error| {
        let name = error.path().to_string();
        let cause = error.into_inner().to_string();
        let code = if cause.starts_with("missing field") { Code::E002 } else { Code::E003 };
        let message = if name == "." { cause } else { format!("{name}: {cause}") };
        Problem(Failure::new(code, message))
    })
}

/// The largest JSON body: names are short.
const LARGEST_JSON: usize = 16 * 1024;

/// What is told of a body that cannot be read: characters.
const LONGEST_CAUSE: usize = 300;

/// A JSON body.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read_body(app, &parts.headers, body, LARGEST_JSON).await.map_err(Problem)?;
        let parsed = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(&body));
        parsed.map(Self).map_err(|error| {
            // It says where, and may repeat what was sent.
            let cause: String = error.to_string().chars().take(LONGEST_CAUSE).collect();
            Problem(Failure::new(Code::E303, format!("the body is not the JSON that is wanted: {cause}")))
        })
    }
}

/// The id of a trip in a path. What is no id is the id of no trip.
pub(super) struct TripId(pub String);

impl FromRequestParts<Arc<App>> for TripId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match Path::<Uuid>::from_request_parts(parts, app).await {
            Ok(Path(id)) => Ok(Self(id.to_string())),
            Err(_) => Err(no_such_trip()),
        }
    }
}

/// The id of a vehicle in a path. What cannot be decoded, or kept, is the id of
/// no vehicle.
pub(super) struct VehicleId(pub String);

impl FromRequestParts<Arc<App>> for VehicleId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(id)) if !id.contains('\0') => Ok(Self(id)),
            _ => Err(no_such_vehicle()),
        }
    }
}

pub(super) fn no_such_vehicle() -> Problem {
    Problem(Failure::new(Code::E400, "there is no such vehicle"))
}

pub(super) fn no_such_trip() -> Problem {
    Problem(Failure::new(Code::E400, "there is no such trip"))
}

/// How many a page may have.
pub(super) fn limit(limit: Option<i64>) -> Result<i64, Problem> {
    let limit = limit.unwrap_or(PAGE);
    in_range("limit", limit, 1, LARGEST_PAGE)
}

pub(super) fn in_range<T: Copy + PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    least: T,
    most: T,
) -> Result<T, Problem> {
    if value >= least && value <= most {
        return Ok(value);
    }
    Err(Problem(Failure::new(Code::E004, format!("{name} takes {least} to {most}"))))
}

/// A text that is looked for.
pub(super) fn short(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.len() > LONGEST_TEXT => {
            Err(Problem(Failure::new(Code::E004, format!("{name} takes at most {LONGEST_TEXT} bytes"))))
        }
        text => Ok(text),
    }
}

pub(super) fn wrong_type(message: impl Into<String>) -> Problem {
    Problem(Failure::new(Code::E003, message))
}
