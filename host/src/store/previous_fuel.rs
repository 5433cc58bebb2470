//! The fuel level between two trips of a vehicle: most fills happen there, and
//! trips do not always come in the order in which they were driven.

use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::claims::Claim;
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

/// A closed trip whose fills may be judged against what another one left.
pub(super) struct LaterTrip {
    trip_id: String,
    start_ms: i64,
    judged_against: Option<f64>,
}

/// The trips whose fills may be judged against what this one leaves in the
/// tank: those after the earlier of its old place and its new one, up to the
/// first after the later of both that knows a level itself. If that one is open
/// again, it looks after those behind it when it closes.
pub(super) fn later_trips_text(engine: Engine) -> String {
    format!(
        "SELECT trip_id, status, start_time_ms, previous_fuel_level_percent FROM trips
         WHERE vehicle_id = $1 AND start_time_ms >= $2
           AND start_time_ms <= COALESCE(
               (SELECT next.start_time_ms FROM trips AS next
                WHERE next.vehicle_id = $3 AND next.start_time_ms > $4 AND next.status <> 'failed'
                  AND COALESCE(next.settled_fuel_level_percent, next.fuel_level_at_end) IS NOT NULL
                ORDER BY next.start_time_ms LIMIT 1), 9223372036854775807)
         {}",
        engine.lock_trips()
    )
}

/// Locks the trip, and finds those after it that it may change. All at once
/// and before their vehicle, as an upload does it. `None` where the trip is not
/// there any more, or not locked, as it has begun earlier or moved since.
pub(super) async fn lock_with_later_trips(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    claim: &Claim,
    start_ms: i64,
) -> Result<Option<Vec<LaterTrip>>, StoreError> {
    let closed_start_ms = claim.closed_start_ms.unwrap_or(start_ms);
    let rows = sqlx::query(AssertSqlSafe(later_trips_text(engine)))
        .bind(claim.vehicle.as_str())
        .bind(start_ms.min(closed_start_ms))
        .bind(claim.vehicle.as_str())
        .bind(start_ms.max(closed_start_ms))
        .fetch_all(&mut **transaction)
        .await?;
    let (mut later, mut is_locked) = (Vec::new(), false);
    for row in &rows {
        let trip_id: String = row.try_get("trip_id")?;
        if trip_id == claim.trip_id {
            is_locked = true;
        } else if row.try_get::<&str, _>("status")? == "closed" {
            let start_ms = row.try_get("start_time_ms")?;
            let judged_against = row.try_get("previous_fuel_level_percent")?;
            later.push(LaterTrip { trip_id, start_ms, judged_against });
        }
    }
    Ok(is_locked.then_some(later))
}

/// Opens those of these trips again that were judged against another level
/// than the one before them has now: they are finalized again.
pub(super) async fn judge_again(
    transaction: &mut Transaction<'static, Any>,
    vehicle: &VehicleId,
    later: &[LaterTrip],
) -> Result<(), StoreError> {
    let mut outdated = Vec::new();
    for trip in later {
        if before(&mut **transaction, vehicle, trip.start_ms).await? != trip.judged_against {
            outdated.push(trip);
        }
    }
    for trip in outdated {
        withdraw_contribution(transaction, &trip.trip_id).await?;
    }
    Ok(())
}
