//! Vectors on charging and on what driving costs.

use serde_json::{Value, json};
use trip_calculator::{
    rules::{
        charging::{self, Charger},
        costs, number,
        readings::Column,
    },
    settings::Settings,
};

use vectors::{Ours, Report, number as num, raw};

use crate::made_up::settings;

const TYPES: &str = "charge types and the 0.5 kW threshold of the rule";
const NOT_FINITE: &str = "non-finite values are no values";

/// Asks them all. Where the reference answers for its server, our rule does,
/// as long as the host has no charging sessions.
pub fn ask(report: &mut Report) {
    charging_detect(report);
    charging_start_type(report);
    charging_finalize(report);
    charging_cost(report);
    trip_cost(report);
}

/// Readings of a charger. Only `true` is connected: the reference's flag is
/// not our status, which is a number.
fn charger(points: &[Value]) -> Charger {
    let connected = |point: &Value| match point["charger_connected"] {
        Value::Bool(connected) => f64::from(u8::from(connected)),
        _ => f64::NAN,
    };
    let column = |name: &str| Column(points.iter().map(|point| raw(&point[name])).collect());
    Charger {
        status: Column(points.iter().map(connected).collect()),
        power_kw: column("charger_ac_power_kw"),
        soc_percent: column("state_of_charge"),
    }
}

fn charging_detect(report: &mut Report) {
    let l2 = json!({"charge_type": "L2"});
    let ours = [
        Ours::but("charging_detect-013", l2.clone(), TYPES),
        Ours::but("charging_detect-017", json!({"charge_type": "DCFC"}), TYPES),
        Ours::but("charging_detect-018", l2.clone(), TYPES),
        Ours::but("charging_detect-020", l2, TYPES),
        Ours::instead("charging_detect-026", json!(null), NOT_FINITE),
    ];
    report.ask("charging.json", "charging_detect", &ours, |input| {
        let points = input["points"].as_array().expect("a list of readings");
        let found = charging::figures(&charger(points), 0..points.len(), &Settings::default());
        // The reference rounds the peak as well; we keep it as it was read.
        found.map_or(Value::Null, |figures| {
            json!({
                "is_charging": true,
                "peak_power_kw": number::round(figures.peak_kw, 2),
                "avg_power_kw": figures.mean_kw,
                "start_soc": figures.start_soc,
                "current_soc": figures.end_soc,
                "charge_type": figures.charge_type,
            })
        })
    });
}

fn charging_start_type(report: &mut Report) {
    let ours = [
        Ours::instead("charging_start_type-001", json!(null), "a session starts with power"),
        Ours::but("charging_start_type-004", json!({"charge_type": "L1-high"}), TYPES),
        Ours::instead("charging_start_type-012", json!(null), "0 is a value, not missing"),
        Ours::instead("charging_start_type-014", json!(null), TYPES),
    ];
    report.ask("charging.json", "charging_start_type", &ours, |input| {
        let power = num(&input["charger_power_kw"]).or(num(&input["charger_ac_power_kw"]));
        let charger = Charger {
            status: Column(vec![1.0]),
            power_kw: Column(vec![power.unwrap_or(f64::NAN)]),
            soc_percent: Column(vec![40.0]),
        };
        let found = charging::sessions(&[0], &charger, &Settings::default());
        found.first().map_or(Value::Null, |session| {
            json!({
                "charge_type": session.figures.charge_type,
                "peak_power_kw": session.figures.peak_kw,
                "start_soc": session.figures.start_soc,
                "is_complete": session.complete,
            })
        })
    });
}

fn charging_finalize(report: &mut Report) {
    report.ask("charging.json", "charging_finalize", &[], |input| {
        let rate = num(&input["rate"]).unwrap_or(0.12);
        let settings = settings(&[("electricity_cost_per_kwh", rate.to_string())]);
        let charger = Charger {
            status: Column(vec![1.0, 1.0, 0.0]),
            power_kw: Column(vec![7.0, 7.0, 0.0]),
            soc_percent: Column(vec![raw(&input["start_soc"]), raw(&input["end_soc"]), f64::NAN]),
        };
        let found = charging::sessions(&[0, 1, 2], &charger, &settings);
        json!({
            "kwh_added": found[0].kwh_added,
            "cost": found[0].cost,
            "is_complete": found[0].complete,
        })
    });
}

fn charging_cost(report: &mut Report) {
    report.ask("charging.json", "charging_cost", &[], |input| {
        let cost = costs::charging(num(&input["kwh"]), num(&input["rate"]));
        json!(cost.map(|cost| number::round(cost, 2)))
    });
}

fn trip_cost(report: &mut Report) {
    report.ask("charging.json", "trip_cost", &[], |input| {
        let usage = costs::Usage {
            electric_miles: num(&input["electric_miles"]),
            electric_kwh: num(&input["electric_kwh"]),
            gas_miles: num(&input["gas_miles"]),
            gas_gallons: num(&input["gas_gallons"]),
        };
        let cost = costs::cost(&usage, &Settings::default());
        json!({
            "electric_cost": cost.electric,
            "gas_cost": cost.gas,
            "total_cost": cost.total,
            "cost_per_mile": cost.per_mile,
        })
    });
}
