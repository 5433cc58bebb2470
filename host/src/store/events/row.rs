//! An event as a row: its columns are read from its line. What the line says of
//! the service is taken out of it, and for the rest it stays as it is.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::bucket_of;

/// What an event takes beside its text: its row, and its places in the indexes.
const ROW_BYTES: usize = 700;

/// An event to keep.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) request_id: String,
    pub(super) started_us: i64,
    pub(super) operation: String,
    pub(super) success: bool,
    pub(super) service: ServiceRow,
    pub(super) usage_tier: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) duration_ms: f64,
    pub(super) sampling_rate: f64,
    /// The event, with `null` for its service.
    pub(super) body: String,
}

/// What an event says of its service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ServiceRow {
    pub(super) environment: String,
    pub(super) deployment_id: String,
    /// All of it, as JSON.
    pub(super) body: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    request_id: String,
    timestamp: Timestamp,
    operation: String,
    success: bool,
    #[serde(borrow)]
    service: &'a RawValue,
    vehicle_context: Option<Vehicle>,
    error: Option<Error>,
    trace_id: Option<String>,
    duration_ms: f64,
    sampling: Option<Sampling>,
}

#[derive(Deserialize)]
struct Service {
    environment: String,
    deployment_id: String,
}

#[derive(Deserialize)]
struct Vehicle {
    usage_tier: Option<String>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
}

#[derive(Deserialize)]
struct Sampling {
    rate: f64,
}

impl EventRow {
    /// The row of a line.
    ///
    /// # Errors
    /// It is no event.
    pub(super) fn parse(line: &[u8]) -> serde_json::Result<Self> {
        let body = without_nul(line)?;
        let event: Envelope<'_> = serde_json::from_str(&body)?;
        Ok(Self {
            request_id: event.request_id,
            started_us: event.timestamp.as_microsecond(),
            operation: event.operation,
            success: event.success,
            service: ServiceRow::parse(event.service)?,
            usage_tier: event.vehicle_context.and_then(|vehicle| vehicle.usage_tier),
            error_code: event.error.map(|error| error.code),
            trace_id: event.trace_id,
            duration_ms: event.duration_ms,
            sampling_rate: event.sampling.map_or(1.0, |sampling| sampling.rate),
            body: without(&body, event.service.get()),
        })
    }

    pub(super) fn duration_bucket(&self) -> i64 {
        bucket_of(self.duration_ms)
    }

    pub(super) fn stored_bytes(&self) -> i64 {
        i64::try_from(self.body.len() + ROW_BYTES).unwrap_or(i64::MAX)
    }
}

impl ServiceRow {
    fn parse(service: &RawValue) -> serde_json::Result<Self> {
        let Service { environment, deployment_id } = serde_json::from_str(service.get())?;
        Ok(Self { environment, deployment_id, body: service.get().to_owned() })
    }
}

/// A text with `null` for a part of it, which it is known to have.
fn without(text: &str, part: &str) -> String {
    let at = part.as_ptr().addr() - text.as_ptr().addr();
    [&text[..at], "null", &text[at + part.len()..]].concat()
}

/// NUL is a character in JSON, and none on PostgreSQL: what somebody sent in a
/// text must not cost the event.
fn without_nul(line: &[u8]) -> serde_json::Result<Cow<'_, str>> {
    let text = std::str::from_utf8(line).map_err(serde::de::Error::custom)?.trim_end();
    if memmem::find(line, br"\u0000").is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut event: Value = serde_json::from_str(text)?;
    replace_nul(&mut event);
    Ok(Cow::Owned(event.to_string()))
}

fn replace_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(replace_nul),
        Value::Object(members) => {
            *members = std::mem::take(members)
                .into_iter()
                .map(|(name, mut value)| {
                    replace_nul(&mut value);
                    (name.replace('\0', "\u{fffd}"), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
