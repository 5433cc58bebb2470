//! The readings of a batch: inserted once, and what became of each.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::batch::{Phases, since};
use super::open::Engine;
use super::record::{ReadingRow, Stored};
use super::trips::{self, TripInBatch, TripKey, Trips};
use super::vehicles::{VehicleTotals, touch_vehicles, withdraw_contribution};
use super::{StoreError, sql};
use crate::identity::VehicleId;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Inserted,
    Duplicate { conflicting: bool },
    TooLate,
}

pub(super) async fn write_readings(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    readings: &[&ReadingRow],
    late_readings: Duration,
    phases: &mut Phases,
) -> Result<Vec<Stored>, StoreError> {
    if readings.is_empty() {
        return Ok(Vec::new());
    }
    let started = Instant::now();
    let mut trips = trips::find_or_open(transaction, engine, readings, late_readings).await?;
    phases.trip_query_ms = since(started);

    let started = Instant::now();
    let fates = insert_readings(transaction, readings, &trips).await?;
    for (row, fate) in readings.iter().zip(&fates) {
        let trip = trips.get_mut(&row.key()).expect("every reading has its trip");
        trip.count(row, *fate);
    }
    trips::add(transaction, &trips).await?;
    phases.insert_ms = since(started);

    let started = Instant::now();
    // All vehicles before any contribution is withdrawn: a second way through
    // their rows could meet another host that goes the first.
    let kept: Vec<_> = readings
        .iter()
        .zip(&fates)
        .filter(|(_, fate)| **fate != Fate::TooLate)
        .map(|(row, _)| *row)
        .collect();
    let mut vehicles: HashMap<VehicleId, VehicleTotals> = trips
        .iter()
        .filter_map(|((vehicle, _), trip)| Some(((*vehicle).clone(), trip.vehicle.clone()?)))
        .collect();
    let reopens = trips.values().any(TripInBatch::reopened);
    touch_vehicles(transaction, &kept, reopens, &mut vehicles).await?;
    for ((vehicle, _), trip) in trips.iter().filter(|(_, trip)| trip.reopened()) {
        let left = withdraw_contribution(transaction, &trip.trip_id).await?;
        vehicles.insert((*vehicle).clone(), left);
    }
    phases.vehicle_ms = since(started);
    Ok(outcomes(readings, &fates, &trips, &vehicles))
}

impl ReadingRow {
    pub(super) fn key(&self) -> TripKey<'_> {
        (&self.vehicle, self.session)
    }

    fn same_content(&self, other: &Self) -> bool {
        self.fields == other.fields && self.unknown == other.unknown
    }
}

impl TripInBatch {
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

/// Inserts each reading that its trip does not have yet, and says what became
/// of each, in the order given: the first of equals stays.
async fn insert_readings(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    trips: &Trips<'_>,
) -> Result<Vec<Fate>, StoreError> {
    let mut fates = vec![Fate::TooLate; readings.len()];
    let mut firsts: HashMap<(&str, i64), usize> = HashMap::with_capacity(readings.len());
    let mut repeats: HashMap<usize, Vec<usize>> = HashMap::new();
    let (mut new, mut perhaps_known) = (Vec::with_capacity(readings.len()), Vec::new());
    for (index, row) in readings.iter().enumerate() {
        let trip = &trips[&row.key()];
        if trip.too_late {
            continue;
        }
        match firsts.entry((trip.trip_id.as_str(), row.time_ms)) {
            Entry::Occupied(first) => {
                let first = *first.get();
                fates[index] = Fate::Duplicate { conflicting: !row.same_content(readings[first]) };
                repeats.entry(first).or_default().push(index);
            }
            Entry::Vacant(place) => {
                place.insert(index);
                fates[index] = Fate::Inserted;
                let kind = if row.time_ms > trip.known_until_ms { &mut new } else { &mut perhaps_known };
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
        insert_unless_known(transaction, readings, part, &repeats, &mut fates).await?;
    }
    Ok(fates)
}

/// Inserts readings that may be there already. All of equals are judged by
/// what is stored.
async fn insert_unless_known(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    part: &[(&str, usize)],
    repeats: &HashMap<usize, Vec<usize>>,
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let text = insert_text(part.len(), "ON CONFLICT DO NOTHING RETURNING trip_id, time_ms");
    let rows = bind_readings(&text, readings, part).fetch_all(&mut **transaction).await?;
    let key = |row: &AnyRow| Ok((row.try_get("trip_id")?, row.try_get("time_ms")?));
    let inserted: HashSet<(String, i64)> = rows.iter().map(key).collect::<Result<_, sqlx::Error>>()?;
    let mut known = Vec::new();
    for &(trip_id, index) in part {
        let time_ms = readings[index].time_ms;
        if !inserted.contains(&(trip_id.to_owned(), time_ms)) {
            let equals = std::iter::once(&index).chain(repeats.get(&index).into_iter().flatten());
            known.extend(equals.map(|&index| (trip_id, time_ms, index)));
        }
    }
    for part in sql::parts(&known) {
        compare_with_stored(transaction, readings, part, fates).await?;
    }
    Ok(())
}

pub(super) fn insert_text(rows: usize, conflicts: &str) -> String {
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

pub(super) fn compare_text(readings: usize) -> String {
    format!(
        "SELECT trip_id, time_ms, fields, unknown FROM readings WHERE (trip_id, time_ms) IN (VALUES {})",
        sql::rows(readings, 2)
    )
}

async fn compare_with_stored(
    transaction: &mut Transaction<'static, Any>,
    readings: &[&ReadingRow],
    known: &[(&str, i64, usize)],
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(compare_text(known.len())));
    let mut by_key: HashMap<_, Vec<usize>> = HashMap::with_capacity(known.len());
    for &(trip_id, time_ms, index) in known {
        query = query.bind(trip_id).bind(time_ms);
        by_key.entry((trip_id, time_ms)).or_default().push(index);
    }
    for stored in query.fetch_all(&mut **transaction).await? {
        let key = (stored.try_get::<&str, _>("trip_id")?, stored.try_get::<i64, _>("time_ms")?);
        for &index in by_key.get(&key).into_iter().flatten() {
            let same = stored.try_get::<&str, _>("fields")? == readings[index].fields
                && stored.try_get::<&str, _>("unknown")? == readings[index].unknown;
            fates[index] = Fate::Duplicate { conflicting: !same };
        }
    }
    Ok(())
}

fn outcomes(
    readings: &[&ReadingRow],
    fates: &[Fate],
    trips: &Trips<'_>,
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
