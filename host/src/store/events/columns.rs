//! Which fields of an event have columns, and how values rest there.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::query::Field;
use crate::store::StoreError;

/// A column of `events` (`e`) or of `event_services` (`s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A text.
    Text,
    /// A text, or nothing.
    MaybeText,
    /// A number.
    Number,
    /// A number that has a bucket beside it.
    Duration,
    /// 1 for true, 0 for false.
    Bool,
    /// Epoch microseconds, as exact as an event's time.
    Time,
}

/// The column of a field, if it has one.
pub(super) fn column_of(field: &Field) -> Option<Column> {
    let (name, holds) = match field.name() {
        Field::TIMESTAMP => ("e.started_us", Holds::Time),
        Field::DURATION => ("e.duration_ms", Holds::Duration),
        Field::RATE => ("e.sampling_rate", Holds::Number),
        "operation" => ("e.operation", Holds::Text),
        "success" => ("e.success", Holds::Bool),
        "request_id" => ("e.request_id", Holds::Text),
        "trace_id" => ("e.trace_id", Holds::MaybeText),
        "service.environment" => ("s.environment", Holds::Text),
        "service.deployment_id" => ("s.deployment_id", Holds::Text),
        "vehicle_context.usage_tier" => ("e.usage_tier", Holds::MaybeText),
        "error.code" => ("e.error_code", Holds::MaybeText),
        _ => return None,
    };
    Some(Column { name, holds })
}

impl Column {
    /// The field's value in a row, as the event has it.
    pub(super) fn read(self, row: &AnyRow, place: usize) -> Result<Option<Value>, StoreError> {
        Ok(match self.holds {
            Holds::Text | Holds::MaybeText => row.try_get::<Option<String>, _>(place)?.map(Value::from),
            Holds::Number | Holds::Duration => Some(row.try_get::<f64, _>(place)?.into()),
            Holds::Bool => Some((row.try_get::<i64, _>(place)? != 0).into()),
            Holds::Time => {
                let time = Timestamp::from_microsecond(row.try_get(place)?);
                let time = time.map_err(|error| StoreError::Unexpected(error.to_string()))?;
                Some(time.to_string().into())
            }
        })
    }
}

/// Sixteen to a doubling: durations of one differ by less than 5 %.
pub(super) fn bucket_of(duration_ms: f64) -> i64 {
    let bucket = (duration_ms.max(0.001).log2() * 16.0).floor();
    // A double's exponent has eleven bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within ±16 × 1100, and `as` would only cap it"
    )]
    let bucket = bucket as i64;
    bucket
}
