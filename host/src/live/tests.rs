//! What is known of running trips, and when charging has started.

use super::*;
use crate::identity::VehicleId;

fn trip_id(name: &str) -> TripId {
    TripId::from_stored(name)
}

fn upload(trip: &str, time_ms: i64) -> UploadDetails {
    UploadDetails {
        trip_id: Some(trip_id(trip)),
        vehicle_id: Some(VehicleId::from_stored(&format!("vehicle of {trip}"))),
        reading_time: jiff::Timestamp::from_millisecond(time_ms).ok(),
        ..UploadDetails::default()
    }
}

fn at_charger(time_ms: i64, kw: f64) -> UploadDetails {
    UploadDetails { charger_connected: Some(true), charger_power_kw: Some(kw), ..upload("a", time_ms) }
}

fn unplugged(time_ms: i64) -> UploadDetails {
    UploadDetails { charger_connected: Some(false), ..upload("a", time_ms) }
}

fn live() -> Live {
    Live::new(Duration::from_secs(120))
}

/// Whether charging starts with that upload, by a rule of 1 kW; nothing where
/// the rule is not asked.
fn starts(live: &Live, upload: &UploadDetails, opens_trip: bool) -> Option<bool> {
    let question = live.saw(upload, opens_trip, Instant::now())?;
    let power_kw = question.reading().columns.get("charger_power_kw").map_or(0.0, |column| column[0]);
    Some(live.judged(&question, power_kw >= 1.0))
}

#[test]
fn charging_starts_once_between_two_times_without_a_plug() {
    let live = live();
    assert_eq!(starts(&live, &upload("a", 0), true), None, "nothing said of a charger");
    let told =
        [(1, 0.2), (2, 3.3), (3, 0.2), (4, 3.3)].map(|(ms, kw)| starts(&live, &at_charger(ms, kw), false));
    assert_eq!(told, [Some(false), Some(true), None, None]);
    assert_eq!(starts(&live, &unplugged(5), false), None);
    assert_eq!(starts(&live, &at_charger(6, 3.3), false), Some(true));
}

#[test]
fn what_comes_late_starts_nothing_and_ends_nothing() {
    let live = live();
    assert_eq!(starts(&live, &at_charger(10, 3.3), true), Some(true));
    assert_eq!(starts(&live, &unplugged(5), false), None);
    assert_eq!(starts(&live, &at_charger(4, 3.3), false), None);
    assert_eq!(starts(&live, &at_charger(11, 3.3), false), None);
}

#[test]
fn charging_starts_with_the_same_uploads_when_answers_come_late() {
    let live = live();
    let plugs = [at_charger(1, 0.2), at_charger(2, 3.3), at_charger(3, 0.2), at_charger(4, 3.3)];
    let again = [unplugged(5), at_charger(6, 3.3), at_charger(7, 3.3)];
    let asked: Vec<_> =
        plugs.iter().chain(&again).filter_map(|upload| live.saw(upload, true, Instant::now())).collect();
    let started: Vec<_> = asked
        .iter()
        .filter(|question| live.judged(question, question.power_kw.is_some_and(|kw| kw >= 1.0)))
        .map(|question| question.time_ms)
        .collect();
    assert_eq!((asked.len(), started), (6, vec![2, 6]));
}

#[test]
fn answers_in_another_order_tell_each_start_once() {
    let live = live();
    let uploads = [at_charger(1, 3.3), at_charger(2, 3.3), unplugged(3), at_charger(4, 3.3)];
    let asked: Vec<_> = uploads.iter().filter_map(|upload| live.saw(upload, true, Instant::now())).collect();
    let starts = asked.iter().rev().filter(|question| live.judged(question, true)).count();
    assert_eq!((asked.len(), starts), (3, 1), "what charged before the last start is no other one");
}

#[test]
fn a_trip_whose_beginning_was_not_seen_may_have_charged_already() {
    let live = live();
    assert_eq!(starts(&live, &at_charger(1, 3.3), false), Some(false));
    live.ended("a");
    assert_eq!(starts(&live, &at_charger(2, 0.2), false), Some(false), "it does not charge");
    assert_eq!(starts(&live, &at_charger(3, 3.3), false), Some(true));
}

#[test]
fn a_calculator_that_failed_is_left_alone() {
    let live = live();
    live.pause();
    assert_eq!(starts(&live, &at_charger(1, 3.3), true), None);
}

#[test]
fn first_and_latest_values_go_by_the_time_of_readings() {
    let live = live();
    let at = |time_ms, soc| UploadDetails { state_of_charge: soc, ..upload("a", time_ms) };
    for (time_ms, soc) in [(20, Some(50.0)), (10, Some(60.0)), (30, None), (15, Some(55.0))] {
        live.saw(&at(time_ms, soc), false, Instant::now());
    }
    let trips = live.trips();
    let running = &trips.by_id["a"];
    assert_eq!((running.first().state_of_charge, running.latest().state_of_charge), (Some(60.0), Some(50.0)));
    assert_eq!(running.time_ms, 30);
}

#[test]
fn a_listener_hears_of_what_changed_and_of_ends() {
    let live = live();
    live.saw(&upload("a", 0), true, Instant::now());
    live.saw(&upload("b", 0), true, Instant::now());
    let news = live.news(0, None);
    assert_eq!((news.changed, news.ended.len()), (vec![trip_id("a"), trip_id("b")], 0));
    live.saw(&upload("b", 1), false, Instant::now());
    live.ended("a");
    live.ended("unheard of");
    let later = live.news(news.sequence, None);
    assert_eq!((later.changed, later.ended), (vec![trip_id("b")], vec![trip_id("a")]));
    assert_eq!(live.news(later.sequence, None).changed.len(), 0);
    assert_eq!(live.news(0, Some("vehicle of b")).changed, [trip_id("b")]);
    assert_eq!((live.trip_of("vehicle of b"), live.trip_of("vehicle of a")), (Some(trip_id("b")), None));
}

#[test]
fn a_profile_that_comes_late_has_the_trip_shown_as_that_of_its_car() {
    let live = live();
    live.saw(&upload("a", 0), true, Instant::now());
    let before = live.news(0, None);
    let moved = UploadDetails {
        vehicle_id: Some(VehicleId::from_stored("another")),
        reading_time: None,
        ..upload("a", 0)
    };
    assert!(live.saw(&moved, false, Instant::now()).is_none());
    assert_eq!((live.trip_of("another"), live.trip_of("vehicle of a")), (Some(trip_id("a")), None));
    assert_eq!(live.news(before.sequence, None).changed, [trip_id("a")]);
    live.saw(&UploadDetails { trip_id: Some(trip_id("ended")), ..moved }, false, Instant::now());
    assert_eq!(live.news(0, None).changed, [trip_id("a")], "what does not run is not shown for a profile");
}

#[test]
fn trips_and_ends_are_bounded() {
    let live = live();
    for trip in 0..MOST_TRIPS + 10 {
        live.saw(&upload(&trip.to_string(), 0), true, Instant::now());
    }
    assert_eq!(live.trips().by_id.len(), MOST_TRIPS);
    for trip in 0..MOST_ENDED + 10 {
        live.ended(&trip.to_string());
    }
    assert_eq!(live.trips().ended.len(), MOST_ENDED);
    let forgetful = Live::new(Duration::ZERO);
    for trip in 0..MOST_TRIPS + 1 {
        forgetful.saw(&upload(&trip.to_string(), 0), true, Instant::now());
    }
    assert_eq!(forgetful.trips().by_id.len(), 1, "what nothing is heard of makes room");
    assert_eq!(forgetful.news(0, None).changed, Vec::new());
}
