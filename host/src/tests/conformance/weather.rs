//! What the weather service says, by the host; and what weather does to a trip,
//! by the compiled calculator.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Value, json};
use vectors::{Group, Ours, Report, number};

use super::AT_MS;
use crate::plugin_host::{PluginSet, Sample, TripReadings};
use crate::weather::{answer, points};

const IN_UTC: &str = "the request asks for UTC";
const ABSENT: &str = "an hour that the answer does not have is absent";
const ONCE: &str = "a reading counts once";

pub(super) async fn ask(report: &mut Report, plugins: &PluginSet) {
    weather_parse(report, plugins).await;
    trip_weather(report, plugins).await;
}

async fn weather_parse(report: &mut Report, plugins: &PluginSet) {
    let ours = [
        Ours::the_same("weather_parse-002", IN_UTC),
        Ours::instead("weather_parse-004", Value::Null, ABSENT),
        Ours::instead("weather_parse-007", Value::Null, ABSENT),
    ];
    let group = Group::read("weather.json", "weather_parse");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let body = if input["response"].is_null() {
            json!({"hourly": input["hourly"]})
        } else {
            input["response"].clone()
        };
        answers.push(hour_of(body.to_string().as_bytes(), input["timestamp"].as_str(), plugins).await);
    }
    report.compare(&group, &ours, &answers);
}

/// What an answer says of the hour of this time.
async fn hour_of(body: &[u8], timestamp: Option<&str>, plugins: &PluginSet) -> Value {
    let Ok(hours) = answer::parse(body) else { return Value::Null };
    let timestamp = timestamp.expect("an answer with hours is asked for one");
    let time: DateTime = timestamp.parse().expect("a time");
    let seconds = Offset::UTC.to_timestamp(time).expect("a time of this century").as_second();
    let Some(hour) = hours.get(&seconds.div_euclid(3600)) else { return Value::Null };
    json!({
        "temperature_f": hour.temperature_f,
        "precipitation_in": hour.precipitation_in,
        "wind_speed_mph": hour.wind_speed_mph,
        "weather_code": hour.weather_code,
        "is_raining": hour.is_raining(),
        "conditions": plugins.condition(hour.weather_code, AT_MS).await.expect("words"),
        "timestamp": timestamp,
    })
}

fn sample(value: &Value) -> Sample {
    Sample {
        temperature_f: number(&value["temperature_f"]),
        precipitation_in: number(&value["precipitation_in"]),
        wind_speed_mph: number(&value["wind_speed_mph"]),
        is_raining: value["is_raining"].as_bool().unwrap_or(false),
        // The contract has words for every sample.
        conditions: value["conditions"].as_str().unwrap_or("Unknown").into(),
    }
}

async fn trip_weather(report: &mut Report, plugins: &PluginSet) {
    let once = json!({"requests_lat_minute": [[37.0, 0.0]]});
    let ours = [Ours::but("trip_weather-011", once, ONCE).found_since()];
    let group = Group::read("weather.json", "trip_weather");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let samples = input["samples"].as_array().expect("a list of samples");
        let samples = samples.iter().filter(|sample| !sample.is_null()).map(sample).collect();
        let impact = plugins.assess(samples, AT_MS).await.expect("an impact");
        let impact = impact.as_ref();
        answers.push(json!({
            "requests_lat_minute": looked_at(input["duration_min"].as_i64().expect("minutes")),
            "weather_temp_f": impact.map(|impact| impact.temperature_f),
            "weather_precipitation_in": impact.map(|impact| impact.precipitation_in),
            "weather_wind_mph": impact.map(|impact| impact.wind_speed_mph),
            "weather_conditions": impact.map(|impact| &impact.conditions),
            "weather_impact_factor": impact.map(|impact| impact.factor),
            "extreme_weather": impact.map(|impact| impact.extreme),
        }));
    }
    report.compare(&group, &ours, &answers);
}

/// Where and when the weather is looked at along the drive of the vectors: to
/// the north, a thousandth of a degree and a reading a minute.
fn looked_at(minutes: i64) -> Vec<(f64, f64)> {
    let mut readings = TripReadings::at((0..=minutes).map(|minute| minute * 60_000).collect());
    for (index, minute) in (0..=minutes).enumerate() {
        readings.set(index, "latitude", (37_000 + minute) as f64 / 1000.0);
        readings.set(index, "longitude", -122.0);
    }
    let points = points::along(&readings, Duration::from_secs(15 * 60));
    points.iter().map(|point| (point.latitude, point.time_ms as f64 / 60_000.0)).collect()
}
