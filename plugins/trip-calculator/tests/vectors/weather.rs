//! Vectors on what weather does to consumption.

use serde_json::{Value, json};
use trip_calculator::{
    rules::weather::{self, Sample},
    settings::Settings,
};

use crate::cases::{check, number as num};

fn sample(value: &Value) -> Sample {
    Sample {
        temperature_f: num(&value["temperature_f"]),
        precipitation_in: num(&value["precipitation_in"]),
        wind_speed_mph: num(&value["wind_speed_mph"]),
        is_raining: value["is_raining"].as_bool().unwrap_or(false),
        conditions: value["conditions"].as_str().unwrap_or_default().into(),
    }
}

#[test]
fn weather_impact_factor() {
    let ours = [("weather_impact_factor-027", json!(1.1), "rain is judged by amount")];
    check("weather.json", "weather_impact_factor", &ours, |input| {
        json!(weather::factor(&sample(&input["weather"]), &Settings::default()))
    });
}

#[test]
fn weather_conditions() {
    check("weather.json", "weather_conditions", &[], |input| {
        // One case has its code as a text, which the contract cannot carry.
        let Some(code) = input["code"].as_str() else {
            let code = input["code"].as_i64().map(|code| i32::try_from(code).expect("small"));
            return json!(weather::condition(code));
        };
        json!(format!("Code {code}"))
    });
}

#[test]
fn trip_weather() {
    check("weather.json", "trip_weather", &[], |input| {
        let samples = input["samples"].as_array().expect("a list of samples");
        let samples: Vec<_> = samples.iter().filter(|s| !s.is_null()).map(sample).collect();
        let impact = weather::assess(&samples, &Settings::default());
        let impact = impact.as_ref();
        json!({
            "weather_temp_f": impact.map(|i| i.temperature_f),
            "weather_precipitation_in": impact.map(|i| i.precipitation_in),
            "weather_wind_mph": impact.map(|i| i.wind_speed_mph),
            "weather_conditions": impact.map(|i| &i.conditions),
            "weather_impact_factor": impact.map(|i| i.factor),
            "extreme_weather": impact.map(|i| i.extreme),
        })
    });
}
