//! Reads the server's API: asks until the simulated sessions' trips are closed, and for what
//! goes with them. Judging the figures is `crate::simulate`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::sender::with_path;
use crate::simulate::ServerTrip;

/// Time between two questions.
const POLL_PAUSE: Duration = Duration::from_millis(500);
/// For how long figures must stay as they are to be the last ones.
const REST: Duration = Duration::from_secs(2);
/// Rows of a page.
const PAGE_ROWS: &str = "100";
/// Pages of one list that are read at most.
const MOST_PAGES: usize = 10_000;

/// The server's API.
pub struct Api {
    client: Client,
    base: Url,
    token: Option<String>,
}

impl Api {
    /// The API of the server at `base`.
    pub fn new(client: Client, base: &Url, token: Option<&str>) -> Self {
        Self { client, base: base.clone(), token: token.map(str::to_owned) }
    }

    /// The trips of `sessions` (UUIDs as text) by session, once all are closed and stay as
    /// they are.
    ///
    /// # Errors
    /// As [`Self::closed_trips`].
    pub async fn resting_trips(
        &self,
        sessions: &[String],
        timeout: Duration,
    ) -> anyhow::Result<BTreeMap<String, ServerTrip>> {
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut before = self.closed_trips(sessions, timeout).await?;
        loop {
            tokio::time::sleep(REST).await;
            let now = self.closed_trips(sessions, left()).await?;
            if now == before {
                return Ok(now);
            }
            ensure!(!left().is_zero(), "after {} s the server's trips still change", timeout.as_secs());
            before = now;
        }
    }

    /// The trips of `sessions` (UUIDs as text) by session, once all are closed.
    ///
    /// # Errors
    /// When the list cannot be read, a trip failed, or time runs out.
    pub async fn closed_trips(
        &self,
        sessions: &[String],
        timeout: Duration,
    ) -> anyhow::Result<BTreeMap<String, ServerTrip>> {
        let deadline = Instant::now() + timeout;
        loop {
            let trips = closed_among(sessions, self.list("trips", "trips").await?)?;
            if trips.len() == sessions.len() {
                return Ok(trips);
            }
            ensure!(
                Instant::now() < deadline,
                "after {} s {} still has no closed trip for session(s) {}; a trip closes when \
                 TRIP_TIMEOUT_SECONDS have passed without an upload, so wait longer with \
                 --timeout-seconds",
                timeout.as_secs(),
                self.base,
                missing(sessions, &trips).join(", ")
            );
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    /// All rows of the list at `/api/{path}`, whose pages hold them under `name`.
    ///
    /// # Errors
    /// When a page cannot be read, or the list does not end.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, name: &str) -> anyhow::Result<Vec<T>> {
        let mut url = with_path(&self.base, &["api", path]);
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            url.query_pairs_mut().clear().append_pair("limit", PAGE_ROWS);
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page = self.page(url.clone()).await;
            let mut page = page.with_context(|| format!("could not read the {name} at {}", self.base))?;
            let found = page.remove(name).unwrap_or_default();
            let found: Vec<T> = serde_json::from_value(found)
                .with_context(|| format!("the {name} at {} are not what they should be", self.base))?;
            rows.extend(found);
            match page.remove("next_cursor") {
                Some(Value::String(next)) => cursor = Some(next),
                _ => return Ok(rows),
            }
        }
        bail!("{} has more than {MOST_PAGES} pages of {name}", self.base)
    }

    async fn page(&self, url: Url) -> Result<Map<String, Value>, reqwest::Error> {
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let page = async { request.send().await?.error_for_status()?.json().await };
        page.await.map_err(reqwest::Error::without_url)
    }
}

/// The closed ones of the wanted trips; a failed one is an error.
fn closed_among(sessions: &[String], trips: Vec<ServerTrip>) -> anyhow::Result<BTreeMap<String, ServerTrip>> {
    let wanted: BTreeSet<&String> = sessions.iter().collect();
    let mut closed = BTreeMap::new();
    for trip in trips {
        if !wanted.contains(&trip.session_id) {
            continue;
        }
        match trip.status.as_str() {
            "closed" => {
                closed.insert(trip.session_id.clone(), trip);
            }
            "failed" => bail!(
                "the server could not finalize the trip of session {}; its events say why",
                trip.session_id
            ),
            _ => {}
        }
    }
    Ok(closed)
}

fn missing<'a>(sessions: &'a [String], closed: &BTreeMap<String, ServerTrip>) -> Vec<&'a str> {
    let open = sessions.iter().filter(|s| !closed.contains_key(*s));
    open.map(String::as_str).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests {
    //! Which of the server's trips are the simulation's, and when they are done.
    use super::*;

    fn trip(session: &str, status: &str) -> ServerTrip {
        ServerTrip { session_id: session.to_owned(), status: status.to_owned(), ..ServerTrip::default() }
    }

    fn sessions() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    #[test]
    fn only_closed_trips_of_the_simulated_sessions_count() {
        let list = vec![trip("a", "closed"), trip("b", "open"), trip("other", "failed")];
        let closed = closed_among(&sessions(), list).unwrap();
        assert_eq!(closed.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(missing(&sessions(), &closed), ["b"]);
    }

    #[test]
    fn a_failed_trip_ends_the_wait() {
        let error = closed_among(&sessions(), vec![trip("b", "failed")]).unwrap_err();
        assert!(error.to_string().contains("session b"), "{error}");
    }
}
