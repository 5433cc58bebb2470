//! Old events go: those older than the limit, and the oldest of those that take
//! too much room. In small steps, so that others can write in between.

use jiff::Timestamp;
use sqlx::{Executor as _, Row as _};

use super::EventStore;
use super::narrowing::{Arguments, Bound};
use crate::store::StoreError;
use crate::store::open::Engine;

/// Events that go at once,
const STEP: i64 = 500;
/// and steps before somebody else's turn.
const STEPS: usize = 10;

impl EventStore {
    /// Removes some of what is too old or too much; returns whether there may
    /// be more of it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_old(&self) -> Result<bool, StoreError> {
        let longest = i64::try_from(self.longest.as_micros()).unwrap_or(i64::MAX);
        let oldest_us = Timestamp::now().as_microsecond().saturating_sub(longest);
        for step in 0..=STEPS {
            if step == STEPS {
                return Ok(true);
            }
            if self.remove_before(oldest_us).await?.0 == 0 {
                break;
            }
        }
        self.remove_services().await?;
        let text = "SELECT CAST(COALESCE(SUM(stored_bytes), 0) AS BIGINT) FROM events";
        let mut bytes: i64 = sqlx::query_scalar(text).fetch_one(&self.writes).await?;
        for _ in 0..STEPS {
            if bytes <= self.most_bytes {
                return Ok(false);
            }
            bytes -= self.remove_before(i64::MAX).await?.1;
        }
        Ok(true)
    }

    /// Removes some of the oldest events that began before that time; how many,
    /// and what they took.
    async fn remove_before(&self, before_us: i64) -> Result<(usize, i64), StoreError> {
        let mut arguments = Arguments::new(self.engine);
        let (before, step) = (arguments.bind(Bound::Whole(before_us)), arguments.bind(Bound::Whole(STEP)));
        // The bodies go with them.
        let text = format!(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE started_us < {before}
                                             ORDER BY started_us, id LIMIT {step}) RETURNING stored_bytes"
        );
        let rows = arguments.query(text).fetch_all(&self.writes).await?;
        let bytes = rows.iter().map(|row| row.try_get::<i64, _>(0)).sum::<Result<i64, _>>()?;
        Ok((rows.len(), bytes))
    }

    /// Removes the services that no event is of any more. Those that are newer
    /// than the oldest event may wait for their first.
    async fn remove_services(&self) -> Result<(), StoreError> {
        let text = "DELETE FROM event_services WHERE id < (SELECT MIN(id) FROM events)
                    AND NOT EXISTS (SELECT 1 FROM events WHERE service_id = event_services.id)";
        self.writes.execute(text).await?;
        Ok(())
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
