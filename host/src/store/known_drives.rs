//! What is known of the drives of a phone before more of them is imported.

use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::identity::PhoneId;

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
    /// The trips of a phone, in whatever car, that have a part between two times,
    /// the latest first.
    pub async fn trips_between(
        &self,
        phone: &PhoneId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<KnownTrip>, StoreError> {
        let rows = sqlx::query(
            "SELECT session_id, start_time_ms, end_time_ms FROM trips
             WHERE vehicle_id IN (SELECT vehicle_id FROM cars WHERE phone_id = $1 UNION SELECT $2)
               AND start_time_ms <= $3 AND end_time_ms >= $4
             ORDER BY start_time_ms DESC, trip_id LIMIT $5",
        )
        .bind(phone.as_str())
        .bind(phone.as_str())
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
}
