//! Events as they are, newest first or in another order.

use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::narrowing::{Arguments, Bound, SERVICE, narrow};
use super::{EventStore, in_time};
use crate::query::{By, Field, Filter, Order, Query, Scalar};
use crate::store::StoreError;

/// Events that are looked at together.
const PAGE: usize = 500;
/// The largest answer: bytes of events.
const LARGEST: usize = 8 << 20;
/// Events of one trace, at most.
const LONGEST_TRACE: usize = 10_000;

/// Events that were found.
#[derive(Debug, Default)]
pub struct Found {
    /// As many as were asked for, or fit into an answer.
    pub events: Vec<Value>,
    /// There are more of them.
    pub more: bool,
}

/// Where a page ended.
struct Place {
    value: Bound,
    id: i64,
}

impl EventStore {
    /// The events that a question wants.
    ///
    /// # Errors
    /// The store does not answer in time.
    pub async fn find(&self, query: &Query) -> Result<Found, StoreError> {
        in_time(self.pages(&query.filter, &query.order, query.limit)).await
    }

    /// The event with that request id.
    ///
    /// # Errors
    /// The store does not answer in time.
    pub async fn event(&self, request_id: &str) -> Result<Option<Value>, StoreError> {
        let found = self.with("request_id", request_id, 1).await?;
        Ok(found.events.into_iter().next())
    }

    /// All events of a trace, in the order in which they began.
    ///
    /// # Errors
    /// The store does not answer in time.
    pub async fn trace(&self, trace_id: &str) -> Result<Found, StoreError> {
        self.with("trace_id", trace_id, LONGEST_TRACE).await
    }

    async fn with(&self, field: &'static str, text: &str, limit: usize) -> Result<Found, StoreError> {
        let filter = Filter::equals(Field::known(field), Scalar::Text(text.to_owned()));
        let by = By::Field(Field::known(Field::TIMESTAMP));
        in_time(self.pages(&filter, &Order { by, descending: false }, limit)).await
    }

    async fn pages(&self, filter: &Filter, order: &Order, limit: usize) -> Result<Found, StoreError> {
        let by_duration = matches!(&order.by, By::Field(field) if field.name() == Field::DURATION);
        let mut place = start(by_duration, order.descending);
        let (mut found, mut bytes) = (Found::default(), 0);
        // Most of the first rows match, so that one short page is often enough.
        let mut length = PAGE.min(limit + 1);
        loop {
            let page = Page { by_duration, descending: order.descending, place, length };
            let mut arguments = Arguments::new(self.engine);
            let narrowed = narrow(filter, &mut arguments);
            let text = page.text(&narrowed.conditions, &mut arguments);
            let rows = arguments.query(text).fetch_all(&self.reads).await?;
            for row in &rows {
                let (text, service): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
                let mut event = parsed(text)?;
                if let Value::Object(members) = &mut event {
                    members.insert(SERVICE.to_owned(), parsed(service)?);
                }
                if !narrowed.rest.matches(&event) {
                    continue;
                }
                bytes += text.len() + service.len();
                if found.events.len() == limit || bytes > LARGEST {
                    found.more = true;
                    return Ok(found);
                }
                found.events.push(event);
            }
            match rows.last() {
                Some(last) if rows.len() == length => place = place_of(last, by_duration)?,
                _ => return Ok(found),
            }
            length = PAGE;
        }
    }
}

/// Events behind a place, in an order.
struct Page {
    by_duration: bool,
    descending: bool,
    place: Place,
    length: usize,
}

impl Page {
    fn text(self, conditions: &str, arguments: &mut Arguments) -> String {
        let column = if self.by_duration { "e.duration_ms" } else { "e.started_us" };
        let (than, direction) = if self.descending { ("<", "DESC") } else { (">", "ASC") };
        let value = arguments.bind(self.place.value);
        let id = arguments.bind(Bound::Whole(self.place.id));
        let (bodies, length) = (arguments.bodies(), self.length);
        let tables = arguments.tables();
        format!(
            "SELECT {bodies}, {column}, e.id FROM {tables}
             WHERE {conditions} AND ({column}, e.id) {than} ({value}, {id})
             ORDER BY {column} {direction}, e.id {direction} LIMIT {length}"
        )
    }
}

/// JSON that rests in the store.
pub(super) fn parsed(text: &str) -> Result<Value, StoreError> {
    let parsed = serde_json::from_str(text);
    parsed.map_err(|error| StoreError::Unexpected(format!("an event is not the JSON it was: {error}")))
}

/// Before the first of all.
fn start(by_duration: bool, descending: bool) -> Place {
    let value = match (by_duration, descending) {
        (true, true) => Bound::Number(f64::MAX),
        (true, false) => Bound::Number(f64::MIN),
        (false, true) => Bound::Whole(i64::MAX),
        (false, false) => Bound::Whole(i64::MIN),
    };
    Place { value, id: if descending { i64::MAX } else { i64::MIN } }
}

fn place_of(row: &AnyRow, by_duration: bool) -> Result<Place, StoreError> {
    let value = if by_duration { Bound::Number(row.try_get(2)?) } else { Bound::Whole(row.try_get(2)?) };
    Ok(Place { value, id: row.try_get(3)? })
}
