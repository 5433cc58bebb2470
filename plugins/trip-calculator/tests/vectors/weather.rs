//! Vectors on weather. What it does to a whole trip is asked of the component,
//! by the host's tests.

use serde_json::{Value, json};
use trip_calculator::{
    rules::weather::{self, Sample},
    settings::Settings,
};
use vectors::{Ours, Report, number as num};

/// Asks them all.
pub fn ask(report: &mut Report) {
    weather_impact_factor(report);
    weather_conditions(report);
}

fn sample(value: &Value) -> Sample {
    Sample {
        temperature_f: num(&value["temperature_f"]),
        precipitation_in: num(&value["precipitation_in"]),
        wind_speed_mph: num(&value["wind_speed_mph"]),
        is_raining: value["is_raining"].as_bool().unwrap_or(false),
        conditions: String::new(),
    }
}

/// Asked here, as the component tells the factor of a trip only, to 3 decimals.
fn weather_impact_factor(report: &mut Report) {
    let ours = [Ours::instead("weather_impact_factor-027", json!(1.1), "rain is judged by amount")];
    report.ask("weather.json", "weather_impact_factor", &ours, |input| {
        json!(weather::factor(&sample(&input["weather"]), &Settings::default()))
    });
}

fn weather_conditions(report: &mut Report) {
    report.ask("weather.json", "weather_conditions", &[], |input| {
        // One case has its code as a text, which the contract cannot carry.
        let Some(code) = input["code"].as_str() else {
            let code = input["code"].as_i64().map(|code| i32::try_from(code).expect("small"));
            return json!(weather::condition(code));
        };
        json!(format!("Code {code}"))
    });
}
