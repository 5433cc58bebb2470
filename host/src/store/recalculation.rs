//! A trip that is asked for by name, to be calculated again: claimed. What its
//! end writes lives in `finalization`.

use sqlx::AssertSqlSafe;

use super::claims::Claim;
use super::locking::lock_trip;
use super::open::Store;
use super::vehicles::withdraw_contribution;
use super::{StoreError, spans};

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
        // Its attempts begin anew, also where it was given up.
        withdraw_contribution(&mut transaction, trip_id).await?;
        sqlx::query("UPDATE trips SET lease_owner = $1, lease_until_ms = $2 WHERE trip_id = $3")
            .bind(owner)
            .bind(lease_until_ms)
            .bind(trip_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Ok(claim))
    }
}
