//! A trip's readings as they are read back: page by page, in time order.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::layout::{Columns, Layout};
use super::open::Store;
use super::spans::span_of;
use super::{StoreError, spans};
use crate::plugin_host::TripReadings;

/// Readings that are read at one time.
const PAGE: usize = 4096;
/// Readings in which the first value of each kind is looked for.
const FIRST: usize = 64;

/// One reading as it rests.
#[derive(Debug, Clone)]
pub struct StoredReading {
    /// When it was taken: epoch milliseconds.
    pub time_ms: i64,
    /// Its numbers by field, sorted by name.
    pub fields: Vec<(String, f64)>,
}

impl StoredReading {
    /// The number of a field.
    pub fn get(&self, name: &str) -> Option<f64> {
        let place = self.fields.binary_search_by(|(field, _)| field.as_str().cmp(name)).ok()?;
        Some(self.fields[place].1)
    }
}

pub(super) fn page_text() -> String {
    let of_trip = spans::of_trip("AND span BETWEEN $2 AND $3");
    format!(
        "SELECT time_ms, layout_id, numbers FROM readings
         WHERE {of_trip} AND time_ms > $4 ORDER BY time_ms LIMIT $5"
    )
}

impl Store {
    /// A trip's next readings behind a time, in order: none behind the last.
    pub async fn readings_after(
        &self,
        trip_id: &str,
        after_ms: i64,
    ) -> Result<Vec<StoredReading>, StoreError> {
        let mut readings = Vec::new();
        for row in self.page_after(trip_id, after_ms, PAGE).await? {
            let layout = self.layout_in(&row).await?;
            let fields =
                layout.named(row.try_get("numbers")?)?.map(|(name, number)| (name.to_owned(), number));
            readings.push(StoredReading { time_ms: row.try_get("time_ms")?, fields: fields.collect() });
        }
        Ok(readings)
    }

    /// The fields that readings of a trip may have, sorted by name.
    pub async fn fields_of_trip(&self, trip_id: &str) -> Result<BTreeSet<String>, StoreError> {
        let text = format!("SELECT DISTINCT layout_id FROM readings WHERE {}", spans::of_trip(""));
        let ids: Vec<i64> =
            sqlx::query_scalar(AssertSqlSafe(text)).bind(trip_id).fetch_all(&self.pool).await?;
        let mut names = BTreeSet::new();
        for id in ids {
            names.extend(self.layouts.get(&self.pool, id).await?.names().iter().cloned());
        }
        Ok(names)
    }

    /// All of a trip's readings as columns: they are in memory once. What comes
    /// meanwhile is told from the claim when the trip is closed.
    pub(super) async fn readings(&self, trip_id: &str) -> Result<TripReadings, StoreError> {
        self.readings_by_pages(trip_id, PAGE, usize::MAX).await
    }

    /// The first few readings of a trip, as columns.
    pub async fn first_readings(&self, trip_id: &str) -> Result<TripReadings, StoreError> {
        self.readings_by_pages(trip_id, FIRST, 1).await
    }

    async fn readings_by_pages(
        &self,
        trip_id: &str,
        length: usize,
        pages: usize,
    ) -> Result<TripReadings, StoreError> {
        let mut times_ms: Vec<i64> = Vec::new();
        let mut columns = Columns::default();
        for _ in 0..pages {
            let after_ms = times_ms.last().copied().unwrap_or_default();
            let rows = self.page_after(trip_id, after_ms, length).await?;
            for row in &rows {
                let layout = self.layout_in(row).await?;
                columns.add(times_ms.len(), &layout, row.try_get("numbers")?)?;
                times_ms.push(row.try_get("time_ms")?);
            }
            if rows.len() < length {
                break;
            }
        }
        Ok(TripReadings { columns: columns.by_name(times_ms.len()), times_ms })
    }

    /// The next `length` readings behind a time; fewer if there are no more.
    async fn page_after(
        &self,
        trip_id: &str,
        after_ms: i64,
        length: usize,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut page = Vec::new();
        let mut from = span_of(after_ms);
        while page.len() < length {
            let spans = spans::with_readings(length - page.len());
            let Some((first, last)) = spans::next(&self.pool, trip_id, from, spans).await? else { break };
            let rows = sqlx::query(AssertSqlSafe(page_text()))
                .bind(trip_id)
                .bind(first)
                .bind(last)
                .bind(after_ms)
                .bind((length - page.len()) as i64);
            page.extend(rows.fetch_all(&self.pool).await?);
            from = last + 1;
        }
        Ok(page)
    }

    async fn layout_in(&self, row: &AnyRow) -> Result<Arc<Layout>, StoreError> {
        self.layouts.get(&self.pool, row.try_get("layout_id")?).await
    }
}
