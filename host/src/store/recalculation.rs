//! A trip that is asked for by name, to be calculated again: found, locked,
//! and claimed. What its end writes lives in `finalization`.

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::claims::Claim;
use super::open::{Engine, Store};
use super::vehicles::withdraw_contribution;
use super::{StoreError, spans};
use crate::identity::{PhoneId, VehicleId};

/// Why a trip is not calculated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecalculated {
    /// There is no such trip.
    Unknown,
    /// It is not over: it will be calculated when it is.
    Open,
    /// Not all of its readings are there any more.
    ReadingsGone,
}

/// A trip's row, locked.
pub(super) struct LockedTrip {
    claim: Claim,
    pub(super) status: String,
}

impl LockedTrip {
    /// The claim of it for this owner.
    pub(super) fn claim(&self, owner: String) -> Claim {
        Claim { owner, ..self.claim.clone() }
    }
}

/// Finds a trip, and locks it against other hosts.
pub(super) async fn lock_trip(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    trip_id: &str,
) -> Result<Option<LockedTrip>, StoreError> {
    let lock = match engine {
        // It has one writer at a time.
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE",
    };
    let text = format!(
        "SELECT trip_id, phone_id, vehicle_id, session_id, status, start_time_ms, last_received_ms, reading_count,
                closed_start_ms
         FROM trips WHERE trip_id = $1 {lock}"
    );
    let row = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_optional(&mut **transaction).await?;
    let Some(row) = row else { return Ok(None) };
    let claim = Claim {
        trip_id: row.try_get("trip_id")?,
        phone: PhoneId::from_stored(row.try_get("phone_id")?),
        vehicle: VehicleId::from_stored(row.try_get("vehicle_id")?),
        session_id: row.try_get("session_id")?,
        start_time_ms: row.try_get("start_time_ms")?,
        attempt: 1,
        setbacks: 0,
        readings: row.try_get("reading_count")?,
        closed_start_ms: row.try_get("closed_start_ms")?,
        owner: String::new(),
        last_received_ms: row.try_get("last_received_ms")?,
    };
    Ok(Some(LockedTrip { claim, status: row.try_get("status")? }))
}

impl Store {
    /// Opens a trip that is over again and claims it, to be calculated once
    /// more. Who claims it and does not close it leaves it to the finalizer.
    pub async fn claim_for_recalculation(
        &self,
        trip_id: &str,
        owner: &str,
        lease_until_ms: i64,
    ) -> Result<Result<Claim, NotRecalculated>, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let Some(locked) = lock_trip(&mut transaction, self.engine(), trip_id).await? else {
            return Ok(Err(NotRecalculated::Unknown));
        };
        let claim = locked.claim(owner.to_owned());
        if locked.status == "open" {
            return Ok(Err(NotRecalculated::Open));
        }
        let text = format!("SELECT COUNT(*) FROM readings WHERE {}", spans::of_trip(""));
        let there: i64 =
            sqlx::query_scalar(AssertSqlSafe(text)).bind(trip_id).fetch_one(&mut *transaction).await?;
        if there != claim.readings || there == 0 {
            return Ok(Err(NotRecalculated::ReadingsGone));
        }
        if locked.status == "closed" {
            withdraw_contribution(&mut transaction, trip_id).await?;
        }
        sqlx::query(
            "UPDATE trips SET status = 'open', lease_owner = $1, lease_until_ms = $2 WHERE trip_id = $3",
        )
        .bind(owner)
        .bind(lease_until_ms)
        .bind(trip_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Ok(claim))
    }
}
