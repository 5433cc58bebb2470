//! How far a trip went, and which of three sources says so. What the miles
//! were driven on is not decided here.

use super::{number::known, readings::Column};

/// Mean radius of the Earth in miles (IUGG: 6371.0088 km).
const EARTH_RADIUS_MILES: f64 = 6371.0088 / 1.609_344;

/// What a distance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The car's odometer.
    Odometer,
    /// The phone's counter of the trip's distance.
    TripDistance,
    /// The GPS track.
    Gps,
}

impl Origin {
    /// Its name in the plugin contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Odometer => "odometer",
            Self::TripDistance => "trip_distance",
            Self::Gps => "gps",
        }
    }
}

/// Miles between two values of an odometer; nothing where one is missing or
/// it ran backwards.
#[must_use]
pub fn by_odometer(start: Option<f64>, end: Option<f64>) -> Option<f64> {
    known(end? - start?).filter(|miles| *miles >= 0.0)
}

/// Miles that a counter rose by, all rises added up: the phone's counter can
/// start anew in the middle of a trip. Nothing with less than two values.
#[must_use]
pub fn by_rises(counter: &Column) -> Option<f64> {
    let mut values = counter.values().map(|(_, value)| value);
    let mut last = values.next()?;
    let mut miles = None;
    for value in values {
        *miles.get_or_insert(0.0) += (value - last).max(0.0);
        last = value;
    }
    miles.and_then(known)
}

/// A place on earth: degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}

/// One GPS fix.
#[derive(Clone, Copy, Debug)]
struct Fix {
    time_ms: i64,
    place: Place,
}

/// Miles along the GPS track; nothing with less than two fixes.
///
/// Steps shorter than `min_step_miles` wait until the car has moved that far,
/// so standing still adds nothing. A step faster than `max_speed_mph` is not
/// driven: the track goes on from there only if the next fix agrees with it.
#[must_use]
pub fn by_gps(
    times: &[i64],
    latitudes: &Column,
    longitudes: &Column,
    min_step_miles: f64,
    max_speed_mph: f64,
) -> Option<f64> {
    let mut fixes = fixes(times, latitudes, longitudes);
    let mut anchor = fixes.next()?;
    let (mut doubtful, mut miles) = (None::<Fix>, None);
    for fix in fixes {
        let total = miles.get_or_insert(0.0);
        let step = miles_between(anchor.place, fix.place);
        if is_possible(step, anchor, fix, max_speed_mph) {
            doubtful = None;
            if step >= min_step_miles {
                *total += step;
                anchor = fix;
            }
            continue;
        }
        let agreed = doubtful
            .filter(|other| is_possible(miles_between(other.place, fix.place), *other, fix, max_speed_mph));
        if let Some(other) = agreed {
            *total += miles_between(other.place, fix.place);
            (anchor, doubtful) = (fix, None);
        } else {
            doubtful = Some(fix);
        }
    }
    miles.and_then(known)
}

fn fixes<'a>(
    times: &'a [i64],
    latitudes: &'a Column,
    longitudes: &'a Column,
) -> impl Iterator<Item = Fix> + 'a {
    let fixes = latitudes.values().filter_map(|(index, latitude)| {
        let place = Place { latitude, longitude: longitudes.at(index)? };
        Some(Fix { time_ms: *times.get(index)?, place })
    });
    // 0,0 is what a phone without a fix reports.
    fixes.filter(|Fix { place, .. }| {
        place.latitude.abs() <= 90.0
            && place.longitude.abs() <= 180.0
            && (place.latitude != 0.0 || place.longitude != 0.0)
    })
}

fn is_possible(miles: f64, from: Fix, to: Fix, max_speed_mph: f64) -> bool {
    // A second is added: fixes are as old as the phone's GPS rate.
    let seconds = to.time_ms.saturating_sub(from.time_ms).max(0) as f64 / 1000.0 + 1.0;
    miles / seconds * 3600.0 <= max_speed_mph
}

/// Great-circle distance in miles by the haversine formula.
#[must_use]
pub fn miles_between(from: Place, to: Place) -> f64 {
    let (a, b) = (from.latitude.to_radians(), to.latitude.to_radians());
    let half_latitude = (b - a) / 2.0;
    let half_longitude = (to.longitude - from.longitude).to_radians() / 2.0;
    let h = half_latitude.sin().powi(2) + a.cos() * b.cos() * half_longitude.sin().powi(2);
    2.0 * EARTH_RADIUS_MILES * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILE_IN_DEGREES: f64 = 1.0 / 69.093_5;

    fn column(values: &[f64]) -> Column {
        Column(values.to_vec())
    }

    fn gps(track: &[(i64, f64)]) -> Option<f64> {
        let times: Vec<_> = track.iter().map(|(seconds, _)| seconds * 1000).collect();
        let north = |(_, miles): &(i64, f64)| 40.0 + miles * MILE_IN_DEGREES;
        let latitudes = Column(track.iter().map(north).collect());
        let longitudes = Column(vec![-117.0; track.len()]);
        by_gps(&times, &latitudes, &longitudes, 0.005, 200.0)
    }

    #[test]
    fn an_odometer_that_ran_backwards_says_nothing() {
        assert_eq!(by_odometer(Some(0.0), Some(10.0)), Some(10.0));
        assert_eq!(by_odometer(Some(10.0), Some(0.0)), None);
        assert_eq!(by_odometer(None, Some(10.0)), None);
        assert_eq!(by_odometer(Some(-f64::MAX), Some(f64::MAX)), None);
    }

    #[test]
    fn a_counter_that_starts_anew_loses_nothing() {
        let counter = column(&[1.0, 3.0, f64::NAN, 4.0, 0.0, 2.5]);

        assert_eq!(by_rises(&counter), Some(5.5));
        assert_eq!(by_rises(&column(&[7.0])), None);
        assert_eq!(by_rises(&column(&[])), None);
    }

    #[test]
    fn steps_of_a_track_add_up() {
        let miles = gps(&[(0, 0.0), (60, 1.0), (120, 2.0), (180, 1.0)]).expect("four fixes");

        assert!((miles - 3.0).abs() < 1e-3, "{miles}");
    }

    #[test]
    fn a_standing_car_does_not_move() {
        let track: Vec<_> =
            (0..600).map(|second| (second, if second % 2 == 0 { 0.0 } else { 0.003 })).collect();

        assert_eq!(gps(&track), Some(0.0));
    }

    #[test]
    fn one_wrong_fix_adds_nothing() {
        let miles = gps(&[(0, 0.0), (5, 0.05), (10, 400.0), (15, 0.15), (20, 0.2)]);

        assert!((miles.expect("five fixes") - 0.2).abs() < 1e-3, "{miles:?}");
    }

    #[test]
    fn a_wrong_first_fix_is_left_behind() {
        let miles = gps(&[(0, 400.0), (5, 0.0), (10, 0.05), (15, 0.1)]);

        assert!((miles.expect("four fixes") - 0.1).abs() < 1e-3, "{miles:?}");
    }

    #[test]
    fn no_fix_is_no_track() {
        let times = [0, 1000, 2000];
        let bad = column(&[0.0, 91.0, f64::NAN]);

        assert_eq!(by_gps(&times, &bad, &column(&[0.0, 1.0, 1.0]), 0.0, 200.0), None);
        assert_eq!(by_gps(&[], &bad, &bad, 0.0, 200.0), None);
    }
}
