//! A trip's readings in the forms that other programs read: one reading after
//! the other, so that a trip of any length takes no memory. Pure.

mod csv;
mod geojson;
mod gpx;
mod json;

use crate::store::StoredReading;

/// A form that readings are written in.
pub trait Form: Send {
    /// What comes before the first reading.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// The next reading, in time order.
    fn add(&mut self, reading: &StoredReading, out: &mut Vec<u8>);
    /// What comes behind the last.
    fn end(&mut self, out: &mut Vec<u8>);
}

pub use csv::Csv;
pub use geojson::GeoJson;
pub use gpx::Gpx;
pub use json::Json;

/// A reading's place: longitude and latitude in degrees, if it has a fix.
fn position(reading: &StoredReading) -> Option<(f64, f64)> {
    reading.get("longitude").zip(reading.get("latitude"))
}

/// RFC 3339, in UTC.
fn time(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map(|time| time.to_string()).unwrap_or_default()
}

/// Thins readings out to about so many, evenly over time.
pub struct Thinner {
    start_ms: i64,
    step_ms: i64,
    next_ms: i64,
}

impl Thinner {
    /// At most `points` of the readings from `start_ms` to `end_ms`.
    pub fn new(start_ms: i64, end_ms: i64, points: i64) -> Self {
        let step_ms = end_ms.saturating_sub(start_ms).max(0) / points.max(1) + 1;
        Self { start_ms, step_ms, next_ms: i64::MIN }
    }

    /// Whether this reading, later than all before it, is kept: the first of
    /// each step is.
    pub fn keeps(&mut self, time_ms: i64) -> bool {
        if time_ms < self.next_ms {
            return false;
        }
        let step = time_ms.saturating_sub(self.start_ms).div_euclid(self.step_ms);
        self.next_ms = self.start_ms.saturating_add((step + 1).saturating_mul(self.step_ms));
        true
    }
}

#[cfg(test)]
mod tests;
