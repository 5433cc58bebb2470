//! A steady load of uploads: connections that stay open, each with a phone of
//! its own that sends its next reading when the last one is answered.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A load that is under way.
pub struct Load {
    stop: watch::Sender<bool>,
    connections: JoinSet<Vec<Sent>>,
}

/// One upload.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When it was sent.
    pub at: Instant,
    /// How long its answer took.
    pub time: Duration,
    /// What was wrong with the answer, if anything.
    pub failure: Option<String>,
}

impl Load {
    /// Starts to upload over that many connections. `query` makes the upload of
    /// that number of that connection.
    pub fn start(
        address: SocketAddr,
        connections: u32,
        query: impl Fn(u32, u32) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for connection in 0..connections {
            let (query, stopped) = (query.clone(), stopped.clone());
            tasks.spawn(async move { run(address, stopped, |number| query(connection, number)).await });
        }
        Self { stop, connections: tasks }
    }

    /// Lets the uploads under way end; all there were, in the order of their
    /// beginning.
    pub async fn stop(self) -> Vec<Sent> {
        self.stop.send_replace(true);
        let mut sent: Vec<Sent> = self.connections.join_all().await.into_iter().flatten().collect();
        sent.sort_by_key(|sent| sent.at);
        sent
    }
}

async fn run(
    address: SocketAddr,
    stopped: watch::Receiver<bool>,
    query: impl Fn(u32) -> String,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut connection = None;
    for number in 0.. {
        if *stopped.borrow() {
            break;
        }
        let at = Instant::now();
        let answered = tokio::time::timeout(PATIENCE, upload(address, &mut connection, &query(number))).await;
        let failure = match answered {
            Ok(Ok(answer)) if answer == "200 OK!" => None,
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if failure.is_some() {
            connection = None;
        }
        sent.push(Sent { at, time: at.elapsed(), failure });
    }
    sent
}

/// Status and body of an answer.
async fn upload(
    address: SocketAddr,
    connection: &mut Option<BufReader<TcpStream>>,
    query: &str,
) -> anyhow::Result<String> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await.context("connecting")?;
            stream.set_nodelay(true)?;
            connection.insert(BufReader::new(stream))
        }
    };
    let request = format!("GET /torque/upload?{query} HTTP/1.1\r\nHost: volttracker\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("sending")?;
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection was closed");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("a length")?;
            }
        } else {
            status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(format!("{status} {}", String::from_utf8_lossy(&body)))
}

/// The time within which this percentage of the uploads was answered.
pub fn percentile(sent: &[Sent], percent: usize) -> Duration {
    let mut times: Vec<_> = sent.iter().map(|sent| sent.time).collect();
    times.sort_unstable();
    times.get((times.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default()
}
