//! Readings of a batch: trips found or opened, readings inserted once, trips
//! and vehicles brought up to date.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uuid::Uuid;

use super::batch::{Phases, since};
use super::record::{ReadingRow, Stored};
use super::vehicles::{VehicleTotals, touch_vehicles};
use super::{StoreError, finalization, sql};
use crate::identity::VehicleId;

/// A trip as the batch finds it, and what the batch does to it.
struct TripInBatch {
    trip_id: String,
    created: bool,
    /// Closed or failed: a new reading opens it again.
    ended: bool,
    too_late: bool,
    /// The last reading that it had before the batch; what is later is new.
    known_until_ms: i64,
    inserted: i64,
    duplicates: i64,
    conflicts: i64,
    start_time_ms: i64,
    end_time_ms: i64,
}

/// A trip's key; in this order trips and vehicles are locked, so that two
/// hosts cannot wait for each other.
type TripKey<'a> = (&'a VehicleId, Uuid);

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Inserted,
    Duplicate { conflicting: bool },
    TooLate,
}

pub(super) async fn write_readings(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    late_readings: Duration,
    phases: &mut Phases,
) -> Result<Vec<Stored>, StoreError> {
    if readings.is_empty() {
        return Ok(Vec::new());
    }
    let started = Instant::now();
    let mut trips = find_or_open_trips(transaction, readings, late_readings).await?;
    phases.trip_query_ms = since(started);

    let started = Instant::now();
    let fates = insert_readings(transaction, readings, &trips).await?;
    for (row, fate) in readings.iter().zip(&fates) {
        let trip = trips.get_mut(&row.key()).expect("every reading has its trip");
        trip.count(row, *fate);
    }
    update_trips(transaction, &trips).await?;
    phases.insert_ms = since(started);

    let started = Instant::now();
    let vehicles = touch_vehicles(transaction, readings).await?;
    phases.vehicle_ms = since(started);
    Ok(outcomes(readings, &fates, &trips, &vehicles))
}

impl ReadingRow {
    fn key(&self) -> TripKey<'_> {
        (&self.vehicle, self.session)
    }

    fn same_content(&self, other: &Self) -> bool {
        self.fields == other.fields && self.unknown == other.unknown
    }
}

impl TripInBatch {
    fn found(created: bool, trip_id: String, ended: bool, too_late: bool, known_until_ms: i64) -> Self {
        Self {
            trip_id,
            created,
            ended,
            too_late,
            known_until_ms,
            inserted: 0,
            duplicates: 0,
            conflicts: 0,
            start_time_ms: i64::MAX,
            end_time_ms: i64::MIN,
        }
    }

    fn reopened(&self) -> bool {
        self.ended && self.inserted > 0
    }

    fn count(&mut self, row: &ReadingRow, fate: Fate) {
        match fate {
            Fate::Inserted => {
                self.inserted += 1;
                self.start_time_ms = self.start_time_ms.min(row.time_ms);
                self.end_time_ms = self.end_time_ms.max(row.time_ms);
            }
            Fate::Duplicate { conflicting } => {
                self.duplicates += 1;
                self.conflicts += i64::from(conflicting);
            }
            Fate::TooLate => {}
        }
    }
}

/// Readings of one trip.
type Group<'a> = (TripKey<'a>, Vec<&'a ReadingRow>);

async fn find_or_open_trips<'a>(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&'a ReadingRow],
    late_readings: Duration,
) -> Result<BTreeMap<TripKey<'a>, TripInBatch>, StoreError> {
    let mut groups: BTreeMap<TripKey<'a>, Vec<&'a ReadingRow>> = BTreeMap::new();
    for row in readings {
        groups.entry(row.key()).or_default().push(row);
    }
    let groups: Vec<Group<'a>> = groups.into_iter().collect();
    let mut trips = BTreeMap::new();
    for part in sql::parts(&groups) {
        upsert_trips(transaction, part, late_readings, &mut trips).await?;
    }
    Ok(trips)
}

async fn upsert_trips<'a>(
    transaction: &mut Transaction<'static, Any>,
    part: &[Group<'a>],
    late_readings: Duration,
    trips: &mut BTreeMap<TripKey<'a>, TripInBatch>,
) -> Result<(), StoreError> {
    let text = format!(
        "INSERT INTO trips (trip_id, vehicle_id, session_id, status, start_time_ms, end_time_ms,
                            first_received_ms, last_received_ms)
         VALUES {}
         ON CONFLICT (vehicle_id, session_id) DO UPDATE SET last_received_ms =
             CASE WHEN excluded.last_received_ms > trips.last_received_ms
                  THEN excluded.last_received_ms ELSE trips.last_received_ms END
         RETURNING trip_id, vehicle_id, session_id, status, closed_ms, end_time_ms",
        sql::rows(part.len(), 8)
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    let mut by_text = HashMap::with_capacity(part.len());
    for (key, rows) in part {
        let (proposed, session) = (Uuid::now_v7().to_string(), key.1.to_string());
        let received = rows.iter().map(|row| row.received_ms);
        let times = rows.iter().map(|row| row.time_ms);
        query = query
            .bind(proposed.clone())
            .bind(key.0.as_str())
            .bind(session.clone())
            .bind("open")
            .bind(times.clone().min())
            .bind(times.max())
            .bind(received.clone().min())
            .bind(received.clone().max());
        let open_since = received.max().unwrap_or_default() - millis(late_readings);
        by_text.insert((key.0.as_str(), session), (*key, proposed, open_since));
    }
    for row in query.fetch_all(&mut **transaction).await? {
        let text = (row.try_get::<&str, _>("vehicle_id")?, row.try_get::<String, _>("session_id")?);
        let (key, proposed, open_since) = by_text
            .get(&text)
            .ok_or_else(|| StoreError::Unexpected("a trip came back that nobody asked for".to_owned()))?;
        let trip_id: String = row.try_get("trip_id")?;
        let ended = row.try_get::<&str, _>("status")? != "open";
        let closed_ms: Option<i64> = row.try_get("closed_ms")?;
        let too_late = ended && closed_ms.is_some_and(|closed| closed < *open_since);
        let created = trip_id == *proposed;
        let known_until_ms = if created { i64::MIN } else { row.try_get("end_time_ms")? };
        trips.insert(*key, TripInBatch::found(created, trip_id, ended, too_late, known_until_ms));
    }
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Inserts each reading that its trip does not have yet, and says what became
/// of each, in the order given: the first of equals stays.
async fn insert_readings(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    trips: &BTreeMap<TripKey<'_>, TripInBatch>,
) -> Result<Vec<Fate>, StoreError> {
    let mut fates = vec![Fate::TooLate; readings.len()];
    let mut firsts: HashMap<(&str, i64), usize> = HashMap::with_capacity(readings.len());
    let mut new = Vec::with_capacity(readings.len());
    let mut perhaps_known = Vec::new();
    for (index, row) in readings.iter().enumerate() {
        let trip = &trips[&row.key()];
        if trip.too_late {
            continue;
        }
        match firsts.entry((trip.trip_id.as_str(), row.time_ms)) {
            Entry::Occupied(first) => {
                fates[index] = Fate::Duplicate { conflicting: !row.same_content(readings[*first.get()]) };
            }
            Entry::Vacant(place) => {
                place.insert(index);
                fates[index] = Fate::Inserted;
                let is_new = row.time_ms > trip.known_until_ms;
                let kind = if is_new { &mut new } else { &mut perhaps_known };
                kind.push((trip.trip_id.as_str(), index));
            }
        }
    }
    // The database need not say of each of these that it was inserted.
    for part in sql::parts(&new) {
        let text = insert_text(part.len(), "");
        bind_readings(&text, readings, part).execute(&mut **transaction).await?;
    }
    for part in sql::parts(&perhaps_known) {
        let text = insert_text(part.len(), "ON CONFLICT DO NOTHING RETURNING trip_id, time_ms");
        let rows = bind_readings(&text, readings, part).fetch_all(&mut **transaction).await?;
        let key = |row: &AnyRow| Ok((row.try_get("trip_id")?, row.try_get("time_ms")?));
        let inserted: HashSet<(String, i64)> = rows.iter().map(key).collect::<Result<_, sqlx::Error>>()?;
        let known: Vec<_> = part
            .iter()
            .map(|&(trip_id, index)| (trip_id, readings[index].time_ms, index))
            .filter(|&(trip_id, time_ms, _)| !inserted.contains(&(trip_id.to_owned(), time_ms)))
            .collect();
        for part in sql::parts(&known) {
            compare_with_stored(transaction, readings, part, &mut fates).await?;
        }
    }
    Ok(fates)
}

fn insert_text(rows: usize, conflicts: &str) -> String {
    let rows = sql::rows(rows, 5);
    format!("INSERT INTO readings (trip_id, time_ms, received_ms, fields, unknown) VALUES {rows} {conflicts}")
}

fn bind_readings<'t>(
    text: &'t str,
    readings: &[&'t ReadingRow],
    part: &[(&'t str, usize)],
) -> Query<'t, Any, AnyArguments> {
    part.iter().fold(sqlx::query(AssertSqlSafe(text)), |query, &(trip_id, index)| {
        let row = readings[index];
        query.bind(trip_id).bind(row.time_ms).bind(row.received_ms).bind(&row.fields).bind(&row.unknown)
    })
}

async fn compare_with_stored(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    known: &[(&str, i64, usize)],
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let text = format!(
        "SELECT trip_id, time_ms, fields, unknown FROM readings WHERE (trip_id, time_ms) IN (VALUES {})",
        sql::rows(known.len(), 2)
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    let mut by_key = HashMap::with_capacity(known.len());
    for &(trip_id, time_ms, index) in known {
        query = query.bind(trip_id).bind(time_ms);
        by_key.insert((trip_id, time_ms), index);
    }
    for stored in query.fetch_all(&mut **transaction).await? {
        let key = (stored.try_get::<&str, _>("trip_id")?, stored.try_get::<i64, _>("time_ms")?);
        if let Some(&index) = by_key.get(&key) {
            let same = stored.try_get::<&str, _>("fields")? == readings[index].fields
                && stored.try_get::<&str, _>("unknown")? == readings[index].unknown;
            fates[index] = Fate::Duplicate { conflicting: !same };
        }
    }
    Ok(())
}

/// Adds the batch to its trips; a new reading opens an ended trip again.
async fn update_trips(
    transaction: &mut Transaction<'static, Any>,
    trips: &BTreeMap<TripKey<'_>, TripInBatch>,
) -> Result<(), StoreError> {
    for trip in trips.values().filter(|trip| trip.reopened()) {
        finalization::withdraw_contribution(transaction, &trip.trip_id).await?;
    }
    let touched: Vec<_> = trips.values().filter(|trip| trip.inserted + trip.duplicates > 0).collect();
    for part in sql::parts(&touched) {
        let text = format!(
            "UPDATE trips SET
                 reading_count = trips.reading_count + batch.column2,
                 duplicate_count = trips.duplicate_count + batch.column3,
                 conflict_count = trips.conflict_count + batch.column4,
                 start_time_ms = CASE WHEN batch.column5 < trips.start_time_ms
                                      THEN batch.column5 ELSE trips.start_time_ms END,
                 end_time_ms = CASE WHEN batch.column6 > trips.end_time_ms
                                    THEN batch.column6 ELSE trips.end_time_ms END
             FROM (VALUES {}) AS batch WHERE trips.trip_id = batch.column1",
            sql::rows(part.len(), 6)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for trip in part {
            query = query
                .bind(&trip.trip_id)
                .bind(trip.inserted)
                .bind(trip.duplicates)
                .bind(trip.conflicts)
                .bind(trip.start_time_ms)
                .bind(trip.end_time_ms);
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

fn outcomes(
    readings: &[&ReadingRow],
    fates: &[Fate],
    trips: &BTreeMap<TripKey<'_>, TripInBatch>,
    vehicles: &HashMap<VehicleId, VehicleTotals>,
) -> Vec<Stored> {
    let mut opened = HashSet::new();
    let mut outcomes = Vec::with_capacity(readings.len());
    for (row, fate) in readings.iter().zip(fates) {
        let trip = &trips[&row.key()];
        let trip_id = trip.trip_id.clone();
        if *fate == Fate::TooLate {
            outcomes.push(Stored::TooLate { trip_id });
            continue;
        }
        // The first reading that is stored opens the trip; the others of the
        // batch find it open.
        let opens = *fate == Fate::Inserted && opened.insert(trip.trip_id.as_str());
        outcomes.push(Stored::Reading {
            trip_id,
            trip_created: opens && trip.created,
            trip_reopened: opens && trip.reopened(),
            duplicate: matches!(fate, Fate::Duplicate { .. }),
            conflicting: matches!(fate, Fate::Duplicate { conflicting: true }),
            vehicle: vehicles[&row.vehicle].stats(row.received_ms),
        });
    }
    outcomes
}
