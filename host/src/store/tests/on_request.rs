//! What the API does to trips: deleting them, calculating them again.

use super::home::homes;
use super::model::*;
use crate::plugin_host::Summary;
use crate::store::{Claim, Closed, NotRecalculated, Retry, Store};

async fn readings_left(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM readings").fetch_one(&store.pool).await.unwrap()
}

async fn sweep(store: &Store) {
    while store.sweep_deleted().await.unwrap() {}
}

#[tokio::test]
async fn a_deleted_trip_leaves_nothing_and_its_vehicle_does_not_count_it() {
    for home in homes().await {
        let store = home.open().await;
        let gone = keep(&store, reading(1, 1, 0)).await.trip_id;
        keep(&store, reading(1, 1, 1000)).await;
        let stays = keep(&store, reading(1, 2, 2000)).await.trip_id;
        for claim in claim(&store, "owner").await {
            close(&store, &claim, &miles(if claim.trip_id == gone { 5.0 } else { 7.0 })).await;
        }
        assert_eq!((stats(&store, 1).await.total_trips, stats(&store, 1).await.total_miles), (2, 12.0));

        let removed = store.delete_trip(&gone, LATER_MS).await.unwrap().unwrap();
        assert_eq!((removed.vehicle, removed.readings), (vehicle(1), 2));
        assert_eq!((stats(&store, 1).await.total_trips, stats(&store, 1).await.total_miles), (1, 7.0));
        assert!(store.trip(&gone).await.unwrap().is_none());
        assert!(store.delete_trip(&gone, LATER_MS).await.unwrap().is_none(), "it is gone already");
        sweep(&store).await;
        assert_eq!(readings_left(&store).await, 1);
        assert!(store.trip(&stays).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_vehicle_shows_the_first_of_the_trips_that_are_left_and_keeps_its_age() {
    for home in homes().await {
        let store = home.open().await;
        let first = keep(&store, reading(1, 1, 0)).await.trip_id;
        let second = keep(&store, reading(1, 2, 1000)).await.trip_id;
        for (trip, left) in [(first, Some(START_MS + 1000)), (second, None)] {
            store.delete_trip(&trip, LATER_MS).await.unwrap().unwrap();
            let shown = store.vehicle(vehicle(1).as_str()).await.unwrap().unwrap();
            assert_eq!(
                (shown.first_trip_start_ms, shown.last_trip_start_ms),
                (left, left),
                "{:?}",
                home.engine
            );
        }
        // It counts from the first upload.
        let next = keep(&store, reading(1, 3, DAY_MS)).await;
        assert_eq!(next.vehicle.account_age_days, 1);
    }
}

#[tokio::test]
async fn a_reading_of_a_deleted_trip_opens_a_new_one() {
    for home in homes().await {
        let store = home.open().await;
        // The writer remembers the trip as open.
        let gone = keep(&store, reading(1, 1, 0)).await.trip_id;
        store.delete_trip(&gone, LATER_MS).await.unwrap().unwrap();
        let next = keep(&store, reading(1, 1, 1000)).await;
        assert!(next.created && next.trip_id != gone);
        sweep(&store).await;
        assert_eq!(readings_left(&store).await, 1, "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_long_trip_is_deleted_in_portions() {
    for home in homes().await {
        let store = home.open().await;
        let mut trip = String::new();
        for batch in 0..10 {
            let records = (0..450).map(|s| crate::store::Record::Reading(reading(1, 1, batch * 450 + s)));
            put_together(&store, records.collect()).await.into_iter().for_each(|put| drop(put.unwrap()));
            trip = keep(&store, reading(1, 1, batch * 450)).await.trip_id;
        }
        store.delete_trip(&trip, LATER_MS).await.unwrap().unwrap();
        assert_eq!(readings_left(&store).await, 4500);
        assert!(store.sweep_deleted().await.unwrap());
        assert_eq!(readings_left(&store).await, 2500, "a portion is gone");
        sweep(&store).await;
        assert_eq!(readings_left(&store).await, 0);
    }
}

#[tokio::test]
async fn fills_judged_by_a_deleted_trip_are_judged_again() {
    for home in homes().await {
        let store = home.open().await;
        let first = keep(&store, reading(1, 1, 0)).await.trip_id;
        end_trip(&store, &Summary { fuel_level_at_end: Some(40.0), ..summary() }).await;
        keep(&store, reading(1, 2, 10_000)).await;
        let claim = claim_one(&store, "owner").await;
        assert_eq!(store.trip_data(&claim).await.unwrap().previous_fuel_level_percent, Some(40.0));
        close(&store, &claim, &summary()).await;
        store.delete_trip(&first, LATER_MS).await.unwrap().unwrap();
        let claim = claim_one(&store, "owner").await;
        assert_eq!(store.trip_data(&claim).await.unwrap().previous_fuel_level_percent, None);
    }
}

#[tokio::test]
async fn a_finalization_of_a_trip_that_is_deleted_meanwhile_writes_nothing() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        store.delete_trip(&trip, LATER_MS).await.unwrap().unwrap();
        let closed = close_with(&store, &claim, &miles(3.0), &data).await.unwrap();
        assert!(matches!(closed, Closed::NotOurs), "{closed:?}");
        assert_eq!(stats(&store, 1).await.total_trips, 0);
    }
}

#[tokio::test]
async fn a_trip_is_calculated_again_in_place_of_what_it_was() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        end_trip(&store, &miles(5.0)).await;
        let claim = store.claim_for_recalculation(&trip, "asked", LATER_MS + 60_000).await.unwrap().unwrap();
        assert!(store.claim_stale(request("other")).await.unwrap().is_empty(), "it is claimed");
        let closed = close(&store, &claim, &miles(6.0)).await;
        assert!(matches!(closed, Closed::Done { finalization_number: 2, .. }), "{closed:?}");
        assert_eq!((stats(&store, 1).await.total_trips, stats(&store, 1).await.total_miles), (1, 6.0));
    }
}

#[tokio::test]
async fn who_does_not_finish_a_recalculation_leaves_it_to_the_finalizer() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        end_trip(&store, &miles(5.0)).await;
        store.claim_for_recalculation(&trip, "asked", LATER_MS - 1).await.unwrap().unwrap();
        assert_eq!(claim_one(&store, "other").await.trip_id, trip);
    }
}

#[tokio::test]
async fn a_trip_that_was_given_up_begins_its_attempts_anew_when_it_is_calculated_again() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let claim = Claim { attempt: 5, ..claim_one(&store, "owner").await };
        store.fail_attempt(&claim, Retry::WithAnotherCalculator("digest")).await.unwrap();
        store.claim_for_recalculation(&trip, "asked", LATER_MS - 1).await.unwrap().unwrap();
        assert_eq!(claim_one(&store, "other").await.attempt, 1, "{:?}", home.engine);
        assert_eq!(stats(&store, 1).await.total_trips, 0);
    }
}

#[tokio::test]
async fn a_recalculation_is_refused_for_a_reason() {
    for home in homes().await {
        let store = home.open().await;
        let open = keep(&store, reading(1, 1, 0)).await.trip_id;
        let why =
            async |trip: &str| store.claim_for_recalculation(trip, "asked", LATER_MS).await.unwrap().err();
        assert_eq!(why("nowhere").await, Some(NotRecalculated::Unknown));
        assert_eq!(why(&open).await, Some(NotRecalculated::Open));
        end_trip(&store, &miles(5.0)).await;
        sqlx::query("DELETE FROM readings").execute(&store.writes.pool).await.unwrap();
        assert_eq!(why(&open).await, Some(NotRecalculated::ReadingsGone));
        assert_eq!(store.trip(&open).await.unwrap().unwrap().status, "closed", "nothing has changed");
    }
}

#[tokio::test]
async fn a_vehicle_has_the_name_that_it_was_given_last() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let id = vehicle(1).to_string();
        assert!(!store.name_vehicle("nowhere", Some("x")).await.unwrap());
        for name in [Some("Sparky"), Some("Bolt"), None] {
            assert!(store.name_vehicle(&id, name).await.unwrap());
            assert_eq!(store.vehicle(&id).await.unwrap().unwrap().name.as_deref(), name);
        }
        let page = store.vehicles("", 10).await.unwrap();
        assert_eq!((page.len(), page[0].vehicle_id.as_str()), (1, id.as_str()));
        assert!(store.vehicles(&id, 10).await.unwrap().is_empty());
    }
}
