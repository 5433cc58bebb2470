//! What Open-Meteo answers, and the hours in it. Pure: any bytes give hours or
//! say what is wrong with them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::plan::hour_of;

/// The weather at one place in one hour; absent is what the answer leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Hour {
    /// Temperature: °F.
    pub(crate) temperature_f: Option<f64>,
    /// Precipitation of that hour: inches.
    pub(crate) precipitation_in: Option<f64>,
    /// Wind speed: mph.
    pub(crate) wind_speed_mph: Option<f64>,
    /// WMO weather code.
    pub(crate) weather_code: Option<i32>,
}

impl Hour {
    /// Whether the service calls it rain: drizzle, rain, showers of rain,
    /// thunderstorms. (WMO code table 4677.)
    pub(crate) fn is_raining(&self) -> bool {
        matches!(self.weather_code, Some(51..=67 | 80..=82 | 95..=99))
    }
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// It ends too early, and may be whole the next time.
    #[error("the JSON breaks off: {0}")]
    BrokenOff(serde_json::Error),
    /// It is not the JSON that it should be.
    #[error("it is not the JSON that it should be: {0}")]
    Other(serde_json::Error),
    /// It is not in the units, or not in the zone, that were asked for.
    #[error("{0} is {1}, not {2}")]
    NotAsAsked(&'static str, String, &'static str),
    /// It has nothing on any of the hours that were asked for.
    #[error("it says nothing of the hours asked for")]
    Empty,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    utc_offset_seconds: i64,
    #[serde(default)]
    hourly_units: BTreeMap<String, String>,
    hourly: Hourly,
}

#[derive(Deserialize)]
struct Hourly {
    time: Vec<String>,
    #[serde(default)]
    temperature_2m: Vec<Option<f64>>,
    #[serde(default)]
    precipitation: Vec<Option<f64>>,
    #[serde(default)]
    wind_speed_10m: Vec<Option<f64>>,
    #[serde(default)]
    weather_code: Vec<Option<i32>>,
}

/// The units that are asked for.
const UNITS: [(&str, &str); 3] =
    [("temperature_2m", "°F"), ("precipitation", "inch"), ("wind_speed_10m", "mp/h")];

/// The hours of an answer of which it says anything, counted from 1970 on.
pub(crate) fn parse(body: &[u8]) -> Result<BTreeMap<i64, Hour>, Unfit> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| if error.is_eof() { Unfit::BrokenOff(error) } else { Unfit::Other(error) })?;
    if answer.utc_offset_seconds != 0 {
        return Err(Unfit::NotAsAsked("utc_offset_seconds", answer.utc_offset_seconds.to_string(), "0"));
    }
    for (name, unit) in UNITS {
        if let Some(other) = answer.hourly_units.get(name).filter(|other| *other != unit) {
            return Err(Unfit::NotAsAsked(name, other.clone(), unit));
        }
    }
    let hourly = &answer.hourly;
    let hour = |index: usize| Hour {
        temperature_f: at(&hourly.temperature_2m, index),
        precipitation_in: at(&hourly.precipitation, index).filter(|inches| *inches >= 0.0),
        wind_speed_mph: at(&hourly.wind_speed_10m, index).filter(|mph| *mph >= 0.0),
        weather_code: at(&hourly.weather_code, index),
    };
    let hours = hourly.time.iter().enumerate();
    let hours = hours.filter_map(|(index, time)| Some((parse_time(time)?, hour(index))));
    Ok(hours.filter(|(_, hour)| *hour != Hour::default()).collect())
}

fn at<T: Copy>(column: &[Option<T>], index: usize) -> Option<T> {
    column.get(index).copied().flatten()
}

/// `2026-01-05T13:00`, in UTC.
fn parse_time(text: &str) -> Option<i64> {
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    Some(hour_of(zoned.as_millisecond()))
}

#[cfg(test)]
mod tests;
