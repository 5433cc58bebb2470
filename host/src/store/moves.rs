//! Trips that change their vehicle: the profile that tells which of its cars a
//! phone is in may come behind the first readings, or when the trip is closed.

use std::collections::HashMap;

use sqlx::{Any, Row as _, Transaction};

use super::claims::Claim;
use super::locking::{WithLaterTrips, begin_with_later_trips};
use super::open::WritePool;
use super::previous_fuel::{self, LaterTrip};
use super::record::{SessionFacts, Stored};
use super::sessions::SessionsInBatch;
use super::vehicles::{Seen, touch_vehicles, withdraw_contribution};
use super::{StoreError, routes};
use crate::identity::{TripId, VehicleId};

/// How often a move begins anew because another host was faster.
const MOST_ATTEMPTS: usize = 3;

/// Keeps what a request teaches about a session and moves the session's trip
/// to the vehicle that this says, in one transaction.
pub(super) async fn keep_and_move(writes: &WritePool, facts: &SessionFacts) -> Result<Stored, StoreError> {
    for _ in 0..MOST_ATTEMPTS {
        if let Some(stored) = try_move(writes, facts).await? {
            return Ok(stored);
        }
    }
    Err(StoreError::Unexpected("a trip is another one whenever it is looked for".to_owned()))
}

/// `None` if another host opened the trip since it was looked for.
async fn try_move(writes: &WritePool, facts: &SessionFacts) -> Result<Option<Stored>, StoreError> {
    let engine = writes.engine();
    let (mut transaction, trip) = match begin_with_trip_of(writes, facts).await? {
        Some(WithLaterTrips { transaction, trip, later }) => {
            (transaction, Some((trip.claim(String::new()), later)))
        }
        None => (writes.begin().await?, None),
    };
    let mut sessions = SessionsInBatch::default();
    sessions.add(facts.key(), facts.received_ms, Some(facts));
    sessions.keep(&mut transaction, engine).await?;
    let vehicle_id = sessions.vehicle(facts.key());
    let mut moved_trip = None;
    if !sessions.in_another_car(&mut transaction).await?.is_empty() {
        let Some((claim, later)) = trip else {
            transaction.rollback().await?;
            return Ok(None);
        };
        move_trip(&mut transaction, writes, &claim, &vehicle_id, &later).await?;
        moved_trip = Some(TripId::from_stored(&claim.trip_id));
    }
    transaction.commit().await?;
    Ok(Some(Stored::Session { vehicle_id, moved_trip }))
}

async fn begin_with_trip_of(
    writes: &WritePool,
    facts: &SessionFacts,
) -> Result<Option<WithLaterTrips>, StoreError> {
    let trip_id: Option<String> =
        sqlx::query_scalar("SELECT trip_id FROM trips WHERE phone_id = $1 AND session_id = $2")
            .bind(facts.phone.as_str())
            .bind(facts.session.to_string())
            .fetch_optional(&writes.pool)
            .await?;
    match trip_id {
        Some(trip_id) => begin_with_later_trips(writes, &trip_id).await,
        None => Ok(None),
    }
}

/// Opens the trip again as one of another vehicle: what it added to the old one
/// is taken out, and its end is calculated anew, beside other trips.
async fn move_trip(
    transaction: &mut Transaction<'static, Any>,
    writes: &WritePool,
    claim: &Claim,
    vehicle: &VehicleId,
    later: &[LaterTrip],
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT first_received_ms, route_id FROM trips WHERE trip_id = $1")
        .bind(&claim.trip_id)
        .fetch_one(&mut **transaction)
        .await?;
    let mut seen = Seen::default();
    for vehicle in [&claim.vehicle, vehicle] {
        seen.add(vehicle, claim.start_time_ms, row.try_get("first_received_ms")?);
    }
    touch_vehicles(transaction, writes.engine(), seen, true, &mut HashMap::new()).await?;
    withdraw_contribution(transaction, &claim.trip_id).await?;
    if let Some(route_id) = row.try_get::<Option<&str>, _>("route_id")? {
        routes::leave(transaction, route_id).await?;
    }
    for text in [
        "UPDATE trips SET vehicle_id = $1, route_id = NULL WHERE trip_id = $2",
        // What its last end found is its new vehicle's until the next one.
        "UPDATE charging_sessions SET vehicle_id = $1 WHERE trip_id = $2",
        "UPDATE refuels SET vehicle_id = $1 WHERE trip_id = $2",
        "UPDATE soc_transitions SET vehicle_id = $1 WHERE trip_id = $2",
    ] {
        sqlx::query(text).bind(vehicle.as_str()).bind(&claim.trip_id).execute(&mut **transaction).await?;
    }
    previous_fuel::judge_again(transaction, &claim.vehicle, later).await?;
    mend_vehicle(transaction, &claim.vehicle).await
}

/// A vehicle began with the first of the trips that are left to it; without
/// any it never was.
async fn mend_vehicle(
    transaction: &mut Transaction<'static, Any>,
    vehicle: &VehicleId,
) -> Result<(), StoreError> {
    for text in [
        "DELETE FROM vehicles WHERE vehicle_id = $1
           AND NOT EXISTS (SELECT 1 FROM trips WHERE trips.vehicle_id = vehicles.vehicle_id)",
        "UPDATE vehicles SET revision = revision + 1,
                first_trip_start_ms = (SELECT MIN(start_time_ms) FROM trips
                                       WHERE trips.vehicle_id = vehicles.vehicle_id),
                first_received_ms = (SELECT MIN(trips.first_received_ms) FROM trips
                                     WHERE trips.vehicle_id = vehicles.vehicle_id)
         WHERE vehicle_id = $1",
    ] {
        sqlx::query(text).bind(vehicle.as_str()).execute(&mut **transaction).await?;
    }
    Ok(())
}
