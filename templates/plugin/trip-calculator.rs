//! The `@NAME@` plugin: what did a trip do? It knows the odometer and the
//! state of charge; whatever else it says is "absent".
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "trip-calculator", path: "@WIT@" });

use std::cell::Cell;

use exports::volttracker::plugins::charging::{self, Session};
use exports::volttracker::plugins::costs::{self, Cost, Usage};
use exports::volttracker::plugins::identity::{self, PluginInfo, Setting};
use exports::volttracker::plugins::live::{self, Figures, Point};
use exports::volttracker::plugins::range;
use exports::volttracker::plugins::routes::{self, Ends};
use exports::volttracker::plugins::soc_floor::{self, Floor};
use exports::volttracker::plugins::trips::{self, Failure, Readings, SocTransition, Summary, Trip};
use exports::volttracker::plugins::weather::{self, Impact, Sample};
use volttracker::plugins::progress;

/// What an operator can set. It is all that an instance may remember.
#[derive(Clone, Copy)]
struct Settings {
    battery_kwh: f64,
}

const DEFAULT: Settings = Settings { battery_kwh: 18.4 };

thread_local! {
    static SETTINGS: Cell<Settings> = const { Cell::new(DEFAULT) };
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Computes distance and energy from odometer and state of charge.".into(),
            settings: vec![Setting {
                key: "battery_kwh".into(),
                default: DEFAULT.battery_kwh.to_string(),
                doc: "Energy between 0 and 100 percent of charge: kWh.".into(),
            }],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        SETTINGS.set(read(&settings)?);
        Ok(())
    }
}

impl trips::Guest for Plugin {
    fn summarize(trip: Trip, readings: &Readings) -> Result<Summary, Failure> {
        progress::stage("calculate_basics");
        // Columns hold one entry a reading; NaN is "no value in this reading".
        let column = |name| readings.column(name).unwrap_or_default();
        let odometer = ends(&column("odometer_miles"));
        let charge = ends(&column("state_of_charge"));
        let distance_miles = odometer.map(|(first, last)| (last - first).max(0.0));
        progress::stage("calculate_efficiency");
        let start_soc = trip.start_soc.or(charge.map(|(first, _)| first));
        let used = start_soc.zip(charge).map(|(start, (_, end))| energy(start - end, SETTINGS.get()));
        Ok(Summary {
            end_time_ms: readings.times().last().copied(),
            end_odometer_miles: odometer.map(|(_, last)| last),
            distance_miles,
            distance_source: distance_miles.map(|_| "odometer".into()),
            ambient_temp_avg_f: None,
            gas_mode_entered: false,
            gas_mode_entry_time_ms: None,
            soc_at_gas_transition: None,
            fuel_level_at_gas_entry: None,
            fuel_level_at_end: None,
            electric_miles: distance_miles,
            gas_miles: None,
            gas_mpg: None,
            fuel_used_gallons: None,
            electric_kwh_used: used,
            kwh_per_mile: used.zip(distance_miles).and_then(|(kwh, miles)| per_mile(kwh, miles)),
            soc_transition: None,
            refuels: vec![],
            metrics: vec![],
        })
    }
}

impl live::Guest for Plugin {
    fn figures_of(first: Point, latest: Point) -> Figures {
        let miles = |point: &Point| point.odometer_miles;
        let driven = miles(&first).zip(miles(&latest)).map(|(first, latest)| (latest - first).max(0.0));
        let charge = first.state_of_charge.zip(latest.state_of_charge);
        let used = charge.map(|(first, latest)| energy(first - latest, SETTINGS.get()));
        Figures {
            miles_driven: driven,
            kwh_used: used,
            kwh_per_mile: used.zip(driven).and_then(|(kwh, miles)| per_mile(kwh, miles)),
            in_gas_mode: latest.engine_rpm.is_some_and(|rpm| rpm > 0.0),
            fuel_used_gallons: None,
        }
    }
}

impl weather::Guest for Plugin {
    fn condition(_code: Option<i32>) -> String {
        "Unknown".into()
    }

    fn assess(_samples: Vec<Sample>) -> Option<Impact> {
        None
    }
}

impl charging::Guest for Plugin {
    fn sessions(_readings: &charging::Readings) -> Vec<Session> {
        vec![]
    }
}

impl costs::Guest for Plugin {
    fn cost_of(_usage: Usage) -> Cost {
        Cost { electric_cost: 0.0, gas_cost: 0.0, total_cost: 0.0, cost_per_mile: None }
    }
}

impl soc_floor::Guest for Plugin {
    fn floor_of(transitions: Vec<SocTransition>) -> Floor {
        Floor {
            transitions: u32::try_from(transitions.len()).unwrap_or(u32::MAX),
            mean_soc_percent: None,
            min_soc_percent: None,
            max_soc_percent: None,
            histogram: Vec::new(),
            by_temperature: None,
        }
    }
}

impl range::Guest for Plugin {
    fn predict(_state_of_charge: f64, _recent_kwh_per_mile: f64) -> Option<f64> {
        None
    }
}

impl routes::Guest for Plugin {
    fn match_route(_trip: Ends, _known: Vec<Ends>) -> Option<u32> {
        None
    }
}

/// The first and the last value of a column.
fn ends(column: &[f64]) -> Option<(f64, f64)> {
    let mut known = column.iter().copied().filter(|value| value.is_finite());
    let first = known.next()?;
    Some((first, known.last().unwrap_or(first)))
}

/// Energy that a drop of the state of charge stands for: kWh.
fn energy(soc_drop_percent: f64, settings: Settings) -> f64 {
    (soc_drop_percent / 100.0).max(0.0) * settings.battery_kwh
}

/// kWh per mile; nothing for no miles.
fn per_mile(kwh: f64, miles: f64) -> Option<f64> {
    (miles > 0.0).then(|| kwh / miles)
}

/// Settings from their texts; what is not named keeps its default.
fn read(given: &[(String, String)]) -> Result<Settings, String> {
    let mut settings = DEFAULT;
    for (key, value) in given {
        match key.as_str() {
            "battery_kwh" => {
                settings.battery_kwh = value
                    .parse()
                    .ok()
                    .filter(|kwh| (1.0..=500.0).contains(kwh))
                    .ok_or_else(|| format!("battery_kwh is `{value}`, but takes 1 to 500"))?;
            }
            _ => return Err(format!("unknown setting `{key}`: there is battery_kwh")),
        }
    }
    Ok(settings)
}

export!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_skipped() {
        assert_eq!(ends(&[f64::NAN, 3.0, f64::NAN, 5.0, f64::NAN]), Some((3.0, 5.0)));
        assert_eq!(ends(&[f64::NAN]), None);
    }

    #[test]
    fn a_half_empty_battery_gave_half_its_energy() {
        assert_eq!(energy(50.0, DEFAULT), 9.2);
        assert_eq!(per_mile(9.2, 0.0), None);
    }
}
