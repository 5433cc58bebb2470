//! Sends one upload until the server has it, as the app does: `OK!` is the only answer that
//! ends it. What is uploaded and when is the vehicle's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode, Url};

use crate::cli::output::say;

/// The only answer that means the server keeps the upload.
const KEPT: &str = "OK!";
/// Characters of an unexpected answer that an error shows.
const SHOWN_ANSWER_CHARS: usize = 120;
/// Time between two lines on a server that asks to wait, for all vehicles together.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How often and how soon an upload is sent again.
#[derive(Clone, Copy, Debug)]
pub struct ResendPolicy {
    /// Answers to one upload that ask to come back, before giving up.
    pub busy_tries: u32,
    /// Longest wait that a `Retry-After` may ask for.
    pub longest_busy_pause: Duration,
    /// Other failures of one upload before giving up.
    pub error_tries: u32,
    /// Wait after the first failure; doubled after each further one.
    pub error_pause: Duration,
}

impl Default for ResendPolicy {
    fn default() -> Self {
        Self {
            busy_tries: 60,
            longest_busy_pause: Duration::from_secs(10),
            error_tries: 4,
            error_pause: Duration::from_millis(500),
        }
    }
}

/// Sends uploads to one server.
#[derive(Clone, Debug)]
pub struct Sender {
    client: Client,
    upload_url: Url,
    /// The address without the token, for messages.
    shown_url: String,
    policy: ResendPolicy,
    /// When it was last told that the server asks to wait.
    told: Arc<Mutex<Option<Instant>>>,
}

/// What one try came to.
enum Outcome {
    Kept,
    Busy(StatusCode, Duration),
    /// Trying again cannot help; what to check instead.
    Hopeless(String),
    Failed(String),
}

impl Sender {
    /// A sender to the server at `base`; the token goes into the path, as with the app.
    pub fn new(client: Client, base: &Url, token: Option<&str>, policy: ResendPolicy) -> Self {
        let mut upload_url = with_path(base, &["torque", "upload"]);
        let shown_url = upload_url.to_string();
        if let Some(token) = token {
            upload_url = with_path(&upload_url, &[token]);
        }
        Self { client, upload_url, shown_url, policy, told: Arc::default() }
    }

    /// Sends until the server answers `OK!`; gives the number of resends it took.
    ///
    /// # Errors
    /// When the policy's tries are used up or the server's answer cannot change.
    pub async fn send(&self, query: &str) -> anyhow::Result<u32> {
        let url = &self.shown_url;
        let (mut busy, mut failures) = (0, 0);
        loop {
            let pause = match self.try_once(query).await {
                Outcome::Kept => return Ok(busy + failures),
                Outcome::Hopeless(why) => bail!("{url}: {why}"),
                Outcome::Busy(status, pause) => {
                    busy += 1;
                    if busy >= self.policy.busy_tries {
                        bail!(
                            "{url} answered {} {busy} times to one upload; is its disk full, its database away or its rate limit low? Its log tells",
                            status.as_u16()
                        );
                    }
                    let pause = pause.min(self.policy.longest_busy_pause);
                    self.tell_of_wait(status, pause);
                    pause
                }
                Outcome::Failed(why) => {
                    failures += 1;
                    if failures >= self.policy.error_tries {
                        bail!("{url} did not keep an upload in {failures} tries: {why}");
                    }
                    self.policy.error_pause * 2_u32.saturating_pow(failures - 1)
                }
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Says that the server is waited for, and why, now and then: nobody else would.
    fn tell_of_wait(&self, status: StatusCode, pause: Duration) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let why = match status {
            StatusCode::TOO_MANY_REQUESTS => "more uploads a minute than its RATE_LIMIT_PER_MINUTE allows",
            _ => "it cannot keep uploads now; its log tells why",
        };
        let (url, status, seconds) = (&self.shown_url, status.as_u16(), pause.as_secs());
        say(&format!("{url} answered {status}: {why}; sending it again in {seconds} s"));
    }

    async fn try_once(&self, query: &str) -> Outcome {
        let mut url = self.upload_url.clone();
        url.set_query(Some(query));
        let response = match self.client.get(url).send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(no_answer(error)),
        };
        let status = response.status();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            let header = response.headers().get(RETRY_AFTER);
            let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Outcome::Busy(status, Duration::from_secs(seconds.unwrap_or(1)));
        }
        let body = match response.text().await {
            Ok(body) => body,
            Err(error) => return Outcome::Failed(no_answer(error)),
        };
        judge(status, &body)
    }
}

/// What an answer means that does not ask to come back.
fn judge(status: StatusCode, body: &str) -> Outcome {
    let shown: String = body.chars().take(SHOWN_ANSWER_CHARS).collect();
    match status {
        StatusCode::OK if body == KEPT => Outcome::Kept,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Hopeless(format!(
            "the server refused the token ({status}); give the server's TORQUE_API_TOKEN with --token"
        )),
        StatusCode::NOT_FOUND => Outcome::Hopeless(format!(
            "nothing there takes uploads ({status}); is --url the address of a VoltTracker server?"
        )),
        _ => Outcome::Failed(format!(
            "it answered {status} {shown:?} and not 200 {KEPT:?}; is --url the address of a VoltTracker server?"
        )),
    }
}

/// Says why there was no answer, without the address, which may hold the token.
fn no_answer(error: reqwest::Error) -> String {
    let connecting = error.is_connect();
    let error = anyhow::Error::new(error.without_url());
    let hint = if connecting { "; is the server running, and is --url right?" } else { "" };
    format!("{error:#}{hint}")
}

/// `base` with segments added to its path, escaped as they need.
pub fn with_path(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    // An http address always has a path to add to.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
