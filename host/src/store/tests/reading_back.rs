//! What the read API gets.

use super::home::{homes, number};
use super::model::*;
use crate::store::{Page, Record, Retry, TripFilter};

#[tokio::test]
async fn pages_neither_lose_nor_repeat_trips_that_began_together() {
    for home in homes().await {
        let store = home.open().await;
        for s in 0..25 {
            keep(&store, reading(s % 2, s, i64::from(s >= 20))).await;
        }
        for vehicle_id in [None, Some(vehicle(1).to_string())] {
            let filter = TripFilter { vehicle_id, ..TripFilter::default() };
            let mut page = Page { filter, behind: None, limit: 4 };
            let mut seen = Vec::new();
            loop {
                let trips = store.trips(&page).await.unwrap();
                let Some(last) = trips.last() else { break };
                page.behind = Some((last.start_time_ms, last.trip_id.clone()));
                seen.extend(trips.iter().map(|trip| (trip.start_time_ms, trip.trip_id.clone())));
                assert!(seen.len() <= 25, "trips are repeated");
            }
            let mut sorted = seen.clone();
            sorted.sort();
            sorted.dedup();
            sorted.reverse();
            assert_eq!(seen, sorted, "{:?}: newest first, each once", home.engine);
            assert_eq!(seen.len(), if page.filter.vehicle_id.is_some() { 12 } else { 25 });
        }
    }
}

#[tokio::test]
async fn the_status_counts_what_is_there() {
    for home in homes().await {
        let store = home.open().await;
        for s in 0..3 {
            keep(&store, reading(1, s, 0)).await;
        }
        let claims = claim(&store, "owner").await;
        close(&store, &claims[0], &miles(1.0)).await;
        store.fail_attempt(&claims[1], Retry::WithAnotherCalculator("digest")).await.unwrap();
        store.put(Record::Quarantine(quarantined())).await.unwrap();
        let status = store.status().await.unwrap();
        let trips = (status.closed_trips, status.open_trips, status.failed_trips);
        assert_eq!(trips, (1, 1, 1), "{:?}", home.engine);
        assert_eq!((status.vehicles, status.quarantined), (1, 1));
    }
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    for home in homes().await {
        let store = home.open().await;
        assert!(store.trip("nowhere").await.unwrap().is_none());
        assert!(store.vehicle_stats(&vehicle(9), START_MS).await.unwrap().is_none());
        assert!(store.ping().await.is_ok());
    }
}

/// Some readings in one slice and some years apart, in two batches, beside
/// another trip of the same times.
#[tokio::test]
async fn readings_are_found_whenever_they_were_taken() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let mut times: Vec<i64> = (0..40).map(|n| n * 7).collect();
    times.extend((1..20).map(|n| n * 262_144 * 3));
    times.extend((1..5).map(|n| n * YEAR_MS));
    times.extend((1..5).map(|n| -n * YEAR_MS));
    for home in homes().await {
        let store = home.open().await;
        let mut trip = String::new();
        for part in times.rchunks(30) {
            let of = |s| part.iter().map(move |&at_ms| Record::Reading(reading(1, s, at_ms)));
            put_together(&store, of(1).chain(of(2)).collect())
                .await
                .into_iter()
                .for_each(|put| drop(put.unwrap()));
            trip = keep(&store, reading(1, 1, part[0])).await.trip_id;
        }
        let mut expected: Vec<i64> = times.iter().map(|at_ms| START_MS + at_ms).collect();
        expected.sort_unstable();
        let found = store.readings(&trip).await.unwrap().times_ms;
        assert_eq!(found, expected, "{:?}", home.engine);
        let behind = store.readings_after(&trip, expected[9]).await.unwrap();
        assert_eq!(behind.iter().map(|row| row.time_ms).collect::<Vec<_>>(), expected[10..]);
        assert!(store.readings_after(&trip, *expected.last().unwrap()).await.unwrap().is_empty());
        let spans = number(&store, "SELECT COUNT(*) FROM trip_spans").await;
        assert_eq!(spans, 2 * (1 + 19 + 4 + 4), "a row for each span with readings");

        store.delete_trip(&trip, LATER_MS).await.unwrap().unwrap();
        while store.sweep_deleted().await.unwrap() {}
        assert_eq!(number(&store, "SELECT COUNT(*) FROM trip_spans").await, spans / 2);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, times.len() as i64);
    }
}
