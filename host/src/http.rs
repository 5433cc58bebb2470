//! The door: every route, every status code. No business rule, no SQL.

mod admission;
mod api;
mod body;
mod detached;
mod energy;
mod figures;
mod import;
mod live;
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
use axum::routing::{MethodRouter, any, get, post, put};
use tokio::net::TcpListener;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use openapi::document;
pub use server::{OnRefused, Server, listen};
pub use tokens::Tokens;

/// Every route. The same in production and in tests.
pub fn router(app: Arc<App>) -> Router {
    let (api, _) = routes().split_for_parts();
    Router::new()
        .merge(api.merge(plugins()).route_layer(from_fn_with_state(app.clone(), told::tell)))
        .merge(probes().split_for_parts().0)
        // It has an event of its own.
        .route("/api/import", post(import::import))
        .route("/torque/upload", uploads())
        .route("/torque/upload/", uploads())
        .route("/torque/upload/{token}", uploads())
        .route("/torque/upload/{token}/", uploads())
        .route("/torque/upload/{token}/{*rest}", any(upload::refuse_path))
        .fallback(api::not_found)
        .with_state(app)
}

/// What is documented; each handler names its method and path.
fn routes() -> OpenApiRouter<Arc<App>> {
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
        // The service itself
        .routes(routes!(api::status))
        .routes(routes!(openapi::serve))
}

/// What is asked every few seconds, and tells nobody anything new: no events.
fn probes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(api::healthz)).routes(routes!(api::readyz))
}

fn plugins() -> Router<Arc<App>> {
    Router::new()
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{slot}", put(plugins::replace))
        .route("/api/plugins/{slot}/rollback", post(plugins::roll_back))
        .route("/api/plugins/{slot}/activate/{digest}", post(plugins::activate))
        .route("/api/plugins/{slot}/shadow", put(plugins::begin_shadow).delete(plugins::discard))
        .route("/api/plugins/{slot}/shadow/{digest}", post(plugins::begin_shadow_from_library))
        .route("/api/plugins/{slot}/shadow/promote", post(plugins::promote))
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
