//! Whatever locks several rows takes them in one order on PostgreSQL: beside
//! another host that goes by it, nothing waits for ever.

use std::time::{Duration, Instant};

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::home::{Home, number, postgres};
use super::model::*;
use crate::plugin_host::{Ends, Place, Summary};
use crate::store::{Closed, Closing, Record, Retry, Route, SessionFacts, Store};

/// Begins a transaction of another host.
async fn begin(home: &Home) -> Transaction<'static, Any> {
    home.stranger().await.begin().await.unwrap()
}

async fn run(transaction: &mut Transaction<'static, Any>, text: &str) {
    sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut **transaction).await.unwrap();
}

/// Locks what a text selects.
async fn lock(transaction: &mut Transaction<'static, Any>, rows: &str) {
    run(transaction, &format!("SELECT 1 FROM {rows} FOR UPDATE")).await;
}

/// The trip of phone 1 in session `s`.
fn trip(s: usize) -> String {
    format!("trips WHERE session_id = '{}'", session(s))
}

/// Runs `work` beside another host that has locked the first of these rows, and
/// locks the second when `work` waits.
async fn beside<T>(home: &Home, [first, second]: [&str; 2], work: impl Future<Output = T>) -> T {
    let mut other = begin(home).await;
    lock(&mut other, first).await;
    let other = async {
        home.until_waiting(1).await;
        lock(&mut other, second).await;
        other.commit().await.unwrap();
    };
    tokio::join!(work, other).0
}

/// Trips of phone 1 that were closed one after another, given by session and
/// time.
async fn closed_trips(store: &Store, trips: [(usize, i64); 2]) -> [String; 2] {
    let mut ids = [const { String::new() }; 2];
    for ((s, at_ms), id) in trips.into_iter().zip(&mut ids) {
        *id = keep(store, reading(1, s, at_ms)).await.trip_id;
        let closed = end_trip(store, &Summary { fuel_level_at_end: Some(40.0), ..miles(1.0) }).await;
        assert!(matches!(closed, Closed::Done { .. }), "{closed:?}");
    }
    ids
}

#[tokio::test]
async fn a_deletion_locks_a_trip_and_those_after_it_as_an_upload_does() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    let [gone, _] = closed_trips(&store, [(2, 0), (1, 10_000)]).await;
    let removed = beside(&home, [&trip(1), &trip(2)], store.delete_trip(&gone, LATER_MS)).await;
    assert!(removed.unwrap().is_some());
}

#[tokio::test]
async fn a_move_locks_a_trip_and_those_after_it_as_an_upload_does() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    let profile = |s, name| Record::Session(SessionFacts { car: Some(car(1, name)), ..facts(1, s) });
    store.put(profile(3, "one")).await.unwrap();
    closed_trips(&store, [(2, 0), (1, 10_000)]).await;
    beside(&home, [&trip(1), &trip(2)], store.put(profile(2, "two"))).await.unwrap();
    let moved = "SELECT COUNT(*) FROM trips JOIN cars ON cars.vehicle_id = trips.vehicle_id
                 WHERE profile_name = 'two'";
    assert_eq!(number(&store, moved).await, 1);
}

#[tokio::test]
async fn a_trip_that_is_given_up_is_locked_with_those_after_it_though_it_began_earlier_since() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    keep(&store, reading(1, 2, 20_000)).await;
    end_trip(&store, &miles(1.0)).await;
    keep(&store, reading(1, 1, 10_000)).await;
    let claim = claim_one(&store, "owner").await;
    keep(&store, reading(1, 1, 5_000)).await;
    let failed = store.fail_attempt(&claim, Retry::WithAnotherCalculator("digest"));
    beside(&home, [&trip(1), &trip(2)], failed).await.unwrap();
    assert_eq!(number(&store, "SELECT COUNT(*) FROM trips WHERE status = 'failed'").await, 1);
}

#[tokio::test]
async fn the_claims_of_a_dead_host_are_released_in_the_order_in_which_uploads_lock_trips() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    keep(&store, reading(1, 2, 0)).await;
    keep(&store, reading(1, 1, 1)).await;
    assert_eq!(claim(&store, "dead").await.len(), 2);
    beside(&home, [&trip(1), &trip(2)], store.release_claims("dead")).await.unwrap();
    assert_eq!(claim(&store, "owner").await.len(), 2);
}

#[tokio::test]
async fn a_deletion_locks_the_vehicle_before_the_route_as_a_closing_does() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
    let claim = claim_one(&store, "owner").await;
    let data = store.trip_data(&claim).await.unwrap();
    let place = Place { latitude: 1.0, longitude: 2.0 };
    let route = Route::New(Ends { start: place, end: place });
    let summary = Summary { fuel_level_at_end: Some(40.0), ..miles(1.0) };
    let closing = Closing { route: Some(&route), ..closing(&data, &summary) };
    assert!(matches!(store.close_trip(&claim, &closing).await.unwrap(), Closed::Done { .. }));
    // It is judged again when the first one goes, which is open again by then.
    closed_trips(&store, [(2, 10_000), (3, 20_000)]).await;
    keep(&store, reading(1, 1, 1_000)).await;
    let removed = beside(&home, ["vehicles", "routes"], store.delete_trip(&trip, LATER_MS)).await;
    assert!(removed.unwrap().is_some());
}

#[tokio::test]
async fn the_cars_of_a_phone_are_added_in_one_order() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    let add = |name| {
        let values = format!("'{}', '{name}', '{name} of 1'", phone(1).as_str());
        format!("INSERT INTO cars (phone_id, profile_name, vehicle_id) VALUES ({values})")
    };
    let mut other = begin(&home).await;
    run(&mut other, &add("a")).await;
    let other = async {
        home.until_waiting(1).await;
        run(&mut other, &add("b")).await;
        other.commit().await.unwrap();
    };
    let profiles =
        [(1, "b"), (2, "a")].map(|(s, name)| SessionFacts { car: Some(car(1, name)), ..facts(1, s) });
    let profiles = put_together(&store, profiles.map(Record::Session).into());
    for put in tokio::join!(profiles, other).0 {
        put.unwrap();
    }
    assert_eq!(number(&store, "SELECT COUNT(*) FROM cars").await, 2);
}

#[tokio::test]
async fn a_trip_that_another_host_opens_meanwhile_is_locked_before_its_session() {
    let Some(home) = postgres().await else { return };
    let (one, other) = (home.open().await, home.open().await);
    let of_session = |s| format!("sessions WHERE session_id = '{}'", session(s));
    let (mut before, mut behind) = (begin(&home).await, begin(&home).await);
    for (transaction, s) in [(&mut before, 1), (&mut behind, 3)] {
        let (phone, session) = (phone(1), session(s));
        let columns = "phone_id, session_id, received_ms";
        let values = format!("'{}', '{session}', 0", phone.as_str());
        run(transaction, &format!("INSERT INTO sessions ({columns}) VALUES ({values})")).await;
    }
    let upload = async {
        let readings = (1..=3).map(|s| Record::Reading(reading(1, s, 0))).collect();
        put_together(&one, readings)
            .await
            .into_iter()
            .map(|put| kept(put.unwrap().stored))
            .collect::<Vec<_>>()
    };
    let hosts = async {
        // It has found no trip, and waits for the first session.
        home.until_waiting(1).await;
        let opened = keep(&other, reading(1, 2, 1)).await.trip_id;
        // A reading and a profile of that session, at one host.
        let mut third = begin(&home).await;
        lock(&mut third, &trip(2)).await;
        before.rollback().await.unwrap();
        until_locked(&home, &of_session(2)).await;
        let third = async {
            lock(&mut third, &of_session(2)).await;
            third.commit().await.unwrap();
        };
        let behind = async {
            home.until_waiting(2).await;
            behind.rollback().await.unwrap();
        };
        tokio::join!(third, behind);
        opened
    };
    let (kept, opened) = tokio::join!(upload, hosts);
    let created: Vec<_> = kept.iter().map(|kept| kept.created).collect();
    assert_eq!((created, &kept[1].trip_id), (vec![true, false, true], &opened));
    assert_eq!(number(&one, "SELECT COUNT(*) FROM trips").await, 3);
}

/// Comes back when somebody has locked the only one of these rows.
async fn until_locked(home: &Home, rows: &str) {
    let server = home.stranger().await;
    let by = Instant::now() + Duration::from_secs(20);
    let text = format!("SELECT 1 FROM {rows} FOR UPDATE SKIP LOCKED");
    while sqlx::query(AssertSqlSafe(text.clone())).fetch_optional(&server).await.unwrap().is_some() {
        assert!(Instant::now() < by, "nobody locks {rows}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
