//! Vectors on single findings of a trip. Whole trips are asked of the
//! component, by the host's tests.

use serde_json::{Value, json};
use trip_calculator::{
    rules::{energy, fuel, number, readings::Column, refuel, split},
    settings::Settings,
};
use vectors::{Ours, Report, milliseconds, number as num, raw};

const NOT_FINITE: &str = "non-finite values are no values";

/// Asks them all.
pub fn ask(report: &mut Report) {
    electric_gas_miles(report);
    gas_mpg(report);
    fuel_consumed_gallons(report);
    kwh_per_mile(report);
    soc_to_kwh(report);
    fuel_percent_to_gallons(report);
    energy_from_soc_change(report);
    integrate_power(report);
    smooth_fuel(report);
    refuel_detect(report);
    python_round(report);
}

fn points(input: &Value, key: &str) -> Vec<Value> {
    input[key].as_array().expect("a list of readings").clone()
}

fn electric_gas_miles(report: &mut Report) {
    report.ask("trip.json", "electric_gas_miles", &[], |input| {
        // Without a start the reference raises; our rule is not asked then.
        let (Some(start), Some(end)) = (num(&input["trip_start_odometer"]), num(&input["trip_end_odometer"]))
        else {
            return Value::Null;
        };
        let found = split::by_odometers(num(&input["gas_entry_odometer"]), start, end);
        json!([found.electric_miles, found.gas_miles])
    });
}

fn gas_mpg(report: &mut Report) {
    let ours = [
        Ours::instead("gas_mpg-030", json!(null), NOT_FINITE),
        Ours::instead("gas_mpg-033", json!(null), NOT_FINITE),
    ];
    report.ask("trip.json", "gas_mpg", &ours, |input| {
        let miles =
            num(&input["end_odometer"]).zip(num(&input["start_odometer"])).map(|(end, start)| end - start);
        let levels = (num(&input["start_fuel_level"]), num(&input["end_fuel_level"]));
        json!(fuel::mpg(miles, levels.0, levels.1, &Settings::default()))
    });
}

fn fuel_consumed_gallons(report: &mut Report) {
    let ours = [Ours::instead("fuel_consumed_gallons-015", json!(null), NOT_FINITE)];
    report.ask("trip.json", "fuel_consumed_gallons", &ours, |input| {
        let levels = (num(&input["start_fuel_percent"]), num(&input["end_fuel_percent"]));
        json!(fuel::consumed_gallons(levels.0, levels.1, &Settings::default()))
    });
}

fn fuel_percent_to_gallons(report: &mut Report) {
    report.ask("trip.json", "fuel_percent_to_gallons", &[], |input| {
        json!(fuel::gallons(raw(&input["percent"]), Settings::default().tank_gallons))
    });
}

fn kwh_per_mile(report: &mut Report) {
    let ours = [Ours::instead("kwh_per_mile-030", json!(null), NOT_FINITE)];
    report.ask("trip.json", "kwh_per_mile", &ours, |input| {
        let (kwh, miles) = (num(&input["kwh_used"]), num(&input["electric_miles"]));
        json!(energy::per_mile(kwh, miles, &Settings::default()))
    });
}

fn soc_to_kwh(report: &mut Report) {
    report.ask("trip.json", "soc_to_kwh", &[], |input| {
        json!(energy::soc_kwh(raw(&input["soc_percent"]), Settings::default().battery_kwh))
    });
}

fn energy_from_soc_change(report: &mut Report) {
    report.ask("trip.json", "energy_from_soc_change", &[], |input| {
        let (start, end) = (num(&input["start_soc"]), num(&input["end_soc"]));
        json!(energy::by_soc(start, end, Settings::default().battery_kwh))
    });
}

fn integrate_power(report: &mut Report) {
    report.ask("trip.json", "integrate_power", &[], |input| {
        let readings = points(input, "readings");
        let time = |reading: &Value| milliseconds(reading[0].as_str().expect("a time"));
        let times: Vec<_> = readings.iter().map(time).collect();
        let power = Column(readings.iter().map(|reading| raw(&reading[1])).collect());
        json!(energy::by_power(&times, &power, 86_400.0))
    });
}

fn smooth_fuel(report: &mut Report) {
    let ours = [Ours::instead("smooth_fuel-002", json!(null), "what cannot be computed is absent")];
    report.ask("trip.json", "smooth_fuel", &ours, |input| {
        let readings: Vec<_> = points(input, "readings").iter().map(raw).collect();
        let window = input["window_size"].as_u64().unwrap_or(10);
        json!(refuel::smooth(&readings, usize::try_from(window).expect("small")))
    });
}

fn refuel_detect(report: &mut Report) {
    let ours = [
        Ours::instead("refuel_detect-019", json!(false), NOT_FINITE),
        Ours::instead("refuel_detect-020", json!(false), NOT_FINITE),
    ];
    report.ask("trip.json", "refuel_detect", &ours, |input| {
        let (current, previous) = (num(&input["current"]), num(&input["previous"]));
        json!(refuel::is_refuel(current, previous, Settings::default().refuel_min_points))
    });
}

fn python_round(report: &mut Report) {
    report.ask("trip.json", "python_round", &[], |input| {
        let digits = usize::try_from(input["digits"].as_u64().expect("digits")).expect("small");
        json!(number::round(raw(&input["x"]), digits))
    });
}
