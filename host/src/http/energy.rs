//! What a reader sees of charging, of fuel, of the battery and of the ways
//! that a vehicle goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, RawQuery, State, rejection::QueryRejection};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::api::{Answer, admit, admit_page, held, invalid, next_cursor, plain, store_problem};
use super::problem::Problem;
use crate::app::App;
use crate::events::{Code, Failure};
use crate::store::{ChargingSession, RefuelRow};

/// Transitions that a floor is made of at most: the last ones.
const MOST_TRANSITIONS: i64 = 1000;

/// Routes that are shown of a vehicle at most.
const MOST_ROUTES: i64 = 500;

#[derive(serde::Serialize)]
struct ChargingPage {
    charging_sessions: Vec<ChargingSession>,
    next_cursor: Option<String>,
}

/// `GET /api/charging?limit=100&vehicle_id=…&cursor=…`: newest first.
pub(super) async fn charging(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    let (page, place) = admit_page(&app, &headers, query.as_deref())?;
    let charging_sessions =
        app.store.charging_sessions(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor =
        next_cursor(&page, &charging_sessions, |session| (session.start_time_ms, &session.trip_id));
    held(place, &ChargingPage { charging_sessions, next_cursor })
}

/// `GET /api/trips/{id}/charging`: a trip's charging sessions with their curves.
pub(super) async fn charging_of_trip(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Result<Path<Uuid>, PathRejection>,
) -> Answer {
    admit(&app, &headers)?;
    let no_such_trip = || Problem(Failure::new(Code::E400, "there is no such trip"));
    let Ok(Path(id)) = id else { return Err(no_such_trip()) };
    let id = id.to_string();
    let charging = app.store.charging_of_trip(&id).await.map_err(|error| store_problem(&error))?;
    if charging.is_empty() {
        app.store.trip(&id).await.map_err(|error| store_problem(&error))?.ok_or_else(no_such_trip)?;
    }
    Ok(Json(json!({ "charging_sessions": charging })).into_response())
}

#[derive(serde::Serialize)]
struct RefuelsPage {
    refuels: Vec<RefuelRow>,
    next_cursor: Option<String>,
}

/// `GET /api/refuels?limit=100&vehicle_id=…&cursor=…`: newest first.
pub(super) async fn refuels(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    let (page, place) = admit_page(&app, &headers, query.as_deref())?;
    let refuels = app.store.refuels(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor = next_cursor(&page, &refuels, |refuel| (refuel.time_ms, &refuel.trip_id));
    held(place, &RefuelsPage { refuels, next_cursor })
}

/// Whose figures are asked for.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfVehicle {
    pub(super) vehicle_id: Option<String>,
}

/// `GET /api/soc-floor?vehicle_id=…`: at which charge the engine takes over.
pub(super) async fn soc_floor(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: Result<Query<OfVehicle>, QueryRejection>,
) -> Answer {
    admit(&app, &headers)?;
    let Query(OfVehicle { vehicle_id }) =
        query.map_err(|rejection| invalid(Code::E003, rejection.body_text()))?;
    let vehicle_id =
        vehicle_id.ok_or_else(|| invalid(Code::E002, "vehicle_id is missing: say whose".to_owned()))?;
    let vehicle_id = plain("vehicle_id", vehicle_id)?;
    let transitions = app
        .store
        .soc_transitions(&vehicle_id, MOST_TRANSITIONS)
        .await
        .map_err(|error| store_problem(&error))?;
    let now_ms = Timestamp::now().as_millisecond();
    let floor = app.plugins.pin().floor_of(transitions, now_ms).await;
    let floor = floor.map_err(|error| Problem(Failure::from(&error)))?;
    Ok(Json(json!({ "vehicle_id": vehicle_id, "soc_floor": floor })).into_response())
}

/// `GET /api/vehicles/{id}/battery-health`: means over its last trips with
/// electric miles; null where it has none.
pub(super) async fn battery_health(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(vehicle_id): Path<String>,
) -> Answer {
    admit(&app, &headers)?;
    let vehicle_id = plain("vehicle_id", vehicle_id)?;
    let health = app.store.battery_health(&vehicle_id).await.map_err(|error| store_problem(&error))?;
    Ok(Json(json!({ "vehicle_id": vehicle_id, "battery_health": health })).into_response())
}

/// `GET /api/vehicles/{id}/routes`: the routes used last; none where they are
/// not looked for.
pub(super) async fn routes(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(vehicle_id): Path<String>,
) -> Answer {
    admit(&app, &headers)?;
    let vehicle_id = plain("vehicle_id", vehicle_id)?;
    let routes = app.store.routes(&vehicle_id, MOST_ROUTES).await.map_err(|error| store_problem(&error))?;
    Ok(Json(json!({ "routes": routes })).into_response())
}
