//! What a reader sees: trips, and how the service is.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};
use crate::plugin_host::Slot;
use crate::store::{Page, StoreError, TripRow};

/// The largest page.
const LARGEST_PAGE: i64 = 500;

pub(super) type Answer = Result<Response, Problem>;

/// `GET /api/trips?limit=100&vehicle_id=…&cursor=…`: newest first.
pub(super) async fn trips(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    let (page, place) = admit_page(&app, &headers, query.as_deref())?;
    let trips = app.store.trips(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor = next_cursor(&page, &trips, |trip| (trip.start_time_ms, &trip.trip_id));
    held(place, &TripsPage { trips, next_cursor })
}

#[derive(serde::Serialize)]
struct TripsPage {
    trips: Vec<TripRow>,
    next_cursor: Option<String>,
}

/// A reader who may read, what page is asked for, and a place for it.
pub(super) fn admit_page(
    app: &App,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<(Page, OwnedSemaphorePermit), Problem> {
    admit(app, headers)?;
    let page = page(query.unwrap_or_default())?;
    let Ok(place) = app.pages.clone().try_acquire_owned() else {
        return Err(Problem(Failure::new(Code::E501, "too many pages are under way to their readers")));
    };
    Ok((page, place))
}

/// The page as an answer that keeps its place.
pub(super) fn held(place: OwnedSemaphorePermit, page: &impl serde::Serialize) -> Answer {
    let json = serde_json::to_string(page)
        .map_err(|error| store_problem(&StoreError::Unexpected(error.to_string())))?;
    let body = Body::from(Bytes::from_owner(HeldPage { json, _place: place }));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Where the next page begins; nothing after the last one.
pub(super) fn next_cursor<T>(page: &Page, rows: &[T], key: impl Fn(&T) -> (i64, &String)) -> Option<String> {
    let full = i64::try_from(rows.len()).is_ok_and(|length| length == page.limit);
    let (time_ms, trip_id) = key(rows.last().filter(|_| full)?);
    Some(format!("{time_ms}_{trip_id}"))
}

/// A page that keeps its place until its reader has taken it, or is gone: so
/// many readers who never read cost no more than that many pages.
struct HeldPage {
    json: String,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for HeldPage {
    fn as_ref(&self) -> &[u8] {
        self.json.as_bytes()
    }
}

/// `GET /api/trips/{id}`.
pub(super) async fn trip(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Result<Path<Uuid>, PathRejection>,
) -> Answer {
    admit(&app, &headers)?;
    let trip = match id {
        Ok(Path(id)) => app.store.trip(&id.to_string()).await.map_err(|error| store_problem(&error))?,
        Err(_) => None,
    };
    let trip = trip.ok_or_else(|| Problem(Failure::new(Code::E400, "there is no such trip")))?;
    Ok(Json(trip).into_response())
}

/// `GET /api/status`: what runs, and how much is kept.
pub(super) async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    admit(&app, &headers)?;
    let store = app.store.status().await.map_err(|error| store_problem(&error))?;
    let plugins = app.plugins.pin();
    let plugins: serde_json::Map<_, _> =
        Slot::ALL.into_iter().map(|slot| (slot.as_str().to_owned(), json!(plugins.identity(slot)))).collect();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "instance_id": app.events.instance_id(),
        "database": app.store.engine().as_str(),
        "pid_catalogue": app.catalogue.name(),
        "store": store,
        "events": app.events.totals(),
        "plugins": plugins,
    }))
    .into_response())
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// `GET /readyz`: it can do its work; if worse than it should, it says so.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Answer {
    match app.store.ping().await {
        Ok(()) => Ok(super::plugins::readiness(&app.plugins.pin()).into_response()),
        Err(error) => {
            Err(Problem(Failure::new(Code::E503, "the store does not answer").caused_by("StoreError", error)))
        }
    }
}

pub(super) async fn not_a_read() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

pub(super) async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "no such page; uploads go to /torque/upload")
}

pub(super) fn admit(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if app.tokens.admit_read(headers) {
        return Ok(());
    }
    Err(Problem(Failure::new(
        Code::E001,
        "the token is missing or wrong: send it as Authorization: Bearer …",
    )))
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    tracing::error!(%error, "a read failed");
    Problem(Failure::from(error))
}

fn page(query: &str) -> Result<Page, Problem> {
    let mut page = Page { vehicle_id: None, before: None, limit: 100 };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = plain(&name, value.into_owned())?;
        match &*name {
            "vehicle_id" => page.vehicle_id = Some(value),
            "limit" => page.limit = limit(&value)?,
            "cursor" => page.before = Some(parse_cursor(&value)?),
            _ => {
                return Err(invalid(
                    Code::E003,
                    format!("there is no parameter {name:?}: use limit, vehicle_id, cursor"),
                ));
            }
        }
    }
    Ok(page)
}

/// No text with NUL goes to a database.
pub(super) fn plain(name: &str, text: String) -> Result<String, Problem> {
    if text.contains('\0') {
        return Err(invalid(Code::E003, format!("{name} must not contain NUL")));
    }
    Ok(text)
}

fn limit(text: &str) -> Result<i64, Problem> {
    let limit = text.parse().map_err(|_| invalid(Code::E003, "limit takes a whole number".to_owned()))?;
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(invalid(Code::E004, format!("limit takes 1 to {LARGEST_PAGE}")));
    }
    Ok(limit)
}

fn parse_cursor(text: &str) -> Result<(i64, String), Problem> {
    let parsed = text.split_once('_').and_then(|(start, id)| Some((start.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| invalid(Code::E003, "cursor takes the next_cursor of the page before".to_owned()))
}

pub(super) fn invalid(code: Code, message: String) -> Problem {
    Problem(Failure::new(code, message))
}

#[cfg(test)]
mod tests;
