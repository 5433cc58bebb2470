//! Which trips a reader wants, or which of what trips left: conditions on rows,
//! and the values that are bound to them.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use super::reads::Source;

/// Which trips.
#[derive(Debug, Clone, Default)]
pub struct TripFilter {
    /// Only of this vehicle.
    pub vehicle_id: Option<String>,
    /// Only those that start at this time or later: epoch milliseconds.
    pub from_ms: Option<i64>,
    /// Only those that start before this time: epoch milliseconds.
    pub before_ms: Option<i64>,
    /// Only those that entered gas mode, or only those that did not.
    pub gas_mode_entered: Option<bool>,
    /// Only those at least that long: miles.
    pub min_distance_miles: Option<f64>,
    /// Only those at most that long: miles.
    pub max_distance_miles: Option<f64>,
    /// Only those that are `open`, `closed` or `failed`.
    pub status: Option<&'static str>,
}

enum Bound {
    Text(String),
    Whole(i64),
    Number(f64),
}

/// Conditions that all hold, as the text behind a `WHERE`, and their values.
pub(super) struct Conditions {
    source: Source,
    text: String,
    values: Vec<Bound>,
}

impl Conditions {
    /// The conditions of a filter. What only trips have is asked of trips only.
    pub(super) fn new(filter: &TripFilter, source: Source) -> Self {
        let mut all = Self { source, text: "1 = 1".to_owned(), values: Vec::new() };
        let Source { table, time, .. } = source;
        let whole = |value: Option<i64>| value.map(Bound::Whole);
        let number = |value: Option<f64>| value.map(Bound::Number);
        all.and(&format!("{table}.vehicle_id = "), filter.vehicle_id.clone().map(Bound::Text));
        all.and(&format!("{table}.{time} >= "), whole(filter.from_ms));
        all.and(&format!("{table}.{time} < "), whole(filter.before_ms));
        all.and("trips.gas_mode_entered = ", whole(filter.gas_mode_entered.map(i64::from)));
        all.and("trips.distance_miles >= ", number(filter.min_distance_miles));
        all.and("trips.distance_miles <= ", number(filter.max_distance_miles));
        all.and("trips.status = ", filter.status.map(|status| Bound::Text(status.to_owned())));
        all
    }

    /// Only trips behind this one, in the order of a page.
    pub(super) fn behind(&mut self, start_ms: i64, trip_id: &str) {
        let start = self.bind(Bound::Whole(start_ms));
        let trip = self.bind(Bound::Text(trip_id.to_owned()));
        let Source { table, time, .. } = self.source;
        self.text += &format!(" AND ({table}.{time}, {table}.trip_id) < ({start}, {trip})");
    }

    /// The text behind a `WHERE`.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn and(&mut self, comparison: &str, value: Option<Bound>) {
        if let Some(value) = value {
            let place = self.bind(value);
            self.text += &format!(" AND {comparison}{place}");
        }
    }

    fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// The query that `text` makes of the conditions.
    pub(super) fn query(self, text: impl FnOnce(&str) -> String) -> Query<'static, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(text(&self.text)));
        self.values.into_iter().fold(query, |query, value| match value {
            Bound::Text(text) => query.bind(text),
            Bound::Whole(number) => query.bind(number),
            Bound::Number(number) => query.bind(number),
        })
    }
}
