//! When a trip has readings, and how they are found by that. The index of
//! readings goes by slices of time first, so that trips that are driven at one
//! time share its pages; which slices to look at is told by the spans that
//! a trip has readings in. No reading is written here.

use sqlx::{Any, AnyPool, AssertSqlSafe, Transaction};

use super::open::Engine;
use super::{StoreError, sql};

/// Length of a slice: milliseconds. A phone sends a few readings in it.
pub(super) const SLICE_MS: i64 = 4_096;
/// Slices in a span: that many are looked at where a trip has any reading in
/// it, and an upload in so many slices adds a row here.
const SLICES: i64 = 64;
const SPAN_MS: i64 = SLICE_MS * SLICES;

/// The span that a time is in.
pub(super) fn span_of(time_ms: i64) -> i64 {
    time_ms / SPAN_MS
}

/// So many spans have that many readings, if there is one a second: what is
/// looked for in them is mostly there, and hardly more.
pub(super) fn with_readings(readings: usize) -> i64 {
    let seconds = usize::try_from(SPAN_MS / 1000).unwrap_or(usize::MAX);
    i64::try_from(readings.div_ceil(seconds)).unwrap_or(i64::MAX)
}

/// Notes that trips have readings in these spans.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    spans: &[(&str, i64)],
) -> Result<(), StoreError> {
    for (chunk, rows) in sql::chunks(spans) {
        let mut query = sqlx::query(AssertSqlSafe(add_text(engine, rows)));
        for (trip_id, span) in sql::padded(chunk, rows) {
            query = query.bind(*trip_id).bind(*span);
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

pub(super) fn add_text(engine: Engine, rows: usize) -> String {
    let rows = sql::rows(engine, rows, 2);
    format!("INSERT INTO trip_spans (trip_id, span) VALUES {rows} ON CONFLICT DO NOTHING")
}

/// The first and the last of the next `spans` of a trip, from `from` on; `None`
/// behind its last one.
pub(super) async fn next(
    pool: &AnyPool,
    trip_id: &str,
    from: i64,
    spans: i64,
) -> Result<Option<(i64, i64)>, StoreError> {
    let spans: Vec<i64> =
        sqlx::query_scalar(NEXT).bind(trip_id).bind(from).bind(spans).fetch_all(pool).await?;
    Ok(spans.first().copied().zip(spans.last().copied()))
}

pub(super) const NEXT: &str =
    "SELECT span FROM trip_spans WHERE trip_id = $1 AND span >= $2 ORDER BY span LIMIT $3";

/// The condition that readings are those of trip `$1`, in spans to which `spans`
/// applies.
pub(super) fn of_trip(spans: &str) -> String {
    let slices: Vec<_> = (0..SLICES).map(|slice| format!("({slice})")).collect();
    format!(
        "trip_id = $1 AND time_ms / {SLICE_MS} IN (
             WITH slices (slice) AS (VALUES {})
             SELECT span * {SLICES} + slice FROM trip_spans CROSS JOIN slices
             WHERE trip_spans.trip_id = $1 {spans})",
        slices.join(",")
    )
}
