//! Trips: found, looked at, deleted, calculated again.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::admission::{Administrator, Reader};
use super::api::{Answer, store_problem};
use super::pages::{held, next_cursor, parse_cursor, place};
use super::params::{self, Query, TripId};
use super::problem::{Problem, ProblemDetails, Problems};
use super::told::{About, RequestId};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::finalize::Wish;
use crate::store::{Page, StoreError, TripFilter, TripRow};

/// Whether a trip used gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// It never entered gas mode.
    Electric,
    /// It entered gas mode.
    Gas,
}

/// How far a trip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TripStatus {
    /// Its readings still come.
    Open,
    /// It is over, and calculated.
    Closed,
    /// It is over, and no calculator could make anything of it.
    Failed,
}

/// Which trips: all that are given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TripsQuery {
    /// Only of this vehicle.
    #[param(max_length = 200)]
    pub(super) vehicle_id: Option<String>,
    /// Only those that start at this time or later: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) from: Option<Timestamp>,
    /// Only those that start before this time: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) to: Option<Timestamp>,
    /// Only those that used gas, or only those that did not.
    #[param(inline)]
    pub(super) mode: Option<Mode>,
    /// Only those that are open, closed or failed.
    #[param(inline)]
    pub(super) status: Option<TripStatus>,
    /// Only those at least that long: miles.
    pub(super) min_distance_miles: Option<f64>,
    /// Only those at most that long: miles.
    pub(super) max_distance_miles: Option<f64>,
    /// At most that many: 100 by default.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<i64>,
    /// Where the page before ended: its `next_cursor`.
    #[param(pattern = "^[0-9]{1,18}_[0-9a-f-]{36}$")]
    pub(super) cursor: Option<String>,
}

impl TripsQuery {
    /// The page that it asks for.
    ///
    /// # Errors
    /// E003, E004.
    pub(super) fn page(self) -> Result<Page, Problem> {
        let limit = params::limit(self.limit)?;
        let behind = self.cursor.as_deref().map(parse_cursor).transpose()?;
        for (name, miles) in
            [("min_distance_miles", self.min_distance_miles), ("max_distance_miles", self.max_distance_miles)]
        {
            if miles.is_some_and(|miles| !miles.is_finite()) {
                return Err(params::wrong_type(format!("{name} takes a number")));
            }
        }
        let filter = TripFilter {
            vehicle_id: params::short("vehicle_id", self.vehicle_id)?,
            from_ms: self.from.map(Timestamp::as_millisecond),
            before_ms: self.to.map(Timestamp::as_millisecond),
            gas_mode_entered: self.mode.map(|mode| mode == Mode::Gas),
            min_distance_miles: self.min_distance_miles,
            max_distance_miles: self.max_distance_miles,
            status: self.status.map(|status| match status {
                TripStatus::Open => "open",
                TripStatus::Closed => "closed",
                TripStatus::Failed => "failed",
            }),
        };
        Ok(Page { filter, behind, limit })
    }
}

/// A page of trips.
#[derive(Serialize, ToSchema)]
pub(super) struct TripsPage {
    trips: Vec<TripRow>,
    /// The `cursor` of the next page; absent behind the last.
    next_cursor: Option<String>,
}

/// Trips, newest first.
#[utoipa::path(get, operation_id = "list_trips", path = "/api/trips", tag = "trips", params(TripsQuery),
    responses((status = 200, body = TripsPage), Problems))]
pub(super) async fn list(_: Reader, State(app): State<Arc<App>>, Query(query): Query<TripsQuery>) -> Answer {
    let page = query.page()?;
    let place = place(&app)?;
    let trips = app.store.trips(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor = next_cursor(&page, &trips, |trip| (trip.start_time_ms, &trip.trip_id));
    held(place, &TripsPage { trips, next_cursor })
}

/// One trip.
#[utoipa::path(get, operation_id = "get_trip", path = "/api/trips/{id}", tag = "trips",
    params(("id" = uuid::Uuid, Path, description = "The trip.")),
    responses((status = 200, body = TripRow),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn one(_: Reader, State(app): State<Arc<App>>, TripId(id): TripId) -> Answer {
    let trip = find(&app, &id).await?;
    Ok((about(id, Some(trip.vehicle_id.clone())), axum::Json(trip)).into_response())
}

/// Deletes a trip with its readings and everything that came of it.
#[utoipa::path(delete, operation_id = "delete_trip", path = "/api/trips/{id}", tag = "trips", security(("admin" = [])),
    params(("id" = uuid::Uuid, Path, description = "The trip.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn delete(_: Administrator, State(app): State<Arc<App>>, TripId(id): TripId) -> Answer {
    let now_ms = Timestamp::now().as_millisecond();
    let removed = app.store.delete_trip(&id, now_ms).await.map_err(|error| store_problem(&error))?;
    let removed = removed.ok_or_else(params::no_such_trip)?;
    app.events.live().ended(&id);
    Ok((about(id, Some(removed.vehicle.to_string())), StatusCode::NO_CONTENT).into_response())
}

/// Calculates a trip again that is over, with the calculator that serves now.
#[utoipa::path(post, operation_id = "recalculate_trip", path = "/api/trips/{id}/recalculate", tag = "trips", security(("admin" = [])),
    params(("id" = uuid::Uuid, Path, description = "The trip.")),
    responses((status = 200, description = "The trip as it is now.", body = TripRow),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 409, description = "Its readings are gone (E402), or it is still open (E403).",
         body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn recalculate(
    _: Administrator,
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    TripId(id): TripId,
) -> Answer {
    let (answer, done) = oneshot::channel();
    let wish = Wish { trip_id: id.clone(), request_id, answer };
    app.wishes.try_send(wish).map_err(|_| {
        Problem(Failure::new(Code::E501, "too many trips are to be calculated again: come back later"))
    })?;
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => return Err(Problem(failure)),
        Err(_) => {
            let message = "it was not calculated again: the process stops, or the calculation panicked";
            return Err(Problem(Failure::new(Code::E500, message)));
        }
    }
    let trip = find(&app, &id).await?;
    Ok((about(id, Some(trip.vehicle_id.clone())), axum::Json(trip)).into_response())
}

pub(super) async fn find(app: &App, id: &str) -> Result<TripRow, Problem> {
    let trip = app.store.trip(id).await.map_err(|error| store_problem(&error))?;
    trip.ok_or_else(params::no_such_trip)
}

pub(super) fn about(trip_id: String, vehicle_id: Option<String>) -> Extension<About> {
    Extension(About { trip_id: Some(trip_id), vehicle_id })
}

/// An answer that is made while its reader takes it.
pub(super) fn streamed(
    content_type: &'static str,
    stream: impl futures_util::Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
) -> Response {
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(stream)).into_response()
}

#[cfg(test)]
mod tests;
