//! Several cars on one phone: what each session is counted for, whenever the
//! profile that tells of it comes.

use super::home::{homes, number};
use super::model::*;
use crate::identity::{TripId, VehicleId};
use crate::plugin_host::Summary;
use crate::store::{
    Closed, Engine, Page, Record, Retry, SessionFacts, Store, StoreError, Stored, TripFilter,
};

/// A profile of that name in session `s` of phone 1.
pub(super) fn profile(s: usize, name: &str, sent_ms: i64) -> SessionFacts {
    SessionFacts { time_ms: sent_ms, car: Some(car(1, name)), ..facts(1, s) }
}

/// What the store says of a profile: the vehicle, and the trip that it moved.
pub(super) async fn tell(store: &Store, facts: SessionFacts) -> (VehicleId, Option<String>) {
    match store.put(Record::Session(facts)).await.unwrap().stored {
        Stored::Session { vehicle_id, moved_trip } => (vehicle_id, moved_trip.map(|trip| trip.to_string())),
        other => panic!("{other:?}"),
    }
}

/// The vehicle of a further car of phone 1.
pub(super) fn further(name: &str) -> VehicleId {
    car(1, name).further_vehicle
}

/// Trips and miles of a vehicle, where there is such a vehicle.
pub(super) async fn counted(store: &Store, vehicle: &VehicleId) -> Option<(u32, f64)> {
    let stats = store.vehicle_stats(vehicle, START_MS).await.unwrap();
    stats.map(|stats| (stats.total_trips, stats.total_miles))
}

/// Sessions of a vehicle's trips, the first one first.
async fn sessions_of(store: &Store, vehicle: &VehicleId) -> Vec<String> {
    let filter = TripFilter { vehicle_id: Some(vehicle.to_string()), ..TripFilter::default() };
    let page = Page { filter, behind: None, limit: 100 };
    store.trips(&page).await.unwrap().into_iter().rev().map(|trip| trip.session_id).collect()
}

/// Closes all that has ended, with the same figures.
async fn end_all(store: &Store, summary: &Summary) {
    for claim in claim(store, "owner").await {
        let closed = close(store, &claim, summary).await;
        assert!(matches!(closed, Closed::Done { .. }), "{closed:?}");
    }
}

#[tokio::test]
async fn a_phones_first_profile_is_its_own_vehicle_and_each_further_one_another() {
    for home in homes().await {
        let store = home.open().await;
        for (s, name, expected) in [
            (1, "one", vehicle(1)),
            (2, "two", further("two")),
            (3, "one", vehicle(1)),
            (4, "three", further("three")),
        ] {
            assert_eq!(tell(&store, profile(s, name, START_MS)).await, (expected.clone(), None));
            assert_eq!(keep(&store, reading(1, s, 0)).await.vehicle_id, expected, "{:?}", home.engine);
        }
        let units = SessionFacts { user_units: Some("{}".to_owned()), ..facts(1, 2) };
        assert_eq!(tell(&store, units).await, (further("two"), None));
        // Another phone has cars of its own.
        let other = SessionFacts { car: Some(car(2, "two")), ..facts(2, 1) };
        assert_eq!(tell(&store, other).await, (vehicle(2), None));
        let named = store.vehicle(further("two").as_str()).await.unwrap().unwrap();
        assert_eq!(named.profile_name.as_deref(), Some("two"));
    }
}

/// PostgreSQL has no index entries of more than 2.7 KB. A phone that is told to
/// come back would come back with that profile for ever.
#[tokio::test]
async fn a_name_that_is_too_long_for_an_index_is_refused_for_good_or_kept() {
    let name: String = (0..400).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    for home in homes().await {
        let store = home.open().await;
        let told = store.put(Record::Session(profile(1, &name, START_MS))).await.map(|put| put.stored);
        match home.engine {
            Engine::Sqlite => assert!(matches!(told, Ok(Stored::Session { .. })), "{told:?}"),
            Engine::Postgres => assert!(matches!(told, Err(StoreError::Constraint(_))), "{told:?}"),
        }
        keep(&store, reading(1, 1, 0)).await;
    }
}

#[tokio::test]
async fn a_phone_with_one_car_knows_one_vehicle_whenever_its_profile_comes() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        assert_eq!(tell(&store, profile(1, "one", START_MS)).await, (vehicle(1), None));
        let again = keep(&store, reading(1, 1, 1000)).await;
        assert_eq!((again.trip_id, again.vehicle_id), (trip, vehicle(1)), "{:?}", home.engine);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM vehicles").await, 1);
    }
}

#[tokio::test]
async fn a_profile_behind_the_first_readings_moves_their_trip() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        keep(&store, reading(1, 1, 5000)).await;
        let trip = keep(&store, reading(1, 2, 1000)).await.trip_id;
        assert_eq!(tell(&store, profile(2, "two", START_MS)).await, (further("two"), Some(trip.clone())));
        let next = keep(&store, reading(1, 2, 2000)).await;
        assert_eq!((&next.trip_id, next.vehicle_id, next.created), (&trip, further("two"), false));
        assert_eq!(sessions_of(&store, &further("two")).await, [session(2).to_string()]);
        assert_eq!(sessions_of(&store, &vehicle(1)).await, [session(1).to_string()]);
        let began = async |vehicle: VehicleId| {
            let began = sqlx::query_scalar::<_, i64>(
                "SELECT first_trip_start_ms FROM vehicles WHERE vehicle_id = $1",
            )
            .bind(vehicle.as_str())
            .fetch_one(&store.pool);
            began.await.unwrap() - START_MS
        };
        assert_eq!((began(vehicle(1)).await, began(further("two")).await), (5000, 1000), "{:?}", home.engine);
        // It is there already, and changes nothing.
        assert_eq!(tell(&store, profile(2, "two", START_MS)).await, (further("two"), None));
    }
}

#[tokio::test]
async fn a_vehicle_without_trips_vanishes() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        keep(&store, reading(1, 2, 0)).await;
        tell(&store, profile(2, "two", START_MS)).await;
        assert_eq!(counted(&store, &vehicle(1)).await, None, "{:?}", home.engine);
        assert_eq!(counted(&store, &further("two")).await, Some((0, 0.0)));
        // It comes back with its first trip.
        assert_eq!(keep(&store, reading(1, 1, 0)).await.vehicle_id, vehicle(1));
        assert_eq!(counted(&store, &vehicle(1)).await, Some((0, 0.0)));
    }
}

#[tokio::test]
async fn a_profile_and_the_first_readings_may_be_committed_together() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        let first = keep(&store, reading(1, 3, 0)).await;
        let records = vec![
            Record::Reading(reading(1, 2, 0)),
            Record::Reading(reading(1, 3, 1000)),
            Record::Session(profile(2, "two", START_MS)),
            Record::Session(profile(3, "two", START_MS)),
            Record::Quarantine(quarantined()),
            Record::Reading(reading(1, 2, 1000)),
        ];
        let stored: Vec<_> =
            put_together(&store, records).await.into_iter().map(|put| put.unwrap().stored).collect();
        for index in [0, 1, 5] {
            let kept = kept(stored[index].clone());
            assert_eq!((kept.vehicle_id, kept.created), (further("two"), index == 0), "{:?}", home.engine);
        }
        let session = |moved_trip| Stored::Session { vehicle_id: further("two"), moved_trip };
        assert_eq!(
            stored[2..5],
            [session(None), session(Some(TripId::from_stored(&first.trip_id))), Stored::Kept]
        );
        assert_eq!(counted(&store, &vehicle(1)).await, None);
        assert_eq!(number(&store, "SELECT CAST(SUM(reading_count) AS BIGINT) FROM trips").await, 4);
    }
}

#[tokio::test]
async fn of_a_sessions_profiles_that_which_was_sent_last_says_the_car() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        for (name, sent_ms, expected, moves) in [
            ("one", 1000, vehicle(1), false),
            ("two", 3000, further("two"), true),
            ("three", 2000, further("two"), false),
            ("one", 4000, vehicle(1), true),
        ] {
            let told = tell(&store, profile(1, name, sent_ms)).await;
            assert_eq!(told, (expected, moves.then(|| trip.clone())), "{:?}: {name}", home.engine);
        }
        assert_eq!(number(&store, "SELECT COUNT(*) FROM vehicles").await, 1);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM cars").await, 2, "one that never counted is none");
    }
}

#[tokio::test]
async fn a_profile_behind_the_end_of_its_trip_has_it_counted_for_the_other_car() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        for (s, distance) in [(1, 10.0), (2, 20.0)] {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_trip(&store, &miles(distance)).await;
        }
        assert_eq!(counted(&store, &vehicle(1)).await, Some((2, 30.0)));
        tell(&store, profile(2, "two", START_MS)).await;
        assert_eq!(counted(&store, &vehicle(1)).await, Some((1, 10.0)), "{:?}", home.engine);
        assert_eq!(counted(&store, &further("two")).await, Some((0, 0.0)), "until it is calculated again");

        let claim = claim_one(&store, "owner").await;
        assert_eq!((&claim.phone, &claim.vehicle), (&phone(1), &further("two")));
        assert_eq!(store.trip_data(&claim).await.unwrap().profile_name.as_deref(), Some("two"));
        close(&store, &claim, &miles(20.0)).await;
        assert_eq!(counted(&store, &vehicle(1)).await, Some((1, 10.0)));
        assert_eq!(counted(&store, &further("two")).await, Some((1, 20.0)));
        // A late reading finds it where it is.
        let late = keep(&store, reading(1, 2, 3000)).await;
        assert_eq!((late.vehicle_id, late.reopened), (further("two"), true));
        end_trip(&store, &miles(21.0)).await;
        assert_eq!(counted(&store, &further("two")).await, Some((1, 21.0)));
        assert_eq!(counted(&store, &vehicle(1)).await, Some((1, 10.0)));
    }
}

#[tokio::test]
async fn a_trip_that_moves_while_it_is_calculated_is_calculated_again() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        keep(&store, reading(1, 2, 0)).await;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        tell(&store, profile(2, "two", START_MS)).await;
        let closed = close_with(&store, &claim, &miles(5.0), &data).await.unwrap();
        assert!(matches!(closed, Closed::Outdated), "{:?}: {closed:?}", home.engine);
        store.fail_attempt(&claim, Retry::GoesOn).await.unwrap();
        end_trip(&store, &miles(5.0)).await;
        assert_eq!(counted(&store, &further("two")).await, Some((1, 5.0)));
        assert_eq!(counted(&store, &vehicle(1)).await, None);
    }
}

#[tokio::test]
async fn trips_of_both_cars_are_judged_against_the_tank_of_their_own() {
    // What session `s` leaves in the tank.
    let level = |s: usize| Summary { fuel_level_at_end: Some(100.0 - 10.0 * s as f64), ..miles(10.0) };
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        tell(&store, profile(2, "two", START_MS)).await;
        tell(&store, profile(5, "two", START_MS)).await;
        // 3 and 4 are thought to be of car one, and 3 is of car two.
        for s in 1..6 {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_trip(&store, &level(s)).await;
        }
        let judged = async || -> Vec<Option<f64>> {
            let text = "SELECT previous_fuel_level_percent FROM trips ORDER BY start_time_ms";
            sqlx::query_scalar(text).fetch_all(&store.pool).await.unwrap()
        };
        assert_eq!(judged().await, [None, None, Some(90.0), Some(70.0), Some(80.0)], "{:?}", home.engine);

        tell(&store, profile(3, "two", START_MS)).await;
        // A trip that closes may have another one closed again.
        for _ in 0..2 {
            for claim in claim(&store, "owner").await {
                let s = (1..6).find(|s| session(*s).to_string() == claim.session_id).unwrap();
                close(&store, &claim, &level(s)).await;
            }
        }
        assert_eq!(judged().await, [None, None, Some(80.0), Some(90.0), Some(70.0)], "{:?}", home.engine);
        assert_eq!(counted(&store, &vehicle(1)).await, Some((2, 20.0)));
        assert_eq!(counted(&store, &further("two")).await, Some((3, 30.0)));
        assert!(claim(&store, "owner").await.is_empty());
    }
}

#[tokio::test]
async fn a_phone_that_goes_from_car_to_car_counts_each_drive_once_for_its_car() {
    const CARS: [&str; 3] = ["one", "two", "three"];
    for home in homes().await {
        let store = home.open().await;
        // Before the first reading, behind it, behind the end, or when all
        // other drives are over.
        for s in 0..30 {
            let at_ms = 10_000 * s as i64;
            let told = || profile(s, CARS[s % CARS.len()], START_MS + at_ms);
            if s % 4 == 0 {
                tell(&store, told()).await;
            }
            keep(&store, reading(1, s, at_ms)).await;
            if s % 4 == 1 {
                tell(&store, told()).await;
            }
            keep(&store, reading(1, s, at_ms + 1000)).await;
            end_all(&store, &miles(1.0)).await;
            if s % 4 == 2 {
                tell(&store, told()).await;
            }
        }
        for s in (3..30).step_by(4) {
            tell(&store, profile(s, CARS[s % CARS.len()], START_MS)).await;
        }
        end_all(&store, &miles(1.0)).await;
        for (index, name) in CARS.iter().enumerate() {
            let vehicle = if index == 0 { vehicle(1) } else { further(name) };
            assert_eq!(counted(&store, &vehicle).await, Some((10, 10.0)), "{:?}: {name}", home.engine);
            let expected: Vec<_> = (index..30).step_by(3).map(|s| session(s).to_string()).collect();
            assert_eq!(sessions_of(&store, &vehicle).await, expected);
        }
        assert_eq!(number(&store, "SELECT COUNT(*) FROM vehicles").await, 3);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM trips").await, 30);
    }
}

#[tokio::test]
async fn a_car_is_found_by_its_name_and_by_its_id_with_the_drives_of_its_phone() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(2, 1, 0)).await;
        for (s, name) in [(1, "one"), (2, "two")] {
            tell(&store, profile(s, name, START_MS)).await;
            keep(&store, reading(1, s, 1000 * s as i64)).await;
        }
        for (name, expected) in [
            ("two", Some((phone(1), further("two"), Some("two")))),
            (further("two").as_str(), Some((phone(1), further("two"), Some("two")))),
            (vehicle(1).as_str(), Some((phone(1), vehicle(1), Some("one")))),
            (vehicle(2).as_str(), Some((phone(2), vehicle(2), None))),
            ("nobody's", None),
        ] {
            let found = store.cars_named(name).await.unwrap();
            let found = found.into_iter().map(|car| (car.phone, car.vehicle, car.profile_name));
            let expected = expected.map(|(phone, vehicle, name)| (phone, vehicle, name.map(str::to_owned)));
            assert!(found.eq(expected), "{:?}: {name}", home.engine);
        }
        let twin = SessionFacts { car: Some(car(2, "two")), ..facts(2, 1) };
        tell(&store, twin).await;
        assert_eq!(store.cars_named("two").await.unwrap().len(), 2);
        let known = store.trips_between(&phone(1), START_MS, START_MS + 5000).await.unwrap();
        let known: Vec<_> = known.into_iter().map(|trip| trip.session).collect();
        assert_eq!(known, [session(2), session(1)]);
    }
}
