//! What an answer must keep to, whoever wrote the plugin. An error is the
//! sentence for E414. No limit of a business rule belongs here.

use super::bindings::{charging, costs, identity, live, sampling, soc_floor, trips, weather};

/// Figures of its own that a calculator may add.
const MAX_METRICS: usize = 32;
/// Fills within one trip.
const MAX_REFUELS: usize = 100;
/// Charging sessions within one stretch of readings.
const MAX_SESSIONS: usize = 1000;
/// Bars of a histogram in whole percent, and a few for what is off the scale.
const MAX_BARS: usize = 128;

/// Settings that a plugin may have.
const MAX_SETTINGS: usize = 200;

type Checked = Result<(), String>;

/// Whether a text is one word of snake_case, 1 to `max` characters.
pub(super) fn is_snake_case(text: &str, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= max
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(plain)
}

pub(super) fn info(info: &identity::PluginInfo) -> Checked {
    text("name", &info.name, 64)?;
    text("version", &info.version, 64)?;
    text("description", &info.description, 1000)?;
    at_most("settings", info.settings.len(), MAX_SETTINGS)?;
    info.settings.iter().try_for_each(|setting| {
        word("key of a setting", &setting.key, 64)?;
        let key = &setting.key;
        text(&format!("doc of {key}"), &setting.doc, 1000)?;
        // Empty is a value, such as an empty list.
        let default = if setting.default.is_empty() { "-" } else { &setting.default };
        text(&format!("default of {key}"), default, 1000)
    })
}

pub(super) fn verdict(verdict: &sampling::Verdict) -> Checked {
    let probability = verdict.probability;
    if !(0.0..=1.0).contains(&probability) {
        return Err(format!("probability is {probability}, not 0 to 1"));
    }
    word("reason", &verdict.reason, 64)
}

pub(super) fn tier(tier: &str) -> Checked {
    word("tier", tier, 64)
}

pub(super) fn summary(summary: &trips::Summary) -> Checked {
    finite(&[
        ("end_odometer_miles", summary.end_odometer_miles),
        ("ambient_temp_avg_f", summary.ambient_temp_avg_f),
        ("soc_at_gas_transition", summary.soc_at_gas_transition),
        ("fuel_level_at_gas_entry", summary.fuel_level_at_gas_entry),
        ("fuel_level_at_end", summary.fuel_level_at_end),
        ("electric_kwh_used", summary.electric_kwh_used),
        ("kwh_per_mile", summary.kwh_per_mile),
        ("gas_mpg", summary.gas_mpg),
        ("fuel_used_gallons", summary.fuel_used_gallons),
    ])?;
    not_negative(&[
        ("distance_miles", summary.distance_miles),
        ("electric_miles", summary.electric_miles),
        ("gas_miles", summary.gas_miles),
    ])?;
    if let Some(source) = &summary.distance_source {
        word("distance_source", source, 64)?;
    }
    if let Some(transition) = &summary.soc_transition {
        finite(&[
            ("soc_transition.soc_percent", transition.soc_percent),
            ("soc_transition.ambient_temp_f", transition.ambient_temp_f),
            ("soc_transition.odometer_miles", transition.odometer_miles),
        ])?;
    }
    refuels(&summary.refuels)?;
    metrics(&summary.metrics)
}

fn refuels(refuels: &[trips::Refuel]) -> Checked {
    at_most("refuels", refuels.len(), MAX_REFUELS)?;
    if refuels.windows(2).any(|pair| pair[1].time_ms <= pair[0].time_ms) {
        return Err("refuels are not in time order".to_owned());
    }
    refuels.iter().try_for_each(|refuel| {
        finite(&[
            ("refuels.level_before_percent", Some(refuel.level_before_percent)),
            ("refuels.level_after_percent", Some(refuel.level_after_percent)),
            ("refuels.odometer_miles", refuel.odometer_miles),
        ])?;
        not_negative(&[("refuels.gallons", Some(refuel.gallons))])
    })
}

fn metrics(metrics: &[(String, f64)]) -> Checked {
    at_most("metrics", metrics.len(), MAX_METRICS)?;
    for (index, (name, value)) in metrics.iter().enumerate() {
        word("name of a metric", name, 48)?;
        finite(&[(&format!("metrics.{name}"), Some(*value))])?;
        if metrics[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(format!("metrics.{name} is there twice"));
        }
    }
    Ok(())
}

pub(super) fn figures(figures: &live::Figures) -> Checked {
    finite(&[
        ("miles_driven", figures.miles_driven),
        ("kwh_used", figures.kwh_used),
        ("kwh_per_mile", figures.kwh_per_mile),
        ("fuel_used_gallons", figures.fuel_used_gallons),
    ])
}

pub(super) fn condition(condition: &str) -> Checked {
    text("condition", condition, 64)
}

pub(super) fn impact(impact: &weather::Impact) -> Checked {
    text("conditions", &impact.conditions, 64)?;
    not_negative(&[
        ("precipitation_in", impact.precipitation_in),
        ("wind_speed_mph", impact.wind_speed_mph),
        ("factor", Some(impact.factor)),
    ])?;
    finite(&[("temperature_f", impact.temperature_f)])
}

pub(super) fn sessions(sessions: &[charging::Session]) -> Checked {
    at_most("sessions", sessions.len(), MAX_SESSIONS)?;
    if sessions.windows(2).any(|pair| pair[1].start_time_ms <= pair[0].end_time_ms) {
        return Err("a session starts before the one before it ends".to_owned());
    }
    sessions.iter().try_for_each(|session| {
        if session.end_time_ms < session.start_time_ms {
            return Err("a session ends before it starts".to_owned());
        }
        text("charge_type", &session.charge_type, 16)?;
        finite(&[
            ("start_soc", session.start_soc),
            ("end_soc", session.end_soc),
            ("kwh_added", session.kwh_added),
            ("cost", session.cost),
            ("peak_power_kw", Some(session.peak_power_kw)),
            ("avg_power_kw", Some(session.avg_power_kw)),
        ])
    })
}

pub(super) fn cost(cost: &costs::Cost) -> Checked {
    finite(&[
        ("electric_cost", Some(cost.electric_cost)),
        ("gas_cost", Some(cost.gas_cost)),
        ("total_cost", Some(cost.total_cost)),
        ("cost_per_mile", cost.cost_per_mile),
    ])
}

pub(super) fn range(miles: Option<f64>) -> Checked {
    not_negative(&[("range", miles)])
}

/// An index among `known` routes.
pub(super) fn route(index: Option<u32>, known: usize) -> Checked {
    match index {
        Some(index) if usize::try_from(index).is_ok_and(|index| index >= known) => {
            Err(format!("route {index} is none of the {known} that are known"))
        }
        _ => Ok(()),
    }
}

pub(super) fn floor(floor: &soc_floor::Floor) -> Checked {
    at_most("histogram bars", floor.histogram.len(), MAX_BARS)?;
    let by_temperature = floor.by_temperature.as_ref();
    finite(&[
        ("mean_soc_percent", floor.mean_soc_percent),
        ("min_soc_percent", floor.min_soc_percent),
        ("max_soc_percent", floor.max_soc_percent),
        ("cold_soc_percent", by_temperature.and_then(|found| found.cold_soc_percent)),
        ("warm_soc_percent", by_temperature.and_then(|found| found.warm_soc_percent)),
    ])
}

fn finite(figures: &[(&str, Option<f64>)]) -> Checked {
    let odd = figures.iter().find(|(_, value)| value.is_some_and(|value| !value.is_finite()));
    odd.map_or(Ok(()), |(name, value)| Err(format!("{name} is {}, not a number", value.unwrap_or(f64::NAN))))
}

fn not_negative(figures: &[(&str, Option<f64>)]) -> Checked {
    finite(figures)?;
    let odd = figures.iter().find(|(_, value)| value.is_some_and(|value| value < 0.0));
    odd.map_or(Ok(()), |(name, value)| Err(format!("{name} is {}, below 0", value.unwrap_or(f64::NAN))))
}

fn word(name: &str, word: &str, max: usize) -> Checked {
    if is_snake_case(word, max) {
        return Ok(());
    }
    let shown = super::pool::bounded(word, max);
    Err(format!("{name} is `{shown}`, not a snake_case word of 1 to {max} characters"))
}

fn text(name: &str, text: &str, max: usize) -> Checked {
    let length = text.chars().count();
    let plain = !text.contains(char::is_control);
    if plain && (1..=max).contains(&length) {
        return Ok(());
    }
    let shown = super::pool::bounded(text, max);
    Err(format!("{name} is {shown:?}, not a text of 1 to {max} characters"))
}

fn at_most(name: &str, count: usize, max: usize) -> Checked {
    if count <= max {
        return Ok(());
    }
    Err(format!("{count} {name}, more than {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_probability_and_a_word() {
        let check = |probability, reason: &str| {
            let reason = reason.to_owned();
            verdict(&sampling::Verdict { probability, reason })
        };
        assert_eq!(check(0.0, "slow"), Ok(()));
        assert_eq!(check(1.0, "new_user"), Ok(()));
        for (probability, reason) in [
            (f64::NAN, "slow"),
            (-0.1, "slow"),
            (1.1, "slow"),
            (f64::INFINITY, "slow"),
            (0.5, ""),
            (0.5, "Not a word"),
            (0.5, &"x".repeat(65)),
        ] {
            assert!(check(probability, reason).is_err(), "{probability} {reason}");
        }
    }

    #[test]
    fn metrics_are_few_finite_and_distinct() {
        let named = |count: usize| -> Vec<_> { (0..count).map(|index| (format!("m{index}"), 1.0)).collect() };
        assert_eq!(metrics(&named(32)), Ok(()));
        assert_eq!(metrics(&named(33)), Err("33 metrics, more than 32".into()));
        assert!(metrics(&[("a".into(), f64::NAN)]).is_err());
        assert!(metrics(&[("a".into(), 1.0), ("a".into(), 2.0)]).is_err());
    }

    #[test]
    fn sessions_follow_each_other() {
        let session = |start_time_ms, end_time_ms| charging::Session {
            start_time_ms,
            end_time_ms,
            complete: true,
            start_soc: None,
            end_soc: None,
            peak_power_kw: 3.3,
            avg_power_kw: 3.3,
            charge_type: "L2".to_owned(),
            kwh_added: None,
            cost: None,
        };
        assert_eq!(sessions(&[session(0, 5), session(6, 6)]), Ok(()));
        for odd in
            [[session(0, 5), session(5, 9)], [session(6, 7), session(0, 5)], [session(0, 1), session(4, 3)]]
        {
            assert!(sessions(&odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn refuels_are_in_time_order_and_no_two_at_once() {
        let refuel = |time_ms| trips::Refuel {
            time_ms,
            level_before_percent: 30.0,
            level_after_percent: 80.0,
            gallons: 4.6,
            odometer_miles: None,
        };
        assert_eq!(refuels(&[refuel(1), refuel(2)]), Ok(()));
        assert!(refuels(&[refuel(2), refuel(2)]).is_err());
        assert!(refuels(&[refuel(2), refuel(1)]).is_err());
    }

    #[test]
    fn a_route_is_one_that_is_known_and_a_range_is_not_negative() {
        assert_eq!((route(None, 0), route(Some(1), 2)), (Ok(()), Ok(())));
        assert_eq!(route(Some(2), 2), Err("route 2 is none of the 2 that are known".into()));
        assert_eq!((range(None), range(Some(0.0))), (Ok(()), Ok(())));
        assert!(range(Some(-0.1)).is_err() && range(Some(f64::NAN)).is_err());
    }
}
