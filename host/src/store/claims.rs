//! Which trips wait for their end, and whose they are until then: claimed,
//! attempted, given back. What an end writes lives in `finalization`.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::StoreError;
use super::locking::{WithLaterTrips, begin_with_later_trips};
use super::open::{Engine, Store};
use super::previous_fuel;
use crate::identity::{PhoneId, VehicleId};

/// A trip that this host, and no other, may finalize for a while.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The trip.
    pub trip_id: String,
    /// Its phone.
    pub phone: PhoneId,
    /// Its vehicle.
    pub vehicle: VehicleId,
    /// Its session.
    pub session_id: String,
    /// First reading: epoch milliseconds.
    pub start_time_ms: i64,
    /// The how-many-th attempt this is, from 1, once it [began](Store::begin_attempt).
    pub attempt: i64,
    /// Attempts before it, in a row, that failed through no fault of the
    /// calculator.
    pub setbacks: i64,
    /// Its readings.
    pub readings: i64,
    /// Where it began when it was closed last.
    pub(super) closed_start_ms: Option<i64>,
    pub(super) owner: String,
    pub(super) last_received_ms: i64,
}

impl Claim {
    /// The claim of a trip, by its row, at the first attempt.
    pub(super) fn first(row: &AnyRow, owner: String) -> Result<Self, sqlx::Error> {
        Ok(Self {
            trip_id: row.try_get("trip_id")?,
            phone: PhoneId::from_stored(row.try_get("phone_id")?),
            vehicle: VehicleId::from_stored(row.try_get("vehicle_id")?),
            session_id: row.try_get("session_id")?,
            start_time_ms: row.try_get("start_time_ms")?,
            attempt: 1,
            setbacks: 0,
            readings: row.try_get("reading_count")?,
            closed_start_ms: row.try_get("closed_start_ms")?,
            owner,
            last_received_ms: row.try_get("last_received_ms")?,
        })
    }
}

/// What a claim asks for.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// Who claims.
    pub owner: &'a str,
    /// Now: epoch milliseconds.
    pub now_ms: i64,
    /// A trip ends when nothing was received for it for this long.
    pub timeout: Duration,
    /// How long the claim holds.
    pub lease: Duration,
    /// Digest of the calculator and its settings: a trip that failed with
    /// others is tried again.
    pub calculator_digest: &'a str,
    /// At most that many trips.
    pub limit: i64,
}

/// What an attempt that did not close its trip leaves.
#[derive(Debug, Clone, Copy)]
pub enum Retry<'a> {
    /// The calculator failed: try again from this time on, epoch milliseconds.
    At(i64),
    /// The calculator is not to blame: try again from this time on, and do
    /// not count the attempt.
    Uncounted(i64),
    /// The trip goes on: nothing failed.
    GoesOn,
    /// Not before another calculator, or other settings, than those with this
    /// digest are there.
    WithAnotherCalculator(&'a str),
}

/// A time that far ahead was written by a clock that has been set back since.
const AHEAD_MS: i64 = 86_400_000;

/// Whether any trip waits for its end. `$1` is when its last receipt must have
/// been, `$2` now, `$3` a day ahead of it, `$4` the calculator. Two searches: one
/// for both would walk through the index.
pub(super) fn has_stale_text() -> String {
    let among = |quiet: &str| {
        format!(
            "SELECT 1 AS waits FROM trips WHERE status <> 'closed' AND {quiet}
               AND (status = 'open' OR failed_digest <> $4)
               AND (lease_until_ms < $2 OR lease_until_ms > $3)
               AND (next_attempt_ms <= $2 OR next_attempt_ms > $3)"
        )
    };
    format!("{} UNION ALL {} LIMIT 1", among("quiet_since_ms <= $1"), among("quiet_since_ms > $3"))
}

/// Which trips a clock may have left times of that are far ahead, by `$3`: those
/// that seem to have ended, and those that seem never to end.
pub(super) const SEEM_ENDED: &str = "quiet_since_ms <= $3";
pub(super) const SEEM_ENDLESS: &str = "quiet_since_ms > $3";

/// Mends what a clock wrote that was set back since: a trip was received now,
/// `$1`, at the latest, and waits for nothing that is more than a day ahead, `$2`.
pub(super) fn mend_clock_text(engine: Engine, among: &str) -> String {
    format!(
        "WITH ahead AS MATERIALIZED (
             SELECT trip_id FROM trips
             WHERE status <> 'closed' AND {among}
               AND (last_received_ms > $2 OR lease_until_ms > $2 OR next_attempt_ms > $2) {})
         UPDATE trips SET
             quiet_since_ms = CASE WHEN quiet_since_ms > $2 THEN $1 ELSE quiet_since_ms END,
             last_received_ms = CASE WHEN last_received_ms > $2 THEN $1 ELSE last_received_ms END,
             lease_until_ms = CASE WHEN lease_until_ms > $2 THEN 0 ELSE lease_until_ms END,
             next_attempt_ms = CASE WHEN next_attempt_ms > $2 THEN 0 ELSE next_attempt_ms END
         FROM ahead WHERE trips.trip_id = ahead.trip_id",
        skip_locked(engine)
    )
}

/// Rows that a claim locks. SQLite has one writer at a time and no row locks;
/// on PostgreSQL a claim must neither wait for rows that another host holds,
/// which could end in a deadlock with an upload, nor lease a trip twice, and
/// only rows it has locked are as it saw.
fn skip_locked(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE SKIP LOCKED",
    }
}

/// Passes over trips that only seemed to have ended, until they seem so again.
pub(super) fn pass_over_text(engine: Engine) -> String {
    format!(
        "WITH going_on AS MATERIALIZED (
             SELECT trip_id FROM trips
             WHERE status <> 'closed' AND quiet_since_ms <= $1 AND last_received_ms > $1 {})
         UPDATE trips SET quiet_since_ms = last_received_ms
         FROM going_on WHERE trips.trip_id = going_on.trip_id",
        skip_locked(engine)
    )
}

/// Leases trips, the longest waiting first.
pub(super) fn claim_text(engine: Engine) -> String {
    let lock = skip_locked(engine);
    format!(
        "WITH ended AS MATERIALIZED (
             SELECT trip_id FROM trips
             WHERE status <> 'closed' AND quiet_since_ms <= $3 AND last_received_ms <= $3
               AND (status = 'open' OR failed_digest <> $4)
               AND lease_until_ms < $5 AND next_attempt_ms <= $6
             ORDER BY last_received_ms LIMIT $7 {lock})
         UPDATE trips SET lease_owner = $1, lease_until_ms = $2,
                attempts = CASE WHEN status = 'failed' THEN 0 ELSE attempts END
         FROM ended WHERE trips.trip_id = ended.trip_id
         RETURNING trips.trip_id, phone_id, vehicle_id, session_id, start_time_ms, last_received_ms, attempts, setbacks,
                   reading_count, closed_start_ms"
    )
}

impl Store {
    /// Claims trips for which nothing was received for the timeout, the
    /// longest waiting first.
    pub async fn claim_stale(&self, request: ClaimRequest<'_>) -> Result<Vec<Claim>, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let (ended_ms, ahead_ms) = (request.now_ms - millis(request.timeout), request.now_ms + AHEAD_MS);
        for (among, bound_ms) in [(SEEM_ENDED, ended_ms), (SEEM_ENDLESS, ahead_ms)] {
            sqlx::query(AssertSqlSafe(mend_clock_text(self.engine(), among)))
                .bind(request.now_ms)
                .bind(ahead_ms)
                .bind(bound_ms)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(AssertSqlSafe(pass_over_text(self.engine())))
            .bind(ended_ms)
            .execute(&mut *transaction)
            .await?;
        let rows = sqlx::query(AssertSqlSafe(claim_text(self.engine())))
            .bind(request.owner)
            .bind(request.now_ms + millis(request.lease))
            .bind(ended_ms)
            .bind(request.calculator_digest)
            .bind(request.now_ms)
            .bind(request.now_ms)
            .bind(request.limit)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let claim = |row: &AnyRow| {
            Ok(Claim {
                attempt: row.try_get::<i64, _>("attempts")? + 1,
                setbacks: row.try_get("setbacks")?,
                ..Claim::first(row, request.owner.to_owned())?
            })
        };
        let mut claims = rows.iter().map(claim).collect::<Result<Vec<_>, StoreError>>()?;
        // RETURNING promises no order.
        claims.sort_by_key(|claim| claim.last_received_ms);
        Ok(claims)
    }

    /// Ends the claims of an owner that is known to be dead, so that its trips
    /// need not wait for their leases to run out.
    pub async fn release_claims(&self, owner: &str) -> Result<(), StoreError> {
        let mut transaction = self.writes.begin().await?;
        sqlx::query(AssertSqlSafe(format!(
            "WITH theirs AS MATERIALIZED (
                 SELECT trip_id FROM trips WHERE status <> 'closed' AND lease_owner = $1 {})
             UPDATE trips SET lease_owner = NULL, lease_until_ms = 0
             FROM theirs WHERE trips.trip_id = theirs.trip_id",
            self.engine().lock_trips()
        )))
        .bind(owner)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Begins the attempt of a claimed trip: counts it, so that a trip that ends
    /// the process is given up some day, and lets the lease last from now on.
    /// `false` if another host has the trip by now.
    pub async fn begin_attempt(
        &self,
        claim: &Claim,
        now_ms: i64,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let begun = sqlx::query(
            "UPDATE trips SET status = 'open', failed_digest = NULL, attempts = $1, lease_until_ms = $2
             WHERE trip_id = $3 AND lease_owner = $4 AND status <> 'closed'",
        )
        .bind(claim.attempt)
        .bind(now_ms + millis(lease))
        .bind(&claim.trip_id)
        .bind(&claim.owner)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(begun.rows_affected() > 0)
    }

    /// Whether any trip waits for its end: cheap enough to ask every second.
    pub async fn has_stale(
        &self,
        now_ms: i64,
        timeout: Duration,
        calculator_digest: &str,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(AssertSqlSafe(has_stale_text()))
            .bind(now_ms - millis(timeout))
            .bind(now_ms)
            .bind(now_ms + AHEAD_MS)
            .bind(calculator_digest)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Gives a claimed trip back after an attempt that did not close it. Those
    /// after a trip that is given up no longer see what it left in the tank
    /// when it was closed before.
    pub async fn fail_attempt(&self, claim: &Claim, retry: Retry<'_>) -> Result<(), StoreError> {
        let (status, next_attempt_ms, digest) = match retry {
            Retry::At(time_ms) | Retry::Uncounted(time_ms) => ("open", time_ms, None),
            Retry::GoesOn => ("open", 0, None),
            Retry::WithAnotherCalculator(digest) => ("failed", 0, Some(digest.to_owned())),
        };
        let (uncounted, setbacks) = match retry {
            Retry::At(_) | Retry::WithAnotherCalculator(_) => (0_i64, 0),
            Retry::Uncounted(_) => (1, claim.setbacks + 1),
            Retry::GoesOn => (1, 0),
        };
        let (mut transaction, changes) = match retry {
            Retry::WithAnotherCalculator(_) => {
                let begun = begin_with_later_trips(&self.writes, &claim.trip_id).await?;
                let Some(WithLaterTrips { transaction, trip, later }) = begun else { return Ok(()) };
                (transaction, Some((trip.claim(String::new()).vehicle, later)))
            }
            _ => (self.writes.begin().await?, None),
        };
        let failed = sqlx::query(
            "UPDATE trips SET status = $1, next_attempt_ms = $2, failed_digest = $3, attempts = $4, setbacks = $5,
                    lease_owner = NULL, lease_until_ms = 0
             WHERE trip_id = $6 AND lease_owner = $7",
        )
        .bind(status)
        .bind(next_attempt_ms)
        .bind(digest)
        .bind(claim.attempt - uncounted)
        .bind(setbacks)
        .bind(&claim.trip_id)
        .bind(&claim.owner)
        .execute(&mut *transaction)
        .await?;
        if let Some((vehicle, later)) = changes.filter(|_| failed.rows_affected() > 0) {
            previous_fuel::judge_again(&mut transaction, &vehicle, &later).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
