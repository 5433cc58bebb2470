//! The door: every route, every status code. No business rule, no SQL.

mod admission;
mod api;
mod body;
mod detached;
mod energy;
mod events;
mod figures;
mod head;
mod import;
mod live;
mod metrics;
mod openapi;
mod pages;
mod params;
mod plugins;
mod problem;
mod readings;
mod server;
mod stream;
mod tokens;
mod told;
mod trips;
mod upload;
mod vehicles;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get};
use tokio::net::TcpListener;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use server::{OnRefused, Server, listen};
pub use tokens::Tokens;

/// Every route. The same in production and in tests.
pub fn router(app: Arc<App>) -> Router {
    let told = from_fn_with_state(app.clone(), told::tell);
    let api: Router<Arc<App>> = api().merge(plugins()).into();
    Router::new()
        .merge(api.route_layer(told))
        .merge(Router::from(others()))
        .route("/torque/upload", uploads())
        .route("/torque/upload/", uploads())
        .route("/torque/upload/{token}", uploads())
        .route("/torque/upload/{token}/", uploads())
        .route("/torque/upload/{token}/{*rest}", any(upload::refuse_path))
        .fallback(api::not_found)
        .with_state(app)
}

/// All that is documented.
fn document() -> utoipa::openapi::OpenApi {
    api().merge(plugins()).merge(others()).into_openapi()
}

/// Each handler names its method and path.
fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        // /api/trips
        .routes(routes!(trips::list))
        .routes(routes!(trips::one, trips::delete))
        .routes(routes!(trips::recalculate))
        .routes(routes!(readings::readings))
        .routes(routes!(readings::export))
        .routes(routes!(energy::charging_of_trip))
        // /api/vehicles
        .routes(routes!(vehicles::list))
        .routes(routes!(vehicles::one, vehicles::rename))
        .routes(routes!(energy::battery_health))
        .routes(routes!(energy::routes))
        // /api/charging, /api/refuels, /api/soc-floor
        .routes(routes!(energy::charging))
        .routes(routes!(energy::refuels))
        .routes(routes!(energy::soc_floor))
        // /api/live
        .routes(routes!(live::follow))
        .routes(routes!(live::of_vehicle))
        // /api/efficiency, /api/weather-correlation
        .routes(routes!(figures::efficiency))
        .routes(routes!(figures::weather_correlation))
        // /api/events
        .routes(routes!(events::query))
        .routes(routes!(events::dashboard))
        .routes(routes!(events::trace))
        .routes(routes!(events::tail::follow))
        .routes(routes!(events::one))
        // The service itself
        .routes(routes!(api::status))
        .routes(routes!(openapi::serve))
}

/// What has an event of its own, and what is asked every few seconds and tells
/// nobody anything new.
fn others() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(import::import))
        .routes(routes!(api::healthz))
        .routes(routes!(api::readyz))
        .routes(routes!(metrics::metrics))
}

fn plugins() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::replace))
        .routes(routes!(plugins::roll_back))
        .routes(routes!(plugins::activate))
        .routes(routes!(plugins::begin_shadow, plugins::discard))
        .routes(routes!(plugins::begin_shadow_from_library))
        .routes(routes!(plugins::promote))
}

/// GET as the app does, POST as other clients do. HEAD, which axum would give
/// to GET, must not store anything.
fn uploads() -> MethodRouter<Arc<App>> {
    let uploads = get(upload::upload).post(upload::upload);
    uploads.head(upload::refuse_method).fallback(upload::refuse_method)
}

/// Starts to answer on `listener`.
pub fn serve(app: Arc<App>, listener: TcpListener) -> Server {
    let router = router(app.clone());
    Server::start(router, listener, move |client, error| upload::tell_of_refused(&app, client, error))
}
