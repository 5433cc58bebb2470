//! A trip's readings, thinned out or whole, in the forms that programs read.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::admission::Reader;
use super::api::{Answer, store_problem};
use super::params::{self, Query, TripId};
use super::problem::{Problem, ProblemDetails, Problems};
use super::trips::{about, find, streamed};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::export::{Csv, Form, GeoJson, Gpx, Json, Thinner};
use crate::store::{StoreError, TripRow};

/// The most points that readings are thinned out to.
const MOST_POINTS: i64 = 100_000;

/// How many readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadingsQuery {
    /// At most that many, evenly over the trip's time; all by default.
    #[param(minimum = 2, maximum = 100_000)]
    points: Option<i64>,
}

/// A trip's readings, in time order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the answer's form, for the API's document")]
pub(super) struct Readings {
    /// The trip.
    trip_id: String,
    /// Each with `time` (RFC 3339), `time_ms` (epoch milliseconds) and the fields that it has.
    #[schema(value_type = Vec<std::collections::BTreeMap<String, serde_json::Value>>)]
    readings: Vec<serde_json::Value>,
}

/// A trip's readings, thinned out on request.
#[utoipa::path(get, operation_id = "list_readings", path = "/api/trips/{id}/readings", tag = "trips",
    params(("id" = uuid::Uuid, Path, description = "The trip."), ReadingsQuery),
    responses((status = 200, body = Readings),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn readings(
    _: Reader,
    State(app): State<Arc<App>>,
    TripId(id): TripId,
    Query(query): Query<ReadingsQuery>,
) -> Answer {
    let points = query.points.map(|points| params::in_range("points", points, 2, MOST_POINTS)).transpose()?;
    let place = place(&app)?;
    let trip = find(&app, &id).await?;
    let thinner = points.map(|points| Thinner::new(trip.start_time_ms, trip.end_time_ms, points));
    let about = about(id, Some(trip.vehicle_id.clone()));
    let writing = Writing::new(app, &trip, Box::new(Json::new(&trip.trip_id)), thinner, place);
    Ok((about, streamed("application/json", writing.stream())).into_response())
}

/// A form that a trip is exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// A line a reading.
    Csv,
    /// As `/readings` shows them.
    Json,
    /// The track, for maps.
    Gpx,
    /// A point a reading that has a fix.
    Geojson,
}

/// Which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// The form of the file.
    #[param(inline)]
    format: Format,
}

/// All of a trip's readings as a file.
#[utoipa::path(get, operation_id = "export_trip", path = "/api/trips/{id}/export", tag = "trips",
    params(("id" = uuid::Uuid, Path, description = "The trip."), ExportQuery),
    responses(
        (status = 200, description = "The file.", content(
            (Readings = "application/json"), (String = "text/csv"), (String = "application/gpx+xml"),
            (serde_json::Value = "application/geo+json"))),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn export(
    _: Reader,
    State(app): State<Arc<App>>,
    TripId(id): TripId,
    Query(query): Query<ExportQuery>,
) -> Answer {
    let place = place(&app)?;
    let trip = find(&app, &id).await?;
    let (content_type, ending, form): (_, _, Box<dyn Form>) = match query.format {
        Format::Csv => {
            let fields = app.store.fields_of_trip(&id).await.map_err(|error| store_problem(&error))?;
            ("text/csv; charset=utf-8", "csv", Box::new(Csv::new(fields)))
        }
        Format::Json => ("application/json", "json", Box::new(Json::new(&id))),
        Format::Gpx => ("application/gpx+xml", "gpx", Box::new(Gpx)),
        Format::Geojson => ("application/geo+json", "geojson", Box::new(GeoJson::default())),
    };
    let name = HeaderValue::from_str(&format!("attachment; filename=\"trip-{id}.{ending}\""));
    let about = about(id, Some(trip.vehicle_id.clone()));
    let mut response = streamed(content_type, Writing::new(app, &trip, form, None, place).stream());
    if let Ok(name) = name {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok((about, response).into_response())
}

fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.exports.clone().try_acquire_owned().map_err(|_| {
        Problem(Failure::new(Code::E501, "too many trips are under way to their readers: come back later"))
    })
}

/// A trip's readings on their way out, a page at a time.
struct Writing {
    app: Arc<App>,
    trip_id: String,
    form: Box<dyn Form>,
    thinner: Option<Thinner>,
    /// The last reading that was written; none before the first page.
    after_ms: Option<i64>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Writing {
    fn new(
        app: Arc<App>,
        trip: &TripRow,
        form: Box<dyn Form>,
        thinner: Option<Thinner>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let trip_id = trip.trip_id.clone();
        Self { app, trip_id, form, thinner, after_ms: None, ended: false, _place: place }
    }

    fn stream(self) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> {
        futures_util::stream::try_unfold(self, async |mut writing| {
            Ok(writing.next().await?.map(|bytes| (bytes, writing)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut out = Vec::new();
        // A page of which nothing is kept is no reason to stop.
        while out.is_empty() && !self.ended {
            if self.after_ms.is_none() {
                self.form.begin(&mut out);
            }
            let page =
                self.app.store.readings_after(&self.trip_id, self.after_ms.unwrap_or_default()).await?;
            for reading in &page {
                if self.thinner.as_mut().is_none_or(|thinner| thinner.keeps(reading.time_ms)) {
                    self.form.add(reading, &mut out);
                }
            }
            match page.last() {
                Some(last) => self.after_ms = Some(last.time_ms),
                None => {
                    self.form.end(&mut out);
                    self.ended = true;
                }
            }
        }
        Ok((!out.is_empty()).then(|| Bytes::from(out)))
    }
}
