//! Which trips go the same way: those whose starts, and whose ends, are near
//! each other. How far a trip went is `distance`'s.

use super::distance::{Place, miles_between};
use crate::settings::Settings;

const METERS_PER_MILE: f64 = 1609.344;

/// Where a trip starts and ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// The first known place.
    pub start: Place,
    /// The last known place.
    pub end: Place,
}

/// Index of the route among `known` that a trip went: of those near enough the
/// nearest, the first of equals.
#[must_use]
pub fn match_route(trip: &Ends, known: &[Ends], settings: &Settings) -> Option<usize> {
    let apart = |route: &Ends| {
        let start = miles_between(trip.start, route.start) * METERS_PER_MILE;
        let end = miles_between(trip.end, route.end) * METERS_PER_MILE;
        let is_near = start <= settings.route_max_meters && end <= settings.route_max_meters;
        is_near.then_some(start + end)
    };
    let near = known.iter().enumerate().filter_map(|(index, route)| Some((index, apart(route)?)));
    near.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One ten-thousandth of a degree to the north is 11.1 metres.
    fn ends(start: f64, end: f64) -> Ends {
        let north = |steps: f64| Place { latitude: 37.0 + steps / 10_000.0, longitude: -121.5 };
        Ends { start: north(start), end: north(1000.0 + end) }
    }

    fn route(trip: Ends, known: &[Ends]) -> Option<usize> {
        match_route(&trip, known, &Settings::default())
    }

    #[test]
    fn both_ends_must_be_near() {
        let home_to_work = ends(0.0, 0.0);
        assert_eq!(route(ends(44.0, -44.0), &[home_to_work]), Some(0), "490 metres");
        assert_eq!(route(ends(46.0, 0.0), &[home_to_work]), None, "511 metres");
        assert_eq!(route(ends(0.0, 46.0), &[home_to_work]), None);
        let back = Ends { start: home_to_work.end, end: home_to_work.start };
        assert_eq!(route(back, &[home_to_work]), None, "the way back is another route");
    }

    #[test]
    fn the_nearest_route_is_taken_and_the_first_of_equals() {
        let known = [ends(40.0, 0.0), ends(10.0, 0.0), ends(-10.0, 0.0), ends(10.0, 0.0)];
        assert_eq!(route(ends(9.0, 0.0), &known), Some(1));
        assert_eq!(route(ends(0.0, 0.0), &[]), None);
    }

    #[test]
    fn what_is_no_place_is_near_nothing() {
        let nowhere = ends(f64::NAN, 0.0);
        assert_eq!(route(nowhere, &[nowhere, ends(0.0, 0.0)]), None);
    }
}
