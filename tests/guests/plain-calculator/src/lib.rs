//! A trip calculator for tests: its summary says what it was given; its start
//! charge, or a setting, says how to misbehave. No real rule.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "trip-calculator", path: "../../../wit" });

use std::cell::RefCell;

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

/// Start charges that are no charges.
const FAIL: f64 = -1.0;
const PANIC: f64 = -2.0;
const NOT_A_NUMBER: f64 = -3.0;
const BAD_STAGE: f64 = -4.0;

/// Readings from which on a trip is a long one; the trial's is.
const LONG: usize = 20;

thread_local! {
    /// What to do about short trips.
    static IN_CALL: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        PluginInfo {
            name: "plain-calculator".into(),
            version: "0.1.0".into(),
            description: "Repeats what it is given.".into(),
            settings: vec![Setting {
                key: "in_call".into(),
                default: String::new(),
                doc: "What it does when asked of a short trip.".into(),
            }],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        for (key, value) in settings {
            match key.as_str() {
                "in_call" => IN_CALL.set(value),
                _ => return Err(format!("no setting `{key}`; there is in_call")),
            }
        }
        Ok(())
    }
}

impl trips::Guest for Plugin {
    fn summarize(trip: Trip, readings: &Readings) -> Result<Summary, Failure> {
        progress::stage("calculate_basics");
        let odometer = readings.column("odometer_miles").unwrap_or_default();
        progress::stage("process_gas_mode");
        let told = IN_CALL.with_borrow(String::clone);
        if readings.times().len() < LONG {
            guest_habits::indulge(&told);
            if let Some(stage) = told.strip_prefix("fail_in_") {
                return Err(Failure { stage: stage.into(), message: "told to".into() });
            }
        }
        let mut distance_miles = odometer.last().map(|last| last - odometer[0]);
        match trip.start_soc {
            Some(FAIL) => {
                return Err(Failure { stage: "process_gas_mode".into(), message: "told to".into() });
            }
            Some(PANIC) => panic!("told to"),
            Some(NOT_A_NUMBER) => distance_miles = Some(f64::NAN),
            Some(BAD_STAGE) => progress::stage("Not A Name"),
            _ => {}
        }
        Ok(Summary {
            end_time_ms: readings.times().last().copied(),
            end_odometer_miles: odometer.last().copied(),
            distance_miles,
            distance_source: Some("odometer".into()),
            ambient_temp_avg_f: None,
            gas_mode_entered: false,
            gas_mode_entry_time_ms: None,
            soc_at_gas_transition: None,
            fuel_level_at_gas_entry: None,
            fuel_level_at_end: None,
            electric_miles: None,
            gas_miles: None,
            gas_mpg: None,
            fuel_used_gallons: None,
            electric_kwh_used: None,
            kwh_per_mile: None,
            soc_transition: None,
            refuels: vec![],
            metrics: vec![("columns_asked_for".into(), 1.0)],
        })
    }
}

impl live::Guest for Plugin {
    fn figures_of(first: Point, latest: Point) -> Figures {
        let miles = |point: Point| point.odometer_miles.unwrap_or(0.0);
        Figures {
            miles_driven: Some(miles(latest) - miles(first)),
            kwh_used: None,
            kwh_per_mile: None,
            in_gas_mode: false,
            fuel_used_gallons: None,
        }
    }
}

impl weather::Guest for Plugin {
    fn condition(code: Option<i32>) -> String {
        code.map_or("Unknown".into(), |code| format!("Code {code}"))
    }

    fn assess(samples: Vec<Sample>) -> Option<Impact> {
        let sample = samples.into_iter().next()?;
        Some(Impact {
            temperature_f: sample.temperature_f,
            precipitation_in: sample.precipitation_in,
            wind_speed_mph: sample.wind_speed_mph,
            conditions: sample.conditions,
            factor: 1.0,
            extreme: false,
        })
    }
}

impl charging::Guest for Plugin {
    fn sessions(_readings: &charging::Readings) -> Vec<Session> {
        vec![]
    }
}

impl costs::Guest for Plugin {
    fn cost_of(usage: Usage) -> Cost {
        let gas_cost = usage.gas_gallons.unwrap_or(0.0) * 3.0;
        Cost { electric_cost: 0.0, gas_cost, total_cost: gas_cost, cost_per_mile: None }
    }
}

impl soc_floor::Guest for Plugin {
    fn floor_of(transitions: Vec<SocTransition>) -> Floor {
        Floor {
            transitions: u32::try_from(transitions.len()).unwrap_or(u32::MAX),
            mean_soc_percent: None,
            min_soc_percent: None,
            max_soc_percent: None,
            histogram: vec![],
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

export!(Plugin);
