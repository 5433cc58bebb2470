//! The readings of a batch: inserted once, and what became of each.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use super::batch::{Phases, since};
use super::layout::{Layouts, Packed};
use super::open::Engine;
use super::record::{ReadingRow, Stored};
use super::spans::{SLICE_MS, span_of};
use super::trips::{self, TripInBatch, TripKey, Trips};
use super::vehicles::{Seen, VehicleTotals, touch_vehicles, withdraw_contribution};
use super::{StoreError, spans, sql};
use crate::identity::VehicleId;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Inserted,
    Duplicate { conflicting: bool },
    TooLate,
}

/// What a batch of readings did, in a transaction that is not committed yet.
pub(super) struct WrittenReadings<'a> {
    /// What each became, in the order given.
    pub(super) stored: Vec<Stored>,
    /// Their trips.
    pub(super) trips: Trips<'a>,
    /// Their vehicles' rows.
    pub(super) vehicles: HashMap<VehicleId, VehicleTotals>,
}

/// What a batch of readings is written with.
pub(super) struct Writing<'w> {
    pub(super) engine: Engine,
    pub(super) layouts: &'w Layouts,
    /// For layouts, which no transaction locks.
    pub(super) reads: &'w AnyPool,
}

/// Writes readings of these trips. `None` if an open trip is not as it is remembered: then
/// the transaction must not be committed.
pub(super) async fn write_readings<'a>(
    transaction: &mut Transaction<'static, Any>,
    with: &Writing<'_>,
    readings: &[&'a ReadingRow],
    mut trips: Trips<'a>,
    phases: &mut Phases,
) -> Result<Option<WrittenReadings<'a>>, StoreError> {
    let engine = with.engine;
    let started = Instant::now();
    let Some(fates) = insert_readings(transaction, with, readings, &trips).await? else {
        return Ok(None);
    };
    for (row, fate) in readings.iter().zip(&fates) {
        let trip = trips.get_mut(&row.key()).expect("every reading has its trip");
        trip.count(row, *fate);
    }
    add_spans(transaction, engine, readings.iter().zip(&fates), &trips).await?;
    if !trips::add(transaction, engine, &trips).await? {
        return Ok(None);
    }
    phases.insert_ms = since(started);

    let started = Instant::now();
    // All vehicles before any contribution is withdrawn: a second way through
    // their rows could meet another host that goes the first.
    let mut seen = Seen::default();
    for (row, _) in readings.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::TooLate) {
        seen.add(&trips[&row.key()].vehicle_id, row.time_ms, row.received_ms);
    }
    let mut vehicles: HashMap<VehicleId, VehicleTotals> =
        trips.values().filter_map(|trip| Some((trip.vehicle_id.clone(), trip.vehicle.clone()?))).collect();
    // A trip that begins earlier may have waited for a host that took another
    // one from its vehicle, whose row is as it was before.
    let all = trips.values().any(|trip| trip.reopened() || trip.begins_earlier());
    touch_vehicles(transaction, engine, seen, all, &mut vehicles).await?;
    for trip in trips.values().filter(|trip| trip.reopened()) {
        let left = withdraw_contribution(transaction, trip.trip_id.as_str()).await?;
        vehicles.insert(trip.vehicle_id.clone(), left);
    }
    phases.vehicle_ms = since(started);
    let stored = outcomes(readings, &fates, &trips, &vehicles);
    Ok(Some(WrittenReadings { stored, trips, vehicles }))
}

/// Notes the spans of what was inserted, but for that of the last reading that
/// each trip had: an ordinary reading adds none.
async fn add_spans<'r>(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    fates: impl Iterator<Item = (&'r &'r ReadingRow, &'r Fate)>,
    trips: &Trips<'_>,
) -> Result<(), StoreError> {
    let mut new: Vec<(&str, i64)> = fates
        .filter(|(_, fate)| **fate == Fate::Inserted)
        .map(|(row, _)| (&trips[&row.key()], span_of(row.time_ms)))
        .filter(|(trip, span)| *span != span_of(trip.known_until_ms))
        .map(|(trip, span)| (trip.trip_id.as_str(), span))
        .collect();
    new.sort_unstable();
    new.dedup();
    spans::add(transaction, engine, &new).await
}

impl ReadingRow {
    pub(super) fn key(&self) -> TripKey<'_> {
        (&self.phone, self.session)
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
/// of each, in the order given: the first of equals stays. `None` if a reading
/// that is later than all of its trip is there already.
async fn insert_readings(
    transaction: &mut Transaction<'static, Any>,
    with: &Writing<'_>,
    readings: &[&ReadingRow],
    trips: &Trips<'_>,
) -> Result<Option<Vec<Fate>>, StoreError> {
    let mut fates = vec![Fate::TooLate; readings.len()];
    let mut firsts: HashMap<(&str, i64), usize> = HashMap::with_capacity(readings.len());
    let mut repeats: HashMap<usize, Vec<usize>> = HashMap::new();
    let (mut new, mut perhaps_known) = (Vec::with_capacity(readings.len()), Vec::new());
    let mut too_late = Vec::new();
    for (index, row) in readings.iter().enumerate() {
        let trip = &trips[&row.key()];
        if trip.too_late {
            too_late.push((trip.trip_id.as_str(), row.time_ms, index));
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
    let mut inserted = 0;
    for (chunk, rows) in sql::chunks(&new) {
        let text = insert_text(with.engine, rows, "");
        let insert = bind_readings(&text, readings, sql::padded(chunk, rows));
        inserted += insert.execute(&mut **transaction).await?.rows_affected();
    }
    if inserted != new.len() as u64 {
        return Ok(None);
    }
    for (chunk, rows) in sql::chunks(&perhaps_known) {
        insert_unless_known(transaction, with, readings, (chunk, rows), &repeats, &mut fates).await?;
    }
    for (chunk, rows) in sql::chunks(&too_late) {
        compare_with_stored(transaction, with, readings, (chunk, rows), &mut fates).await?;
    }
    for (_, _, index) in too_late {
        // What is there already is acknowledged at any time. What says something
        // else is as late as any other, and nothing of it must be lost.
        if fates[index] == (Fate::Duplicate { conflicting: true }) {
            fates[index] = Fate::TooLate;
        }
    }
    Ok(Some(fates))
}

/// Inserts readings that may be there already. All of equals are judged by
/// what is stored.
async fn insert_unless_known(
    transaction: &mut Transaction<'static, Any>,
    with: &Writing<'_>,
    readings: &[&ReadingRow],
    (chunk, rows): (&[(&str, usize)], usize),
    repeats: &HashMap<usize, Vec<usize>>,
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let text = insert_text(with.engine, rows, "RETURNING trip_id, time_ms");
    let insert = bind_readings(&text, readings, sql::padded(chunk, rows));
    let rows = insert.fetch_all(&mut **transaction).await?;
    let key = |row: &AnyRow| Ok((row.try_get("trip_id")?, row.try_get("time_ms")?));
    let inserted: HashSet<(String, i64)> = rows.iter().map(key).collect::<Result<_, sqlx::Error>>()?;
    let mut known = Vec::new();
    for &(trip_id, index) in chunk {
        let time_ms = readings[index].time_ms;
        if !inserted.contains(&(trip_id.to_owned(), time_ms)) {
            let equals = std::iter::once(&index).chain(repeats.get(&index).into_iter().flatten());
            known.extend(equals.map(|&index| (trip_id, time_ms, index)));
        }
    }
    for (chunk, rows) in sql::chunks(&known) {
        compare_with_stored(transaction, with, readings, (chunk, rows), fates).await?;
    }
    Ok(())
}

pub(super) fn insert_text(engine: Engine, rows: usize, returning: &str) -> String {
    let rows = sql::rows(engine, rows, 6);
    format!(
        "INSERT {} INTO readings (trip_id, time_ms, received_ms, layout_id, numbers, unknown) VALUES {rows}
         ON CONFLICT DO NOTHING {returning}",
        engine.or_fail()
    )
}

fn bind_readings<'t>(
    text: &'t str,
    readings: &[&'t ReadingRow],
    rows: impl Iterator<Item = &'t (&'t str, usize)>,
) -> Query<'t, Any, AnyArguments> {
    rows.fold(sqlx::query(AssertSqlSafe(text)), |query, &(trip_id, index)| {
        let row = readings[index];
        let query = query.bind(trip_id).bind(row.time_ms).bind(row.received_ms);
        query.bind(row.fields.layout_id).bind(&row.fields.numbers).bind(&row.unknown)
    })
}

pub(super) fn compare_text(engine: Engine, readings: usize) -> String {
    format!(
        "WITH wanted (trip_id, time_ms) AS (VALUES {})
         SELECT readings.trip_id, readings.time_ms, layout_id, numbers, unknown FROM wanted CROSS JOIN readings
         WHERE readings.time_ms / {SLICE_MS} = wanted.time_ms / {SLICE_MS}
           AND readings.trip_id = wanted.trip_id AND readings.time_ms = wanted.time_ms",
        sql::rows(engine, readings, 2)
    )
}

async fn compare_with_stored(
    transaction: &mut Transaction<'static, Any>,
    with: &Writing<'_>,
    readings: &[&ReadingRow],
    (known, rows): (&[(&str, i64, usize)], usize),
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(compare_text(with.engine, rows)));
    for &(trip_id, time_ms, _) in sql::padded(known, rows) {
        query = query.bind(trip_id).bind(time_ms);
    }
    let mut by_key: HashMap<_, Vec<usize>> = HashMap::with_capacity(known.len());
    for &(trip_id, time_ms, index) in known {
        by_key.entry((trip_id, time_ms)).or_default().push(index);
    }
    for stored in query.fetch_all(&mut **transaction).await? {
        let key = (stored.try_get::<&str, _>("trip_id")?, stored.try_get::<i64, _>("time_ms")?);
        let (layout_id, numbers) = (stored.try_get("layout_id")?, stored.try_get("numbers")?);
        let fields = Packed { layout_id, numbers };
        for &index in by_key.get(&key).into_iter().flatten() {
            let same = with.layouts.same(with.reads, &fields, &readings[index].fields).await?
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
        let (trip_id, vehicle_id) = (trip.trip_id.clone(), trip.vehicle_id.clone());
        if *fate == Fate::TooLate {
            outcomes.push(Stored::TooLate { trip_id, vehicle_id });
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
            vehicle: vehicles[&trip.vehicle_id].stats(row.received_ms),
            vehicle_id,
        });
    }
    outcomes
}
