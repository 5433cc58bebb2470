//! How the service is, and what the other reads share.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::admission::Reader;
use super::problem::{Problem, ProblemDetails, Problems};
use crate::app::App;
use crate::events::{Code, Failure, SinkTotals, Totals};
use crate::plugin_host::{PluginIdentity, Slot};
use crate::store::{Status, StoreError};

pub(super) type Answer = Result<Response, Problem>;

/// What runs, and how much is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
struct ServiceStatus {
    /// Version of the program.
    version: &'static str,
    /// Identity of this process.
    instance_id: uuid::Uuid,
    /// `sqlite` or `postgres`.
    database: &'static str,
    /// Name of the PID catalogue.
    pid_catalogue: String,
    /// How much is kept.
    store: Status,
    /// Wide events of this process.
    events: Totals,
    /// What became of the kept ones in each sink.
    sinks: BTreeMap<&'static str, SinkTotals>,
    /// The plugin of each slot.
    plugins: BTreeMap<&'static str, PluginIdentity>,
}

/// What runs, and how much is kept.
#[utoipa::path(get, operation_id = "get_status", path = "/api/status", tag = "service",
    responses((status = 200, body = ServiceStatus), Problems))]
pub(super) async fn status(_: Reader, State(app): State<Arc<App>>) -> Answer {
    let store = app.store.status().await.map_err(|error| store_problem(&error))?;
    let plugins = app.plugins.pin();
    let status = ServiceStatus {
        version: env!("CARGO_PKG_VERSION"),
        instance_id: app.events.instance_id(),
        database: app.store.engine().as_str(),
        pid_catalogue: app.catalogue.name().to_owned(),
        store,
        events: app.events.totals(),
        sinks: app.events.sinks(),
        plugins: Slot::ALL.map(|slot| (slot.as_str(), plugins.identity(slot).clone())).into(),
    };
    Ok(Json(status).into_response())
}

/// Whether the process answers.
#[utoipa::path(get, operation_id = "check_health", path = "/healthz", tag = "service", security(()),
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain; charset=utf-8")))]
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// Whether it can do its work; if worse than it should, it says so.
#[utoipa::path(get, operation_id = "check_readiness", path = "/readyz", tag = "service", security(()),
    responses(
        (status = 200, description = "`ready`, or `degraded` and why.", body = String,
         content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "The store does not answer (E503).", body = ProblemDetails,
         content_type = "application/problem+json")))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Answer {
    match app.store.ping().await {
        Ok(()) => Ok(super::plugins::readiness(&app.plugins.pin()).into_response()),
        Err(error) => {
            Err(Problem(Failure::new(Code::E503, "the store does not answer").caused_by("StoreError", error)))
        }
    }
}

pub(super) async fn not_found(uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem(Failure::new(Code::E400, "there is no such page: /api/openapi.json names all"))
            .into_response();
    }
    (StatusCode::NOT_FOUND, "no such page; uploads go to /torque/upload").into_response()
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    tracing::error!(%error, "a read failed");
    Problem(Failure::from(error))
}
