//! What a reader sees of charging, of fuel, of the battery and of the ways
//! that a vehicle goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::admission::Reader;
use super::api::{Answer, store_problem};
use super::pages::{PageQuery, held, next_cursor, place};
use super::params::{self, Query, TripId, VehicleId};
use super::problem::{Problem, ProblemDetails, Problems};
use super::trips::{about, find};
use crate::app::App;
use crate::events::{BatteryHealth, Failure};
use crate::plugin_host::Floor;
use crate::store::{ChargingCurve, ChargingSession, RefuelRow, RouteRow};

/// Transitions that a floor is made of at most: the last ones.
const MOST_TRANSITIONS: i64 = 1000;

/// Routes that are shown of a vehicle at most.
const MOST_ROUTES: i64 = 500;

/// A page of charging sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct ChargingPage {
    charging_sessions: Vec<ChargingSession>,
    /// The `cursor` of the next page; absent behind the last.
    next_cursor: Option<String>,
}

/// Charging sessions, newest first.
#[utoipa::path(get, operation_id = "list_charging_sessions", path = "/api/charging", tag = "energy",
    params(PageQuery), responses((status = 200, body = ChargingPage), Problems))]
pub(super) async fn charging(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<PageQuery>,
) -> Answer {
    let (page, place) = (query.page()?, place(&app)?);
    let charging_sessions =
        app.store.charging_sessions(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor =
        next_cursor(&page, &charging_sessions, |session| (session.start_time_ms, &session.trip_id));
    held(place, &ChargingPage { charging_sessions, next_cursor })
}

/// A trip's charging sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct ChargingOfTrip {
    charging_sessions: Vec<ChargingCurve>,
}

/// A trip's charging sessions with their curves.
#[utoipa::path(get, operation_id = "get_charging_of_trip", path = "/api/trips/{id}/charging", tag = "energy",
    params(("id" = uuid::Uuid, Path, description = "The trip.")),
    responses((status = 200, body = ChargingOfTrip),
        (status = 404, description = "There is no such trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn charging_of_trip(_: Reader, State(app): State<Arc<App>>, TripId(id): TripId) -> Answer {
    let charging_sessions = app.store.charging_of_trip(&id).await.map_err(|error| store_problem(&error))?;
    if charging_sessions.is_empty() {
        find(&app, &id).await?;
    }
    Ok((about(id, None), Json(ChargingOfTrip { charging_sessions })).into_response())
}

/// A page of fills.
#[derive(Serialize, ToSchema)]
pub(super) struct RefuelsPage {
    refuels: Vec<RefuelRow>,
    /// The `cursor` of the next page; absent behind the last.
    next_cursor: Option<String>,
}

/// Fills of the tank, newest first.
#[utoipa::path(get, operation_id = "list_refuels", path = "/api/refuels", tag = "energy",
    params(PageQuery), responses((status = 200, body = RefuelsPage), Problems))]
pub(super) async fn refuels(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<PageQuery>,
) -> Answer {
    let (page, place) = (query.page()?, place(&app)?);
    let refuels = app.store.refuels(&page).await.map_err(|error| store_problem(&error))?;
    let next_cursor = next_cursor(&page, &refuels, |refuel| (refuel.time_ms, &refuel.trip_id));
    held(place, &RefuelsPage { refuels, next_cursor })
}

/// Whose figures are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VehicleQuery {
    /// The vehicle.
    #[param(max_length = 200)]
    vehicle_id: String,
}

/// At which charge the engine takes over.
#[derive(Serialize, ToSchema)]
pub(super) struct SocFloor {
    /// The vehicle.
    vehicle_id: String,
    /// Over its last transitions, at most 1000.
    soc_floor: Floor,
}

/// At which charge the engine of a vehicle takes over.
#[utoipa::path(get, operation_id = "get_soc_floor", path = "/api/soc-floor", tag = "energy",
    params(VehicleQuery), responses((status = 200, body = SocFloor), Problems))]
pub(super) async fn soc_floor(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<VehicleQuery>,
) -> Answer {
    let vehicle_id = params::short("vehicle_id", Some(query.vehicle_id))?.unwrap_or_default();
    let transitions = app
        .store
        .soc_transitions(&vehicle_id, MOST_TRANSITIONS)
        .await
        .map_err(|error| store_problem(&error))?;
    let now_ms = Timestamp::now().as_millisecond();
    let soc_floor = app.plugins.pin().floor_of(transitions, now_ms).await;
    let soc_floor = soc_floor.map_err(|error| Problem(Failure::from(&error)))?;
    Ok(Json(SocFloor { vehicle_id, soc_floor }).into_response())
}

/// How the battery of a vehicle does.
#[derive(Serialize, ToSchema)]
pub(super) struct Battery {
    /// The vehicle.
    vehicle_id: String,
    /// Means over its last trips with electric miles, at most 30; null where it has none.
    battery_health: Option<BatteryHealth>,
}

/// How the battery of a vehicle does.
#[utoipa::path(get, operation_id = "get_battery_health", path = "/api/vehicles/{id}/battery-health", tag = "energy",
    params(("id" = String, Path, description = "The vehicle.")),
    responses((status = 200, body = Battery), Problems))]
pub(super) async fn battery_health(
    _: Reader,
    State(app): State<Arc<App>>,
    VehicleId(vehicle_id): VehicleId,
) -> Answer {
    let battery_health =
        app.store.battery_health(&vehicle_id).await.map_err(|error| store_problem(&error))?;
    Ok(Json(Battery { vehicle_id, battery_health }).into_response())
}

/// Routes of a vehicle.
#[derive(Serialize, ToSchema)]
pub(super) struct Routes {
    routes: Vec<RouteRow>,
}

/// Routes that a vehicle drives, those used last first; none where they are not looked for.
#[utoipa::path(get, operation_id = "list_routes", path = "/api/vehicles/{id}/routes", tag = "energy",
    params(("id" = String, Path, description = "The vehicle.")),
    responses((status = 200, body = Routes), Problems))]
pub(super) async fn routes(
    _: Reader,
    State(app): State<Arc<App>>,
    VehicleId(vehicle_id): VehicleId,
) -> Answer {
    let routes = app.store.routes(&vehicle_id, MOST_ROUTES).await.map_err(|error| store_problem(&error))?;
    Ok(Json(Routes { routes }).into_response())
}
