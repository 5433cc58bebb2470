//! Keeps events, many in one transaction.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use tokio::sync::Mutex;

use super::row::EventRow;
use super::{EventStore, in_time};
use crate::store::open::Engine;
use crate::store::{StoreError, sql};

/// Numbers that are taken at once.
const NUMBERS: i64 = 4096;

/// Numbers for events, taken from the database by the thousand: several hosts
/// give out none twice.
#[derive(Default)]
pub(super) struct Numbers(Mutex<Range<i64>>);

impl EventStore {
    /// Keeps events, each given as its line; an event that is there already is
    /// left as it is. All of them are kept, or none.
    ///
    /// # Errors
    /// One of them is no event, or the store cannot be written.
    pub async fn put(&self, lines: &[&[u8]]) -> Result<(), StoreError> {
        let rows = lines.iter().map(|line| EventRow::parse(line)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|error| StoreError::Constraint(format!("a line is no event: {error}")))?;
        in_time(self.put_rows(rows)).await
    }

    async fn put_rows(&self, rows: Vec<EventRow>) -> Result<(), StoreError> {
        let mut numbered = Vec::with_capacity(rows.len());
        for row in rows {
            numbered.push((self.number().await?, row));
        }
        let mut transaction = match self.engine {
            Engine::Sqlite => self.writes.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.writes.begin().await?,
        };
        for (chunk, rows) in sql::chunks(&numbered) {
            let new = self.insert_columns(&mut transaction, chunk, rows).await?;
            let new: Vec<_> = chunk.iter().filter(|(id, _)| new.contains(id)).collect();
            for (chunk, rows) in sql::chunks(&new) {
                self.insert_bodies(&mut transaction, chunk, rows).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    async fn number(&self) -> Result<i64, StoreError> {
        let mut numbers = self.numbers.0.lock().await;
        if let Some(number) = numbers.next() {
            return Ok(number);
        }
        let text = "UPDATE event_numbers SET next_id = next_id + $1 RETURNING next_id";
        let end: i64 = sqlx::query_scalar(text).bind(NUMBERS).fetch_one(&self.writes).await?;
        *numbers = end - NUMBERS + 1..end;
        Ok(end - NUMBERS)
    }

    /// Inserts the rows of a chunk; the numbers of those that were not there.
    async fn insert_columns(
        &self,
        transaction: &mut Transaction<'static, Any>,
        chunk: &[(i64, EventRow)],
        rows: usize,
    ) -> Result<HashSet<i64>, StoreError> {
        let text = format!(
            "INSERT INTO events (id, request_id, started_us, operation, success, environment, deployment_id,
                                 usage_tier, error_code, trace_id, duration_ms, duration_bucket, sampling_rate,
                                 stored_bytes)
             VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            sql::rows(self.engine, rows, 14)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (id, row) in sql::padded(chunk, rows) {
            query = query
                .bind(*id)
                .bind(row.request_id.clone())
                .bind(row.started_us)
                .bind(row.operation.clone())
                .bind(i64::from(row.success))
                .bind(row.environment.clone())
                .bind(row.deployment_id.clone())
                .bind(row.usage_tier.clone())
                .bind(row.error_code.clone())
                .bind(row.trace_id.clone())
                .bind(row.duration_ms)
                .bind(row.duration_bucket())
                .bind(row.sampling_rate)
                .bind(row.stored_bytes());
        }
        let inserted = query.fetch_all(&mut **transaction).await?;
        Ok(inserted.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    async fn insert_bodies(
        &self,
        transaction: &mut Transaction<'static, Any>,
        chunk: &[&(i64, EventRow)],
        rows: usize,
    ) -> Result<(), StoreError> {
        let mut text = "INSERT INTO event_bodies (id, body) VALUES ".to_owned();
        for row in 0..rows {
            let comma = if row == 0 { "" } else { "," };
            match self.engine {
                Engine::Sqlite => write!(text, "{comma}(?,jsonb(?))"),
                Engine::Postgres => write!(text, "{comma}(${},CAST(${} AS JSONB))", 2 * row + 1, 2 * row + 2),
            }
            .expect("a String takes every text");
        }
        text += " ON CONFLICT DO NOTHING";
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (id, row) in sql::padded(chunk, rows) {
            query = query.bind(*id).bind(row.body.clone());
        }
        query.execute(&mut **transaction).await?;
        Ok(())
    }
}
