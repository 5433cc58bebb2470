//! Old events go: those older than the limit, and the oldest of those that take
//! too much room. In small steps, so that others can write in between.

use jiff::Timestamp;
use sqlx::{AnyConnection, Executor as _, Row as _};

use super::EventStore;
use super::narrowing::{Arguments, Bound};
use crate::store::StoreError;
use crate::store::open::Engine;

/// Events that go at once,
const STEP: i64 = 500;
/// and steps before somebody else's turn.
const STEPS: usize = 10;
/// Locks the removal of events on PostgreSQL: "events" in ASCII.
const REMOVAL: i64 = 0x6576_656e_7473;

impl EventStore {
    /// Removes some of what is too old or too much; returns whether there may
    /// be more of it. Nothing while another host is at it: both would remove
    /// what is too much.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_old(&self) -> Result<bool, StoreError> {
        match self.engine {
            // It has one host.
            Engine::Sqlite => self.remove_some(&mut *self.writes.acquire().await?).await,
            Engine::Postgres => {
                let mut transaction = self.writes.begin().await?;
                let alone: i32 = sqlx::query_scalar("SELECT CAST(pg_try_advisory_xact_lock($1) AS INTEGER)")
                    .bind(REMOVAL)
                    .fetch_one(&mut *transaction)
                    .await?;
                let more = alone != 0 && self.remove_some(&mut transaction).await?;
                transaction.commit().await?;
                Ok(more)
            }
        }
    }

    async fn remove_some(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let longest = i64::try_from(self.longest.as_micros()).unwrap_or(i64::MAX);
        let oldest_us = Timestamp::now().as_microsecond().saturating_sub(longest);
        for step in 0..=STEPS {
            if step == STEPS {
                return Ok(true);
            }
            if self.remove_before(connection, oldest_us).await?.0 == 0 {
                break;
            }
        }
        remove_services(connection).await?;
        let text = "SELECT CAST(COALESCE(SUM(stored_bytes), 0) AS BIGINT) FROM events";
        let mut bytes: i64 = sqlx::query_scalar(text).fetch_one(&mut *connection).await?;
        for _ in 0..STEPS {
            if bytes <= self.most_bytes {
                return Ok(false);
            }
            bytes -= self.remove_before(connection, i64::MAX).await?.1;
        }
        Ok(true)
    }

    /// Removes some of the oldest events that began before that time; how many,
    /// and what they took.
    async fn remove_before(
        &self,
        connection: &mut AnyConnection,
        before_us: i64,
    ) -> Result<(usize, i64), StoreError> {
        let mut arguments = Arguments::new(self.engine);
        let (before, step) = (arguments.bind(Bound::Whole(before_us)), arguments.bind(Bound::Whole(STEP)));
        // The bodies go with them.
        let text = format!(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE started_us < {before}
                                             ORDER BY started_us, id LIMIT {step}) RETURNING stored_bytes"
        );
        let rows = arguments.query(text).fetch_all(connection).await?;
        let bytes = rows.iter().map(|row| row.try_get::<i64, _>(0)).sum::<Result<i64, _>>()?;
        Ok((rows.len(), bytes))
    }

    /// Tells the database what its tables are like by now: which index is the
    /// best depends on it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn take_stock(&self) -> Result<(), StoreError> {
        if self.engine == Engine::Sqlite {
            // A part of each index tells enough.
            self.writes.execute("PRAGMA analysis_limit = 1000").await?;
        }
        self.writes.execute("ANALYZE events").await?;
        self.writes.execute("ANALYZE event_services").await?;
        Ok(())
    }
}

/// Removes the services that no event is of any more.
async fn remove_services(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let text = "DELETE FROM event_services
                WHERE NOT EXISTS (SELECT 1 FROM events WHERE service_id = event_services.id)";
    connection.execute(text).await?;
    Ok(())
}
