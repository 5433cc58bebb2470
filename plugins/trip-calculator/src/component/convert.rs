//! Values of the contract from and to values of the rules, field by field.
//! Nothing is computed here.

use super::bindings::exports::volttracker::plugins::{
    charging, costs, live, routes, soc_floor, trips, weather,
};
use crate::rules;

impl From<trips::Trip> for rules::summary::Trip {
    fn from(trip: trips::Trip) -> Self {
        let known = |value: Option<f64>| value.and_then(rules::number::known);
        Self {
            start_odometer: known(trip.start_odometer_miles),
            start_soc: known(trip.start_soc),
            previous_fuel_percent: known(trip.previous_fuel_level_percent),
        }
    }
}

impl From<rules::summary::Failure> for trips::Failure {
    fn from(failure: rules::summary::Failure) -> Self {
        Self { stage: failure.stage.into(), message: failure.message }
    }
}

impl From<rules::summary::Summary> for trips::Summary {
    fn from(summary: rules::summary::Summary) -> Self {
        let transition = summary.transition;
        let settled = summary.settled_fuel.into_iter();
        Self {
            end_time_ms: summary.end_time_ms,
            end_odometer_miles: summary.end_odometer,
            distance_miles: summary.distance.map(|(miles, _)| miles),
            distance_source: summary.distance.map(|(_, origin)| origin.name().into()),
            ambient_temp_avg_f: summary.ambient_f,
            gas_mode_entered: transition.is_some(),
            gas_mode_entry_time_ms: transition.map(|t| t.time_ms),
            soc_at_gas_transition: transition.and_then(|t| t.soc_percent),
            fuel_level_at_gas_entry: summary.fuel_at_entry,
            fuel_level_at_end: summary.fuel_at_end,
            electric_miles: summary.split.electric_miles,
            gas_miles: summary.split.gas_miles,
            gas_mpg: summary.gas_mpg,
            fuel_used_gallons: summary.fuel_used_gallons,
            electric_kwh_used: summary.electric_kwh,
            kwh_per_mile: summary.kwh_per_mile,
            soc_transition: transition.map(Into::into),
            refuels: summary.fills.into_iter().map(Into::into).collect(),
            metrics: settled.map(|percent| ("settled_fuel_level_percent".into(), percent)).collect(),
        }
    }
}

impl From<rules::summary::Transition> for trips::SocTransition {
    fn from(transition: rules::summary::Transition) -> Self {
        Self {
            time_ms: transition.time_ms,
            soc_percent: transition.soc_percent,
            ambient_temp_f: transition.ambient_f,
            odometer_miles: transition.odometer,
        }
    }
}

impl From<rules::summary::Fill> for trips::Refuel {
    fn from(fill: rules::summary::Fill) -> Self {
        Self {
            time_ms: fill.time_ms,
            level_before_percent: fill.refuel.before_percent,
            level_after_percent: fill.refuel.after_percent,
            gallons: fill.refuel.gallons,
            odometer_miles: fill.odometer,
        }
    }
}

impl From<live::Point> for rules::live::Point {
    fn from(point: live::Point) -> Self {
        Self {
            odometer_miles: point.odometer_miles,
            soc_percent: point.state_of_charge,
            fuel_percent: point.fuel_level_percent,
            engine_rpm: point.engine_rpm,
        }
    }
}

impl From<rules::live::Figures> for live::Figures {
    fn from(figures: rules::live::Figures) -> Self {
        Self {
            miles_driven: figures.miles_driven,
            kwh_used: figures.kwh_used,
            kwh_per_mile: figures.kwh_per_mile,
            in_gas_mode: figures.in_gas_mode,
            fuel_used_gallons: figures.fuel_used_gallons,
        }
    }
}

impl From<weather::Sample> for rules::weather::Sample {
    fn from(sample: weather::Sample) -> Self {
        Self {
            temperature_f: sample.temperature_f,
            precipitation_in: sample.precipitation_in,
            wind_speed_mph: sample.wind_speed_mph,
            is_raining: sample.is_raining,
            conditions: sample.conditions,
        }
    }
}

impl From<rules::weather::Impact> for weather::Impact {
    fn from(impact: rules::weather::Impact) -> Self {
        Self {
            temperature_f: impact.temperature_f,
            precipitation_in: impact.precipitation_in,
            wind_speed_mph: impact.wind_speed_mph,
            conditions: impact.conditions,
            factor: impact.factor,
            extreme: impact.extreme,
        }
    }
}

impl From<rules::charging::Session> for charging::Session {
    fn from(session: rules::charging::Session) -> Self {
        Self {
            start_time_ms: session.start_time_ms,
            end_time_ms: session.end_time_ms,
            complete: session.complete,
            start_soc: session.figures.start_soc,
            end_soc: session.figures.end_soc,
            peak_power_kw: session.figures.peak_kw,
            avg_power_kw: session.figures.mean_kw,
            charge_type: session.figures.charge_type.into(),
            kwh_added: session.kwh_added,
            cost: session.cost,
        }
    }
}

impl From<costs::Usage> for rules::costs::Usage {
    fn from(usage: costs::Usage) -> Self {
        Self {
            electric_miles: usage.electric_miles,
            electric_kwh: usage.electric_kwh,
            gas_miles: usage.gas_miles,
            gas_gallons: usage.gas_gallons,
        }
    }
}

impl From<rules::costs::Cost> for costs::Cost {
    fn from(cost: rules::costs::Cost) -> Self {
        Self {
            electric_cost: cost.electric,
            gas_cost: cost.gas,
            total_cost: cost.total,
            cost_per_mile: cost.per_mile,
        }
    }
}

impl From<trips::SocTransition> for rules::soc_floor::Entry {
    fn from(transition: trips::SocTransition) -> Self {
        Self { soc_percent: transition.soc_percent, ambient_f: transition.ambient_temp_f }
    }
}

impl From<rules::soc_floor::Floor> for soc_floor::Floor {
    fn from(floor: rules::soc_floor::Floor) -> Self {
        let bars = floor.histogram.into_iter();
        Self {
            transitions: floor.entries,
            mean_soc_percent: floor.mean_percent,
            min_soc_percent: floor.min_percent,
            max_soc_percent: floor.max_percent,
            histogram: bars
                .map(|(soc_percent, transitions)| soc_floor::Bar { soc_percent, transitions })
                .collect(),
            by_temperature: floor.by_temperature.map(Into::into),
        }
    }
}

impl From<rules::soc_floor::ByTemperature> for soc_floor::ByTemperature {
    fn from(found: rules::soc_floor::ByTemperature) -> Self {
        Self {
            cold_soc_percent: found.cold_percent,
            cold_transitions: found.cold_entries,
            warm_soc_percent: found.warm_percent,
            warm_transitions: found.warm_entries,
        }
    }
}

impl From<routes::Place> for rules::distance::Place {
    fn from(place: routes::Place) -> Self {
        Self { latitude: place.latitude, longitude: place.longitude }
    }
}

impl From<routes::Ends> for rules::routes::Ends {
    fn from(ends: routes::Ends) -> Self {
        Self { start: ends.start.into(), end: ends.end.into() }
    }
}
