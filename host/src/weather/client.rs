//! One request to Open-Meteo, with its attempts. Whether and what to ask is
//! decided elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::{Response, Url};
use tokio::sync::watch;

use super::answer::{Hour, Unfit, parse};
use super::plan::{Request, Source};
use super::trouble::Trouble;
use crate::config::{Secret, WeatherConfig};
use crate::events::{Code, WeatherDetails, WideEvent};
use crate::outbound;

/// The largest answer: bytes. A week of hours takes a tenth of it.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Asks Open-Meteo.
pub(super) struct Client {
    http: reqwest::Client,
    forecast: Url,
    archive: Url,
    timeout: Duration,
    tries: u32,
    delay: Duration,
}

impl Client {
    pub(super) fn new(config: &WeatherConfig) -> anyhow::Result<Self> {
        let forecast = address(&config.weather_api_url, "WEATHER_API_URL")?;
        let archive = address(&config.weather_archive_url, "WEATHER_ARCHIVE_URL")?;
        let https = [&forecast, &archive].iter().any(|url| url.scheme() == "https");
        let http = outbound::client(https)
            .user_agent(concat!("volttracker/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the weather client cannot be made")?;
        Ok(Self {
            http,
            forecast,
            archive,
            timeout: Duration::from_secs_f64(config.weather_api_timeout),
            tries: config.weather_api_max_retries,
            delay: Duration::from_secs_f64(config.weather_api_retry_delay),
        })
    }

    /// Whether an attempt that begins after `pause` ends by then, come what may.
    pub(super) fn has_time(&self, pause: Duration, by: Instant) -> bool {
        Instant::now().checked_add(pause.saturating_add(self.timeout)).is_some_and(|end| end <= by)
    }

    /// What the request is, for its event.
    pub(super) fn describe(&self, request: &Request) -> WeatherDetails {
        WeatherDetails {
            peer_service: "open_meteo",
            url: shown(self.address(request), &query(request)),
            latitude: request.place.latitude(),
            longitude: request.place.longitude(),
            timeout_seconds: self.timeout.as_secs_f64(),
            ..WeatherDetails::default()
        }
    }

    /// The hours of a request, and whatever else the answer has. No attempt
    /// begins that might not end by then, and none is waited for by a process
    /// that stops.
    pub(super) async fn ask(
        &self,
        request: &Request,
        by: Instant,
        stop: &mut watch::Receiver<bool>,
        event: &mut WideEvent<WeatherDetails>,
    ) -> Result<BTreeMap<i64, Hour>, Trouble> {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopping| *stopping) => {
                Err(Trouble::ours(Code::E100, "the weather service did not answer before the receiver stopped"))
            }
            answer = self.attempts(request, by, event) => answer,
        }
    }

    async fn attempts(
        &self,
        request: &Request,
        by: Instant,
        event: &mut WideEvent<WeatherDetails>,
    ) -> Result<BTreeMap<i64, Hour>, Trouble> {
        let mut url = self.address(request).clone();
        url.query_pairs_mut().extend_pairs(query(request));
        let (mut attempt, mut delay) = (0, self.delay);
        loop {
            attempt += 1;
            event.details.attempts = attempt;
            let started = Instant::now();
            let answered = self.attempt(url.clone(), &request.hours, &mut event.details).await;
            event.timings.add_attempt(attempt, started.elapsed().as_secs_f64() * 1e3);
            let trouble = match answered {
                Ok(hours) => return Ok(hours),
                Err(trouble) => trouble,
            };
            let pause = delay.max(trouble.retry_after.unwrap_or_default());
            if attempt >= self.tries || !trouble.is_worth_another_try || !self.has_time(pause, by) {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            delay *= 2;
        }
    }

    async fn attempt(
        &self,
        url: Url,
        asked: &[i64],
        details: &mut WeatherDetails,
    ) -> Result<BTreeMap<i64, Hour>, Trouble> {
        (details.status_code, details.response_size_bytes) = (None, None);
        let request = self.http.get(url).timeout(self.timeout);
        let mut response = request.send().await.map_err(Trouble::no_answer)?;
        details.status_code = Some(response.status().as_u16());
        let body = body(&mut response).await;
        details.response_size_bytes = body.as_ref().ok().map(|body| body.len() as u64);
        if !response.status().is_success() {
            // The status says enough, whatever became of the body.
            return Err(Trouble::refused(response.status(), response.headers(), &body.unwrap_or_default()));
        }
        let hours = parse(&body?)?;
        if asked.iter().any(|hour| hours.contains_key(hour)) { Ok(hours) } else { Err(Unfit::Empty.into()) }
    }

    fn address(&self, request: &Request) -> &Url {
        match request.source {
            Source::Forecast => &self.forecast,
            Source::Archive => &self.archive,
        }
    }
}

/// What is asked for, as forecast and archive both understand it.
fn query(request: &Request) -> [(&'static str, String); 9] {
    let (first_day, last_day) = request.days();
    [
        ("latitude", format!("{:.2}", request.place.latitude())),
        ("longitude", format!("{:.2}", request.place.longitude())),
        ("start_date", first_day),
        ("end_date", last_day),
        ("hourly", "temperature_2m,precipitation,wind_speed_10m,weather_code".to_owned()),
        ("temperature_unit", "fahrenheit".to_owned()),
        ("wind_speed_unit", "mph".to_owned()),
        ("precipitation_unit", "inch".to_owned()),
        ("timezone", "UTC".to_owned()),
    ]
}

/// The whole body of an answer that is not too large.
async fn body(response: &mut Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Trouble::broken_off)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Trouble::ours(Code::E102, "the weather service's answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn address(setting: &Secret, name: &str) -> anyhow::Result<Url> {
    let url = Url::parse(setting.expose()).ok();
    // The value is not told: it may hold a key.
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .with_context(|| format!("{name} must be an address that begins with http:// or https://"))
}

/// A request as events show it: without what else the operator put into the
/// address, which may be a key.
fn shown(address: &Url, query: &[(&'static str, String)]) -> String {
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}{}?{}", address.origin().ascii_serialization(), address.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_the_operator_put_into_it() {
        let address = "https://user:hunter2@api.example:8443/v1/forecast?apikey=hunter2#hunter2";
        let shown = shown(&Url::parse(address).expect("a URL"), &[("latitude", "37.25".to_owned())]);
        assert_eq!(shown, "https://api.example:8443/v1/forecast?latitude=37.25");
    }

    #[test]
    fn only_web_addresses_are_asked_and_a_refusal_does_not_show_them() {
        for unfit in ["ftp://hunter2", "hunter2", "file:///hunter2"] {
            let setting = unfit.parse().expect("a secret");
            let refusal = address(&setting, "WEATHER_API_URL").expect_err("unfit").to_string();
            assert!(refusal.contains("WEATHER_API_URL") && !refusal.contains("hunter2"), "{refusal}");
        }
    }
}
