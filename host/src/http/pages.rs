//! Pages of a list: which one, how many are under way, and where the next
//! begins.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::api::{Answer, store_problem};
use super::params;
use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};
use crate::store::{Page, StoreError, TripFilter};

/// Which page: all that are given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Only of this vehicle.
    #[param(max_length = 200)]
    vehicle_id: Option<String>,
    /// Only those that begin at this time or later: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those that begin before this time: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// At most that many: 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// Where the page before ended: its `next_cursor`.
    #[param(pattern = "^[0-9]{1,18}_[0-9a-f-]{36}$")]
    cursor: Option<String>,
}

impl PageQuery {
    /// The page that it asks for.
    ///
    /// # Errors
    /// E003, E004.
    pub(super) fn page(self) -> Result<Page, Problem> {
        let filter = TripFilter {
            vehicle_id: params::short("vehicle_id", self.vehicle_id)?,
            from_ms: self.from.map(Timestamp::as_millisecond),
            before_ms: self.to.map(Timestamp::as_millisecond),
            ..TripFilter::default()
        };
        let behind = self.cursor.as_deref().map(parse_cursor).transpose()?;
        Ok(Page { filter, behind, limit: params::limit(self.limit)? })
    }
}

/// A place for a page, if there is one left.
pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.pages
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem(Failure::new(Code::E501, "too many pages are under way to their readers")))
}

/// The page as an answer that keeps its place.
pub(super) fn held(place: OwnedSemaphorePermit, page: &impl Serialize) -> Answer {
    let json = serde_json::to_string(page)
        .map_err(|error| store_problem(&StoreError::Unexpected(error.to_string())))?;
    let body = Body::from(Bytes::from_owner(HeldPage { json, _place: place }));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
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

/// Where the next page begins; nothing behind the last one.
pub(super) fn next_cursor<T>(page: &Page, rows: &[T], key: impl Fn(&T) -> (i64, &String)) -> Option<String> {
    let full = i64::try_from(rows.len()).is_ok_and(|length| length == page.limit);
    let (time_ms, trip_id) = key(rows.last().filter(|_| full)?);
    Some(format!("{time_ms}_{trip_id}"))
}

/// Reads what [`next_cursor`] gave.
pub(super) fn parse_cursor(text: &str) -> Result<(i64, String), Problem> {
    let parsed = text.split_once('_').and_then(|(start, id)| Some((start.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| params::wrong_type("cursor takes the next_cursor of the page before"))
}
