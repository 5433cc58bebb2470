//! Keeps events, many in one transaction.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use tokio::sync::Mutex;

use super::narrowing::{Arguments, Bound};
use super::row::{EventRow, ServiceRow};
use super::{EventStore, in_time};
use crate::store::open::Engine;
use crate::store::{StoreError, sql};

/// Numbers that are taken at once.
const NUMBERS: i64 = 4096;

/// Numbers for events, taken from the database by the thousand: several hosts
/// give out none twice.
#[derive(Default)]
pub(super) struct Numbers(Mutex<Range<i64>>);

/// The most services that are remembered: one for each change of plugins.
const SERVICES: usize = 64;

/// The numbers of the services that events were of.
#[derive(Default)]
pub(super) struct Services(Mutex<KnownServices>);

type KnownServices = HashMap<ServiceRow, i64>;

/// An event to keep, with its own number and that of its service.
struct Numbered<'r> {
    id: i64,
    service_id: i64,
    row: &'r EventRow,
}

impl EventStore {
    /// Keeps events, each given as its line; an event that is there already is
    /// left as it is. All of them are kept, or none.
    ///
    /// # Errors
    /// One of them is no event, or the store cannot be written.
    pub async fn put(&self, lines: &[&[u8]]) -> Result<(), StoreError> {
        let rows = lines.iter().map(|line| EventRow::parse(line)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|error| StoreError::Constraint(format!("a line is no event: {error}")))?;
        in_time(self.put_rows(&rows)).await
    }

    async fn put_rows(&self, rows: &[EventRow]) -> Result<(), StoreError> {
        // What is known is known again when all of this is kept.
        let known = std::mem::take(&mut *self.services.0.lock().await);
        let knew_some = !known.is_empty();
        match self.try_put(rows, known).await {
            // One of them may have gone with its last event.
            Err(error) if knew_some && error.may_be_one_items_fault() => {
                self.try_put(rows, KnownServices::new()).await
            }
            put => put,
        }
    }

    async fn try_put(&self, rows: &[EventRow], mut known: KnownServices) -> Result<(), StoreError> {
        let (mut numbered, mut new) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let service_id = match known.get(&row.service) {
                Some(id) => *id,
                None => {
                    let id = self.number().await?;
                    known.insert(row.service.clone(), id);
                    new.push((id, &row.service));
                    id
                }
            };
            numbered.push(Numbered { id: self.number().await?, service_id, row });
        }
        let mut transaction = match self.engine {
            Engine::Sqlite => self.writes.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.writes.begin().await?,
        };
        for (id, service) in new {
            self.insert_service(&mut transaction, id, service).await?;
        }
        for (chunk, rows) in sql::chunks(&numbered) {
            let inserted = self.insert_columns(&mut transaction, chunk, rows).await?;
            let mut new: Vec<_> = chunk.iter().collect();
            if inserted < chunk.len() as u64 {
                let kept = self.kept(&mut transaction, chunk).await?;
                new.retain(|event| kept.contains(&event.id));
            }
            for (chunk, rows) in sql::chunks(&new) {
                self.insert_bodies(&mut transaction, chunk, rows).await?;
            }
        }
        transaction.commit().await?;
        if known.len() <= SERVICES {
            *self.services.0.lock().await = known;
        }
        Ok(())
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

    /// Inserts a service with the first events of it: nobody sees it without.
    async fn insert_service(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: i64,
        service: &ServiceRow,
    ) -> Result<(), StoreError> {
        let body = match self.engine {
            Engine::Sqlite => "$4",
            Engine::Postgres => "CAST($4 AS JSONB)",
        };
        let text = format!(
            "INSERT INTO event_services (id, environment, deployment_id, body) VALUES ($1, $2, $3, {body})"
        );
        sqlx::query(AssertSqlSafe(text))
            .bind(id)
            .bind(service.environment.clone())
            .bind(service.deployment_id.clone())
            .bind(service.body.clone())
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    /// Inserts the rows of a chunk; the number of those that were not there.
    async fn insert_columns(
        &self,
        transaction: &mut Transaction<'static, Any>,
        chunk: &[Numbered<'_>],
        rows: usize,
    ) -> Result<u64, StoreError> {
        let text = format!(
            "INSERT INTO events (id, request_id, started_us, operation, success, service_id, usage_tier,
                                 error_code, trace_id, duration_ms, duration_bucket, sampling_rate, stored_bytes)
             VALUES {} ON CONFLICT DO NOTHING",
            sql::rows(self.engine, rows, 13)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for Numbered { id, service_id, row } in sql::padded(chunk, rows) {
            query = query
                .bind(*id)
                .bind(row.request_id.clone())
                .bind(row.started_us)
                .bind(row.operation.clone())
                .bind(i64::from(row.success))
                .bind(*service_id)
                .bind(row.usage_tier.clone())
                .bind(row.error_code.clone())
                .bind(row.trace_id.clone())
                .bind(row.duration_ms)
                .bind(row.duration_bucket())
                .bind(row.sampling_rate)
                .bind(row.stored_bytes());
        }
        Ok(query.execute(&mut **transaction).await?.rows_affected())
    }

    /// The numbers of those events of a chunk that are there under their own.
    async fn kept(
        &self,
        transaction: &mut Transaction<'static, Any>,
        chunk: &[Numbered<'_>],
    ) -> Result<HashSet<i64>, StoreError> {
        let mut arguments = Arguments::new(self.engine);
        let ids = arguments.bind_all(chunk.iter().map(|event| Bound::Whole(event.id)));
        let query = arguments.query(format!("SELECT id FROM events WHERE id IN ({ids})"));
        let kept = query.fetch_all(&mut **transaction).await?;
        Ok(kept.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    async fn insert_bodies(
        &self,
        transaction: &mut Transaction<'static, Any>,
        chunk: &[&Numbered<'_>],
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
        for Numbered { id, row, .. } in sql::padded(chunk, rows) {
            query = query.bind(*id).bind(row.body.clone());
        }
        query.execute(&mut **transaction).await?;
        Ok(())
    }
}
