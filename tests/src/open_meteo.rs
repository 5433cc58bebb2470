//! A stand-in for Open-Meteo, on this machine: it answers as the real service
//! does, in form and in what it refuses, or fails as it is told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::settings::Settings;

/// How long anything that a receiver does by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it answers to a request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// The weather, as the real service does.
    Weather,
    /// A status, with a reason as the real service gives it, and the seconds
    /// of a `Retry-After`.
    Status(u16, Option<u64>),
    /// A redirect to itself.
    Redirect,
    /// Nothing, as long as the client waits.
    Silence,
    /// The first half of the weather, as if it were all.
    Truncated,
    /// The first half of the weather, and the connection ends.
    BrokenOff,
    /// Texts where numbers belong.
    WrongTypes,
    /// No hour at all.
    Empty,
    /// More than anybody should read.
    Huge,
}

/// The service. Dropping it ends it.
pub struct OpenMeteo {
    address: SocketAddr,
    asked: watch::Receiver<Vec<String>>,
    acceptor: JoinHandle<()>,
}

impl OpenMeteo {
    /// Starts one that replies like this to its first requests, and with the
    /// weather from then on.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start(first: &[Reply]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, asked) = watch::channel(Vec::new());
        let script = Arc::new(Script { replies: Mutex::new(first.iter().copied().collect()), asked: sender });
        let acceptor = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, script.clone()));
            }
        });
        Ok(Self { address, asked, acceptor })
    }

    /// The targets of all requests so far, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until it is asked.
    ///
    /// # Errors
    /// It is not, in time.
    pub async fn is_asked(&self) -> anyhow::Result<()> {
        let mut asked = self.asked.clone();
        let first = tokio::time::timeout(PATIENCE, asked.wait_for(|asked| !asked.is_empty()));
        first.await.context("the weather service is not asked")??;
        Ok(())
    }

    /// Settings with which a receiver asks it.
    #[must_use]
    pub fn asked_by(&self, settings: Settings) -> Settings {
        asking(settings, self.address)
    }
}

impl Drop for OpenMeteo {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// An address at which nobody listens, as long as this is kept.
pub struct Nobody(TcpSocket);

impl Nobody {
    /// Takes one.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self(socket))
    }

    /// Settings with which a receiver asks there.
    ///
    /// # Errors
    /// It has no address.
    pub fn asked_by(&self, settings: Settings) -> anyhow::Result<Settings> {
        Ok(asking(settings, self.0.local_addr()?))
    }
}

fn asking(settings: Settings, address: SocketAddr) -> Settings {
    settings
        .set("FEATURE_WEATHER", "true")
        .set("WEATHER_API_URL", format!("http://{address}/v1/forecast?apikey=hunter2"))
        .set("WEATHER_ARCHIVE_URL", format!("http://{address}/v1/archive?apikey=hunter2"))
        .set("WEATHER_API_RETRY_DELAY", "0.01")
}

struct Script {
    replies: Mutex<VecDeque<Reply>>,
    asked: watch::Sender<Vec<String>>,
}

async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    // A client that hangs up has what it wants; one that never had an answer
    // says so in the test.
    while let Ok(Some(target)) = read_target(&mut stream).await {
        script.asked.send_modify(|asked| asked.push(target.clone()));
        let reply = script.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let reply = reply.unwrap_or(Reply::Weather);
        if let Reply::Silence = reply {
            // Until the client hangs up.
            stream.read_u8().await.ok();
            return;
        }
        let sent = stream.write_all(&answer(reply, &target)).await;
        if sent.is_err() || matches!(reply, Reply::BrokenOff) {
            return;
        }
    }
}

/// The target of the next request; nothing where the client has hung up.
async fn read_target(stream: &mut TcpStream) -> anyhow::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let head = String::from_utf8(head)?;
    let target = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    Ok(Some(target.context("a GET request")?.to_owned()))
}

fn answer(reply: Reply, target: &str) -> Vec<u8> {
    let body = match weather(target) {
        Ok(body) => body,
        Err(reason) => return http(400, "", refusal(&format!("{reason:#}")).to_string().as_bytes()),
    };
    let whole = body.to_string();
    let half = &whole.as_bytes()[..whole.len() / 2];
    match reply {
        Reply::Weather | Reply::Silence => http(200, "", whole.as_bytes()),
        Reply::Truncated => http(200, "", half),
        Reply::BrokenOff => {
            let mut answer = http(200, "", whole.as_bytes());
            answer.truncate(answer.len() - half.len());
            answer
        }
        Reply::Status(status, retry_after) => {
            let headers =
                retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
            http(status, &headers, refusal("told to refuse").to_string().as_bytes())
        }
        Reply::Redirect => http(302, &format!("Location: {target}\r\n"), b""),
        Reply::WrongTypes => {
            let mut wrong = body;
            wrong["hourly"]["temperature_2m"][0] = json!("mild");
            http(200, "", wrong.to_string().as_bytes())
        }
        Reply::Empty => {
            let mut empty = body;
            for (_, column) in empty["hourly"].as_object_mut().into_iter().flatten() {
                *column = json!([]);
            }
            http(200, "", empty.to_string().as_bytes())
        }
        Reply::Huge => http(200, "", " ".repeat(1 << 20).as_bytes()),
    }
}

fn http(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json; charset=utf-8\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn refusal(reason: &str) -> Value {
    json!({"error": true, "reason": reason})
}

/// The weather of the days asked for, in the form and the units of the real
/// service. What it does not know it refuses.
fn weather(target: &str) -> anyhow::Result<Value> {
    let url = Url::parse("http://open-meteo")?.join(target)?;
    anyhow::ensure!(matches!(url.path(), "/v1/forecast" | "/v1/archive"), "Not Found");
    let mut asked: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let mut take = |name: &str| asked.remove(name).with_context(|| format!("{name} is missing"));
    for (name, wanted) in [
        ("apikey", "hunter2"),
        ("hourly", "temperature_2m,precipitation,wind_speed_10m,weather_code"),
        ("temperature_unit", "fahrenheit"),
        ("wind_speed_unit", "mph"),
        ("precipitation_unit", "inch"),
        ("timezone", "UTC"),
    ] {
        let given = take(name)?;
        anyhow::ensure!(given == wanted, "{name} is {given}, and the tests know only {wanted}");
    }
    let latitude: f64 = take("latitude")?.parse().context("latitude")?;
    let longitude: f64 = take("longitude")?.parse().context("longitude")?;
    anyhow::ensure!((-90.0..=90.0).contains(&latitude), "Latitude must be in range of -90 to 90°.");
    let times = hours(&take("start_date")?, &take("end_date")?)?;
    anyhow::ensure!(asked.is_empty(), "unknown parameters: {asked:?}");
    let constant = |value: Value| vec![value; times.len()];
    Ok(json!({
        "latitude": latitude, "longitude": longitude, "generationtime_ms": 0.07, "utc_offset_seconds": 0,
        "timezone": "GMT", "timezone_abbreviation": "GMT", "elevation": 96.0,
        "hourly_units": {"time": "iso8601", "temperature_2m": "°F", "precipitation": "inch",
            "wind_speed_10m": "mp/h", "weather_code": "wmo code"},
        "hourly": {"temperature_2m": constant(json!(28.4)), "precipitation": constant(json!(0.02)),
            "wind_speed_10m": constant(json!(18.0)), "weather_code": constant(json!(71)), "time": times},
    }))
}

/// Every hour of these days, `2026-01-05` to at most a week later.
fn hours(first: &str, last: &str) -> anyhow::Result<Vec<String>> {
    let first: jiff::civil::Date = first.parse().context("start_date")?;
    let last: jiff::civil::Date = last.parse().context("end_date")?;
    let days = (last - first).get_days();
    anyhow::ensure!((0..=7).contains(&days), "the tests ask for a few days");
    let days = first.series(jiff::ToSpan::days(1)).take(usize::try_from(days)? + 1);
    Ok(days.flat_map(|day| (0..24).map(move |hour| format!("{day}T{hour:02}:00"))).collect())
}
