//! What a reader sees of trips that run: one by one, or as a stream of
//! server-sent events that goes on until the reader goes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::IntoParams;

use super::admission::Reader;
use super::api::Answer;
use super::params::{self, Query, VehicleId};
use super::problem::{Problem, ProblemDetails, Problems};
use crate::app::App;
use crate::events::{Code, Failure};
use crate::identity::TripId;
use crate::live::LiveTrip;

/// How often a listener hears of changes. What changed more often meanwhile is
/// told once, as it is then.
const TICK: Duration = Duration::from_secs(1);
/// A comment after this much silence, so that nobody in between gives up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The trip that a vehicle is on.
#[utoipa::path(get, operation_id = "get_live_trip", path = "/api/live/{id}", tag = "live",
    params(("id" = String, Path, description = "The vehicle.")),
    responses((status = 200, body = LiveTrip),
        (status = 404, description = "It is on no trip (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn of_vehicle(
    _: Reader,
    State(app): State<Arc<App>>,
    VehicleId(vehicle_id): VehicleId,
) -> Answer {
    let trip = match app.events.live().trip_of(&vehicle_id) {
        Some(trip_id) => show(&app, trip_id.as_str()).await.map_err(Problem)?,
        None => None,
    };
    let trip = trip.ok_or_else(|| Problem(Failure::new(Code::E400, "the vehicle is on no trip")))?;
    Ok(Json(trip).into_response())
}

/// Whose trips are followed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    /// Only of this vehicle.
    #[param(max_length = 200)]
    vehicle_id: Option<String>,
}

/// The running trips, of one vehicle or of all, as server-sent events that go on until the reader goes.
///
/// Each trip comes at once, and again when it changes (`trip`), at most once a second; `trip_ended` and
/// `trip_failed` name the trip.
#[utoipa::path(get, operation_id = "follow_live_trips", path = "/api/live", tag = "live", params(LiveQuery),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"),
        Problems))]
pub(super) async fn follow(_: Reader, State(app): State<Arc<App>>, Query(query): Query<LiveQuery>) -> Answer {
    let vehicle_id = params::short("vehicle_id", query.vehicle_id)?;
    let Ok(place) = app.listeners.clone().try_acquire_owned() else {
        return Err(Problem(Failure::new(Code::E501, "too many readers follow running trips")));
    };
    let listener = Listener::new(app, vehicle_id, place);
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("nothing new");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

async fn show(app: &App, trip_id: &str) -> Result<Option<LiveTrip>, Failure> {
    let with_range = app.events.flags().predictive_range;
    app.events.live().show(trip_id, &app.store, &app.plugins.pin(), with_range).await
}

/// A reader who follows running trips. It keeps ids of what is to be told, and
/// is asked for the next event only when the connection has room for it.
struct Listener {
    app: Arc<App>,
    vehicle_id: Option<String>,
    /// The change up to which it has heard.
    heard: u64,
    to_tell: VecDeque<Tell>,
    tick: Interval,
    _place: OwnedSemaphorePermit,
}

enum Tell {
    Trip(TripId),
    Ended(TripId),
}

impl Listener {
    fn new(app: Arc<App>, vehicle_id: Option<String>, place: OwnedSemaphorePermit) -> Self {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app, vehicle_id, heard: 0, to_tell: VecDeque::new(), tick, _place: place }
    }

    /// The next event; nothing once the service stops.
    async fn next(&mut self) -> Option<Event> {
        let app = self.app.clone();
        loop {
            while let Some(tell) = self.to_tell.pop_front() {
                if let Some(event) = app.until_stop(self.event(tell)).await? {
                    return Some(event);
                }
            }
            app.until_stop(self.tick.tick()).await?;
            self.listen();
        }
    }

    fn listen(&mut self) {
        let first = self.heard == 0;
        let news = self.app.events.live().news(self.heard, self.vehicle_id.as_deref());
        self.heard = news.sequence;
        // Of those that ended before it came it need not hear.
        let ended = news.ended.into_iter().filter(|_| !first).map(Tell::Ended);
        self.to_tell.extend(ended.chain(news.changed.into_iter().map(Tell::Trip)));
    }

    /// Nothing where the trip has ended meanwhile, or cannot be shown.
    async fn event(&self, tell: Tell) -> Option<Event> {
        let (name, data) = match tell {
            Tell::Ended(trip_id) => ("trip_ended", Ok(json!({ "trip_id": trip_id }))),
            Tell::Trip(trip_id) => match show(&self.app, trip_id.as_str()).await {
                Ok(trip) => ("trip", serde_json::to_value(trip?)),
                Err(failure) => ("trip_failed", Ok(json!({ "trip_id": trip_id, "code": failure.code }))),
            },
        };
        match data.and_then(|data| serde_json::to_string(&data)) {
            Ok(data) => Some(Event::default().event(name).data(data)),
            Err(error) => {
                tracing::error!(%error, "a running trip could not be written as JSON");
                None
            }
        }
    }
}
