//! Which trips a filter finds, and what they add up to.

use super::home::homes;
use super::model::*;
use crate::plugin_host::Summary;
use crate::store::{Page, Store, TripFilter};

/// Three closed trips a day apart, one open one.
async fn with_trips(store: &Store) {
    let drives = [
        (1, Summary { electric_miles: Some(10.0), electric_kwh_used: Some(3.0), ..miles(10.0) }),
        (
            1,
            Summary {
                electric_miles: Some(30.0),
                gas_miles: Some(20.0),
                fuel_used_gallons: Some(0.5),
                gas_mode_entered: true,
                ..miles(50.0)
            },
        ),
        (2, miles(5.0)),
    ];
    for (number, (vehicle, summary)) in drives.into_iter().enumerate() {
        keep(store, reading(vehicle, number, number as i64 * DAY_MS)).await;
        end_trip(store, &summary).await;
    }
    keep(store, reading(2, 9, 3 * DAY_MS)).await;
}

async fn found(store: &Store, filter: TripFilter) -> Vec<Option<f64>> {
    let page = Page { filter, behind: None, limit: 10 };
    let distance = |trip: &crate::store::TripRow| trip.summary.as_ref()?["distance_miles"].as_f64();
    store.trips(&page).await.unwrap().iter().map(distance).collect()
}

#[tokio::test]
async fn a_filter_finds_the_trips_for_which_all_of_it_holds() {
    for home in homes().await {
        let store = home.open().await;
        with_trips(&store).await;
        let all = TripFilter::default;
        let cases = [
            (all(), vec![None, Some(5.0), Some(50.0), Some(10.0)]),
            (TripFilter { vehicle_id: Some(vehicle(1).to_string()), ..all() }, vec![Some(50.0), Some(10.0)]),
            (
                TripFilter {
                    from_ms: Some(START_MS + DAY_MS),
                    before_ms: Some(START_MS + 2 * DAY_MS),
                    ..all()
                },
                vec![Some(50.0)],
            ),
            (TripFilter { gas_mode_entered: Some(true), ..all() }, vec![Some(50.0)]),
            (TripFilter { gas_mode_entered: Some(false), ..all() }, vec![Some(5.0), Some(10.0)]),
            (TripFilter { min_distance_miles: Some(10.0), ..all() }, vec![Some(50.0), Some(10.0)]),
            (TripFilter { max_distance_miles: Some(10.0), ..all() }, vec![Some(5.0), Some(10.0)]),
            (TripFilter { status: Some("open"), ..all() }, vec![None]),
            (TripFilter { status: Some("open"), min_distance_miles: Some(1.0), ..all() }, vec![]),
        ];
        for (filter, expected) in cases {
            assert_eq!(found(&store, filter.clone()).await, expected, "{:?} {filter:?}", home.engine);
        }
    }
}

#[tokio::test]
async fn figures_add_up_and_ratios_count_trips_that_know_both_sides() {
    for home in homes().await {
        let store = home.open().await;
        with_trips(&store).await;
        let all = store.efficiency(&TripFilter::default()).await.unwrap();
        assert_eq!((all.trips, all.trips_with_gas, all.distance_miles), (3, 1, Some(65.0)));
        assert_eq!((all.electric_miles, all.gas_miles), (Some(40.0), Some(20.0)));
        assert_eq!(all.electric_share_percent.map(f64::round), Some(67.0));
        assert_eq!(all.kwh_per_mile, Some(0.3), "the second trip does not know its energy");
        assert_eq!(all.gas_mpg, Some(40.0));
        let none = TripFilter { from_ms: Some(LATER_MS), ..TripFilter::default() };
        let none = store.efficiency(&none).await.unwrap();
        assert_eq!((none.trips, none.distance_miles, none.kwh_per_mile), (0, None, None));
    }
}
