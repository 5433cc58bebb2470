//! The door: every route, every status code. No business rule, no SQL.

mod api;
mod detached;
mod problem;
mod server;
mod tokens;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::app::App;

pub use server::{OnRefused, Server};
pub use tokens::Tokens;

/// Every route. The same in production and in tests.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        // Uploads
        .route("/torque/upload", get(upload::upload).post(upload::upload))
        .route("/torque/upload/{token}", get(upload::upload).post(upload::upload))
        // Trips
        .route("/api/trips", get(api::trips))
        .route("/api/trips/{id}", get(api::trip))
        // The service itself
        .route("/api/status", get(api::status))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .fallback(api::not_found)
        .with_state(app)
}

/// Starts to answer on `listener`.
pub fn serve(app: Arc<App>, listener: TcpListener) -> Server {
    let router = router(app.clone());
    Server::start(router, listener, move |client, error| upload::tell_of_refused(&app, client, error))
}
