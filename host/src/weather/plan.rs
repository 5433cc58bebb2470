//! Which requests bring the weather of which hours: as few as may be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::fixes::Fix;

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
/// What happened within these hours the forecast knows, the archive not yet.
const FORECAST_HOURS: i64 = 5 * DAY_HOURS;
/// The most days that one request asks for.
const MOST_DAYS: i64 = 7;

/// A place as far as weather is concerned: hundredths of degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    latitude: i32,
    longitude: i32,
}

impl Place {
    fn of(point: &Fix) -> Self {
        let hundredths = |degrees: f64| (degrees * 100.0).round() as i32;
        Self { latitude: hundredths(point.latitude), longitude: hundredths(point.longitude) }
    }

    /// Degrees, 2 decimals.
    pub(super) fn latitude(self) -> f64 {
        f64::from(self.latitude) / 100.0
    }

    /// Degrees, 2 decimals.
    pub(super) fn longitude(self) -> f64 {
        f64::from(self.longitude) / 100.0
    }
}

/// What is remembered of one place: an hour, counted from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceHour {
    pub(super) place: Place,
    pub(super) hour: i64,
}

impl PlaceHour {
    pub(super) fn of(point: &Fix) -> Self {
        Self { place: Place::of(point), hour: hour_of(point.time_ms) }
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Forecast,
    Archive,
}

impl Source {
    /// The name in events.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Archive => "archive",
        }
    }
}

/// One request: some hours of one place, within a few whole days.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) place: Place,
    pub(super) source: Source,
    /// Ascending, at least one.
    pub(super) hours: Vec<i64>,
}

impl Request {
    /// The first and the last day, as `2026-01-05`.
    pub(super) fn days(&self) -> (String, String) {
        let day = |hour: Option<&i64>| {
            let time = hour.and_then(|hour| Timestamp::from_millisecond(hour * HOUR_MS).ok());
            time.unwrap_or_default().strftime("%F").to_string()
        };
        (day(self.hours.first()), day(self.hours.last()))
    }
}

/// The hour of a time, counted from 1970 on.
pub(super) fn hour_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(HOUR_MS)
}

/// The requests for these hours, place by place.
pub(super) fn requests(wanted: &BTreeSet<PlaceHour>, now_ms: i64) -> Vec<Request> {
    let mut by_place: BTreeMap<(Place, Source), Vec<i64>> = BTreeMap::new();
    for PlaceHour { place, hour } in wanted {
        let is_recent = hour_of(now_ms) - hour <= FORECAST_HOURS;
        let source = if is_recent { Source::Forecast } else { Source::Archive };
        by_place.entry((*place, source)).or_default().push(*hour);
    }
    let mut requests = Vec::new();
    for ((place, source), hours) in by_place {
        let day = |hour: &i64| hour.div_euclid(DAY_HOURS);
        let mut rest = hours.as_slice();
        while let Some(first) = rest.first() {
            let within = rest.partition_point(|hour| day(hour) - day(first) < MOST_DAYS);
            let (hours, later) = rest.split_at(within);
            requests.push(Request { place, source, hours: hours.to_vec() });
            rest = later;
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fifth of January 2026, 10:20.
    const NOW_MS: i64 = 1_767_608_400_000;

    fn wanted(hours: &[(f64, i64)]) -> BTreeSet<PlaceHour> {
        let point = |(latitude, ago): &(f64, i64)| Fix {
            time_ms: NOW_MS - ago * HOUR_MS,
            latitude: *latitude,
            longitude: -121.5,
        };
        hours.iter().map(|hour| PlaceHour::of(&point(hour))).collect()
    }

    #[test]
    fn a_place_is_cut_to_a_hundredth_of_a_degree() {
        let at = |latitude, longitude| Place::of(&Fix { time_ms: 0, latitude, longitude });
        assert_eq!(at(37.254_9, -121.504_9), at(37.25, -121.5));
        assert_ne!(at(37.255_1, -121.5), at(37.25, -121.5));
        assert_eq!((at(37.29, -121.57).latitude(), at(37.29, -121.57).longitude()), (37.29, -121.57));
    }

    #[test]
    fn one_request_serves_all_hours_of_a_place() {
        let found = requests(&wanted(&[(37.0, 3), (37.0, 2), (37.004, 2), (37.01, 2)]), NOW_MS);
        let hours: Vec<_> = found.iter().map(|request| request.hours.len()).collect();
        assert_eq!(hours, [2, 1], "two places");
        assert_eq!(found[0].hours[1] - found[0].hours[0], 1);
    }

    #[test]
    fn what_is_older_than_five_days_comes_from_the_archive() {
        let found = requests(&wanted(&[(37.0, 120), (37.0, 121)]), NOW_MS);
        let asked: Vec<_> = found.iter().map(|request| (request.source, request.days().0)).collect();
        assert_eq!(
            asked,
            [(Source::Forecast, "2025-12-31".to_owned()), (Source::Archive, "2025-12-31".to_owned())]
        );
    }

    #[test]
    fn no_request_asks_for_more_than_a_week() {
        let found = requests(&wanted(&[(37.0, 24 * 400), (37.0, 24 * 11), (37.0, 24 * 10)]), NOW_MS);
        let days: Vec<_> = found.iter().map(Request::days).collect();
        let day = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(days, [day("2024-12-01", "2024-12-01"), day("2025-12-25", "2025-12-26")]);
    }
}
