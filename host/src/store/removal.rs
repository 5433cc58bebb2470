//! Deleting a trip: at once for whoever reads, its readings in portions.

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::claims::Claim;
use super::locking::{WithLaterTrips, begin_with_later_trips};
use super::open::{Engine, Store};
use super::vehicles::contribute;
use super::{StoreError, previous_fuel, routes, spans};
use crate::identity::VehicleId;

/// Readings that go in one transaction: uploads wait some milliseconds for it.
const PORTION: usize = 2_000;

/// What was deleted.
#[derive(Debug, Clone)]
pub struct Removed {
    /// Its vehicle: a keyed hash.
    pub vehicle: VehicleId,
    /// Its session.
    pub session_id: String,
    /// Its readings.
    pub readings: i64,
}

impl Store {
    /// Deletes a trip with all that came of it, or finds none. Its vehicle no
    /// longer counts it, and nobody sees anything of it from then on; its
    /// readings go with the next [`sweep`](Self::sweep_deleted)s. Trips whose
    /// fills were judged by what it left in the tank are judged again.
    pub async fn delete_trip(&self, trip_id: &str, now_ms: i64) -> Result<Option<Removed>, StoreError> {
        let Some(begun) = begin_with_later_trips(&self.writes, trip_id).await? else {
            return Ok(None);
        };
        let WithLaterTrips { mut transaction, trip, later } = begun;
        let claim = trip.claim(String::new());
        // Before its vehicle is locked, as an upload does it.
        delete_session(&mut transaction, &claim).await?;
        // Nothing where it is not closed; but the vehicle is locked before the
        // route, as a closing does it.
        contribute(&mut transaction, '-', trip_id).await?;
        delete_rows(&mut transaction, &claim, now_ms).await?;
        previous_fuel::judge_again(&mut transaction, &claim.vehicle, &later).await?;
        transaction.commit().await?;
        let Claim { vehicle, session_id, readings, .. } = claim;
        Ok(Some(Removed { vehicle, session_id, readings }))
    }

    /// Deletes a portion of what deleted trips left. Says whether there may be
    /// more of it.
    pub async fn sweep_deleted(&self) -> Result<bool, StoreError> {
        let trip: Option<String> = sqlx::query_scalar("SELECT trip_id FROM deleted_trips LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        let Some(trip_id) = trip else { return Ok(false) };
        let Some((first, last)) = spans::next(&self.pool, &trip_id, 0, spans::with_readings(PORTION)).await?
        else {
            sqlx::query("DELETE FROM deleted_trips WHERE trip_id = $1")
                .bind(&trip_id)
                .execute(&self.writes.pool)
                .await?;
            return Ok(true);
        };
        let mut transaction = self.writes.begin().await?;
        if !lock_deleted(&mut transaction, self.engine(), &trip_id).await? {
            return Ok(true);
        }
        let deleted = sqlx::query(AssertSqlSafe(delete_text()))
            .bind(&trip_id)
            .bind(first)
            .bind(last)
            .bind(PORTION as i64)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() < PORTION as u64 {
            sqlx::query("DELETE FROM trip_spans WHERE trip_id = $1 AND span BETWEEN $2 AND $3")
                .bind(&trip_id)
                .bind(first)
                .bind(last)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}

/// Keeps other hosts away from a deleted trip. Of a portion that two of them
/// delete at once one finds nothing left, and would take that for its end. `false`
/// where another host has come to the end meanwhile.
async fn lock_deleted(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    trip_id: &str,
) -> Result<bool, StoreError> {
    let lock = match engine {
        // It has one writer at a time.
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE",
    };
    let text = format!("SELECT trip_id FROM deleted_trips WHERE trip_id = $1 {lock}");
    let found = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_optional(&mut **transaction).await?;
    Ok(found.is_some())
}

pub(super) fn delete_text() -> String {
    let of_trip = spans::of_trip("AND span BETWEEN $2 AND $3");
    format!(
        "DELETE FROM readings WHERE {of_trip} AND time_ms <=
             (SELECT MAX(time_ms) FROM (SELECT time_ms FROM readings WHERE {of_trip}
                                        ORDER BY time_ms LIMIT $4) AS portion)"
    )
}

async fn delete_rows(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    now_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO deleted_trips (trip_id, deleted_ms) VALUES ($1, $2)")
        .bind(&claim.trip_id)
        .bind(now_ms)
        .execute(&mut **transaction)
        .await?;
    let route: Option<Option<String>> = sqlx::query_scalar("SELECT route_id FROM trips WHERE trip_id = $1")
        .bind(&claim.trip_id)
        .fetch_optional(&mut **transaction)
        .await?;
    if let Some(route_id) = route.flatten() {
        routes::leave(transaction, &route_id).await?;
    }
    for text in [
        "DELETE FROM charging_sessions WHERE trip_id = $1",
        "DELETE FROM refuels WHERE trip_id = $1",
        "DELETE FROM soc_transitions WHERE trip_id = $1",
        "DELETE FROM trips WHERE trip_id = $1",
    ] {
        sqlx::query(text).bind(&claim.trip_id).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn delete_session(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE phone_id = $1 AND session_id = $2")
        .bind(claim.phone.as_str())
        .bind(&claim.session_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
