//! Reads the server's trips: asks until the simulated sessions' trips are closed. Judging
//! their figures is `crate::simulate`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::sender::with_path;
use crate::simulate::ServerTrip;

/// Time between two questions.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// The server's list of trips.
pub struct TripApi {
    client: Client,
    url: Url,
    token: Option<String>,
}

#[derive(Deserialize)]
struct TripPage {
    trips: Vec<ServerTrip>,
}

impl TripApi {
    /// The list of the server at `base`.
    pub fn new(client: Client, base: &Url, token: Option<&str>) -> Self {
        let mut url = with_path(base, &["api", "trips"]);
        url.set_query(Some("limit=100"));
        Self { client, url, token: token.map(str::to_owned) }
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
            let trips = closed_among(sessions, self.fetch().await?)?;
            if trips.len() == sessions.len() {
                return Ok(trips);
            }
            ensure!(
                Instant::now() < deadline,
                "after {} s {} still has no closed trip for session(s) {}; a trip closes when \
                 TRIP_TIMEOUT_SECONDS have passed without an upload, so wait longer with \
                 --timeout-seconds",
                timeout.as_secs(),
                self.url,
                missing(sessions, &trips).join(", ")
            );
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    async fn fetch(&self) -> anyhow::Result<Vec<ServerTrip>> {
        let mut request = self.client.get(self.url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let page = async { request.send().await?.error_for_status()?.json::<TripPage>().await };
        let page = page.await.map_err(reqwest::Error::without_url);
        let page = page.with_context(|| format!("could not read the trips at {}", self.url))?;
        Ok(page.trips)
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
