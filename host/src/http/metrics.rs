//! The door of the metrics: who may read them, and what becomes of them when
//! they cannot be written. What they are is `metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::admission::Reader;
use super::api::Answer;
use super::problem::{Problem, Problems};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::metrics::CONTENT_TYPE;

/// What the process counts, in the text form of Prometheus.
#[utoipa::path(get, operation_id = "get_metrics", path = "/metrics", tag = "service",
    responses((status = 200, description = "At most a second old.", body = String,
               content_type = "text/plain; version=0.0.4; charset=utf-8"), Problems))]
pub(super) async fn metrics(_: Reader, State(app): State<Arc<App>>) -> Answer {
    match app.metrics.text(&app).await {
        Ok(text) => Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            let failure = Failure::new(Code::E500, "the metrics cannot be written");
            Err(Problem(failure.caused_by("prometheus::Error", error)))
        }
    }
}
