//! What weather does to consumption. Where weather comes from is not known
//! here.

use std::collections::BTreeMap;

use super::number::{known, mean, round};
use crate::settings::Settings;

/// Conditions by WMO code, in order of severity.
const CONDITIONS: [(i32, &str); 28] = [
    (0, "Clear"),
    (1, "Mainly Clear"),
    (2, "Partly Cloudy"),
    (3, "Overcast"),
    (45, "Foggy"),
    (48, "Rime Fog"),
    (51, "Light Drizzle"),
    (53, "Moderate Drizzle"),
    (55, "Dense Drizzle"),
    (56, "Light Freezing Drizzle"),
    (57, "Heavy Freezing Drizzle"),
    (61, "Light Rain"),
    (63, "Moderate Rain"),
    (65, "Heavy Rain"),
    (66, "Light Freezing Rain"),
    (67, "Heavy Freezing Rain"),
    (71, "Light Snow"),
    (73, "Moderate Snow"),
    (75, "Heavy Snow"),
    (77, "Snow Grains"),
    (80, "Light Showers"),
    (81, "Moderate Showers"),
    (82, "Heavy Showers"),
    (85, "Light Snow Showers"),
    (86, "Heavy Snow Showers"),
    (95, "Thunderstorm"),
    (96, "Thunderstorm with Light Hail"),
    (99, "Thunderstorm with Heavy Hail"),
];

/// The weather at one place and hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Temperature: °F.
    pub temperature_f: Option<f64>,
    /// Precipitation in that hour: inches.
    pub precipitation_in: Option<f64>,
    /// Wind speed: mph.
    pub wind_speed_mph: Option<f64>,
    /// Whether the weather service calls it rain.
    pub is_raining: bool,
    /// Condition as words.
    pub conditions: String,
}

/// The weather of a whole trip.
#[derive(Clone, Debug, PartialEq)]
pub struct Impact {
    /// Mean temperature: °F, 1 decimal.
    pub temperature_f: Option<f64>,
    /// Mean precipitation: inches, 2 decimals.
    pub precipitation_in: Option<f64>,
    /// Mean wind speed: mph, 1 decimal.
    pub wind_speed_mph: Option<f64>,
    /// The commonest condition; the more severe one of equals.
    pub conditions: String,
    /// Mean factor on consumption: 1 is no effect; 3 decimals.
    pub factor: f64,
    /// Whether the means are extreme.
    pub extreme: bool,
}

/// A WMO weather code in words: `Unknown` without one, `Code 4` for one that
/// has no words.
#[must_use]
pub fn condition(code: Option<i32>) -> String {
    let Some(code) = code else {
        return "Unknown".into();
    };
    let known = CONDITIONS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("Code {code}"), |(_, words)| (*words).into())
}

/// By how much one sample raises consumption: 1 is no effect.
///
/// Rain is judged by its amount; where the service calls it rain without an
/// amount, it is any rain.
#[must_use]
pub fn factor(sample: &Sample, settings: &Settings) -> f64 {
    let (temperature, rain, wind) = (
        sample.temperature_f.and_then(known),
        sample.precipitation_in.and_then(known).unwrap_or(0.0),
        sample.wind_speed_mph.and_then(known).unwrap_or(0.0),
    );
    let mut factor = 1.0;
    factor += temperature.map_or(0.0, |f| temperature_factor(f, settings));
    if rain > settings.weather_heavy_rain_in {
        factor += settings.weather_heavy_rain_factor;
    } else if rain > 0.0 || sample.is_raining {
        factor += settings.weather_rain_factor;
    }
    if wind > settings.weather_storm_mph {
        factor += settings.weather_storm_factor;
    } else if wind > settings.weather_wind_mph {
        factor += settings.weather_wind_factor;
    }
    factor
}

fn temperature_factor(temperature_f: f64, settings: &Settings) -> f64 {
    let s = settings;
    match temperature_f {
        f if f < s.weather_freezing_f => s.weather_freezing_factor,
        f if f < s.weather_cold_f => s.weather_cold_factor,
        f if f < s.weather_cool_f => s.weather_cool_factor,
        f if f > s.weather_hot_f => s.weather_hot_factor,
        f if f > s.weather_warm_f => s.weather_warm_factor,
        _ => 0.0,
    }
}

/// The impact of a trip's samples; nothing without samples.
#[must_use]
pub fn assess(samples: &[Sample], settings: &Settings) -> Option<Impact> {
    let factor = mean(samples.iter().map(|sample| factor(sample, settings)))?;
    let mean_of = |field: fn(&Sample) -> Option<f64>| mean(samples.iter().filter_map(field));
    let temperature_f = mean_of(|sample| sample.temperature_f);
    let precipitation_in = mean_of(|sample| sample.precipitation_in);
    let wind_speed_mph = mean_of(|sample| sample.wind_speed_mph);
    let extreme = temperature_f
        .is_some_and(|f| f < settings.weather_freezing_f || f > settings.weather_hot_f)
        || precipitation_in.is_some_and(|inches| inches > settings.weather_heavy_rain_in)
        || wind_speed_mph.is_some_and(|mph| mph > settings.weather_storm_mph);
    Some(Impact {
        temperature_f: temperature_f.map(|f| round(f, 1)),
        precipitation_in: precipitation_in.map(|inches| round(inches, 2)),
        wind_speed_mph: wind_speed_mph.map(|mph| round(mph, 1)),
        conditions: commonest(samples)?.to_owned(),
        factor: round(factor, 3),
        extreme,
    })
}

/// The commonest condition; of equals the more severe, else the first by name.
fn commonest(samples: &[Sample]) -> Option<&str> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.conditions.as_str()).or_insert(0_usize) += 1;
    }
    let rank = |words: &str, count: usize| (count, severity(words));
    let best = counts.iter().rev().max_by_key(|(words, count)| rank(words, **count));
    best.map(|(words, _)| *words)
}

/// Place in the order of severity; words of no code are the least severe.
fn severity(words: &str) -> Option<usize> {
    CONDITIONS.iter().position(|(_, known)| *known == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(conditions: &str) -> Sample {
        Sample { conditions: conditions.into(), ..Sample::default() }
    }

    #[test]
    fn without_samples_there_is_no_impact() {
        assert_eq!(assess(&[], &Settings::default()), None);
    }

    #[test]
    fn heavy_rain_counts_whatever_the_flag_says() {
        let downpour = Sample { precipitation_in: Some(2.0), ..Sample::default() };

        assert_eq!(factor(&downpour, &Settings::default()), 1.1);
    }

    #[test]
    fn of_equally_common_conditions_the_more_severe_counts() {
        let samples = ["Overcast", "Light Snow", "Clear", "Light Snow", "Overcast"].map(sample);
        let impact = assess(&samples, &Settings::default()).expect("there are samples");

        assert_eq!(impact.conditions, "Light Snow");
        assert_eq!(commonest(&["Clear", "Code 4"].map(sample)), Some("Clear"));
    }

    #[test]
    fn values_that_are_none_do_not_count() {
        let odd = Sample {
            temperature_f: Some(f64::NAN),
            precipitation_in: Some(f64::INFINITY),
            ..sample("Clear")
        };

        let impact = assess(&[odd], &Settings::default()).expect("there is a sample");

        assert_eq!((impact.temperature_f, impact.precipitation_in), (None, None));
        assert_eq!((impact.factor, impact.extreme), (1.0, false));
    }

    #[test]
    fn means_decide_on_extremes() {
        let at = |f| Sample { temperature_f: Some(f), ..sample("Clear") };
        let extreme = |temperatures: [f64; 2]| {
            assess(&temperatures.map(at), &Settings::default()).is_some_and(|i| i.extreme)
        };

        assert!(!extreme([96.0, 90.0]));
        assert!(extreme([100.0, 92.0]));
    }
}
