//! What driving and charging cost. Consumption is computed elsewhere.

use super::number::{known, round};
use crate::settings::Settings;

/// A trip's consumption.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Miles on the battery.
    pub electric_miles: Option<f64>,
    /// kWh used on them.
    pub electric_kwh: Option<f64>,
    /// Miles on the engine.
    pub gas_miles: Option<f64>,
    /// US gallons used on them.
    pub gas_gallons: Option<f64>,
}

/// A trip's costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Electricity: $, 2 decimals.
    pub electric: f64,
    /// Fuel: $, 2 decimals.
    pub gas: f64,
    /// Both: $, 2 decimals.
    pub total: f64,
    /// $ per mile, 3 decimals; absent without miles.
    pub per_mile: Option<f64>,
}

/// What a trip cost.
#[must_use]
pub fn cost(usage: &Usage, settings: &Settings) -> Cost {
    let electric = amount(usage.electric_kwh) * settings.electricity_cost_per_kwh;
    let gas = amount(usage.gas_gallons) * settings.gas_cost_per_gallon;
    let total = electric + gas;
    let miles = amount(usage.electric_miles) + amount(usage.gas_miles);
    let per_mile = (miles > 0.0).then(|| total / miles).and_then(known);
    Cost {
        electric: dollars(electric),
        gas: dollars(gas),
        total: dollars(total),
        per_mile: per_mile.map(|per_mile| round(per_mile, 3)),
    }
}

/// What charging `kwh` cost: $, unrounded; nothing where either is not
/// positive.
#[must_use]
pub fn charging(kwh: Option<f64>, cost_per_kwh: Option<f64>) -> Option<f64> {
    let kwh = kwh.filter(|kwh| *kwh > 0.0)?;
    let cost_per_kwh = cost_per_kwh.filter(|cost| *cost > 0.0)?;
    known(kwh * cost_per_kwh)
}

fn amount(value: Option<f64>) -> f64 {
    value.and_then(known).map_or(0.0, |value| value.max(0.0))
}

/// A cost that no number can hold is shown as the largest one: the contract
/// has no absent cost.
fn dollars(cost: f64) -> f64 {
    round(cost.min(f64::MAX), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_used_costs_nothing() {
        assert_eq!(cost(&Usage::default(), &Settings::default()), Cost::default());
    }

    #[test]
    fn costs_are_finite() {
        let usage = Usage {
            electric_miles: Some(1e-300),
            electric_kwh: Some(f64::MAX),
            gas_miles: Some(f64::NAN),
            gas_gallons: Some(f64::MAX),
        };

        let cost = cost(&usage, &Settings::default());

        assert!(cost.total.is_finite() && cost.electric.is_finite() && cost.gas.is_finite());
        assert_eq!(cost.per_mile, None);
    }
}
