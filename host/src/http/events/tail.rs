//! Events as they come: a stream of server-sent events that goes on until the
//! reader goes. It shows what this process keeps, from now on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse as _, Sse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::Answer;
use crate::app::App;
use crate::events::{Code, Failure, Heard, KeptEvent, Listener};
use crate::http::admission::Reader;
use crate::http::params;
use crate::http::problem::{Problem, Problems};
use crate::query::{Filter, QueryError};

/// A comment after this much silence, so that nobody in between gives up.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest filter in an address: bytes.
const LONGEST: usize = 8 * 1024;

/// Which events are followed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TailQuery {
    /// A filter as that of `/api/events/query`, as JSON.
    #[param(max_length = 8192, example = "{\"success\": false}")]
    filter: Option<String>,
}

/// Kept events as they come, as server-sent events that go on until the reader goes.
///
/// Each is an `event`; `missed` says how many were gone before a slow reader took them.
#[utoipa::path(get, operation_id = "follow_events", path = "/api/events/tail", tag = "events", params(TailQuery),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"),
        Problems))]
pub(in crate::http) async fn follow(
    _: Reader,
    State(app): State<Arc<App>>,
    params::Query(query): params::Query<TailQuery>,
) -> Answer {
    let filter = query.filter.as_deref().map(parse).transpose()?;
    let place = app.event_listeners.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem(Failure::new(Code::E501, "too many readers follow events")))?;
    let reader = Follower { listener: app.events.tail().listen(), filter, app, _place: place };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("nothing new");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

fn parse(text: &str) -> Result<Filter, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError::out_of_range("filter", format!("takes at most {LONGEST} bytes")));
    }
    let value = serde_json::from_str(text);
    let value: Value =
        value.map_err(|error| QueryError::wrong_type("filter", format!("is no JSON: {error}")))?;
    Filter::parse(&value, "filter")
}

/// A reader who follows events, and is asked for the next one only when the
/// connection has room for it.
struct Follower {
    app: Arc<App>,
    listener: Listener,
    filter: Option<Filter>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; nothing once the service stops.
    async fn next(&mut self) -> Option<Event> {
        let app = self.app.clone();
        loop {
            match app.until_stop(self.listener.next()).await?? {
                Heard::Missed(missed) => {
                    return Some(
                        Event::default().event("missed").data(json!({ "missed": missed }).to_string()),
                    );
                }
                Heard::Event(event) if self.wants(&event) => {
                    let line = String::from_utf8_lossy(event.line());
                    return Some(Event::default().event("event").data(line.trim_end()));
                }
                Heard::Event(_) => {}
            }
        }
    }

    fn wants(&self, event: &KeptEvent) -> bool {
        let Some(filter) = &self.filter else { return true };
        // Every line is JSON that this process wrote.
        serde_json::from_slice::<Value>(event.line()).is_ok_and(|event| filter.matches(&event))
    }
}
