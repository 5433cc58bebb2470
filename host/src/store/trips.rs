//! The trips of a batch: found by key, opened where they are new, and brought
//! up to date with what the batch adds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uuid::Uuid;

use super::open::Engine;
use super::open_trips::{OpenTrip, OpenTrips};
use super::record::ReadingRow;
use super::sessions::SessionsInBatch;
use super::vehicles::VehicleTotals;
use super::{StoreError, sql};
use crate::identity::{PhoneId, TripId, VehicleId};

/// A trip as the batch finds it, and what the batch adds to it.
pub(super) struct TripInBatch {
    pub(super) trip_id: TripId,
    pub(super) vehicle_id: VehicleId,
    /// The batch opened it.
    pub(super) created: bool,
    /// Not asked for: the batch must find it as it is remembered, its vehicle
    /// included.
    remembered: bool,
    /// Closed or failed: a new reading opens it again.
    ended: bool,
    /// Closed longer ago than late readings may come.
    pub(super) too_late: bool,
    /// The first reading that it had before the batch.
    pub(super) known_since_ms: i64,
    /// The last reading that it had before the batch; what is later is new.
    pub(super) known_until_ms: i64,
    pub(super) inserted: i64,
    pub(super) duplicates: i64,
    pub(super) conflicts: i64,
    pub(super) start_time_ms: i64,
    pub(super) end_time_ms: i64,
    last_received_ms: i64,
    /// Its vehicle's row, unless the batch opened it.
    pub(super) vehicle: Option<VehicleTotals>,
}

impl TripInBatch {
    /// Whether a new reading opens it again.
    pub(super) fn reopened(&self) -> bool {
        self.ended && self.inserted > 0
    }

    /// Whether a reading has come that is earlier than all that it had.
    pub(super) fn begins_earlier(&self) -> bool {
        self.start_time_ms < self.known_since_ms
    }

    /// Whether it is open after the batch.
    pub(super) fn is_open(&self) -> bool {
        !self.ended || self.inserted > 0
    }

    fn from_memory(trip: &OpenTrip, group: &Group<'_>) -> Self {
        Self {
            trip_id: trip.trip_id.clone(),
            vehicle_id: trip.vehicle_id.clone(),
            created: false,
            remembered: true,
            ended: false,
            too_late: false,
            known_since_ms: trip.start_time_ms,
            known_until_ms: trip.end_time_ms,
            inserted: 0,
            duplicates: 0,
            conflicts: 0,
            start_time_ms: i64::MAX,
            end_time_ms: i64::MIN,
            last_received_ms: last_received_ms(group),
            vehicle: Some(trip.vehicle.clone()),
        }
    }

    fn from_row(row: &AnyRow, group: &Group<'_>, late_readings: Duration) -> Result<Self, sqlx::Error> {
        let status: &str = row.try_get("status")?;
        let closed_ms: Option<i64> = row.try_get("closed_ms")?;
        let last_received_ms = last_received_ms(group);
        let takes_since_ms = last_received_ms - i64::try_from(late_readings.as_millis()).unwrap_or(i64::MAX);
        Ok(Self {
            trip_id: TripId::from_stored(row.try_get("trip_id")?),
            vehicle_id: VehicleId::from_stored(row.try_get("vehicle_id")?),
            created: false,
            remembered: false,
            ended: status != "open",
            too_late: status == "closed" && closed_ms.is_some_and(|closed_ms| closed_ms < takes_since_ms),
            known_since_ms: row.try_get("start_time_ms")?,
            known_until_ms: row.try_get("end_time_ms")?,
            inserted: 0,
            duplicates: 0,
            conflicts: 0,
            start_time_ms: i64::MAX,
            end_time_ms: i64::MIN,
            last_received_ms,
            vehicle: None,
        })
    }
}

/// A trip's key: a phone and its session. In this order trips are locked, then
/// sessions, then vehicles in the order of their ids, so that two hosts cannot
/// wait for each other.
pub(super) type TripKey<'a> = (&'a PhoneId, Uuid);

/// The trips of a batch.
pub(super) type Trips<'a> = BTreeMap<TripKey<'a>, TripInBatch>;

/// Readings of one trip.
pub(super) type Group<'a> = (TripKey<'a>, Vec<&'a ReadingRow>);

pub(super) fn last_received_ms((_, rows): &Group<'_>) -> i64 {
    rows.iter().map(|row| row.received_ms).max().unwrap_or_default()
}

/// The trips of these readings, remembered or found and locked, and the
/// readings that have none yet.
pub(super) async fn find<'a>(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    readings: &[&'a ReadingRow],
    late_readings: Duration,
    open_trips: &OpenTrips,
) -> Result<(Trips<'a>, Vec<Group<'a>>), StoreError> {
    let mut groups: BTreeMap<TripKey<'a>, Vec<&'a ReadingRow>> = BTreeMap::new();
    for row in readings {
        groups.entry(row.key()).or_default().push(row);
    }
    let mut trips = Trips::new();
    let mut asked_for: Vec<Group<'a>> = Vec::new();
    for group in groups {
        match open_trips.get(group.0) {
            Some(trip) => {
                trips.insert(group.0, TripInBatch::from_memory(trip, &group));
            }
            None => asked_for.push(group),
        }
    }
    for (chunk, rows) in sql::chunks(&asked_for) {
        let mut query = sqlx::query(AssertSqlSafe(find_text(engine, rows)));
        for ((phone, session), _) in sql::padded(chunk, rows) {
            query = query.bind(phone.as_str()).bind(session.to_string());
        }
        let rows = query.fetch_all(&mut **transaction).await?;
        take(&rows, chunk, late_readings, &mut trips, |row| VehicleTotals::from_row(row).map(Some))?;
    }
    let new = asked_for.into_iter().filter(|(key, _)| !trips.contains_key(key)).collect();
    Ok((trips, new))
}

/// Opens trips for readings that have none, of the vehicles that their sessions
/// are in. `false` if another host has opened one meanwhile: then the transaction
/// must not be committed.
pub(super) async fn open_all<'a>(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    new: &[Group<'a>],
    sessions: &SessionsInBatch<'_>,
    late_readings: Duration,
    trips: &mut Trips<'a>,
) -> Result<bool, StoreError> {
    for part in sql::parts(new) {
        open(transaction, engine, part, sessions, late_readings, trips).await?;
    }
    Ok(new.iter().all(|(key, _)| trips.contains_key(key)))
}

async fn open<'a>(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    part: &[Group<'a>],
    sessions: &SessionsInBatch<'_>,
    late_readings: Duration,
    trips: &mut Trips<'a>,
) -> Result<(), StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(open_text(engine, part.len())));
    for (key, rows) in part {
        let received = rows.iter().map(|row| row.received_ms);
        let times = rows.iter().map(|row| row.time_ms);
        query = query
            .bind(Uuid::now_v7().to_string())
            .bind(key.0.as_str())
            .bind(sessions.vehicle(*key).as_str())
            .bind(key.1.to_string())
            .bind("open")
            .bind(times.clone().min())
            .bind(times.max())
            .bind(received.clone().min())
            .bind(received.clone().max())
            .bind(received.max());
    }
    let rows = query.fetch_all(&mut **transaction).await?;
    take(&rows, part, late_readings, trips, |_| Ok(None))?;
    for (key, _) in part {
        if let Some(trip) = trips.get_mut(key) {
            trip.created = true;
            trip.known_until_ms = i64::MIN;
        }
    }
    Ok(())
}

/// Takes what the database says of the trips that were asked for.
fn take<'a>(
    rows: &[AnyRow],
    part: &[Group<'a>],
    late_readings: Duration,
    trips: &mut Trips<'a>,
    vehicle: impl Fn(&AnyRow) -> Result<Option<VehicleTotals>, sqlx::Error>,
) -> Result<(), StoreError> {
    let by_text: HashMap<_, _> =
        part.iter().map(|group| ((group.0.0.as_str(), group.0.1.to_string()), group)).collect();
    for row in rows {
        let text = (row.try_get::<&str, _>("phone_id")?, row.try_get::<String, _>("session_id")?);
        let group = by_text
            .get(&text)
            .ok_or_else(|| StoreError::Unexpected("a trip came back that nobody asked for".to_owned()))?;
        let trip =
            TripInBatch { vehicle: vehicle(row)?, ..TripInBatch::from_row(row, group, late_readings)? };
        trips.insert(group.0, trip);
    }
    Ok(())
}

/// Adds the batch to its trips. `false` if one of them is not as it is
/// remembered: then the transaction must not be committed.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    trips: &Trips<'_>,
) -> Result<bool, StoreError> {
    let touched: Vec<_> = trips.values().filter(|trip| !trip.too_late || trip.duplicates > 0).collect();
    let mut added = 0;
    for (chunk, rows) in sql::chunks(&touched) {
        let mut query = sqlx::query(AssertSqlSafe(add_text(engine, rows)));
        for trip in sql::padded(chunk, rows) {
            let revision = trip.vehicle.as_ref().filter(|_| trip.remembered).map(|vehicle| vehicle.revision);
            query = query
                .bind(trip.trip_id.as_str())
                .bind(trip.inserted)
                .bind(trip.duplicates)
                .bind(trip.conflicts)
                .bind(trip.end_time_ms)
                .bind(trip.last_received_ms)
                .bind(trip.known_until_ms)
                .bind(revision.unwrap_or(NOT_REMEMBERED));
        }
        added += query.execute(&mut **transaction).await?.rows_affected();
    }
    for trip in touched.iter().filter(|trip| trip.begins_earlier()) {
        begin_earlier(transaction, trip).await?;
    }
    Ok(added == touched.len() as u64)
}

/// Moves the start of a trip to a reading that came late.
async fn begin_earlier(
    transaction: &mut Transaction<'static, Any>,
    trip: &TripInBatch,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE trips SET start_time_ms = $1 WHERE trip_id = $2 AND start_time_ms > $1")
        .bind(trip.start_time_ms)
        .bind(trip.trip_id.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// No vehicle's row has this revision.
const NOT_REMEMBERED: i64 = -1;

pub(super) fn find_text(engine: Engine, trips: usize) -> String {
    format!(
        "SELECT trip_id, phone_id, session_id, status, closed_ms, start_time_ms, end_time_ms, {} FROM trips
         JOIN vehicles ON vehicles.vehicle_id = trips.vehicle_id
         WHERE (trips.phone_id, session_id) IN (VALUES {}) {}",
        VehicleTotals::COLUMNS,
        sql::rows(engine, trips, 2),
        engine.lock_trips()
    )
}

pub(super) fn open_text(engine: Engine, trips: usize) -> String {
    // What is there already must not be locked here, behind the sessions.
    format!(
        "INSERT INTO trips (trip_id, phone_id, vehicle_id, session_id, status, start_time_ms, end_time_ms,
                            first_received_ms, last_received_ms, quiet_since_ms)
         VALUES {}
         ON CONFLICT (phone_id, session_id) DO NOTHING
         RETURNING trip_id, phone_id, vehicle_id, session_id, status, closed_ms, start_time_ms, end_time_ms",
        sql::rows(engine, trips, 10)
    )
}

/// A row that comes again changes nothing more: each trip is updated once. No
/// column of an index is set here, or each trip of each batch would move in it.
pub(super) fn add_text(engine: Engine, trips: usize) -> String {
    format!(
        "UPDATE {} trips SET
             reading_count = trips.reading_count + batch.column2,
             duplicate_count = trips.duplicate_count + batch.column3,
             conflict_count = trips.conflict_count + batch.column4,
             end_time_ms = CASE WHEN batch.column5 > trips.end_time_ms
                                THEN batch.column5 ELSE trips.end_time_ms END,
             last_received_ms = CASE WHEN batch.column6 > trips.last_received_ms
                                     THEN batch.column6 ELSE trips.last_received_ms END
         FROM (VALUES {}) AS batch
         WHERE trips.trip_id = batch.column1 AND (batch.column8 < 0 OR (
             trips.status = 'open' AND trips.end_time_ms = batch.column7 AND batch.column8 =
                 (SELECT revision FROM vehicles WHERE vehicles.vehicle_id = trips.vehicle_id)))",
        engine.or_fail(),
        sql::rows(engine, trips, 8)
    )
}
