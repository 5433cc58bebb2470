//! A trip's readings as columns: what a calculation reads. No database and no
//! rule lives here.

use std::collections::BTreeMap;

/// The readings of one trip in time order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TripReadings {
    /// Time of each reading: epoch milliseconds, ascending.
    pub times_ms: Vec<i64>,
    /// One entry a reading for each field that any reading has, by the name
    /// in the PID catalogue; NaN where that reading has none.
    pub columns: BTreeMap<String, Vec<f64>>,
}
