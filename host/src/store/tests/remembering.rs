//! What the writer remembers of open trips is a guess, and a wrong guess
//! changes nothing.

use super::home::{homes, number, sqlite};
use super::model::*;
use crate::store::{Layout, ReadingRow, Record};

#[tokio::test]
async fn what_another_process_added_to_a_remembered_trip_is_found() {
    for home in homes().await {
        let (store, other) = (home.open().await, home.open().await);
        let first = keep(&store, reading(1, 1, 0)).await;
        keep(&other, reading(1, 1, 2000)).await;
        // Later than all that the first one knows of.
        let again = keep(&store, reading(1, 1, 2000)).await;
        assert!(again.duplicate && !again.conflicting, "{:?}", home.engine);
        let between = keep(&store, reading(1, 1, 1000)).await;
        assert!(!between.duplicate && !between.created && between.trip_id == first.trip_id);
        let trip = store.trip(&first.trip_id).await.unwrap().unwrap();
        assert_eq!((trip.readings, trip.duplicates), (3, 1));
        assert_eq!((trip.start_time_ms, trip.end_time_ms), (START_MS, START_MS + 2000));
    }
}

#[tokio::test]
async fn a_remembered_trip_that_was_closed_is_opened_again() {
    for home in homes().await {
        let store = home.open().await;
        let trip_id = keep(&store, reading(1, 1, 0)).await.trip_id;
        end_trip(&store, &miles(10.0)).await;
        let late = keep(&store, reading(1, 1, 1000)).await;
        assert!(late.reopened && late.trip_id == trip_id, "{:?}", home.engine);
        assert_eq!(late.vehicle.total_trips, 0, "its contribution is withdrawn");
    }
}

#[tokio::test]
async fn a_vehicle_is_as_it_is_and_not_as_it_is_remembered() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let claim = claim_one(&store, "owner").await;
        keep(&store, reading(1, 2, 0)).await;
        close(&store, &claim, &miles(10.0)).await;
        let seen = keep(&store, reading(1, 2, 1000)).await;
        assert_eq!((seen.vehicle.total_trips, seen.vehicle.total_miles), (1, 10.0), "{:?}", home.engine);
    }
}

#[tokio::test]
async fn an_earlier_reading_moves_the_start_of_a_remembered_trip_and_of_its_vehicle() {
    for home in homes().await {
        let store = home.open().await;
        let trip_id = keep(&store, reading(1, 1, 0)).await.trip_id;
        keep(&store, reading(1, 1, 1000)).await;
        let records = [-DAY_MS, 2000].map(|at_ms| {
            let received_ms = START_MS + 2000;
            Record::Reading(ReadingRow { received_ms, ..reading(1, 1, at_ms) })
        });
        for put in put_together(&store, records.into()).await {
            assert_eq!(kept(put.unwrap().stored).vehicle.account_age_days, 1, "{:?}", home.engine);
        }
        let trip = store.trip(&trip_id).await.unwrap().unwrap();
        assert_eq!((trip.start_time_ms, trip.end_time_ms), (START_MS - DAY_MS, START_MS + 2000));
    }
}

#[tokio::test]
async fn a_batch_that_was_not_committed_is_not_remembered() {
    let home = sqlite();
    let store = home.open().await;
    keep(&store, reading(1, 1, 0)).await;
    let stranger = home.stranger().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON readings BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&stranger).await.unwrap();
    assert!(store.put(Record::Reading(reading(1, 1, 1000))).await.is_err());
    sqlx::query("DROP TRIGGER full").execute(&stranger).await.unwrap();
    assert!(!keep(&store, reading(1, 1, 1000)).await.duplicate);
    assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 2);
    assert_eq!(number(&store, "SELECT reading_count FROM trips").await, 2);
}

#[tokio::test]
async fn a_reading_that_comes_again_after_the_catalogue_changed_is_the_same() {
    for home in homes().await {
        let before = home.open().await;
        let one = r#"{"engine_rpm":900,"speed_mph":3}"#;
        keep(&before, ReadingRow { fields: fields(one), ..reading(1, 1, 0) }).await;
        let wider = Layout::new(["a_new_field", "engine_rpm", "speed_mph"]);
        let after = home.open_with(Layout::new(["a_new_field", "engine_rpm", "speed_mph"])).await;
        let same = wider.pack(&[("engine_rpm", 900.0), ("speed_mph", 3.0)]);
        let again = keep(&after, ReadingRow { fields: same, ..reading(1, 1, 0) }).await;
        assert!(again.duplicate && !again.conflicting, "{:?}", home.engine);
        let more = wider.pack(&[("a_new_field", 1.0), ("engine_rpm", 900.0), ("speed_mph", 3.0)]);
        let other = keep(&after, ReadingRow { fields: more.clone(), ..reading(1, 1, 0) }).await;
        assert!(other.duplicate && other.conflicting, "{:?}", home.engine);
        keep(&after, ReadingRow { fields: more, ..reading(1, 1, 1000) }).await;
        let claim = claim_one(&after, "owner").await;
        let readings = after.trip_data(&claim).await.unwrap().readings;
        assert_eq!(readings.columns["speed_mph"], [3.0, 3.0]);
        assert!(readings.columns["a_new_field"][0].is_nan());
        // The host that knows the wider layout not yet learns it.
        let readings = before.trip_data(&claim).await.unwrap().readings;
        assert_eq!(readings.columns["a_new_field"][1], 1.0);
    }
}

#[tokio::test]
async fn a_trip_that_goes_on_is_passed_over_until_it_ends() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let late = ReadingRow { received_ms: LATER_MS - 1000, ..reading(1, 1, 1000) };
        keep(&store, late).await;
        assert!(
            store.has_stale(LATER_MS, TIMEOUT, "digest").await.unwrap(),
            "{:?}: it has to be looked at",
            home.engine
        );
        assert!(claim(&store, "owner").await.is_empty());
        assert!(!store.has_stale(LATER_MS, TIMEOUT, "digest").await.unwrap(), "and not again");
        let timeout_ms = i64::try_from(TIMEOUT.as_millis()).unwrap();
        assert!(
            store.has_stale(LATER_MS - 1000 + timeout_ms, TIMEOUT, "digest").await.unwrap(),
            "until it may have ended"
        );
    }
}
