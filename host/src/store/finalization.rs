//! The end of a claimed trip in the store: its readings, and its closing.

use std::sync::Arc;

use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::charging::{self, Change, Charge};
use super::claims::Claim;
use super::open::Store;
use super::refuels::{self, Fill};
use super::routes::{self, OnRoute, Route};
use super::vehicles::{VehicleTotals, battery_health, contribute, to_millionths};
use super::{StoreError, previous_fuel, transitions};
use crate::events::BatteryHealth;
use crate::identity::VehicleId;
use crate::plugin_host::{Cost, Impact, Summary, TripReadings, VehicleStats};

/// A trip's readings, and what the rules need beside them.
#[derive(Debug)]
pub struct TripData {
    /// The readings in time order.
    pub readings: Arc<TripReadings>,
    /// The first of them: epoch milliseconds. Not the claim's start: an earlier
    /// one may have come since.
    pub start_time_ms: i64,
    /// First known odometer: miles.
    pub start_odometer_miles: Option<f64>,
    /// First known state of charge: percent.
    pub start_soc: Option<f64>,
    /// Fuel level at the end of the vehicle's trip before: percent.
    pub previous_fuel_level_percent: Option<f64>,
    /// Name of the vehicle profile.
    pub profile_name: Option<String>,
}

/// Who calculated a summary.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Calculator<'a> {
    /// Name of the plugin.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its digest.
    pub digest: &'a str,
}

/// What closing writes.
#[derive(Debug)]
pub struct Closing<'a> {
    /// Now: epoch milliseconds.
    pub now_ms: i64,
    /// The data that was summarized.
    pub data: &'a TripData,
    /// The figures.
    pub summary: &'a Summary,
    /// Its charging sessions, in time order.
    pub charging: &'a [Charge],
    /// Its fills, in time order.
    pub fills: &'a [Fill],
    /// Its route, where routes are looked for and it has one.
    pub route: Option<&'a Route>,
    /// What it cost, where that is known.
    pub cost: Option<&'a Cost>,
    /// The weather along the trip, where it is known.
    pub weather: Option<&'a Impact>,
    /// Who calculated them.
    pub calculator: Calculator<'a>,
}

/// What closing found.
#[derive(Debug)]
pub enum Closed {
    /// The trip is closed, and its vehicle's row counts it.
    Done {
        /// The how-many-th finalization this was, from 1.
        finalization_number: i64,
        /// The vehicle's closed trips, this one included.
        vehicle: VehicleStats,
        /// Means over its last trips, this one included.
        battery_health: Option<BatteryHealth>,
        /// What became of each of its charging sessions.
        charging: Vec<Change>,
        /// The route that it is on.
        route: Option<OnRoute>,
    },
    /// Something was received since the claim, for the trip, the one before it or
    /// the profile that says whose it is: it is to be finalized again.
    Outdated,
    /// The claim ran out and another host has the trip.
    NotOurs,
}

/// The calculator's own figure for a steadier fuel level: percent.
const SETTLED_FUEL: &str = "settled_fuel_level_percent";

impl Store {
    /// A trip's readings in time order.
    pub async fn trip_data(&self, claim: &Claim) -> Result<TripData, StoreError> {
        let readings = self.readings(&claim.trip_id).await?;
        let start_time_ms = readings.times_ms.first().copied().unwrap_or(claim.start_time_ms);
        let previous_fuel_level_percent =
            previous_fuel::before(&self.pool, &claim.vehicle, start_time_ms).await?;
        let profile_name: Option<Option<String>> =
            sqlx::query_scalar("SELECT profile_name FROM sessions WHERE phone_id = $1 AND session_id = $2")
                .bind(claim.phone.as_str())
                .bind(&claim.session_id)
                .fetch_optional(&self.pool)
                .await?;
        let first = |name: &str| readings.columns.get(name)?.iter().copied().find(|value| value.is_finite());
        Ok(TripData {
            start_odometer_miles: first("odometer_miles"),
            start_soc: first("state_of_charge"),
            previous_fuel_level_percent,
            profile_name: profile_name.flatten(),
            start_time_ms,
            readings: Arc::new(readings),
        })
    }

    /// Closes a claimed trip and counts it for its vehicle, in one
    /// transaction, if it still has exactly the readings that were summarized.
    pub async fn close_trip(&self, claim: &Claim, closing: &Closing<'_>) -> Result<Closed, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let start_ms = closing.data.start_time_ms;
        let later =
            previous_fuel::lock_with_later_trips(&mut transaction, self.engine(), claim, start_ms).await?;
        let Some(later) = later else { return why_not_closed(&mut transaction, claim).await };
        let Some(finalization_number) = write_closing(&mut transaction, claim, closing).await? else {
            return why_not_closed(&mut transaction, claim).await;
        };
        let before = previous_fuel::before(&mut *transaction, &claim.vehicle, start_ms).await?;
        if before != closing.data.previous_fuel_level_percent {
            // The trip before was closed meanwhile, and what it left counts.
            return Ok(Closed::Outdated);
        }
        let again = finalization_number > 1;
        let charging = charging::replace(&mut transaction, claim, again, closing.charging).await?;
        refuels::replace(&mut transaction, claim, again, closing.fills).await?;
        let transition = closing.summary.soc_transition.as_ref();
        transitions::replace(&mut transaction, claim, again, transition).await?;
        previous_fuel::judge_again(&mut transaction, &claim.vehicle, &later).await?;
        let vehicle = contribute(&mut transaction, '+', &claim.trip_id).await?.stats(closing.now_ms);
        // With the vehicle's row locked.
        let route = routes::replace(&mut transaction, claim, start_ms, closing.route).await?;
        let battery_health = battery_health(&mut *transaction, &claim.vehicle).await?;
        transaction.commit().await?;
        Ok(Closed::Done { finalization_number, vehicle, battery_health, charging, route })
    }

    /// Means over a vehicle's last closed trips with electric miles, where
    /// there are any.
    pub async fn battery_health(&self, vehicle_id: &str) -> Result<Option<BatteryHealth>, StoreError> {
        battery_health(&self.pool, &VehicleId::from_stored(vehicle_id)).await
    }

    /// Closed trips of a vehicle, added up, where there are any.
    pub async fn vehicle_stats(
        &self,
        vehicle: &VehicleId,
        now_ms: i64,
    ) -> Result<Option<VehicleStats>, StoreError> {
        let text = format!("SELECT {} FROM vehicles WHERE vehicle_id = $1", VehicleTotals::COLUMNS);
        let row = sqlx::query(AssertSqlSafe(text)).bind(vehicle.as_str()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| VehicleTotals::from_row(&row)).transpose()?.map(|totals| totals.stats(now_ms)))
    }
}

async fn why_not_closed(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
) -> Result<Closed, StoreError> {
    let owner: Option<Option<String>> =
        sqlx::query_scalar("SELECT lease_owner FROM trips WHERE trip_id = $1")
            .bind(&claim.trip_id)
            .fetch_optional(&mut **transaction)
            .await?;
    let ours = owner.flatten().is_some_and(|owner| owner == claim.owner);
    Ok(if ours { Closed::Outdated } else { Closed::NotOurs })
}

/// Writes the figures and this trip's contribution; nothing where the claim,
/// the readings or the vehicle have changed.
async fn write_closing(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    closing: &Closing<'_>,
) -> Result<Option<i64>, StoreError> {
    let json =
        |value: Result<String, serde_json::Error>| value.map_err(|e| StoreError::Unexpected(e.to_string()));
    let summary = closing.summary;
    let row = sqlx::query(
        "UPDATE trips SET status = 'closed', closed_ms = $1, finalization_number = finalization_number + 1,
                lease_owner = NULL, lease_until_ms = 0, attempts = 0, setbacks = 0, next_attempt_ms = 0,
                failed_digest = NULL, start_odometer_miles = $2, start_soc = $3, distance_miles = $4, electric_miles = $5,
                kwh_per_mile = $6, soc_at_gas_transition = $7, fuel_level_at_end = $8,
                settled_fuel_level_percent = $9, summary = $10, calculator = $11, counted = 1,
                counted_miles_e6 = $12, counted_kwh_per_mile_e6 = $13, counted_gas_mpg_e6 = $14,
                previous_fuel_level_percent = $15, closed_start_ms = start_time_ms, weather = $16,
                weather_temperature_f = $17, weather_conditions = $18, gas_miles = $19, electric_kwh_used = $20,
                fuel_used_gallons = $21, gas_mode_entered = $22, cost = $23
         WHERE trip_id = $24 AND lease_owner = $25 AND status <> 'closed' AND last_received_ms = $26 AND reading_count = $27
           AND vehicle_id = $28
         RETURNING finalization_number",
    )
    .bind(closing.now_ms)
    .bind(closing.data.start_odometer_miles)
    .bind(closing.data.start_soc)
    .bind(summary.distance_miles)
    .bind(summary.electric_miles)
    .bind(summary.kwh_per_mile)
    .bind(summary.soc_at_gas_transition)
    .bind(summary.fuel_level_at_end)
    .bind(settled_fuel_level(summary))
    .bind(json(serde_json::to_string(summary))?)
    .bind(json(serde_json::to_string(&closing.calculator))?)
    .bind(to_millionths(summary.distance_miles.unwrap_or_default()))
    .bind(summary.kwh_per_mile.map(to_millionths))
    .bind(summary.gas_mpg.map(to_millionths))
    .bind(closing.data.previous_fuel_level_percent)
    .bind(closing.weather.map(serde_json::to_string).map(json).transpose()?)
    .bind(closing.weather.and_then(|weather| weather.temperature_f))
    .bind(closing.weather.map(|weather| weather.conditions.clone()))
    .bind(summary.gas_miles)
    .bind(summary.electric_kwh_used)
    .bind(summary.fuel_used_gallons)
    .bind(i64::from(summary.gas_mode_entered))
    .bind(closing.cost.map(serde_json::to_string).map(json).transpose()?)
    .bind(&claim.trip_id)
    .bind(&claim.owner)
    .bind(claim.last_received_ms)
    // A clock may step back, and then only the count tells.
    .bind(i64::try_from(closing.data.readings.times_ms.len()).unwrap_or(i64::MAX))
    .bind(claim.vehicle.as_str())
    // Not kept prepared: sqlx's Any driver gives PostgreSQL an absent f64 as a
    // 4-byte float, and a prepared statement would expect one ever after.
    .persistent(false)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(row.map(|row| row.try_get("finalization_number")).transpose()?)
}

fn settled_fuel_level(summary: &Summary) -> Option<f64> {
    summary.metrics.iter().find(|(name, _)| name == SETTLED_FUEL).map(|(_, level)| *level)
}
