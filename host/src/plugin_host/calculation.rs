//! All that a calculator is asked of a finished trip, as one answer: summary,
//! charging sessions, costs. What it means is the plugin's business.

use std::sync::Arc;
use std::time::Instant;

use super::bindings::charging::Session;
use super::bindings::costs::{Cost, Usage};
use super::bindings::trips::{Summary, Trip};
use super::calls::Summarized;
use super::error::{PluginError, SummarizeError};
use super::health::Trouble;
use super::readings::TripReadings;
use super::set::PluginSet;

/// What is to be known of a finished trip, and the time that each stage of it
/// took in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Calculation {
    /// What the trip did.
    pub summary: Summary,
    /// The charging sessions within it, in time order.
    pub charging: Vec<Session>,
    /// What it cost; absent where nothing that it used is known.
    pub cost: Option<Cost>,
    /// What each of its fills cost: $, in their order.
    pub refuel_costs: Vec<f64>,
    /// Stages in the order in which they began.
    pub stages: Vec<(String, f64)>,
}

impl PluginSet {
    /// All that is to be known of a finished trip. One that fails again and
    /// again counts as one failure of the calculator, which is why it is named.
    pub async fn calculate(
        &self,
        trip_id: &str,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
    ) -> Result<Calculation, SummarizeError> {
        let calculated = self.calculation(trip, readings, at_ms).await;
        let health = &self.trip_calculator.health;
        match &calculated {
            Ok(_) => health.succeeded(),
            Err(error) => health.failed(Trouble::from(error), Some(trip_id)),
        }
        calculated
    }

    async fn calculation(
        &self,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
    ) -> Result<Calculation, SummarizeError> {
        let Summarized { summary, mut stages } = self.summarize(trip, readings.clone(), at_ms).await?;
        let charging = self.charging_within(readings, at_ms, &mut stages).await;
        let costs = match &charging {
            Ok(_) => self.costs(&summary, at_ms).await,
            Err(error) => Err(error.clone()),
        };
        match (charging, costs) {
            (Ok(charging), Ok((cost, refuel_costs))) => {
                Ok(Calculation { summary, charging, cost, refuel_costs, stages })
            }
            (Err(error), _) | (_, Err(error)) => Err(SummarizeError::Plugin { error, stages }),
        }
    }

    async fn summarize(
        &self,
        trip: Trip,
        readings: Arc<TripReadings>,
        at_ms: i64,
    ) -> Result<Summarized, SummarizeError> {
        let calculator = &self.trip_calculator;
        let started = Instant::now();
        let summary = calculator.pool.summarize(trip, readings, at_ms).await;
        let broken = match &summary {
            Err(SummarizeError::Plugin { error, .. }) => Some(error.kind),
            _ => None,
        };
        calculator.meter.count(started.elapsed(), broken);
        summary
    }

    /// The charging sessions of a trip. Nobody is asked about one that never
    /// was at a charger.
    async fn charging_within(
        &self,
        readings: Arc<TripReadings>,
        at_ms: i64,
        stages: &mut Vec<(String, f64)>,
    ) -> Result<Vec<Session>, PluginError> {
        let Some(from) = readings.first_at_charger() else { return Ok(Vec::new()) };
        let started = Instant::now();
        let sessions = self.sessions(readings, from, at_ms).await;
        stages.push(("charging_sessions".to_owned(), started.elapsed().as_secs_f64() * 1e3));
        sessions
    }

    /// What a trip's consumption costs, and each of its fills.
    async fn costs(&self, summary: &Summary, at_ms: i64) -> Result<(Option<Cost>, Vec<f64>), PluginError> {
        let usage = Usage {
            electric_miles: summary.electric_miles,
            electric_kwh: summary.electric_kwh_used,
            gas_miles: summary.gas_miles,
            gas_gallons: summary.fuel_used_gallons,
        };
        let cost = match (usage.electric_kwh, usage.gas_gallons) {
            (None, None) => None,
            _ => Some(self.cost_of(usage, at_ms).await?),
        };
        let mut refuel_costs = Vec::with_capacity(summary.refuels.len());
        for refuel in &summary.refuels {
            let fuel = Usage {
                electric_miles: None,
                electric_kwh: None,
                gas_miles: None,
                gas_gallons: Some(refuel.gallons),
            };
            refuel_costs.push(self.cost_of(fuel, at_ms).await?.gas_cost);
        }
        Ok((cost, refuel_costs))
    }
}
