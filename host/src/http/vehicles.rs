//! Vehicles, and what their owners call them.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::admission::{Administrator, Reader};
use super::api::{Answer, store_problem};
use super::params::{self, Json, Query, VehicleId, no_such_vehicle};
use super::problem::{ProblemDetails, Problems};
use super::told::About;
use crate::app::App;
use crate::store::VehicleRow;

/// The longest name of a vehicle: characters.
const LONGEST_NAME: usize = 100;

/// Which vehicles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VehiclesQuery {
    /// At most that many: 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// Where the page before ended: its `next_cursor`.
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// A page of vehicles.
#[derive(Serialize, ToSchema)]
pub(super) struct VehiclesPage {
    vehicles: Vec<VehicleRow>,
    /// The `cursor` of the next page; absent behind the last.
    next_cursor: Option<String>,
}

/// Vehicles, in the order of their ids.
#[utoipa::path(get, operation_id = "list_vehicles", path = "/api/vehicles", tag = "vehicles", params(VehiclesQuery),
    responses((status = 200, body = VehiclesPage), Problems))]
pub(super) async fn list(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<VehiclesQuery>,
) -> Answer {
    let limit = params::limit(query.limit)?;
    let behind = params::short("cursor", query.cursor)?.unwrap_or_default();
    let vehicles = app.store.vehicles(&behind, limit).await.map_err(|error| store_problem(&error))?;
    let full = i64::try_from(vehicles.len()).is_ok_and(|length| length == limit);
    let next_cursor = vehicles.last().filter(|_| full).map(|vehicle| vehicle.vehicle_id.clone());
    Ok(axum::Json(VehiclesPage { vehicles, next_cursor }).into_response())
}

/// One vehicle.
#[utoipa::path(get, operation_id = "get_vehicle", path = "/api/vehicles/{id}", tag = "vehicles",
    params(("id" = String, Path, description = "The vehicle.")),
    responses((status = 200, body = VehicleRow),
        (status = 404, description = "There is no such vehicle (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn one(_: Reader, State(app): State<Arc<App>>, VehicleId(id): VehicleId) -> Answer {
    show(&app, id).await
}

/// What a vehicle is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Naming {
    /// The name; null takes it away.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    name: Option<String>,
}

/// Gives a vehicle a name, or takes it away.
#[utoipa::path(put, operation_id = "rename_vehicle", path = "/api/vehicles/{id}", tag = "vehicles", security(("admin" = [])),
    params(("id" = String, Path, description = "The vehicle.")), request_body = Naming,
    responses((status = 200, description = "The vehicle as it is now.", body = VehicleRow),
        (status = 404, description = "There is no such vehicle (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time (E502).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 413, description = "The body is too large (E006).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn rename(
    _: Administrator,
    State(app): State<Arc<App>>,
    VehicleId(id): VehicleId,
    Json(naming): Json<Naming>,
) -> Answer {
    let name = naming.name.as_deref();
    if let Some(name) = name {
        params::in_range("the length of name", name.chars().count(), 1, LONGEST_NAME)?;
        if name.chars().any(char::is_control) {
            return Err(params::wrong_type("name must not contain control characters"));
        }
    }
    if !app.store.name_vehicle(&id, name).await.map_err(|error| store_problem(&error))? {
        return Err(no_such_vehicle());
    }
    show(&app, id).await
}

async fn show(app: &App, id: String) -> Answer {
    let vehicle = app.store.vehicle(&id).await.map_err(|error| store_problem(&error))?;
    let vehicle = vehicle.ok_or_else(no_such_vehicle)?;
    let about = About { vehicle_id: Some(id), ..About::default() };
    Ok((Extension(about), axum::Json(vehicle)).into_response())
}
