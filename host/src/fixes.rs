//! Where a car was, as the readings of a trip say. What is looked for there is
//! not known here.

use crate::plugin_host::TripReadings;

/// A position that the car had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fix {
    /// When: epoch milliseconds.
    pub(crate) time_ms: i64,
    /// Degrees.
    pub(crate) latitude: f64,
    /// Degrees.
    pub(crate) longitude: f64,
}

/// The readings with a fix, in time order.
pub(crate) fn fixes(readings: &TripReadings) -> Vec<Fix> {
    let column = |name: &str| readings.columns.get(name).map(Vec::as_slice).unwrap_or_default();
    let positions = column("latitude").iter().zip(column("longitude"));
    let fixes = readings.times_ms.iter().zip(positions);
    fixes
        .map(|(&time_ms, (&latitude, &longitude))| Fix { time_ms, latitude, longitude })
        .filter(|fix| fix.latitude.is_finite() && fix.longitude.is_finite())
        .collect()
}

/// The fix that is nearest in time, the earlier one of equals.
pub(crate) fn nearest(fixes: &[Fix], time_ms: i64) -> Option<Fix> {
    let after = fixes.partition_point(|fix| fix.time_ms < time_ms);
    let around = &fixes[after.saturating_sub(1)..fixes.len().min(after + 1)];
    around.iter().min_by_key(|fix| fix.time_ms.abs_diff(time_ms)).copied()
}
