//! What is known of the drives of a vehicle before more of them is imported.

use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::identity::VehicleId;

/// Trips that one drive of a file may be a part of, at most.
const MOST_TRIPS: i64 = 100;

/// A trip as a place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTrip {
    /// Its session.
    pub session: Uuid,
    /// Its first reading: epoch milliseconds.
    pub start_ms: i64,
    /// Its last reading: epoch milliseconds.
    pub end_ms: i64,
}

impl Store {
    /// The trips of a vehicle that have a part between two times, the latest
    /// first.
    pub async fn trips_between(
        &self,
        vehicle: &VehicleId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<KnownTrip>, StoreError> {
        let rows = sqlx::query(
            "SELECT session_id, start_time_ms, end_time_ms FROM trips
             WHERE vehicle_id = $1 AND start_time_ms <= $2 AND end_time_ms >= $3
             ORDER BY start_time_ms DESC, trip_id LIMIT $4",
        )
        .bind(vehicle.as_str())
        .bind(to_ms)
        .bind(from_ms)
        .bind(MOST_TRIPS)
        .fetch_all(&self.pool)
        .await?;
        let trip = |row: &AnyRow| {
            let session: &str = row.try_get("session_id")?;
            let session = session
                .parse()
                .map_err(|_| StoreError::Unexpected("a session is not the UUID that it was".to_owned()))?;
            let (start_ms, end_ms) = (row.try_get("start_time_ms")?, row.try_get("end_time_ms")?);
            Ok(KnownTrip { session, start_ms, end_ms })
        };
        rows.iter().map(trip).collect()
    }

    /// The vehicles of that name: of an id as trips have it, or whose profile
    /// has been called so. Two at most, as more say nothing more.
    pub async fn vehicles_named(&self, name: &str) -> Result<Vec<VehicleId>, StoreError> {
        let rows = sqlx::query(
            "SELECT vehicle_id FROM vehicles WHERE vehicle_id = $1
             UNION SELECT vehicle_id FROM sessions WHERE profile_name = $1
             ORDER BY vehicle_id LIMIT 2",
        )
        .bind(name)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(VehicleId::from_stored(row.try_get("vehicle_id")?))).collect()
    }
}
