//! Which trips a reader wants: conditions on their rows, and the values that
//! are bound to them. No column is named here that a filter does not need.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

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
    text: String,
    values: Vec<Bound>,
}

impl Conditions {
    /// The conditions of a filter.
    pub(super) fn new(filter: &TripFilter) -> Self {
        let mut all = Self { text: "1 = 1".to_owned(), values: Vec::new() };
        let whole = |value: Option<i64>| value.map(Bound::Whole);
        let number = |value: Option<f64>| value.map(Bound::Number);
        all.and("trips.vehicle_id = ", filter.vehicle_id.clone().map(Bound::Text));
        all.and("trips.start_time_ms >= ", whole(filter.from_ms));
        all.and("trips.start_time_ms < ", whole(filter.before_ms));
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
        self.text += &format!(" AND (trips.start_time_ms, trips.trip_id) < ({start}, {trip})");
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
