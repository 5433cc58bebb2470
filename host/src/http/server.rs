//! Connections: accepting, timeouts, what HTTP itself refuses, graceful stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use super::detached::{Detached, Gone};
use super::stream::Stream;
use crate::open_files;

/// How long a request's head may take, an idle connection's next one included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at one time; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 16_384;
/// Connections that wait there: what most systems allow.
const BACKLOG: u32 = 4096;
/// Files that this process has open beside its connections: the database's.
const OTHER_FILES: usize = 256;
/// The largest head of a request: a unit request has about 15 KB. Clients may
/// leave as many unfinished as there are connections: 400 MB of them.
const LARGEST_HEAD: usize = 24 * 1024;

/// What is done about a connection that ended with an error.
pub trait OnRefused: Fn(SocketAddr, &hyper::Error) + Clone + Send + 'static {}

impl<F: Fn(SocketAddr, &hyper::Error) + Clone + Send + 'static> OnRefused for F {}

/// Listens on this address.
///
/// # Errors
/// It is taken, or none of this machine's.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The connections of the process before do not keep this one out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The running server.
pub struct Server {
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<(GracefulShutdown, JoinSet<()>)>,
}

impl Server {
    /// Starts accepting. `on_refused` is told of what HTTP itself refuses and
    /// `router` never sees.
    pub fn start(router: Router, listener: TcpListener, on_refused: impl OnRefused) -> Self {
        let (stopping, stopped) = watch::channel(false);
        Self { stopping, accepting: tokio::spawn(accept_all(router, listener, stopped, on_refused)) }
    }

    /// Stops accepting, lets the requests under way finish, and waits at most
    /// `patience` for them; returns the connections that are left.
    pub async fn stop(self, patience: Duration) -> LastConnections {
        self.stopping.send_replace(true);
        let Ok((graceful, tasks)) = self.accepting.await else {
            tracing::error!("the accept loop ended badly");
            return LastConnections(JoinSet::new());
        };
        if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
            tracing::warn!("some connections did not finish in time");
        }
        LastConnections(tasks)
    }
}

/// Connections that did not finish in time.
pub struct LastConnections(JoinSet<()>);

impl LastConnections {
    /// Lets their answers leave for at most `patience`, then ends them: no
    /// request begins after this, and nobody is answered.
    pub async fn end(mut self, patience: Duration) {
        let answered = async { while self.0.join_next().await.is_some() {} };
        tokio::time::timeout(patience, answered).await.ok();
        self.0.shutdown().await;
    }
}

async fn accept_all(
    router: Router,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
    on_refused: impl OnRefused,
) -> (GracefulShutdown, JoinSet<()>) {
    let connections = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let places = Arc::new(Semaphore::new(connections_allowed()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(LARGEST_HEAD);
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => return (connections, tasks),
            accepted = accept(&listener, &places) => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, client, place)) => {
                let stream = TokioIo::new(Stream::new(stream));
                let connection = http.serve_connection(stream, service(router.clone(), client));
                let connection = connections.watch(connection);
                let on_refused = on_refused.clone();
                tasks.spawn(async move {
                    if let Err(error) = connection.await {
                        on_refused(client, &error);
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others will be closed.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The router for one connection. Each request knows its client, and is
/// answered to its end also when the client is gone.
fn service(
    router: Router,
    client: SocketAddr,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> {
    service_fn(move |request: Request<Incoming>| {
        let gone = Gone::default();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(gone.clone());
        // Made here and not in the future below: a client that is gone at once
        // makes hyper drop that before it is ever asked to run.
        let answer = Detached::new(router.clone().oneshot(request), gone);
        async {
            // A panic's message is on standard error, its event with the sinks.
            answer.await.unwrap_or_else(|_| {
                let failed = (StatusCode::INTERNAL_SERVER_ERROR, "the request failed: send it again");
                Ok(failed.into_response())
            })
        }
    })
}

/// As many as there are files for: a database that cannot open its own is
/// worse than a client that waits.
fn connections_allowed() -> usize {
    let files = usize::try_from(open_files::raise_limit()).unwrap_or(usize::MAX);
    let allowed = files.saturating_sub(OTHER_FILES).clamp(1, CONNECTIONS);
    if allowed < CONNECTIONS {
        tracing::warn!(connections = allowed, "few files may be open at one time: see `ulimit -Hn`");
    }
    allowed
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, client) = listener.accept().await?;
    // Small answers leave at once.
    stream.set_nodelay(true)?;
    Ok((stream, client, place))
}
