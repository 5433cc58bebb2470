//! One wide event for each request of the API, from its head to the end of its
//! answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use uuid::Uuid;

use super::detached::Gone;
use super::head::Head;
use crate::app::App;
use crate::events::{ApiRequestDetails, Code, Failure, Outcome, WideEvent};
use crate::store::StoreError;

/// Opens the event of a request, and gives it to the answer's body to finish.
pub(super) async fn tell(
    State(app): State<Arc<App>>,
    Extension(client): Extension<SocketAddr>,
    Extension(gone): Extension<Gone>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let mut event = open(&app, &request, client, &route);
    request.extensions_mut().insert(RequestId(event.request_id));
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    event.details.http_status = Some(response.status().as_u16());
    if let Some(about) = response.extensions_mut().remove::<About>() {
        event.details.trip_id = about.trip_id;
        event.details.vehicle_id = about.vehicle_id;
    }
    let failure = response.extensions_mut().remove::<Failure>();
    let outcome = match failure {
        Some(failure) if response.status().is_server_error() => Outcome::Failure(failure),
        Some(failure) => Outcome::Rejected(failure),
        None => Outcome::Success,
    };
    response.map(|body| {
        let told = Told { body, event: Some((event, outcome)), bytes: 0, gone };
        Body::new(told.begin(is_head))
    })
}

/// Identity of the request, for what it is the parent of.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(pub(super) Uuid);

/// What a request is about, for its event: a handler adds it to its answer.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// The trip.
    pub(super) trip_id: Option<String>,
    /// The vehicle: a keyed hash.
    pub(super) vehicle_id: Option<String>,
}

fn open(
    app: &App,
    request: &Request,
    client: SocketAddr,
    route: &MatchedPath,
) -> WideEvent<ApiRequestDetails> {
    let details = ApiRequestDetails {
        route: route.as_str().to_owned(),
        remote_addr: client.ip().to_string(),
        ..ApiRequestDetails::default()
    };
    let mut event = app.events.open(app.plugins.pin(), details);
    let head = Head::of(request, None, &mut event.known);
    event.details.method = head.method;
    event.details.user_agent = head.user_agent;
    event.details.has_token = head.has_token;
    event.client_request_id = head.client_request_id;
    event
}

/// An answer's body, and the event that ends with it.
struct Told {
    body: Body,
    event: Option<(WideEvent<ApiRequestDetails>, Outcome)>,
    bytes: u64,
    gone: Gone,
}

impl Told {
    /// Nothing of an empty body, or of one that HEAD leaves out, is ever asked
    /// for.
    fn begin(mut self, is_head: bool) -> Self {
        if is_head || self.body.is_end_stream() {
            self.finish(None);
        }
        self
    }

    fn finish(&mut self, failure: Option<Failure>) {
        let Some((mut event, outcome)) = self.event.take() else { return };
        event.details.response_size_bytes = Some(self.bytes);
        if self.gone.is_gone() {
            event.details.client_gone = Some(true);
            event.note(Failure::new(Code::E504, "the client was gone before the answer"));
        }
        event.finish(failure.map_or(outcome, Outcome::Failure));
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                let failure = failure_of(error);
                self.finish(Some(failure));
            }
            None => self.finish(None),
        }
        // Nobody asks again behind the last frame of a body of known length.
        if self.body.is_end_stream() {
            self.finish(None);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    /// The client did not take all of its answer.
    fn drop(&mut self) {
        if let Some((event, _)) = &mut self.event {
            event.details.client_gone = Some(true);
            event.note(Failure::new(Code::E504, "the client was gone before the end of the answer"));
            self.finish(None);
        }
    }
}

/// Why an answer broke off half-way.
fn failure_of(error: &axum::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Failure::from(error);
        }
        cause = error.source();
    }
    Failure::new(Code::E500, "the answer broke off").caused_by("BodyError", error)
}
