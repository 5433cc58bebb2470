//! What an administrator sees and does: the plugin of each slot. How a plugin
//! comes into its slot is `activation`'s story.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{LengthLimitError, Limited};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::admission::{Administrator, OnTheWayBack, Reader};
use super::api::{Answer, store_problem};
use super::body::gather;
use super::problem::{Problem, ProblemDetails, Problems, status_of};
use crate::activation::{self, NotSwapped, Way};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::plugin_host::{Fault, PluginSet, PluginSettings, Slot};
use crate::store::Rejection;

/// How long a component may take to arrive.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Earlier plugins, and refusals, that a slot shows.
const SHOWN: i64 = 10;

/// Each slot's plugin, how it does, and what was before.
#[utoipa::path(get, operation_id = "list_plugins", path = "/api/plugins", tag = "plugins",
    responses((status = 200, description = "By slot.", body = Object), Problems))]
pub(super) async fn list(_: Reader, State(app): State<Arc<App>>) -> Answer {
    let plugins = app.plugins.pin();
    let file = activation::file_settings(&app).await;
    let mut slots = Map::new();
    for slot in Slot::ALL {
        let of_store = |error| store_problem(&error);
        let mut shown = json!(plugins.status(slot));
        let identity = plugins.identity(slot);
        let predecessors = app.store.predecessors(slot, identity, SHOWN).await.map_err(of_store)?;
        let rejections = app.store.plugin_rejections(slot, SHOWN).await.map_err(of_store)?;
        // What was refused before is no news of what serves now.
        let since = |rejection: &Rejection| rejection.rejected_ms >= plugins.since_ms(slot);
        let (rejections, earlier): (Vec<_>, Vec<_>) = rejections.into_iter().partition(since);
        shown["predecessors"] = json!(predecessors);
        shown["rejections"] = json!(rejections);
        shown["earlier_rejections"] = json!(earlier);
        shown["plugins_toml"] = other_settings(&plugins, slot, &file);
        slots.insert(slot.as_str().to_owned(), shown);
    }
    Ok(Json(json!({ "plugins": slots })).into_response())
}

/// What `plugins.toml` says for a slot, where that is not what is set for the
/// plugin that serves: a rollback goes back to the settings of then.
fn other_settings(plugins: &PluginSet, slot: Slot, file: &Result<PluginSettings, String>) -> Value {
    match file {
        Err(problem) => json!({ "problem": problem }),
        Ok(file) if file.of(slot).digest() == plugins.settings(slot).digest() => Value::Null,
        Ok(file) => json!({ "set": file.of(slot).as_json() }),
    }
}

/// The body is the component that is to serve the slot.
#[utoipa::path(put, operation_id = "replace_plugin", path = "/api/plugins/{slot}", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot.")), request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn replace(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(slot): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    take_upload(&app, &slot, Way::Api, &headers, body).await
}

/// The body is a component that is to run beside the one that serves the slot.
#[utoipa::path(put, operation_id = "begin_shadow", path = "/api/plugins/{slot}/shadow", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot.")), request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn begin_shadow(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(slot): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    take_upload(&app, &slot, Way::Shadow, &headers, body).await
}

/// A component of the library is to run beside the one that serves the slot.
#[utoipa::path(post, operation_id = "begin_shadow_from_library", path = "/api/plugins/{slot}/shadow/{digest}", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot."), ("digest" = String, Path, pattern = "^[0-9a-f]{6,64}$", description = "SHA-256 of a component of the library, or its beginning.")),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn begin_shadow_from_library(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path((slot, digest)): Path<(String, String)>,
) -> Answer {
    let slot = named(&slot)?;
    Ok(answer(activation::begin_shadow_from_library(&app, slot, &digest).await))
}

/// What runs beside the slot serves it.
#[utoipa::path(post, operation_id = "promote_shadow", path = "/api/plugins/{slot}/shadow/promote", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot.")),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn promote(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(slot): Path<String>,
) -> Answer {
    let slot = named(&slot)?;
    Ok(answer(activation::promote(&app, slot).await))
}

/// What runs beside the slot runs no more.
#[utoipa::path(delete, operation_id = "discard_shadow", path = "/api/plugins/{slot}/shadow", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot.")),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn discard(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(slot): Path<String>,
) -> Answer {
    let slot = named(&slot)?;
    Ok(answer(activation::discard(&app, slot).await))
}

/// Back to what served the slot before.
#[utoipa::path(post, operation_id = "roll_back_plugin", path = "/api/plugins/{slot}/rollback", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot.")),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn roll_back(
    _: OnTheWayBack,
    State(app): State<Arc<App>>,
    Path(slot): Path<String>,
) -> Answer {
    let slot = named(&slot)?;
    Ok(answer(activation::roll_back_for_operator(&app, slot).await))
}

/// A component of the library serves the slot.
#[utoipa::path(post, operation_id = "activate_plugin", path = "/api/plugins/{slot}/activate/{digest}", tag = "plugins", security(("admin" = [])),
    params(("slot" = Slot, Path, description = "The slot."), ("digest" = String, Path, pattern = "^[0-9a-f]{6,64}$", description = "SHA-256 of a component of the library, or its beginning.")),
    responses((status = 200, description = "What serves the slot, or runs beside it, now and before.", body = Object),
        (status = 408, description = "The component did not arrive in time (E502).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "Another host was faster, or there is nothing to do that with (E412).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "It is too large (E006).", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "It was refused (E410 to E414): `problems` says why.", body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn activate(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path((slot, digest)): Path<(String, String)>,
) -> Answer {
    let slot = named(&slot)?;
    Ok(answer(activation::activate(&app, slot, &digest).await))
}

/// What `/readyz` says of the plugins: a slot that is served worse than it
/// should be does not keep uploads out.
pub(super) fn readiness(plugins: &PluginSet) -> String {
    let degraded = Slot::ALL.into_iter().filter_map(|slot| Some((slot, plugins.degraded(slot)?)));
    let lines: Vec<_> = degraded.map(|(slot, reason)| format!("{slot}: {reason}")).collect();
    if lines.is_empty() { "ready".to_owned() } else { format!("degraded\n{}\n", lines.join("\n")) }
}

/// Reads an uploaded component, and lets it serve the slot or run beside what
/// does.
async fn take_upload(app: &App, slot: &str, way: Way, headers: &HeaderMap, body: Body) -> Answer {
    let slot = named(slot)?;
    // One at a time: components are large.
    let _place = app.plugin_uploads.acquire().await.map_err(|_| shutting_down())?;
    let bytes = match read(app, slot, way, headers, body).await? {
        Ok(bytes) => bytes,
        Err(refused) => return Ok(refusal(&refused)),
    };
    Ok(match way {
        Way::Shadow => answer(activation::begin_shadow(app, slot, bytes).await),
        _ => answer(activation::put(app, slot, bytes).await),
    })
}

fn named(slot: &str) -> Result<Slot, Problem> {
    slot.parse().map_err(|message: String| Problem(Failure::new(Code::E004, message)))
}

fn shutting_down() -> Problem {
    Problem(Failure::new(Code::E503, "the service is shutting down"))
}

/// Reads a component, unless it is too large to be one.
async fn read(
    app: &App,
    slot: Slot,
    way: Way,
    headers: &HeaderMap,
    body: Body,
) -> Result<Result<Vec<u8>, NotSwapped>, Problem> {
    let limit = match activation::upload_limit(app, slot).await {
        Ok(limit) => limit,
        Err(refused) => return Ok(Err(refused)),
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(length) = told.filter(|length: &u64| *length > limit) {
        let problem = format!("is {} MB, more than {} MB", length.div_ceil(1 << 20), limit >> 20);
        return Ok(Err(activation::refuse_upload(app, slot, way, problem).await));
    }
    let largest = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut stopping = app.stopping.subscribe();
    let read = tokio::select! {
        read = tokio::time::timeout(UPLOAD_TIMEOUT, gather(Limited::new(body, largest))) => read,
        _ = stopping.wait_for(|stopping| *stopping) => return Err(shutting_down()),
    };
    match read {
        Ok(Ok(body)) => Ok(Ok(body)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let problem = format!("is more than {} MB", limit >> 20);
            Ok(Err(activation::refuse_upload(app, slot, way, problem).await))
        }
        Ok(Err(error)) => {
            Err(Problem(Failure::new(Code::E300, "the body cannot be read").caused_by("BodyError", error)))
        }
        Err(_) => Err(Problem(Failure::new(
            Code::E502,
            format!("the body took longer than {UPLOAD_TIMEOUT:?} to arrive"),
        ))),
    }
}

fn answer(result: Result<impl Serialize, NotSwapped>) -> Response {
    match result {
        Ok(done) => Json(done).into_response(),
        Err(error) => refusal(&error),
    }
}

/// A refusal as problem details: what was refused, and each problem by itself.
fn refusal(error: &NotSwapped) -> Response {
    let mut members = Map::new();
    if let NotSwapped::Refused(refusal) = error {
        members.insert("slot".to_owned(), json!(refusal.slot));
        members.insert("origin".to_owned(), json!(refusal.origin));
        members.insert("problems".to_owned(), Value::from(refusal.problems.clone()));
    }
    let failure = Failure::from(error);
    let status = match error {
        NotSwapped::Refused(refusal) if refusal.fault != Fault::UploadTooLarge => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        NotSwapped::Overtaken(_) => StatusCode::CONFLICT,
        _ => status_of(failure.code),
    };
    Problem(failure).with_status(status, members)
}
