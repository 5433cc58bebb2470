//! The fuel level between two trips of a vehicle: most fills happen there, and
//! trips do not always come in the order in which they were driven.

use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::finalization::Claim;
use super::open::Engine;
use super::vehicles::withdraw_contribution;
use crate::identity::VehicleId;

/// What the vehicle's last closed trip before `start_ms` left in the tank.
pub(super) async fn before(
    database: impl sqlx::Executor<'_, Database = Any>,
    vehicle: &VehicleId,
    start_ms: i64,
) -> Result<Option<f64>, StoreError> {
    let level = sqlx::query_scalar(
        // The settled level is steadier than the last reading of a noisy gauge.
        "SELECT COALESCE(settled_fuel_level_percent, fuel_level_at_end) FROM trips
         WHERE vehicle_id = $1 AND start_time_ms < $2 AND status = 'closed'
           AND COALESCE(settled_fuel_level_percent, fuel_level_at_end) IS NOT NULL
         ORDER BY start_time_ms DESC LIMIT 1",
    )
    .bind(vehicle.as_str())
    .bind(start_ms)
    .fetch_optional(database)
    .await?;
    Ok(level)
}

/// A closed trip after the one that is closed.
pub(super) struct LaterTrip {
    trip_id: String,
    previous_fuel_level_percent: Option<f64>,
}

/// The trips whose fills are judged against what this one leaves in the tank:
/// those after it, up to the first that knows a level itself.
pub(super) fn later_trips_text(engine: Engine) -> String {
    format!(
        "SELECT trips.trip_id, status, previous_fuel_level_percent FROM trips
         WHERE vehicle_id = $1 AND start_time_ms >= $2 AND (start_time_ms > $3 OR trip_id = $4)
           AND start_time_ms <= COALESCE(
               (SELECT next.start_time_ms FROM trips AS next
                WHERE next.vehicle_id = $5 AND next.start_time_ms > $6 AND next.status = 'closed'
                  AND COALESCE(next.settled_fuel_level_percent, next.fuel_level_at_end) IS NOT NULL
                ORDER BY next.start_time_ms LIMIT 1), 9223372036854775807)
         {}",
        engine.lock_trips()
    )
}

/// Locks the trip, and finds those after it that it may change. All at once
/// and before their vehicle, as an upload does it.
pub(super) async fn lock_with_later_trips(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    claim: &Claim,
    start_ms: i64,
) -> Result<Vec<LaterTrip>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(later_trips_text(engine)))
        .bind(claim.vehicle.as_str())
        .bind(start_ms)
        .bind(start_ms)
        .bind(&claim.trip_id)
        .bind(claim.vehicle.as_str())
        .bind(start_ms)
        .fetch_all(&mut **transaction)
        .await?;
    let mut later = Vec::new();
    for row in &rows {
        let trip_id: String = row.try_get("trip_id")?;
        if trip_id != claim.trip_id && row.try_get::<&str, _>("status")? == "closed" {
            let previous_fuel_level_percent = row.try_get("previous_fuel_level_percent")?;
            later.push(LaterTrip { trip_id, previous_fuel_level_percent });
        }
    }
    Ok(later)
}

/// Opens those trips again whose fills were judged against another level: they
/// are finalized again with this one.
pub(super) async fn judge_again(
    transaction: &mut Transaction<'static, Any>,
    later: &[LaterTrip],
    level: Option<f64>,
) -> Result<(), StoreError> {
    // Without a level of its own this trip says nothing to them.
    let Some(level) = level else { return Ok(()) };
    for trip in later.iter().filter(|trip| trip.previous_fuel_level_percent != Some(level)) {
        withdraw_contribution(transaction, &trip.trip_id).await?;
    }
    Ok(())
}
