//! Where and when along a trip the weather is looked at. Pure.

use std::time::Duration;

use crate::fixes::{Fix, fixes, nearest};
use crate::plugin_host::TripReadings;

/// The most points of one trip: a day, a quarter of an hour apart. Those of a
/// longer trip lie further apart.
const MOST: i64 = 97;

/// The start of a trip, its end, and a point each `interval` in between: the
/// nearest reading with a fix, each such reading once. None without a fix.
pub(crate) fn along(readings: &TripReadings, interval: Duration) -> Vec<Fix> {
    let fixes = fixes(readings);
    let (Some(start_ms), Some(end_ms)) = (readings.times_ms.first(), readings.times_ms.last()) else {
        return Vec::new();
    };
    let shortest_ms = (end_ms - start_ms).div_euclid(MOST - 1) + 1;
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(shortest_ms);
    let step = usize::try_from(interval_ms).unwrap_or(usize::MAX);
    let mut points: Vec<Fix> = Vec::new();
    for time_ms in (*start_ms..*end_ms).step_by(step).chain([*end_ms]) {
        let nearest = nearest(&fixes, time_ms);
        points.extend(nearest.filter(|fix| points.last() != Some(fix)));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const QUARTER: Duration = Duration::from_secs(900);

    /// A reading a minute of a drive to the north, with a fix where `has_fix`
    /// says so.
    fn drive(minutes: i64, has_fix: impl Fn(i64) -> bool) -> TripReadings {
        let mut readings = TripReadings::at((0..=minutes).map(|minute| minute * MINUTE_MS).collect());
        for minute in (0..=minutes).filter(|minute| has_fix(*minute)) {
            let index = usize::try_from(minute).expect("a short drive");
            readings.set(index, "latitude", minute as f64);
            readings.set(index, "longitude", -121.5);
        }
        readings
    }

    fn minutes(readings: &TripReadings, interval: Duration) -> Vec<i64> {
        along(readings, interval).iter().map(|point| point.time_ms / MINUTE_MS).collect()
    }

    #[test]
    fn the_start_the_end_and_each_interval_in_between_are_looked_at() {
        for (length, expected) in [
            (0, vec![0]),
            (10, vec![0, 10]),
            (15, vec![0, 15]),
            (20, vec![0, 15, 20]),
            (60, vec![0, 15, 30, 45, 60]),
        ] {
            assert_eq!(minutes(&drive(length, |_| true), QUARTER), expected, "{length} minutes");
        }
    }

    #[test]
    fn the_nearest_reading_with_a_fix_counts_once() {
        assert_eq!(minutes(&drive(60, |minute| [3, 14, 17, 50].contains(&minute)), QUARTER), [3, 14, 17, 50]);
        assert_eq!(minutes(&drive(60, |minute| minute == 40), QUARTER), [40]);
    }

    #[test]
    fn without_a_fix_there_is_no_point() {
        assert_eq!(along(&drive(60, |_| false), QUARTER), []);
        assert_eq!(along(&TripReadings::default(), QUARTER), []);
        let mut half_a_fix = drive(5, |_| false);
        half_a_fix.set(2, "latitude", 37.0);
        assert_eq!(along(&half_a_fix, QUARTER), []);
    }

    #[test]
    fn a_long_trip_has_no_more_points_than_a_day() {
        let readings = drive(3 * 24 * 60, |_| true);
        let points = minutes(&readings, QUARTER);
        assert!((90..=97).contains(&points.len()), "{}", points.len());
        assert_eq!((points[0], points[points.len() - 1]), (0, 3 * 24 * 60));
    }
}
