//! Questions about events: those that the built-in store answers, and events as
//! they come (`tail`). What is asked lives in `query`.

pub(super) mod tail;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::{IntoParams, ToSchema};

use super::admission::Reader;
use super::api::store_problem;
use super::pages::held;
use super::params::{self, Json};
use super::problem::{Problem, ProblemDetails, Problems};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::query::{Answer as Figures, Dashboard, Query, QueryError, Wrong};
use crate::store::{AskError, EventStore, Found};

type Answer = Result<Response, Refusal>;

/// Why a question is not answered.
pub(super) enum Refusal {
    /// As any request may be refused.
    Problem(Problem),
    /// It cannot be used; the answer names the place.
    Unfit(QueryError),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::Unfit(error)
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Query(error) => Self::Unfit(error),
            AskError::Store(error) => Self::Problem(store_problem(&error)),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Unfit(error) => error,
        };
        let code = match error.wrong {
            Wrong::Type => Code::E003,
            Wrong::Range => Code::E004,
        };
        let place = Map::from_iter([("at".to_owned(), error.at.as_str().into())]);
        Problem(Failure::new(code, error.to_string())).with(place)
    }
}

/// What is asked about events.
#[derive(ToSchema)]
#[schema(as = EventQuery, example = json!({
    "filter": {"operation": "trip_finalization", "vehicle_context.account_age_days": {"$gte": 365}},
    "group_by": ["vehicle_context.usage_tier"], "figures": ["count", "avg(duration_ms)"], "order": "-count"
}))]
#[expect(dead_code, reason = "the question's form, for the API's document")]
pub(super) struct EventQuery {
    /// Which events: fields by their names with dots, with a value or with `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`,
    /// `$in`, `$nin`, `$exists`, `$not`; `$and`, `$or`, `$not` of filters. All events where it is not there.
    #[schema(required = false)]
    filter: Map<String, Value>,
    /// Fields whose values make a group: up to 4.
    #[schema(required = false)]
    group_by: Names,
    /// What is said of each group: `count`, `avg(FIELD)`, `min(FIELD)`, `max(FIELD)`, `p50(FIELD)`, `p95(FIELD)`,
    /// `p99(FIELD)`, up to 16. Without any, and without `group_by`, the events themselves are answered.
    #[schema(required = false)]
    figures: Names,
    /// A figure or a field of the group, with a minus in front for the greatest first. Events: `timestamp` or `duration_ms`.
    #[schema(required = false)]
    order: String,
    /// Groups or events, at most: 100 by default.
    #[schema(required = false, minimum = 1, maximum = 1000)]
    limit: u64,
}

/// A text, or several.
#[derive(ToSchema)]
#[schema(as = Names)]
#[serde(untagged)]
#[expect(dead_code, reason = "a form, for the API's document")]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// Events that were found.
#[derive(Serialize, ToSchema)]
#[schema(as = Events)]
struct EventList {
    /// The events, in the order that was asked for.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// Whether there are more of them than fit into an answer.
    more: bool,
}

/// What is answered: events, or figures of groups.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EventAnswer)]
enum EventAnswer {
    Events(EventList),
    Figures(Figures),
}

/// A question about events, weighted by their `sampling.rate`.
#[utoipa::path(post, operation_id = "query_events", path = "/api/events/query", tag = "events",
    request_body(content = EventQuery, content_type = "application/json"),
    responses((status = 200, body = EventAnswer),
        (status = 404, description = "There is no store of events (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 408, description = "The body took too long (E502).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 413, description = "The body is too large (E006).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn query(_: Reader, asked: Asked, Json(question): Json<Value>) -> Answer {
    let query = Query::parse(&question)?;
    let place = asked.place()?;
    let answer = if query.wants_events() {
        let found = asked.store.find(&query).await;
        EventAnswer::Events(list(found.map_err(|error| store_problem(&error))?))
    } else {
        EventAnswer::Figures(asked.store.figures(&query).await?)
    };
    answered(place, &answer)
}

/// Which time a dashboard shows.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// From this time on: RFC 3339.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this time: RFC 3339.
    #[param(format = DateTime)]
    until: Option<String>,
}

/// One of the questions that are asked again and again.
#[utoipa::path(get, operation_id = "get_event_dashboard", path = "/api/events/dashboards/{name}", tag = "events",
    params(("name" = inline(Dashboard), Path, description = "Which one."), Span),
    responses((status = 200, body = Figures),
        (status = 404, description = "There is no such dashboard, or no store of events (E400).",
         body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn dashboard(
    _: Reader,
    asked: Asked,
    dashboard: Result<Path<Dashboard>, axum::extract::rejection::PathRejection>,
    params::Query(span): params::Query<Span>,
) -> Answer {
    let Ok(Path(dashboard)) = dashboard else {
        let there_are =
            "failures-by-deployment, duration-by-operation, weather-failures and heavy-user-failures";
        return Err(missing(format!("there is no such dashboard: there are {there_are}")));
    };
    let query = dashboard.query(span.since.as_deref(), span.until.as_deref())?;
    let place = asked.place()?;
    answered(place, &asked.store.figures(&query).await?)
}

/// All events of a trip, oldest first: `trace_id` is its session's.
#[utoipa::path(get, operation_id = "get_event_trace", path = "/api/events/trace/{trace_id}", tag = "events",
    params(("trace_id" = String, Path, description = "The `trace_id` of an event.")),
    responses((status = 200, body = EventList),
        (status = 404, description = "No event has it, or there is no store of events (E400).",
         body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn trace(_: Reader, asked: Asked, Text(trace_id): Text) -> Answer {
    let place = asked.place()?;
    let found = asked.store.trace(&trace_id).await.map_err(|error| store_problem(&error))?;
    if found.events.is_empty() {
        return Err(missing("no stored event has that trace_id"));
    }
    answered(place, &list(found))
}

/// One event.
#[utoipa::path(get, operation_id = "get_event", path = "/api/events/{request_id}", tag = "events",
    params(("request_id" = String, Path, description = "The `request_id` of the event.")),
    responses((status = 200, description = "The event.", body = Object),
        (status = 404, description = "There is no such event, or no store of events (E400).",
         body = ProblemDetails, content_type = "application/problem+json"),
        Problems))]
pub(super) async fn one(_: Reader, asked: Asked, Text(request_id): Text) -> Answer {
    let place = asked.place()?;
    let found = asked.store.event(&request_id).await.map_err(|error| store_problem(&error))?;
    let event = found.ok_or_else(|| missing("no stored event has that request_id"))?;
    answered(place, &event)
}

fn list(found: Found) -> EventList {
    EventList { events: found.events, more: found.more }
}

/// The store that is asked.
pub(super) struct Asked {
    store: Arc<EventStore>,
    places: Arc<Semaphore>,
}

impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(_: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let store = app.event_store.clone();
        let store =
            store.ok_or_else(|| missing("there is no store of events: EVENT_SINKS does not name it"))?;
        Ok(Self { store, places: app.event_queries.clone() })
    }
}

impl Asked {
    /// A place for the question, and for its answer.
    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Problem(Failure::new(Code::E501, "too many questions about events are under way")))
    }
}

/// An answer, which keeps its place until its reader has taken it.
fn answered(place: OwnedSemaphorePermit, answer: &impl Serialize) -> Answer {
    Ok(held(place, answer)?)
}

/// A text in a path. What cannot be decoded, or kept, is in no event.
pub(super) struct Text(String);

impl FromRequestParts<Arc<App>> for Text {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(text)) if !text.contains('\0') => Ok(Self(text)),
            _ => Err(missing("no stored event has that id")),
        }
    }
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal::Problem(Problem(Failure::new(Code::E400, message.into())))
}
