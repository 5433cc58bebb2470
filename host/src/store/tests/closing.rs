//! What closing a trip writes, and what it reads for that.

use super::home::{homes, number};
use super::model::*;
use crate::events::BatteryHealth;
use crate::plugin_host::Summary;
use crate::store::{Closed, ReadingRow, Record, Retry};

fn with_fields(row: ReadingRow, json: &str) -> ReadingRow {
    ReadingRow { fields: fields(json), ..row }
}

#[tokio::test]
async fn a_closed_trip_keeps_its_figures_and_counts_for_its_vehicle() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, with_fields(reading(1, 1, 1000), r#"{"odometer_miles":100.5,"state_of_charge":80}"#))
            .await;
        let trip = keep(&store, with_fields(reading(1, 1, 0), r#"{"speed_mph":3}"#)).await.trip_id;
        let figures = Summary { kwh_per_mile: Some(0.25), gas_mpg: Some(40.0), ..miles(10.0) };
        let closed = end_trip(&store, &figures).await;
        let Closed::Done { finalization_number, vehicle, battery_health, .. } = closed else {
            panic!("{closed:?}");
        };
        assert_eq!((finalization_number, battery_health), (1, None));
        assert_eq!((vehicle.total_trips, vehicle.total_miles), (1, 10.0));
        assert_eq!((vehicle.avg_kwh_per_mile, vehicle.avg_gas_mpg), (Some(0.25), Some(40.0)));
        let row = store.trip(&trip).await.unwrap().unwrap();
        assert_eq!(
            (row.status.as_str(), row.start_odometer_miles, row.start_soc),
            ("closed", Some(100.5), Some(80.0))
        );
        assert_eq!(row.summary.unwrap()["distance_miles"], 10.0, "{:?}", home.engine);
        assert_eq!(row.calculator.unwrap()["digest"], "digest");
    }
}

#[tokio::test]
async fn readings_come_as_columns_in_time_order() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, with_fields(reading(1, 1, 2000), r#"{"speed_mph":2}"#)).await;
        keep(&store, with_fields(reading(1, 1, 0), r#"{"engine_rpm":900.5}"#)).await;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        assert_eq!(data.readings.times_ms, [START_MS, START_MS + 2000]);
        let speed = &data.readings.columns["speed_mph"];
        assert!(speed[0].is_nan() && speed[1] == 2.0, "{:?}: {speed:?}", home.engine);
        assert_eq!(data.readings.columns["engine_rpm"][0], 900.5);
    }
}

#[tokio::test]
async fn a_trip_of_several_pages_is_read_whole() {
    for home in homes().await {
        let store = home.open().await;
        let count = 2 * 4096;
        let speed = |second: i64| format!("{{\"speed_mph\":{second}}}");
        let records = (0..count)
            .map(|second| Record::Reading(with_fields(reading(1, 1, 1000 * second), &speed(second))));
        for put in put_together(&store, records.collect()).await {
            put.unwrap();
        }
        let claim = claim_one(&store, "owner").await;
        assert_eq!(claim.readings, count);
        let readings = store.trip_data(&claim).await.unwrap().readings;
        assert_eq!(readings.times_ms, (0..count).map(|second| START_MS + 1000 * second).collect::<Vec<_>>());
        let expected: Vec<_> = (0..count).map(|second| second as f64).collect();
        assert_eq!(readings.columns["speed_mph"], expected, "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_trip_whose_phone_sends_more_while_it_is_calculated_goes_on() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        keep(&store, ReadingRow { time_ms: START_MS - 1000, ..reading(1, 1, 1000) }).await;
        assert_eq!(store.trip_data(&claim).await.unwrap().start_time_ms, START_MS - 1000);
        let closed = close_with(&store, &claim, &miles(1.0), &data).await.unwrap();
        assert!(matches!(closed, Closed::Outdated), "{:?}: {closed:?}", home.engine);
        assert_eq!(stats(&store, 1).await.total_trips, 0);
        assert!(matches!(close(&store, &claim, &miles(2.0)).await, Closed::Outdated), "not by this claim");
        store.fail_attempt(&claim, Retry::GoesOn).await.unwrap();
        let claim = claim_one(&store, "owner").await;
        assert_eq!(claim.attempt, 1);
        assert!(matches!(close(&store, &claim, &miles(2.0)).await, Closed::Done { .. }));
        assert_eq!(stats(&store, 1).await.total_miles, 2.0);
    }
}

#[tokio::test]
async fn a_duplicate_that_arrives_while_a_trip_is_calculated_changes_nothing() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        keep(&store, reading(1, 1, 0)).await;
        let closed = close_with(&store, &claim, &miles(1.0), &data).await.unwrap();
        assert!(matches!(closed, Closed::Done { .. }), "{:?}: {closed:?}", home.engine);
    }
}

#[tokio::test]
async fn a_late_reading_withdraws_the_contribution_until_the_trip_closes_again() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        end_trip(&store, &Summary { kwh_per_mile: Some(0.3), ..miles(10.1) }).await;
        let late = keep(&store, reading(1, 1, 1000)).await;
        assert!(late.reopened);
        assert_eq!((late.vehicle.total_trips, late.vehicle.total_miles), (0, 0.0), "{:?}", home.engine);
        assert_eq!(late.vehicle.avg_kwh_per_mile, None);
        assert!(!keep(&store, reading(1, 1, 2000)).await.reopened);
        let closed = end_trip(&store, &miles(12.3)).await;
        let Closed::Done { finalization_number: 2, vehicle, .. } = closed else { panic!("{closed:?}") };
        assert_eq!((vehicle.total_trips, vehicle.total_miles, vehicle.avg_kwh_per_mile), (1, 12.3, None));
    }
}

#[tokio::test]
async fn battery_health_is_the_mean_over_the_last_thirty_electric_trips() {
    for home in homes().await {
        let store = home.open().await;
        let mut last = None;
        for s in 0..34 {
            // Not to be known is not the same as 0.
            let electric_miles = (s != 33).then(|| f64::from(u32::try_from(s).unwrap()));
            let figures = Summary {
                electric_miles,
                kwh_per_mile: (s % 2 == 0).then_some(0.25),
                soc_at_gas_transition: (s == 20).then_some(15.25),
                ..summary()
            };
            keep(&store, with_fields(reading(1, s, 1000 * s as i64), r#"{"state_of_charge":80.5}"#)).await;
            last = Some(end_trip(&store, &figures).await);
        }
        let Some(Closed::Done { battery_health, .. }) = last else { panic!("{last:?}") };
        // Trips 3 to 32: of trip 33 the electric miles are not known.
        let expected = BatteryHealth {
            electric_miles: 17.5,
            kwh_per_mile: Some(0.25),
            soc_drop_percent: Some(65.2),
            trips: 30,
        };
        assert_eq!(battery_health, Some(expected), "{:?}", home.engine);
    }
}

#[tokio::test]
async fn no_figure_of_a_calculator_keeps_the_next_trip_from_closing() {
    for home in homes().await {
        let store = home.open().await;
        for (s, distance) in [1e300, f64::INFINITY, f64::NAN, -1e300, 5.0].into_iter().enumerate() {
            keep(&store, reading(1, s, 0)).await;
            let figures =
                Summary { kwh_per_mile: Some(distance), gas_mpg: Some(distance), ..miles(distance) };
            let closed = end_trip(&store, &figures).await;
            assert!(matches!(closed, Closed::Done { .. }), "{:?}: {distance}: {closed:?}", home.engine);
        }
        assert_eq!(stats(&store, 1).await.total_trips, 5);
        assert!(keep(&store, reading(1, 0, 1)).await.reopened);
        assert_eq!(number(&store, "SELECT total_trips FROM vehicles").await, 4);
    }
}
