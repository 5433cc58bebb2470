//! A stand-in for a collector of OpenTelemetry, on this machine. It reads what
//! it is sent by the protocol's published definitions, which are in `proto/`,
//! and takes or refuses it as it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::settings::Settings;

/// How long anything that a receiver does by itself may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOGS: &str = "opentelemetry/proto/collector/logs/v1/logs_service.proto";
const REQUEST: &str = "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest";

/// What it does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// Takes all records.
    Take,
    /// Takes all records but so many, and says so.
    Partly(u8),
    /// Takes none and answers a status, with the seconds of a `Retry-After`.
    Status(u16, Option<u64>),
    /// Takes none, and answers nothing as long as the client waits.
    Silence,
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Request line and headers.
    pub head: String,
    /// The message, in the JSON that the protocol's definitions make of it.
    pub message: Value,
}

/// The collector. Dropping it ends it.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

/// A collector that does not listen yet: who connects is refused.
pub struct Closed(TcpSocket);

struct Shared {
    reply: Mutex<Reply>,
    definition: MessageDescriptor,
    requests: watch::Sender<Vec<Request>>,
    /// Log records that were taken.
    taken: watch::Sender<Vec<Value>>,
}

impl Closed {
    /// Takes an address.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self(socket))
    }

    /// Settings with which a receiver sends there.
    ///
    /// # Errors
    /// It has no address.
    pub fn sent_to_by(&self, settings: Settings) -> anyhow::Result<Settings> {
        Ok(sending(settings, self.0.local_addr()?))
    }

    /// Listens from now on.
    ///
    /// # Errors
    /// It cannot.
    pub fn open(self) -> anyhow::Result<Collector> {
        Collector::listen(self.0.listen(64)?)
    }
}

impl Collector {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start() -> anyhow::Result<Self> {
        Closed::new()?.open()
    }

    fn listen(listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let files = protox::compile([LOGS], [proto])?;
        let definition = DescriptorPool::from_file_descriptor_set(files)?.get_message_by_name(REQUEST);
        let shared = Arc::new(Shared {
            reply: Mutex::new(Reply::Take),
            definition: definition.context("the definition of a request")?,
            requests: watch::Sender::default(),
            taken: watch::Sender::default(),
        });
        let serving = shared.clone();
        let acceptor = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                // A test sees what it misses: records.
                connections.spawn(async move { serve(stream, &serving).await.ok() });
            }
        });
        Ok(Self { address, shared, acceptor })
    }

    /// Settings with which a receiver sends there, a password and a key
    /// included.
    #[must_use]
    pub fn sent_to_by(&self, settings: Settings) -> Settings {
        sending(settings, self.address)
    }

    /// Replies like this from now on.
    pub fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// The log records that it took so far.
    pub fn taken(&self) -> Vec<Value> {
        self.shared.taken.borrow().clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until it was asked that often.
    ///
    /// # Errors
    /// It is not, in time.
    pub async fn was_asked(&self, times: usize) -> anyhow::Result<()> {
        let mut requests = self.shared.requests.subscribe();
        let enough = requests.wait_for(|requests| requests.len() >= times);
        tokio::time::timeout(PATIENCE, enough).await.context("the collector is not asked")??;
        Ok(())
    }

    /// Waits until it has a log record of which that is true.
    ///
    /// # Errors
    /// There is none in time.
    pub async fn wait_for(&self, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut taken = self.shared.taken.subscribe();
        let there = taken.wait_for(|records| records.iter().any(&is_it));
        let records = tokio::time::timeout(PATIENCE, there).await.context("no such log record comes")??;
        Ok(records.iter().find(|record| is_it(record)).context("it is there")?.clone())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn sending(settings: Settings, address: SocketAddr) -> Settings {
    settings
        .set("EVENT_SINKS", "stdout,otlp")
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://collector:hunter2@{address}/"))
        .set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter3%2Cand%20more")
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> anyhow::Result<()> {
    loop {
        let request = read(&mut stream, &shared.definition).await?;
        let records = log_records(&request.message);
        shared.requests.send_modify(|requests| requests.push(request));
        let reply = *shared.reply.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, answer) = match reply {
            Reply::Take => (records.len(), http("200 OK", "", b"")),
            Reply::Partly(refused) => {
                // partial_success {rejected_log_records, error_message: "odd"}
                let partial = [0x0a, 0x07, 0x08, refused, 0x12, 0x03, b'o', b'd', b'd'];
                (records.len().saturating_sub(refused.into()), http("200 OK", "", &partial))
            }
            Reply::Status(status, retry_after) => {
                let header = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n"));
                (0, http(&format!("{status} Told"), &header.unwrap_or_default(), b""))
            }
            Reply::Silence => {
                // Until the client hangs up.
                stream.read_u8().await?;
                return Ok(());
            }
        };
        shared.taken.send_modify(|all| all.extend_from_slice(&records[..taken]));
        stream.write_all(&answer).await?;
    }
}

async fn read(stream: &mut TcpStream, definition: &MessageDescriptor) -> anyhow::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    ensure!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    let header = |name: &str| {
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    ensure!(header("content-type") == Some("application/x-protobuf"), "{head}");
    let mut body = vec![0; header("content-length").context("a length")?.parse()?];
    stream.read_exact(&mut body).await?;
    let message = DynamicMessage::decode(definition.clone(), body.as_slice())?;
    ensure!(message.unknown_fields().next().is_none(), "fields that the definitions do not have");
    let message = serde_json::to_value(&message)?;
    Ok(Request { head, message })
}

fn log_records(message: &Value) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let resources = list(message, "resourceLogs");
    let scopes = resources.iter().flat_map(|resource| list(resource, "scopeLogs"));
    scopes.flat_map(|scope| list(&scope, "logRecords")).collect()
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
