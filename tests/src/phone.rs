//! HTTP as the phone speaks it: version 1.0, no User-Agent, nothing escaped
//! that the phone would not escape.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// How long an answer may take: longer than the server waits for its store.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// From all that came.
    ///
    /// # Errors
    /// It does not look like HTTP.
    pub fn parse(answer: &[u8]) -> anyhow::Result<Self> {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("not an answer: {text:?}"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no status in {head:?}"))?;
        Ok(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Whether this is what makes the phone forget the point: exactly `OK!`.
    pub fn is_ok(&self) -> bool {
        self.status == 200 && self.body == "OK!"
    }
}

/// Sends these bytes on a connection of its own and reads to its end.
///
/// # Errors
/// The connection fails, or nothing that looks like HTTP comes back in time.
pub async fn raw(address: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    exchange(TcpStream::connect(address), request).await
}

/// As [`raw`], from this address of the loopback network.
///
/// # Errors
/// As [`raw`].
pub async fn raw_from(client: Ipv4Addr, address: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    let socket = TcpSocket::new_v4().context("opening a socket")?;
    socket.bind((client, 0).into()).context("binding")?;
    exchange(socket.connect(address), request).await
}

async fn exchange(
    connect: impl Future<Output = std::io::Result<TcpStream>>,
    request: &[u8],
) -> anyhow::Result<Answer> {
    let talk = async {
        let mut stream = connect.await.context("connecting")?;
        stream.write_all(request).await.context("sending")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.context("reading the answer")?;
        Answer::parse(&answer)
    };
    tokio::time::timeout(PATIENCE, talk).await.context("no answer in time")?
}

/// `GET` of a raw target, with further header lines.
///
/// # Errors
/// As [`raw`].
pub async fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    raw(address, format!("GET {target} HTTP/1.0\r\n{headers}\r\n").as_bytes()).await
}

/// Uploads one query.
///
/// # Errors
/// As [`raw`].
pub async fn upload(address: SocketAddr, query: &str) -> anyhow::Result<Answer> {
    get(address, &format!("/torque/upload?{query}"), &[]).await
}

/// Uploads queries over that many connections at a time, in their order as far
/// as that allows; answers in the order of the queries.
///
/// # Errors
/// As [`raw`], of the first that fails.
pub async fn upload_all(
    address: SocketAddr,
    queries: Vec<String>,
    connections: usize,
) -> anyhow::Result<Vec<Answer>> {
    let count = queries.len();
    let (queries, next) = (Arc::new(queries), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (queries, next) = (queries.clone(), next.clone());
        tasks.spawn(async move {
            let mut answers = Vec::new();
            while let Some((index, query)) = claim(&queries, &next) {
                answers.push((index, upload(address, query).await?));
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        answers.extend(done.context("an uploading task ended badly")??);
    }
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

fn claim<'q>(queries: &'q [String], next: &AtomicUsize) -> Option<(usize, &'q str)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    queries.get(index).map(|query| (index, query.as_str()))
}
