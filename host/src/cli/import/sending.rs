//! One file on its way to a receiver, and what comes back while it is imported.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::report::Told;
use super::{ImportArgs, Whose};
use crate::config::Secret;
use crate::outbound;

/// What is read of a file at one time: bytes.
const PART: usize = 64 * 1024;
/// Parts that wait for the connection.
const PARTS: usize = 4;
/// The longest line that a receiver may answer with: bytes.
const LONGEST_LINE: usize = 1 << 20;
/// How often progress is told where nobody watches.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The receiver, and what each request to it says.
pub(super) struct Receiver {
    client: Client,
    url: Url,
    base: Url,
    token: Option<Secret>,
    whose: Whose,
}

impl Receiver {
    pub(super) fn new(args: &ImportArgs) -> anyhow::Result<Self> {
        let url = args.url.join("/api/import").with_context(|| format!("{} has no path", args.url))?;
        let client = outbound::client(args.url.scheme() == "https").build()?;
        Ok(Self { client, url, base: args.url.clone(), token: args.token.clone(), whose: args.whose.clone() })
    }

    /// A request that says whose file it brings. A device's id goes into no
    /// address: those are logged on the way.
    fn whose(&self) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Some(vehicle) = &self.whose.vehicle {
            url.query_pairs_mut().append_pair("vehicle", vehicle);
        }
        let request = self.client.post(url);
        match &self.whose.device_id {
            Some(device) => request.header("x-device-id", device.expose()),
            None => request,
        }
    }

    /// Sends a file, and waits for what becomes of it.
    pub(super) async fn import(&self, path: &Path) -> anyhow::Result<Told> {
        let started = Instant::now();
        let file = File::open(path).await.context("it cannot be opened")?;
        let about = file.metadata().await.context("it cannot be opened")?;
        anyhow::ensure!(about.is_file(), "it is no file");
        let mut progress = Progress::new(path, about.len());
        let (sender, body) = Channel::<Bytes, io::Error>::new(PARTS);
        let sending = tokio::spawn(send(file, sender));
        let mut request = self
            .whose()
            .header(ACCEPT, "application/x-ndjson")
            .header(CONTENT_TYPE, "text/csv")
            .header(CONTENT_LENGTH, about.len())
            .body(Body::wrap(body));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        progress.tell("sending", None);
        let answered = request.send().await;
        sending.abort();
        let answered = answered
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("the receiver at {} does not take it", self.base));
        let told = match answered {
            Ok(response) => last_word(response, &mut progress).await,
            Err(error) => Err(error),
        };
        progress.end();
        let (imported, counts) = told?;
        Ok(Told { imported, counts, took: started.elapsed() })
    }
}

/// Reads a file into the body of a request, until it ends or nobody takes it.
async fn send(mut file: File, mut sender: Sender<Bytes, io::Error>) {
    loop {
        let mut part = Vec::with_capacity(PART);
        match (&mut file).take(PART as u64).read_to_end(&mut part).await {
            Ok(0) => return,
            Ok(_) if sender.send_data(part.into()).await.is_ok() => {}
            Ok(_) => return,
            Err(error) => return sender.abort(error),
        }
    }
}

/// What a receiver says in the end: whether it imported all, and its counts.
async fn last_word(mut response: Response, progress: &mut Progress) -> anyhow::Result<(bool, Value)> {
    let status = response.status();
    let mut lines = Vec::new();
    let broke_off = "the receiver hung up before it said what became of the file; it can be given again";
    while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url).context(broke_off)? {
        lines.extend_from_slice(&part);
        anyhow::ensure!(lines.len() <= LONGEST_LINE, "the answer is none of a receiver");
        while let Some(end) = lines.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = lines.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).unwrap_or_default();
            for (name, imported) in [("result", true), ("problem", false)] {
                if line[name].is_object() {
                    return Ok((imported, line[name].clone()));
                }
            }
            progress
                .tell("importing", line["progress"]["done"].as_u64().zip(line["progress"]["rows"].as_u64()));
        }
    }
    let answer: Value = serde_json::from_slice(&lines).unwrap_or_default();
    if answer["detail"].is_string() {
        return Ok((false, answer));
    }
    anyhow::ensure!(status.is_success(), "the receiver answers {status}");
    bail!(broke_off)
}

/// How far a file is, on standard error: a line that changes where somebody
/// watches, a line now and then elsewhere.
struct Progress {
    name: String,
    bytes: u64,
    started: Instant,
    told: Option<Instant>,
    watched: bool,
}

impl Progress {
    fn new(path: &Path, bytes: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, bytes, started: Instant::now(), told: None, watched: io::stderr().is_terminal() }
    }

    fn tell(&mut self, what: &str, rows: Option<(u64, u64)>) {
        if !self.watched && self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let far = match rows {
            Some((done, rows)) if rows > 0 => {
                format!("{done} of {rows} rows, {} %, {:.0} rows/s", done * 100 / rows, done as f64 / seconds)
            }
            _ => format!("{:.1} MB", self.bytes as f64 / 1e6),
        };
        let (begin, end) = if self.watched { ("\r\x1b[K", "") } else { ("", "\n") };
        // Nobody has to read it.
        write!(io::stderr(), "{begin}{}: {what}, {far}{end}", self.name).ok();
    }

    fn end(&self) {
        if self.watched {
            write!(io::stderr(), "\r\x1b[K").ok();
        }
    }
}
