//! The door: every route, every status code. No business rule, no SQL.

mod api;
mod detached;
mod energy;
mod live;
mod plugins;
mod problem;
mod server;
mod stream;
mod tokens;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post, put};
use tokio::net::TcpListener;

use crate::app::App;

pub use server::{OnRefused, Server, listen};
pub use tokens::Tokens;

/// Every route. The same in production and in tests.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        // Uploads
        .route("/torque/upload", uploads())
        .route("/torque/upload/", uploads())
        .route("/torque/upload/{token}", uploads())
        // Trips
        .route("/api/trips", get(api::trips))
        .route("/api/trips/{id}", get(api::trip))
        .route("/api/trips/{id}/charging", get(energy::charging_of_trip))
        // Charging, fuel, batteries
        .route("/api/charging", get(energy::charging))
        .route("/api/refuels", get(energy::refuels))
        .route("/api/soc-floor", get(energy::soc_floor))
        .route("/api/vehicles/{id}/battery-health", get(energy::battery_health))
        .route("/api/vehicles/{id}/routes", get(energy::routes))
        // Trips that run
        .route("/api/live", get(live::follow))
        .route("/api/live/{vehicle_id}", get(live::of_vehicle))
        // Plugins
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{slot}", put(plugins::replace))
        .route("/api/plugins/{slot}/rollback", post(plugins::roll_back))
        .route("/api/plugins/{slot}/activate/{digest}", post(plugins::activate))
        .route("/api/plugins/{slot}/shadow", put(plugins::begin_shadow).delete(plugins::discard))
        .route("/api/plugins/{slot}/shadow/{digest}", post(plugins::begin_shadow_from_library))
        .route("/api/plugins/{slot}/shadow/promote", post(plugins::promote))
        // The service itself
        .route("/api/status", get(api::status))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .fallback(api::not_found)
        .with_state(app)
}

/// GET as the app does, POST as other clients do. HEAD, which axum would give
/// to GET, must not store anything.
fn uploads() -> MethodRouter<Arc<App>> {
    get(upload::upload).post(upload::upload).head(api::not_a_read)
}

/// Starts to answer on `listener`.
pub fn serve(app: Arc<App>, listener: TcpListener) -> Server {
    let router = router(app.clone());
    Server::start(router, listener, move |client, error| upload::tell_of_refused(&app, client, error))
}
