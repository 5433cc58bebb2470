//! `POST /api/import`: the body is a track log, `text/csv`.
//!
//! Who accepts `application/x-ndjson` is told how far it is, a line at a time,
//! and in the last one what it came to; all others get that alone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Frame;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::api::store_problem;
use super::detached::Gone;
use super::head::Head;
use super::problem::{Problem, ProblemDetails, Problems, status_of};
use super::upload::came_too_often;
use crate::app::App;
use crate::events::{Business, Code, Failure, ImportDetails, Outcome, Timing, WideEvent};
use crate::import::{self, LARGEST_FILE, Progress, Spool, Tally, TrackLogFile};
use crate::store::Car;

/// How long nothing may arrive of a file,
const QUIET_TIMEOUT: Duration = Duration::from_secs(30);
/// and how long all of it may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How often a client is told how far its import is.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// Lines that wait for a client; what finds no room is not told.
const LINES: usize = 4;
const NDJSON: &str = "application/x-ndjson";

/// Imports a track log of Torque's: the body is the file.
///
/// Whose it is, is said by `device_id` or `vehicle`, or by `X-Device-Id` or `X-Vehicle`. Who accepts
/// `application/x-ndjson` is told how far it is, a line at a time.
#[utoipa::path(post, operation_id = "import_track_log", path = "/api/import", tag = "trips", security(("upload" = []), ()),
    params(
        ("device_id" = Option<String>, Query, description = "Device id of the phone, as its uploads say it."),
        ("vehicle" = Option<String>, Query, description = "Name of the profile, or vehicle_id, of a vehicle that uploaded.")),
    request_body(content = String, content_type = "text/csv", description = "The track log, up to 512 MB."),
    responses((status = 200, description = "What became of its rows.", body = Object),
        (status = 404, description = "There is no such vehicle (E400).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 408, description = "The file did not arrive in time (E502).", body = ProblemDetails,
         content_type = "application/problem+json"),
        (status = 413, description = "The file is too large (E006).", body = ProblemDetails,
         content_type = "application/problem+json"),
        Problems))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    Extension(gone): Extension<Gone>,
    request: Request,
) -> Response {
    let mut event = open(&app, &request, client);
    let live = request.headers().get(header::ACCEPT).is_some_and(|accept| accept == NDJSON);
    let admitted = admit(&app, &mut event, client, request).await;
    match admitted {
        Ok((log, place)) if live => {
            let (sender, body) = Channel::<Bytes, Infallible>::new(LINES);
            let guard = LeaveOnDrop(Gone::default());
            tokio::spawn(tell_live(app, event, log, place, guard.0.clone(), sender));
            let body = body.map_frame(move |frame| {
                let _held = &guard;
                frame
            });
            ([(header::CONTENT_TYPE, NDJSON)], Body::new(body)).into_response()
        }
        Ok((log, place)) => {
            let (progress, _) = watch::channel(Progress::default());
            let answer = run(&app, event, log, &progress, &gone, None).await;
            drop(place);
            answer.into_response()
        }
        Err(Refused { failure, retry_after }) => {
            let answer = Answer::of(Err(failure), &Tally::default());
            let mut response = finish(event, answer, &gone, None).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
    }
}

fn open(app: &App, request: &Request, client: SocketAddr) -> WideEvent<ImportDetails> {
    let details = ImportDetails {
        route: "/api/import",
        remote_addr: client.ip().to_string(),
        ..ImportDetails::default()
    };
    let mut event = app.events.open(app.plugins.pin(), details);
    let head = Head::of(request, None, &mut event.known);
    event.details.method = head.method;
    event.details.user_agent = head.user_agent;
    event.details.has_token = head.has_token;
    event.client_request_id = head.client_request_id;
    event
}

/// Why an import does not begin.
struct Refused {
    failure: Failure,
    /// When the client may come again: seconds.
    retry_after: Option<u64>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None }
    }
}

/// Looks at who asks, takes a place, and takes the file.
async fn admit(
    app: &App,
    event: &mut WideEvent<ImportDetails>,
    client: SocketAddr,
    request: Request,
) -> Result<(TrackLogFile, OwnedSemaphorePermit), Refused> {
    let (parts, body) = request.into_parts();
    // Before the token is looked at: who guesses tokens is slowed down too.
    if let Err(too_often) = app.rate_limits.admit_address(client.ip()) {
        let retry_after = Some(too_often.retry_after.as_secs() + 1);
        return Err(Refused { failure: came_too_often(&too_often), retry_after });
    }
    // What is imported is telemetry: who may upload may import.
    if !app.tokens.admit_upload(None, &parts.headers) {
        let message = "the token is missing or wrong: send it as Authorization: Bearer …";
        return Err(Failure::new(Code::E001, message).into());
    }
    let whose = Whose::read(parts.uri.query().unwrap_or_default(), &parts.headers)?;
    check_body(&parts.headers)?;
    let Ok(place) = app.imports.clone().try_acquire_owned() else {
        return Err(Failure::new(Code::E501, "too many imports are under way: try again later").into());
    };
    let car = whose.car(app).await?;
    event.details.vehicle_id = Some(car.vehicle.to_string());
    let mut spool = Spool::create(&app.data_dir)?;
    let started = std::time::Instant::now();
    let taken = take(app, &mut spool, body).await;
    event.timings.add_since(Timing::RECEIVE_FILE, started);
    event.details.request_bytes = spool.bytes();
    taken?;
    Ok((TrackLogFile { file: spool.end().await?, car }, place))
}

/// What a request says of the vehicle.
enum Whose {
    /// The device, or the account, as uploads of it say.
    Device(String),
    /// A vehicle that is known, by its id or its profile's name.
    Vehicle(String),
}

impl Whose {
    /// From the query, or the headers, which no proxy keeps in its log.
    fn read(query: &str, headers: &HeaderMap) -> Result<Self, Failure> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (mut device, mut vehicle) = (header("x-device-id"), header("x-vehicle"));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "device_id" => device = Some(value.into_owned()),
                "vehicle" => vehicle = Some(value.into_owned()),
                _ => {
                    let message = format!("there is no parameter {name:?}: use device_id or vehicle");
                    return Err(Failure::new(Code::E003, message));
                }
            }
        }
        let filled =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let whose = match (filled(device), filled(vehicle)) {
            (Some(device), None) => Self::Device(device),
            (None, Some(vehicle)) => Self::Vehicle(vehicle),
            (None, None) => {
                let message = "whose log is it? Give device_id (or X-Device-Id), as the app sends it, or vehicle \
                               (or X-Vehicle), its id or the name of its profile";
                return Err(Failure::new(Code::E002, message));
            }
            (Some(_), Some(_)) => {
                return Err(Failure::new(
                    Code::E003,
                    "device_id and vehicle are two answers: give one of them",
                ));
            }
        };
        let (Self::Device(text) | Self::Vehicle(text)) = &whose;
        if text.contains('\0') {
            return Err(Failure::new(Code::E003, "device_id and vehicle must not contain NUL"));
        }
        Ok(whose)
    }

    async fn car(&self, app: &App) -> Result<Car, Failure> {
        let name = match self {
            Self::Device(device) => {
                let phone = app.key.phone(device);
                return Ok(Car { vehicle: phone.own_vehicle(), phone, profile_name: None });
            }
            Self::Vehicle(name) => name,
        };
        let named = app.store.cars_named(name).await.map_err(|error| store_problem(&error).0)?;
        match <[Car; 1]>::try_from(named) {
            Ok([car]) => Ok(car),
            Err(none) if none.is_empty() => Err(Failure::new(
                Code::E002,
                "no vehicle of that id or profile name has uploaded anything: give device_id instead",
            )),
            Err(_) => Err(Failure::new(
                Code::E002,
                "several vehicles have a profile of that name: give the vehicle's id, as /api/trips has it",
            )),
        }
    }
}

fn check_body(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::new(Code::E300, "the body is encoded: send it as it is"));
    }
    if text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/")) {
        return Err(Failure::new(
            Code::E300,
            "the body is a form: send the file itself (curl --data-binary @FILE)",
        ));
    }
    let length: Option<u64> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > LARGEST_FILE) {
        return Err(import::too_large());
    }
    Ok(())
}

/// Takes a file as it arrives.
async fn take(app: &App, spool: &mut Spool, mut body: Body) -> Result<(), Failure> {
    let late = |time: Duration| Failure::new(Code::E502, format!("the file was not there within {time:?}"));
    let by = Instant::now() + FILE_TIMEOUT;
    loop {
        let frame = app
            .until_stop(timeout(QUIET_TIMEOUT, body.frame()))
            .await
            .ok_or_else(|| Failure::new(Code::E503, "the service is shutting down: import the file again"))?;
        let Some(frame) = frame.map_err(|_| late(QUIET_TIMEOUT))? else { return Ok(()) };
        let frame = frame.map_err(|error| {
            Failure::new(Code::E300, "the file broke off while it arrived").caused_by("BodyError", error)
        })?;
        if let Some(part) = frame.data_ref() {
            spool.add(part).await?;
        }
        if Instant::now() >= by {
            return Err(late(FILE_TIMEOUT));
        }
    }
}

/// What an import is answered with.
struct Answer {
    result: Result<(), Failure>,
    counts: Map<String, Value>,
}

impl Answer {
    fn of(result: Result<(), Failure>, tally: &Tally) -> Self {
        let counts = match json!(tally) {
            Value::Object(counts) if result.is_ok() || tally.rows > 0 => counts,
            _ => Map::new(),
        };
        Self { result, counts }
    }

    fn status(&self) -> StatusCode {
        self.result.as_ref().map_or_else(|failure| status_of(failure.code), |()| StatusCode::OK)
    }

    /// The last line for who was told of its progress.
    fn into_line(self) -> Value {
        match self.result {
            Ok(()) => json!({ "result": self.counts }),
            Err(failure) => {
                let mut problem = self.counts;
                problem.insert("detail".to_owned(), failure.message.into());
                problem.insert("code".to_owned(), failure.code.as_str().into());
                json!({ "problem": problem })
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.result {
            Ok(()) => axum::Json(self.counts).into_response(),
            Err(failure) => Problem(failure).with(self.counts),
        }
    }
}

/// Imports, and finishes the event. `told` is the status that the client has
/// by now.
async fn run(
    app: &App,
    mut event: WideEvent<ImportDetails>,
    log: TrackLogFile,
    progress: &watch::Sender<Progress>,
    gone: &Gone,
    told: Option<StatusCode>,
) -> Answer {
    let mut tally = Tally::default();
    let started = std::time::Instant::now();
    let result = import::import(app, &mut event, log, &mut tally, progress).await;
    event.timings.add_since(Timing::IMPORT_ROWS, started);
    tally.describe(&mut event.details);
    event.business.set(Business::TRIP_CREATED, tally.trips_created > 0);
    if result.is_ok() && tally.bad > 0 {
        event.note(Failure::new(Code::E305, "some rows cannot be used"));
    }
    if result.is_ok() && tally.late > 0 {
        event.note(Failure::new(Code::E401, "some rows belong to trips that were closed too long ago"));
    }
    finish(event, Answer::of(result, &tally), gone, told)
}

/// Finishes the event, before the answer leaves.
fn finish(
    mut event: WideEvent<ImportDetails>,
    answer: Answer,
    gone: &Gone,
    told: Option<StatusCode>,
) -> Answer {
    event.details.http_status = Some(told.unwrap_or(answer.status()).as_u16());
    if gone.is_gone() {
        event.details.client_gone = Some(true);
        event.note(Failure::new(Code::E504, "the client was gone before the answer"));
    }
    event.finish(match &answer.result {
        Ok(()) => Outcome::Success,
        Err(failure) if answer.status().is_server_error() => Outcome::Failure(failure.clone()),
        Err(failure) => Outcome::Rejected(failure.clone()),
    });
    answer
}

/// Notices that nobody takes the answer any more.
struct LeaveOnDrop(Gone);

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Imports as a task of its own, and tells the client how far it is. The client
/// keeps nothing waiting but the last line.
async fn tell_live(
    app: Arc<App>,
    event: WideEvent<ImportDetails>,
    log: TrackLogFile,
    place: OwnedSemaphorePermit,
    gone: Gone,
    mut sender: Sender<Bytes>,
) {
    let (progress, mut seen) = watch::channel(Progress::default());
    let mut work = std::pin::pin!(run(&app, event, log, &progress, &gone, Some(StatusCode::OK)));
    let mut ticks = interval(TOLD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let answer = loop {
        tokio::select! {
            answer = &mut work => break answer,
            _ = ticks.tick() => {
                let now = *seen.borrow_and_update();
                // A client that is slow or gone misses a line.
                sender.try_send(Frame::data(line(&json!({ "progress": now })))).ok();
            }
        }
    };
    drop(place);
    // Who is gone has been told of in the event.
    sender.send_data(line(&answer.into_line())).await.ok();
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}
