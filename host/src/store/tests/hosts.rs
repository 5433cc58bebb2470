//! Several hosts on one PostgreSQL never wait for each other for ever.

use std::time::Duration;

use super::home::{Home, number, postgres};
use super::model::*;
use crate::store::{Closed, Record, SessionFacts, Store};

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
