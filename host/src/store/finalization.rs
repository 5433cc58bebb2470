//! The end of a trip in the store: claim, readings, closing, failing.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::layout::Columns;
use super::open::{Engine, Store};
use super::previous_fuel;
use super::vehicles::{VehicleTotals, battery_health, contribute, to_millionths};
use crate::events::BatteryHealth;
use crate::identity::VehicleId;
use crate::plugin_host::{Impact, Summary, TripReadings, VehicleStats};

/// A trip that this host, and no other, may finalize for a while.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The trip.
    pub trip_id: String,
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
    owner: String,
    last_received_ms: i64,
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
    },
    /// Something was received since the claim, for the trip or for the one
    /// before it: it is to be finalized again.
    Outdated,
    /// The claim ran out and another host has the trip.
    NotOurs,
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

/// The calculator's own figure for a steadier fuel level: percent.
const SETTLED_FUEL: &str = "settled_fuel_level_percent";

/// A time that far ahead was written by a clock that has been set back since.
const AHEAD_MS: i64 = 86_400_000;
/// Readings that are read at one time.
const PAGE: i64 = 4096;

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
         RETURNING trips.trip_id, vehicle_id, session_id, start_time_ms, last_received_ms, attempts, setbacks,
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
            let claim = Claim {
                trip_id: row.try_get("trip_id")?,
                vehicle: VehicleId::from_stored(row.try_get("vehicle_id")?),
                session_id: row.try_get("session_id")?,
                start_time_ms: row.try_get("start_time_ms")?,
                attempt: row.try_get::<i64, _>("attempts")? + 1,
                setbacks: row.try_get("setbacks")?,
                readings: row.try_get("reading_count")?,
                closed_start_ms: row.try_get("closed_start_ms")?,
                owner: request.owner.to_owned(),
                last_received_ms: row.try_get("last_received_ms")?,
            };
            Ok(claim)
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
        sqlx::query(
            "UPDATE trips SET lease_owner = NULL, lease_until_ms = 0
             WHERE status <> 'closed' AND lease_owner = $1",
        )
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

    /// A trip's readings in time order.
    pub async fn trip_data(&self, claim: &Claim) -> Result<TripData, StoreError> {
        let readings = self.readings(&claim.trip_id).await?;
        let start_time_ms = readings.times_ms.first().copied().unwrap_or(claim.start_time_ms);
        let previous_fuel_level_percent =
            previous_fuel::before(&self.pool, &claim.vehicle, start_time_ms).await?;
        let profile_name: Option<Option<String>> =
            sqlx::query_scalar("SELECT profile_name FROM sessions WHERE vehicle_id = $1 AND session_id = $2")
                .bind(claim.vehicle.as_str())
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

    /// A trip's readings in time order, as columns. Read page by page, so that
    /// they are in memory once; what comes meanwhile is told from the claim
    /// when the trip is closed.
    async fn readings(&self, trip_id: &str) -> Result<TripReadings, StoreError> {
        let text = "SELECT time_ms, layout_id, numbers FROM readings
                    WHERE trip_id = $1 AND time_ms > $2 ORDER BY time_ms LIMIT $3";
        let mut times_ms: Vec<i64> = Vec::new();
        let mut columns = Columns::default();
        loop {
            let after_ms = times_ms.last().copied().unwrap_or_default();
            let rows =
                sqlx::query(text).bind(trip_id).bind(after_ms).bind(PAGE).fetch_all(&self.pool).await?;
            for row in &rows {
                let layout = self.layouts.get(&self.pool, row.try_get("layout_id")?).await?;
                columns.add(times_ms.len(), &layout, row.try_get("numbers")?)?;
                times_ms.push(row.try_get("time_ms")?);
            }
            if rows.len() < PAGE as usize {
                return Ok(TripReadings { columns: columns.by_name(times_ms.len()), times_ms });
            }
        }
    }

    /// Closes a claimed trip and counts it for its vehicle, in one
    /// transaction, if it still has exactly the readings that were summarized.
    pub async fn close_trip(&self, claim: &Claim, closing: &Closing<'_>) -> Result<Closed, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let start_ms = closing.data.start_time_ms;
        let later =
            previous_fuel::lock_with_later_trips(&mut transaction, self.engine(), claim, start_ms).await?;
        let Some(finalization_number) = write_closing(&mut transaction, claim, closing).await? else {
            let owner: Option<Option<String>> =
                sqlx::query_scalar("SELECT lease_owner FROM trips WHERE trip_id = $1")
                    .bind(&claim.trip_id)
                    .fetch_optional(&mut *transaction)
                    .await?;
            let ours = owner.flatten().is_some_and(|owner| owner == claim.owner);
            return Ok(if ours { Closed::Outdated } else { Closed::NotOurs });
        };
        let before = previous_fuel::before(&mut *transaction, &claim.vehicle, start_ms).await?;
        if before != closing.data.previous_fuel_level_percent {
            // The trip before was closed meanwhile, and what it left counts.
            return Ok(Closed::Outdated);
        }
        previous_fuel::judge_again(&mut transaction, &claim.vehicle, &later).await?;
        let vehicle = contribute(&mut transaction, '+', &claim.trip_id).await?.stats(closing.now_ms);
        let battery_health = battery_health(&mut transaction, &claim.vehicle).await?;
        transaction.commit().await?;
        Ok(Closed::Done { finalization_number, vehicle, battery_health })
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
        let mut transaction = self.writes.begin().await?;
        let later = match retry {
            Retry::WithAnotherCalculator(_) => {
                let (engine, start_ms) = (self.engine(), claim.start_time_ms);
                previous_fuel::lock_with_later_trips(&mut transaction, engine, claim, start_ms).await?
            }
            _ => Vec::new(),
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
        if failed.rows_affected() > 0 {
            previous_fuel::judge_again(&mut transaction, &claim.vehicle, &later).await?;
        }
        transaction.commit().await?;
        Ok(())
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

/// Writes the figures and this trip's contribution; nothing where the claim
/// or the readings have changed.
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
                previous_fuel_level_percent = $15, closed_start_ms = start_time_ms, weather = $16
         WHERE trip_id = $17 AND lease_owner = $18 AND status <> 'closed' AND last_received_ms = $19 AND reading_count = $20
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
    .bind(&claim.trip_id)
    .bind(&claim.owner)
    .bind(claim.last_received_ms)
    // A clock may step back, and then only the count tells.
    .bind(i64::try_from(closing.data.readings.times_ms.len()).unwrap_or(i64::MAX))
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
