//! A stand-in for a collector of OpenTelemetry, on this machine. It reads what
//! it is sent by the protocol's published definitions, which are in `proto/`,
//! and takes or refuses it as it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use prost_reflect::prost::encoding::{DecodeContext, decode_key, decode_varint, skip_field};
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
    /// What requests are read by; without it they are only counted.
    definition: Option<MessageDescriptor>,
    requests: watch::Sender<Vec<Request>>,
    /// Log records that were taken, as far as they were read,
    taken: watch::Sender<Vec<Value>>,
    /// and how many.
    count: AtomicUsize,
}

impl Closed {
    /// Takes an address.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> anyhow::Result<Self> {
        Self::at(([127, 0, 0, 1], 0).into())
    }

    /// Takes this address, also beside one that listens there.
    fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
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
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let files = protox::compile([LOGS], [proto])?;
        let definition = DescriptorPool::from_file_descriptor_set(files)?.get_message_by_name(REQUEST);
        self.listen(Some(definition.context("the definition of a request")?))
    }

    /// Listens from now on, and only counts what comes: that costs little, so
    /// that a load beside it can be measured.
    ///
    /// # Errors
    /// It cannot.
    pub fn open_to_count(self) -> anyhow::Result<Collector> {
        self.listen(None)
    }

    fn listen(self, definition: Option<MessageDescriptor>) -> anyhow::Result<Collector> {
        let listener = self.0.listen(64)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            reply: Mutex::new(Reply::Take),
            definition,
            requests: watch::Sender::default(),
            taken: watch::Sender::default(),
            count: AtomicUsize::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, shared.clone()));
        Ok(Collector { address, shared, acceptor })
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

    /// Ends it; who connects is refused then. Returns how many log records it
    /// took.
    ///
    /// # Errors
    /// Its address cannot be kept.
    pub async fn close(mut self) -> anyhow::Result<(Closed, usize)> {
        let closed = Closed::at(self.address)?;
        self.acceptor.abort();
        // It was told to end: that it was is no news.
        (&mut self.acceptor).await.ok();
        Ok((closed, self.count()))
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

    /// How many log records it took so far.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
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

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let serving = shared.clone();
        // A test sees what it misses: records.
        connections.spawn(async move { serve(stream, &serving).await.ok() });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> anyhow::Result<()> {
    loop {
        let (head, body) = read(&mut stream).await?;
        let (count, records) = shared.understand(head, &body)?;
        let reply = *shared.reply.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, answer) = match reply {
            Reply::Take => (count, http("200 OK", "", b"")),
            Reply::Partly(refused) => {
                // partial_success {rejected_log_records, error_message: "odd"}
                let partial = [0x0a, 0x07, 0x08, refused, 0x12, 0x03, b'o', b'd', b'd'];
                (count.saturating_sub(refused.into()), http("200 OK", "", &partial))
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
        shared.count.fetch_add(taken, Ordering::Relaxed);
        shared.taken.send_modify(|all| all.extend(records.into_iter().take(taken)));
        stream.write_all(&answer).await?;
    }
}

impl Shared {
    /// How many log records a request has, and which, where they are read.
    fn understand(&self, head: String, body: &[u8]) -> anyhow::Result<(usize, Vec<Value>)> {
        let Some(definition) = &self.definition else {
            // resource_logs, scope_logs, log_records
            return Ok((count(body, &[1, 2, 2])?, Vec::new()));
        };
        let message = DynamicMessage::decode(definition.clone(), body)?;
        ensure!(message.unknown_fields().next().is_none(), "fields that the definitions do not have");
        let message = serde_json::to_value(&message)?;
        let records = log_records(&message);
        self.requests.send_modify(|requests| requests.push(Request { head, message }));
        Ok((records.len(), records))
    }
}

/// How many messages are where these fields lead to, each within the one before.
fn count(mut message: &[u8], fields: &[u32]) -> anyhow::Result<usize> {
    let Some((wanted, deeper)) = fields.split_first() else { return Ok(1) };
    let mut all = 0;
    while !message.is_empty() {
        let (field, kind) = decode_key(&mut message)?;
        if field == *wanted {
            let length = usize::try_from(decode_varint(&mut message)?)?;
            let (part, rest) = message.split_at_checked(length).context("a part that is cut off")?;
            all += count(part, deeper)?;
            message = rest;
        } else {
            skip_field(kind, field, &mut message, DecodeContext::default())?;
        }
    }
    Ok(all)
}

/// Head and body of a request.
async fn read(stream: &mut TcpStream) -> anyhow::Result<(String, Vec<u8>)> {
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
    Ok((head, body))
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
