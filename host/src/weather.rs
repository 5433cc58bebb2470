//! The weather along a trip, from Open-Meteo. What it does to consumption is
//! the calculator's business. Nothing here holds a transaction, delays an
//! upload or fails a trip: what cannot be had is left out.

pub(crate) mod answer;
mod client;
mod pause;
mod plan;
pub(crate) mod points;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::WeatherConfig;
use crate::events::{Outcome, Technical, WeatherDetails, WideEvent};
use crate::plugin_host::{Impact, PluginError, PluginSet, Sample, TripReadings};

use self::answer::Hour;
use self::client::Client;
use self::pause::Pause;
use self::plan::{PlaceHour, Request};

/// Hours that are remembered: a few megabytes.
const REMEMBERED: u64 = 50_000;
/// How long: the service may correct what it said of the last days.
const REMEMBERED_FOR: Duration = Duration::from_secs(6 * 3600);

/// Open-Meteo, what it said, and whether it is to be asked.
pub struct Weather {
    client: Client,
    hours: moka::sync::Cache<PlaceHour, Hour>,
    pause: Pause,
    interval: Duration,
}

/// What there is of the weather along a trip.
#[derive(Debug, Default)]
pub struct Found {
    /// One a point of the trip, where it is known.
    hours: Vec<Hour>,
    /// Points of the trip that were looked at.
    pub points: usize,
    /// Requests that were made.
    pub requests: u32,
    /// Why some of it may be missing.
    pub missed: Option<Missed>,
}

/// Why weather is missing: what was met first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// A request failed; its event says why.
    Failed,
    /// The trip's time for weather is over.
    OutOfTime,
    /// The service was unwell a short while ago, and is not asked.
    Paused,
}

impl Missed {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::OutOfTime => "out_of_time",
            Self::Paused => "paused",
        }
    }
}

impl Weather {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// A setting is unfit.
    pub fn new(config: &WeatherConfig) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(config)?,
            hours: moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
            pause: Pause::default(),
            interval: Duration::from_secs(60 * config.weather_sample_interval),
        })
    }

    /// How long the service is left alone from now on.
    pub fn pause_left(&self) -> Duration {
        self.pause.left(Instant::now())
    }

    /// Hours that are remembered, about.
    pub fn remembered_hours(&self) -> u64 {
        self.hours.entry_count()
    }

    /// The weather along these readings, as far as it can be had by then. Each
    /// request has the event that `open` gives.
    pub async fn along(
        &self,
        readings: &TripReadings,
        by: Instant,
        mut stop: watch::Receiver<bool>,
        open: impl Fn(WeatherDetails) -> WideEvent<WeatherDetails>,
    ) -> Found {
        let points: Vec<_> = points::along(readings, self.interval).iter().map(PlaceHour::of).collect();
        let (mut known, unknown) = self.remembered(&points);
        let mut found = Found { points: points.len(), ..Found::default() };
        for request in plan::requests(&unknown, Timestamp::now().as_millisecond()) {
            let missed = if self.pause.holds(Instant::now()) {
                Some(Missed::Paused)
            } else if !self.client.has_time(Duration::ZERO, by) || *stop.borrow() {
                Some(Missed::OutOfTime)
            } else {
                None
            };
            if missed.is_some() {
                found.missed = found.missed.or(missed);
                break;
            }
            found.requests += 1;
            match self.ask(&request, by, &mut stop, open(self.client.describe(&request))).await {
                Some(hours) => known.extend(hours),
                None => found.missed = found.missed.or(Some(Missed::Failed)),
            }
        }
        found.hours = points.iter().filter_map(|point| known.get(point)).copied().collect();
        found
    }

    fn remembered(&self, points: &[PlaceHour]) -> (BTreeMap<PlaceHour, Hour>, BTreeSet<PlaceHour>) {
        let (mut known, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for point in points {
            match self.hours.get(point) {
                Some(hour) => drop(known.insert(*point, hour)),
                None => drop(unknown.insert(*point)),
            }
        }
        (known, unknown)
    }

    /// Makes one request, remembers what it brings and tells about it.
    async fn ask(
        &self,
        request: &Request,
        by: Instant,
        stop: &mut watch::Receiver<bool>,
        mut event: WideEvent<WeatherDetails>,
    ) -> Option<BTreeMap<PlaceHour, Hour>> {
        event.technical.set(Technical::WEATHER_SOURCE, request.source.as_str());
        event.technical.set(Technical::HOURS_ASKED, request.hours.len());
        let answer = self.client.ask(request, by, stop, &mut event).await;
        match answer {
            Ok(hours) => {
                self.pause.end();
                let told = request.hours.iter().filter(|hour| hours.contains_key(hour)).count();
                event.technical.set(Technical::HOURS_FOUND, told);
                event.finish(Outcome::Success);
                let of_place = |(hour, weather)| (PlaceHour { place: request.place, hour }, weather);
                let hours: BTreeMap<_, _> = hours.into_iter().map(of_place).collect();
                self.remember(&hours);
                Some(hours)
            }
            Err(trouble) => {
                let retry_after = trouble.retry_after.map(|pause| pause.as_secs());
                event.technical.set_some(Technical::RETRY_AFTER_SECONDS, retry_after);
                if trouble.is_unwell {
                    let pause = self.pause.begin(Instant::now(), trouble.retry_after);
                    event.technical.set(Technical::PAUSED_FOR_SECONDS, pause.as_secs());
                }
                event.finish(Outcome::Failure(trouble.failure));
                None
            }
        }
    }

    /// What is still to come is a forecast, and will be known better.
    fn remember(&self, hours: &BTreeMap<PlaceHour, Hour>) {
        let now = plan::hour_of(Timestamp::now().as_millisecond());
        for (place_hour, weather) in hours.iter().filter(|(place_hour, _)| place_hour.hour <= now) {
            self.hours.insert(*place_hour, *weather);
        }
    }
}

impl Found {
    /// What the weather does to the trip, by the calculator; nothing where
    /// none is known.
    ///
    /// # Errors
    /// The calculator fails.
    pub async fn impact(&self, plugins: &PluginSet, at_ms: i64) -> Result<Option<Impact>, PluginError> {
        if self.hours.is_empty() {
            return Ok(None);
        }
        let mut words: BTreeMap<Option<i32>, String> = BTreeMap::new();
        let mut samples = Vec::with_capacity(self.hours.len());
        for hour in &self.hours {
            let conditions = match words.get(&hour.weather_code) {
                Some(words) => words.clone(),
                None => plugins.condition(hour.weather_code, at_ms).await?,
            };
            words.insert(hour.weather_code, conditions.clone());
            samples.push(Sample {
                temperature_f: hour.temperature_f,
                precipitation_in: hour.precipitation_in,
                wind_speed_mph: hour.wind_speed_mph,
                is_raining: hour.is_raining(),
                conditions,
            });
        }
        plugins.assess(samples, at_ms).await
    }
}
