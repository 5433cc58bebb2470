//! What becomes of uploads.

use std::sync::Arc;

use super::home::{LATE_DAYS, homes, number};
use super::model::*;
use crate::identity::TripId;
use crate::store::{ReadingRow, Record, StoreError, Stored};

#[tokio::test]
async fn the_first_reading_opens_the_trip_and_the_next_one_joins_it() {
    for home in homes().await {
        let store = home.open().await;
        let first = keep(&store, reading(1, 1, 0)).await;
        let second = keep(&store, reading(1, 1, 1000)).await;
        assert!(first.created && !second.created, "{:?}", home.engine);
        assert_eq!(first.trip_id, second.trip_id);
        let trip = store.trip(&first.trip_id).await.unwrap().unwrap();
        assert_eq!((trip.start_time_ms, trip.end_time_ms, trip.readings), (START_MS, START_MS + 1000, 2));
    }
}

#[tokio::test]
async fn a_reading_that_comes_again_is_acknowledged_and_not_stored() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let again = keep(&store, reading(1, 1, 0)).await;
        assert!(again.duplicate && !again.conflicting && !again.created);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 1);
        assert_eq!(number(&store, "SELECT reading_count FROM trips").await, 1);
        assert_eq!(number(&store, "SELECT duplicate_count FROM trips").await, 1);
    }
}

#[tokio::test]
async fn of_equals_in_one_batch_the_first_is_stored_and_opens_the_trip() {
    for home in homes().await {
        let store = home.open().await;
        let records = (0..3).map(|_| Record::Reading(reading(1, 1, 0))).collect();
        let puts = put_together(&store, records).await;
        let seen: Vec<_> = puts.into_iter().map(|put| kept(put.unwrap().stored)).collect();
        assert_eq!(seen.iter().map(|kept| kept.created).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(seen.iter().map(|kept| kept.duplicate).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 1);
        assert_eq!(number(&store, "SELECT duplicate_count FROM trips").await, 2);
    }
}

#[tokio::test]
async fn of_conflicting_readings_the_first_stays_and_the_other_is_counted() {
    for home in homes().await {
        let store = home.open().await;
        let other = |json: &str| ReadingRow { fields: fields(json), ..reading(1, 1, 0) };
        keep(&store, other(r#"{"speed_mph":1}"#)).await;
        let later = keep(&store, other(r#"{"speed_mph":2}"#)).await;
        let speeds = [r#"{"speed_mph":3}"#, r#"{"speed_mph":3}"#, r#"{"speed_mph":1}"#];
        let records = speeds.into_iter().map(|json| Record::Reading(other(json))).collect();
        let together = put_together(&store, records).await;
        assert!(later.duplicate && later.conflicting);
        let together: Vec<_> = together.into_iter().map(|put| kept(put.unwrap().stored)).collect();
        let conflicting: Vec<_> = together.iter().map(|kept| kept.conflicting).collect();
        assert_eq!(conflicting, [true, true, false], "{:?}: what is stored decides", home.engine);
        let numbers: Vec<u8> =
            sqlx::query_scalar("SELECT numbers FROM readings").fetch_one(&store.pool).await.unwrap();
        assert_eq!(numbers, fields(r#"{"speed_mph":1}"#).numbers);
        assert_eq!(number(&store, "SELECT duplicate_count FROM trips").await, 4);
        assert_eq!(number(&store, "SELECT conflict_count FROM trips").await, 3, "{:?}", home.engine);
    }
}

#[tokio::test]
async fn two_devices_with_one_session_are_two_trips() {
    for home in homes().await {
        let store = home.open().await;
        let one = keep(&store, reading(1, 1, 0)).await;
        let other = keep(&store, reading(2, 1, 0)).await;
        assert!(one.created && other.created && one.trip_id != other.trip_id);
    }
}

#[tokio::test]
async fn concurrent_puts_are_grouped_and_every_one_is_stored_once() {
    for home in homes().await {
        let store = Arc::new(home.open().await);
        let mut puts = tokio::task::JoinSet::new();
        for index in 0..1500i64 {
            let store = store.clone();
            let v = usize::try_from(index % 7).unwrap();
            puts.spawn(async move { store.put(Record::Reading(reading(v, 1, index))).await.unwrap() });
        }
        let puts = puts.join_all().await;
        assert!(puts.iter().any(|put| put.batch_size > 1), "no batch has more than one upload");
        assert!(puts.iter().all(|put| put.batch_size <= 512));
        let created = puts.into_iter().map(|put| kept(put.stored)).filter(|kept| kept.created).count();
        assert_eq!(created, 7);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 1500);
        assert_eq!(number(&store, "SELECT CAST(SUM(reading_count) AS BIGINT) FROM trips").await, 1500);
    }
}

#[tokio::test]
async fn more_than_the_queue_holds_waits_to_be_let_in() {
    for home in homes().await {
        let store = home.open().await;
        let sent = 4096 + 512 + 100;
        let records = (0..sent).map(|at_ms| Record::Reading(reading(1, 1, at_ms))).collect();
        let puts = put_together(&store, records).await;
        assert!(puts.iter().all(Result::is_ok), "{:?}", home.engine);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, sent);
    }
}

#[tokio::test]
async fn a_poisoned_upload_does_not_refuse_its_neighbours() {
    for home in homes().await {
        let store = home.open().await;
        let poisoned = ReadingRow { time_ms: 0, ..reading(2, 1, 0) };
        let records = vec![
            Record::Reading(reading(1, 1, 0)),
            Record::Reading(poisoned),
            Record::Quarantine(quarantined()),
            Record::Session(facts(3, 1)),
            Record::Reading(reading(1, 1, 1000)),
        ];
        let puts = put_together(&store, records).await;
        for (index, put) in puts.iter().enumerate() {
            match put {
                Ok(put) => assert!(put.retried && put.batch_size == 1 && index != 1),
                Err(error) => assert!(matches!(error, StoreError::Constraint(_)) && index == 1, "{error}"),
            }
        }
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 2);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM trips").await, 1);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM vehicles").await, 1);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM quarantine").await, 1);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM sessions").await, 2, "the trip's and the other");
    }
}

#[tokio::test]
async fn text_that_one_engine_cannot_hold_refuses_its_upload_only() {
    for home in homes().await {
        let store = home.open().await;
        let odd = ReadingRow { unknown: "{\"k\":\"a\0b\"}".to_owned(), ..reading(2, 1, 0) };
        let puts = put_together(&store, vec![Record::Reading(odd), Record::Reading(reading(1, 1, 0))]).await;
        assert!(matches!(puts[0], Ok(_) | Err(StoreError::Constraint(_))), "{:?}", puts[0]);
        assert!(puts[1].is_ok(), "{:?}", puts[1]);
    }
}

#[tokio::test]
async fn a_reading_after_the_late_days_changes_nothing() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 5000)).await.trip_id;
        end_trip(&store, &miles(10.0)).await;
        let before = store.trip(&trip).await.unwrap().unwrap();
        let late = |received_ms| ReadingRow { received_ms, ..reading(1, 1, 0) };

        let limit_ms = LATER_MS + LATE_DAYS * DAY_MS;
        assert_eq!(
            put(&store, late(limit_ms + 1)).await,
            Stored::TooLate { trip_id: TripId::from_stored(&trip), vehicle_id: vehicle(1) }
        );
        let after = store.trip(&trip).await.unwrap().unwrap();
        assert_eq!(after.last_received_ms, before.last_received_ms, "{:?}", home.engine);
        assert_eq!((after.readings, after.duplicates, after.status.as_str()), (1, 0, "closed"));
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 1);
        assert_eq!(number(&store, "SELECT first_trip_start_ms FROM vehicles").await, START_MS + 5000);
        assert_eq!(stats(&store, 1).await.total_trips, 1);

        assert!(keep(&store, late(limit_ms)).await.reopened, "the last day is not too late");
    }
}

#[tokio::test]
async fn a_reading_that_is_there_is_a_duplicate_also_after_the_late_days() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        end_trip(&store, &miles(10.0)).await;
        let late = |json: &str, at_ms: i64| {
            let received_ms = LATER_MS + LATE_DAYS * DAY_MS + 1;
            Record::Reading(ReadingRow { received_ms, fields: fields(json), ..reading(1, 1, at_ms) })
        };
        // What is there, what says something else, what is new, and again.
        let records = vec![late("{}", 0), late(r#"{"speed_mph":1}"#, 0), late("{}", 1000), late("{}", 0)];
        let puts = put_together(&store, records).await;
        let stored: Vec<_> = puts.into_iter().map(|put| put.unwrap().stored).collect();
        let too_late = Stored::TooLate { trip_id: TripId::from_stored(&trip), vehicle_id: vehicle(1) };
        assert_eq!(stored[1..3], [too_late.clone(), too_late], "{:?}", home.engine);
        for stored in [stored[0].clone(), stored[3].clone()] {
            let kept = kept(stored);
            assert!(kept.duplicate && !kept.conflicting && !kept.reopened, "{:?}", home.engine);
            assert_eq!(kept.vehicle.total_trips, 1);
        }
        let row = store.trip(&trip).await.unwrap().unwrap();
        assert_eq!((row.readings, row.duplicates, row.status.as_str()), (1, 2, "closed"));
    }
}
