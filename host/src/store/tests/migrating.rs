//! What a database holds is there after it is brought up to date.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{AnyPool, AssertSqlSafe};

use super::home::{homes, number, postgres};
use super::model::*;
use crate::identity::TripId;
use crate::store::open::PATIENCE;
use crate::store::{Engine, Record, SessionFacts, Stored};

/// Before phones had several cars.
const BEFORE_CARS: i64 = 40;
const DAY_MS: i64 = 86_400_000;

async fn migrate_up_to(database: &AnyPool, version: i64) {
    let all = sqlx::migrate!();
    let before = all.iter().filter(|migration| migration.version <= version).cloned();
    let migrator = Migrator { migrations: Cow::Owned(before.collect()), ..Migrator::DEFAULT };
    migrator.run(database).await.unwrap();
}

/// A vehicle with two trips, whose profiles have two names.
fn two_trips(engine: Engine) -> Vec<String> {
    let no_numbers = match engine {
        Engine::Sqlite => "x''",
        Engine::Postgres => "decode('', 'hex')",
    };
    let phone_id = vehicle(1);
    let mut texts = vec![
        "INSERT INTO layouts (layout_id, field_names) VALUES (1, '[]')".to_owned(),
        format!(
            "INSERT INTO vehicles (vehicle_id, first_received_ms, first_trip_start_ms, total_trips, miles_e6)
         VALUES ('{phone_id}', {START_MS}, {START_MS}, 2, 3000000)"
        ),
    ];
    for (s, name) in [(1, "two"), (2, "one")] {
        let (id, at_ms) = (session(s), START_MS - s as i64);
        texts.push(format!(
            "INSERT INTO trips (trip_id, vehicle_id, session_id, status, start_time_ms, end_time_ms,
                                first_received_ms, last_received_ms, quiet_since_ms, closed_ms, summary,
                                finalization_number, counted, counted_miles_e6, gas_miles)
             VALUES ('trip {s}', '{phone_id}', '{id}', 'closed', {at_ms}, {at_ms}, {at_ms}, {at_ms}, {at_ms},
                     {at_ms}, '{{\"figure\":{s}}}', 1, 1, {s}000000, 0.5)"
        ));
        texts.push(format!(
            "INSERT INTO readings (trip_id, time_ms, received_ms, layout_id, numbers, unknown)
             SELECT 'trip {s}', {at_ms}, {at_ms}, layout_id, {no_numbers}, '{{}}' FROM layouts
             UNION ALL SELECT 'trip {s}', {at_ms} + 86400000, {at_ms}, layout_id, {no_numbers}, '{{}}' FROM layouts"
        ));
        texts.push(format!(
            "INSERT INTO sessions (vehicle_id, session_id, received_ms, profile_name)
             VALUES ('{phone_id}', '{id}', {at_ms}, '{name}')"
        ));
    }
    texts
}

#[tokio::test]
async fn vehicles_trips_and_readings_stay_when_phones_get_several_cars() {
    for home in homes().await {
        let old = home.stranger().await;
        migrate_up_to(&old, BEFORE_CARS).await;
        for text in two_trips(home.engine) {
            sqlx::query(AssertSqlSafe(text)).execute(&old).await.unwrap();
        }
        old.close().await;

        let store = home.open().await;
        assert_eq!((stats(&store, 1).await.total_trips, stats(&store, 1).await.total_miles), (2, 3.0));
        for (s, name) in [(1, "two"), (2, "one")] {
            let trip = store.trip(&format!("trip {s}")).await.unwrap().unwrap();
            assert_eq!((trip.vehicle_id, trip.profile_name.as_deref()), (vehicle(1).to_string(), Some(name)));
            assert_eq!(trip.summary.unwrap()["figure"], s, "{:?}", home.engine);
            let readings = store.readings_after(&format!("trip {s}"), 0).await.unwrap();
            let at_ms = START_MS - i64::from(s);
            assert_eq!(readings.iter().map(|row| row.time_ms).collect::<Vec<_>>(), [at_ms, at_ms + DAY_MS]);
        }
        assert_eq!(number(&store, "SELECT COUNT(*) FROM trips WHERE gas_miles = 0.5").await, 2);
        // The name that came first is the phone's own vehicle, and so is all
        // that was: a late reading finds its trip there,
        let own = store.vehicle(vehicle(1).as_str()).await.unwrap().unwrap();
        assert_eq!(own.profile_name.as_deref(), Some("one"));
        assert_eq!(keep(&store, reading(1, 1, 0)).await.vehicle_id, vehicle(1));
        // until the profile comes again.
        let again = SessionFacts { car: Some(car(1, "two")), ..facts(1, 1) };
        let stored = store.put(Record::Session(again)).await.unwrap().stored;
        let vehicle_id = car(1, "two").further_vehicle;
        assert_eq!(stored, Stored::Session { vehicle_id, moved_trip: Some(TripId::from_stored("trip 1")) });
    }
}

/// A migration may have much to write anew, or to wait for: here for a lock.
#[tokio::test]
async fn a_migration_may_take_longer_than_other_statements() {
    let Some(home) = postgres().await else { return };
    migrate_up_to(&home.stranger().await, BEFORE_CARS).await;
    home.events_before(2).await.close().await;
    let stranger = home.stranger().await;
    let mut held = stranger.begin().await.unwrap();
    sqlx::query("LOCK TABLE trips, events").execute(&mut *held).await.unwrap();
    let release = async {
        tokio::time::sleep(PATIENCE + Duration::from_secs(1)).await;
        held.rollback().await.unwrap();
    };
    let (store, _, ()) = tokio::join!(home.open(), home.open_events((30, 1024)), release);
    let timeouts: Vec<String> = sqlx::query_scalar("SELECT current_setting('statement_timeout')")
        .fetch_all(&store.pool)
        .await
        .unwrap();
    assert_eq!(timeouts, ["8s"], "other statements may not");
}
