//! Several hosts on one PostgreSQL never wait for each other for ever.

use std::time::Duration;

use super::home::{Home, number, postgres};
use super::model::*;
use crate::plugin_host::{Ends, Place, Summary};
use crate::store::{Closed, Closing, Record, Retry, Route, SessionFacts, Store};

const ROUNDS: i64 = 25;

async fn hosts(home: &Home) -> (Store, Store) {
    (home.open().await, home.open().await)
}

async fn put_all(store: &Store, records: Vec<Record>) {
    for put in put_together(store, records).await {
        put.unwrap();
    }
}

#[tokio::test]
async fn hosts_that_open_trips_of_the_same_vehicles_again_do_not_deadlock() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    // Each host opens trips of every second vehicle again, and new ones of the
    // vehicles between, whose trips the other opens again.
    let batch = |s: usize, round: i64, back: bool| -> Vec<Record> {
        let mut vehicles: Vec<usize> = (0..8).collect();
        if back {
            vehicles.reverse();
        }
        let again = |v: usize| (v % 2 == s) == (round % 2 == 0);
        let fresh = 10 + s + 2 * usize::try_from(round).unwrap();
        let session = |v: usize| if again(v) { s } else { fresh };
        vehicles.into_iter().map(|v| Record::Reading(reading(v, session(v), round))).collect()
    };
    for round in 0..ROUNDS {
        tokio::join!(put_all(&one, batch(0, round, false)), put_all(&other, batch(1, round, true)));
        for claim in claim(&one, "one").await {
            assert!(matches!(close(&one, &claim, &miles(1.0)).await, Closed::Done { .. }));
        }
    }
    let trips = number(&one, "SELECT COUNT(*) FROM trips").await;
    assert_eq!(number(&one, "SELECT CAST(SUM(total_trips) AS BIGINT) FROM vehicles").await, trips);
}

#[tokio::test]
async fn claims_and_uploads_of_the_same_trips_do_not_deadlock() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    for round in 0..ROUNDS {
        // Received last is locked first by an upload, and claimed last.
        let all = |at_ms: i64| -> Vec<Record> {
            (0..60).map(|v| Record::Reading(reading(v, 1, at_ms + 100 - v as i64))).collect()
        };
        let finalize = async |store: &Store, owner: &str| {
            for claim in claim(store, owner).await {
                let closed = close(store, &claim, &miles(1.0)).await;
                assert!(!matches!(closed, Closed::NotOurs), "{closed:?}");
                if matches!(closed, Closed::Outdated) {
                    store.fail_attempt(&claim, crate::store::Retry::At(0)).await.unwrap();
                }
            }
        };
        put_all(&one, all(round * 1000)).await;
        tokio::join!(
            put_all(&one, all(round * 1000 + 500)),
            finalize(&other, "other"),
            finalize(&one, "one")
        );
    }
    for claim in claim(&one, "last").await {
        assert!(matches!(close(&one, &claim, &miles(1.0)).await, Closed::Done { .. }));
    }
    assert_eq!(number(&one, "SELECT CAST(SUM(total_trips) AS BIGINT) FROM vehicles").await, 60);
}

#[tokio::test]
async fn hosts_that_learn_of_the_same_sessions_do_not_deadlock() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    for round in 0..ROUNDS {
        let learn = |v: usize| Record::Session(SessionFacts { received_ms: round, ..facts(v, 1) });
        let forth = (0..40).map(learn).collect();
        let back = (0..40).rev().map(learn).collect();
        tokio::join!(put_all(&one, forth), put_all(&other, back));
    }
    assert_eq!(number(&one, "SELECT COUNT(*) FROM sessions").await, 40);
}

#[tokio::test]
async fn profiles_and_first_readings_at_two_hosts_do_not_deadlock_and_see_each_other() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    let profile = |v: usize, s: usize, name: &str| {
        Record::Session(SessionFacts { car: Some(car(v, name)), ..facts(v, s) })
    };
    put_all(&one, (0..40).map(|v| profile(v, 0, "one")).collect()).await;
    for round in 0..ROUNDS {
        let s = 1 + usize::try_from(round).unwrap();
        // Profiles of every second phone come to one host and the readings of
        // that session to the other; of those between it is the other way.
        let batch = |host: usize| -> Vec<Record> {
            let of_phone = |v: usize| match v % 2 == host {
                true => profile(v, s, "two"),
                false => Record::Reading(reading(v, s, round)),
            };
            (0..40).map(of_phone).collect()
        };
        let mut back = batch(1);
        back.reverse();
        tokio::join!(put_all(&one, batch(0)), put_all(&other, back));
    }
    let elsewhere = "SELECT COUNT(*) FROM trips JOIN cars ON cars.phone_id = trips.phone_id
                     WHERE cars.profile_name = 'two' AND cars.vehicle_id <> trips.vehicle_id";
    assert_eq!(number(&one, elsewhere).await, 0);
    assert_eq!(number(&one, "SELECT COUNT(*) FROM trips").await, 40 * ROUNDS);
    assert_eq!(number(&one, "SELECT COUNT(*) FROM cars").await, 80);
}

#[tokio::test]
async fn one_trip_at_two_hosts_stores_each_reading_once() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    let all = || -> Vec<Record> { (0..200).map(|at_ms| Record::Reading(reading(1, 1, at_ms))).collect() };
    let both = async { tokio::join!(put_together(&one, all()), put_together(&other, all())) };
    let (a, b) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    let seen: Vec<_> = a.into_iter().chain(b).map(|put| kept(put.unwrap().stored)).collect();
    assert_eq!(seen.iter().filter(|kept| kept.created).count(), 1);
    assert_eq!(seen.iter().filter(|kept| kept.duplicate).count(), 200);
    assert_eq!(number(&one, "SELECT reading_count FROM trips").await, 200);
    assert_eq!(number(&one, "SELECT COUNT(*) FROM readings").await, 200);
}

#[tokio::test]
async fn hosts_that_sweep_one_trip_leave_no_reading_of_it() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    let mut trip = String::new();
    for batch in 0..5 {
        // All in one span, and more than a portion.
        put_all(&one, (0..450).map(|n| Record::Reading(reading(1, 1, batch * 450 + n))).collect()).await;
        trip = keep(&one, reading(1, 1, batch * 450)).await.trip_id;
    }
    one.delete_trip(&trip, LATER_MS).await.unwrap().unwrap();
    // Both begin with the same portion, and wait for each other there.
    let stranger = home.stranger().await;
    let mut held = stranger.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM readings FOR UPDATE").fetch_all(&mut *held).await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        held.rollback().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(one.sweep_deleted(), other.sweep_deleted(), release);
    assert!(first.unwrap() && second.unwrap());
    while one.sweep_deleted().await.unwrap() {}
    assert_eq!(number(&one, "SELECT COUNT(*) FROM readings").await, 0);
    assert_eq!(number(&one, "SELECT COUNT(*) FROM trip_spans").await, 0);
}

#[tokio::test]
async fn a_vehicle_that_lost_its_first_trip_begins_with_a_reading_that_came_late_meanwhile() {
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    let profile = |s, name| Record::Session(SessionFacts { car: Some(car(1, name)), ..facts(1, s) });
    put_all(&one, vec![profile(3, "one")]).await;
    for (s, at_ms) in [(1, 0), (2, 2_000)] {
        keep(&one, reading(1, s, at_ms)).await;
    }
    // The move has locked both trips, and waits for the vehicle.
    let stranger = home.stranger().await;
    let mut held = stranger.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM vehicles FOR UPDATE").fetch_all(&mut *held).await.unwrap();
    let upload = async {
        home.until_waiting(1).await;
        let release = async {
            home.until_waiting(2).await;
            held.rollback().await.unwrap();
        };
        tokio::join!(keep(&other, reading(1, 2, 1_000)), release).0
    };
    let (moved, late) = tokio::join!(one.put(profile(1, "two")), upload);
    moved.unwrap();
    assert_eq!(late.vehicle_id, vehicle(1));
    let began = "SELECT MAX(first_trip_start_ms) FROM vehicles";
    assert_eq!(number(&one, began).await, START_MS + 1_000);
}

/// What one of several hosts does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Upload,
    Finalize,
    Delete,
    Recalculate,
    Move,
}

const SESSIONS: usize = 6;

/// A trip that there is, where the number hits one.
async fn some_trip(store: &Store, chance: u64) -> Option<String> {
    let text = "SELECT trip_id FROM trips ORDER BY trip_id LIMIT 1 OFFSET $1";
    let trip = sqlx::query_scalar(text).bind(i64::try_from(chance % SESSIONS as u64).unwrap());
    trip.fetch_optional(&store.pool).await.unwrap()
}

/// Closes a claimed trip with a level and a route, or gives it back.
async fn end(store: &Store, claim: &crate::store::Claim, chance: u64) {
    let data = store.trip_data(claim).await.unwrap();
    let place = Place { latitude: 1.0, longitude: 2.0 };
    let route = Route::New(Ends { start: place, end: place });
    let level = Some((chance % 3) as f64 * 30.0);
    let summary = Summary { fuel_level_at_end: level, ..miles((chance % 50) as f64) };
    let closing = Closing { route: Some(&route), ..closing(&data, &summary) };
    if let Closed::Outdated = store.close_trip(claim, &closing).await.unwrap() {
        let retry = match chance % 4 {
            0 => Retry::WithAnotherCalculator("other"),
            _ => Retry::GoesOn,
        };
        store.fail_attempt(claim, retry).await.unwrap();
    }
}

async fn act(store: &Store, owner: &str, deed: Deed, chance: u64) {
    let session = |n: u64| usize::try_from((chance >> n) % SESSIONS as u64).unwrap();
    match deed {
        Deed::Upload => {
            let at_ms = i64::try_from(chance % 5_000).unwrap();
            let readings = (0..4).map(|n| reading(1, session(7 * n), at_ms + 1 + i64::try_from(n).unwrap()));
            put_all(store, readings.map(Record::Reading).collect()).await;
        }
        Deed::Finalize => {
            for claim in claim(store, owner).await {
                end(store, &claim, chance).await;
            }
        }
        Deed::Delete => {
            if let Some(trip) = some_trip(store, chance).await {
                store.delete_trip(&trip, LATER_MS).await.unwrap();
                while store.sweep_deleted().await.unwrap() {}
            }
        }
        Deed::Recalculate => {
            if let Some(trip) = some_trip(store, chance).await {
                let claimed = store.claim_for_recalculation(&trip, owner, LATER_MS + 60_000).await.unwrap();
                if let Ok(claim) = claimed {
                    end(store, &claim, chance >> 3).await;
                }
            }
        }
        Deed::Move => {
            let car = Some(car(1, ["one", "two"][usize::try_from(chance >> 5 & 1).unwrap()]));
            let time_ms = START_MS + i64::try_from(chance % 1_000_000).unwrap();
            let facts = SessionFacts { car, time_ms, ..facts(1, session(2)) };
            put_all(store, vec![Record::Session(facts)]).await;
        }
    }
}

/// What does not add up, each with how often.
async fn differences(store: &Store) -> Vec<(&'static str, i64)> {
    let checks = [
        (
            "totals of vehicles",
            "SELECT COUNT(*) FROM vehicles v WHERE total_trips <>
                 (SELECT COUNT(*) FROM trips t WHERE t.vehicle_id = v.vehicle_id AND status = 'closed')
             OR miles_e6 <> (SELECT COALESCE(SUM(counted_miles_e6), 0) FROM trips t
                             WHERE t.vehicle_id = v.vehicle_id)",
        ),
        (
            "vehicles of trips",
            "SELECT COUNT(*) FROM trips WHERE vehicle_id NOT IN (SELECT vehicle_id FROM vehicles)",
        ),
        (
            "readings of trips",
            "SELECT COUNT(*) FROM trips t WHERE reading_count <>
                 (SELECT COUNT(*) FROM readings r WHERE r.trip_id = t.trip_id)",
        ),
        (
            "readings of no trip",
            "SELECT COUNT(*) FROM readings WHERE trip_id NOT IN (SELECT trip_id FROM trips)
                                             AND trip_id NOT IN (SELECT trip_id FROM deleted_trips)",
        ),
        (
            "starts of trips",
            "SELECT COUNT(*) FROM trips t WHERE start_time_ms <>
                 (SELECT MIN(time_ms) FROM readings r WHERE r.trip_id = t.trip_id)",
        ),
        (
            "starts of vehicles",
            "SELECT COUNT(*) FROM vehicles v WHERE first_trip_start_ms >
                 (SELECT MIN(start_time_ms) FROM trips t WHERE t.vehicle_id = v.vehicle_id)",
        ),
        (
            "trips of routes",
            "SELECT COUNT(*) FROM routes r WHERE trip_count <>
                 (SELECT COUNT(*) FROM trips t WHERE t.route_id = r.route_id)",
        ),
    ];
    let mut found = Vec::new();
    for (name, text) in checks {
        match number(store, text).await {
            0 => {}
            several => found.push((name, several)),
        }
    }
    found
}

/// Closed trips that were not judged against what the one before left.
const MISJUDGED: &str = "
    SELECT COUNT(*) FROM trips t WHERE previous_fuel_level_percent IS DISTINCT FROM
        (SELECT fuel_level_at_end FROM trips b
         WHERE b.vehicle_id = t.vehicle_id AND b.start_time_ms < t.start_time_ms
         ORDER BY start_time_ms DESC LIMIT 1)";

/// Finalizes until every trip is closed.
async fn settle(store: &Store, chance: u64) {
    for n in 0.. {
        let claims = claim(store, "settling").await;
        if claims.is_empty() {
            break;
        }
        assert!(n < 100, "{claims:?}");
        for claim in claims {
            end(store, &claim, chance + n).await;
        }
    }
    assert_eq!(number(store, "SELECT COUNT(*) FROM trips WHERE status <> 'closed'").await, 0);
}

#[tokio::test]
async fn whatever_two_hosts_do_to_the_same_trips_adds_up() {
    use Deed::{Delete, Finalize, Move, Recalculate, Upload};
    let Some(home) = postgres().await else { return };
    let (one, other) = hosts(&home).await;
    let deeds = [Upload, Upload, Upload, Finalize, Finalize, Delete, Recalculate, Move];
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = seed >> 20;
        (deeds[usize::try_from(seed >> 60 & 7).unwrap()], chance)
    };
    for round in 0..ROUNDS * 8 {
        let deeds = [next(), next(), next(), next()];
        let [a, b, c, d] = deeds;
        tokio::join!(
            act(&one, "one", a.0, a.1),
            act(&other, "other", b.0, b.1),
            act(&one, "one again", c.0, c.1),
            act(&other, "other again", d.0, d.1),
        );
        let differences = differences(&one).await;
        assert!(differences.is_empty(), "round {round}, {deeds:?}: {differences:?}");
        if round % 4 == 0 {
            settle(&one, next().1).await;
            assert_eq!(number(&one, MISJUDGED).await, 0, "round {round}, {deeds:?}");
        }
    }
}
