//! What is kept beside a trip's figures: charging sessions, fills, transitions
//! and costs are those of its last finalization.

use super::cars::{further, profile, tell};
use super::home::{homes, number};
use super::model::*;
use crate::identity::VehicleId;
use crate::plugin_host::{Cost, Ends, Place, Refuel, Session, SocTransition, Summary};
use crate::store::{
    Change, Charge, Closed, Closing, CurvePoint, Fill, OnRoute, Page, Route, Store, TripFilter,
};

fn charge(start_ms: i64, end_ms: i64, kwh_added: Option<f64>) -> Charge {
    let (start_time_ms, end_time_ms) = (START_MS + start_ms, START_MS + end_ms);
    let session = Session {
        start_time_ms,
        end_time_ms,
        complete: true,
        start_soc: Some(40.25),
        end_soc: None,
        peak_power_kw: 3.5,
        avg_power_kw: 3.25,
        charge_type: "L2".to_owned(),
        kwh_added,
        cost: kwh_added.map(|kwh| kwh * 0.12),
    };
    let point = CurvePoint { time_ms: start_time_ms, power_kw: Some(3.5), soc_percent: None };
    Charge { session, curve: vec![point] }
}

fn fill(at_ms: i64, gallons: f64, position: Option<(f64, f64)>) -> Fill {
    let refuel = Refuel {
        time_ms: START_MS + at_ms,
        level_before_percent: 30.0,
        level_after_percent: 80.0,
        gallons,
        odometer_miles: None,
    };
    Fill { refuel, cost_usd: Some(gallons * 3.5), position }
}

fn transition(soc_percent: Option<f64>) -> SocTransition {
    SocTransition { time_ms: START_MS, soc_percent, ambient_temp_f: None, odometer_miles: Some(1012.5) }
}

/// What a trip's end finds.
#[derive(Default)]
struct Found {
    charges: Vec<Charge>,
    fills: Vec<Fill>,
    transition: Option<SocTransition>,
    cost: Option<Cost>,
}

/// Ends the only trip that has ended; what became of its charging sessions.
async fn end_with(store: &Store, found: &Found) -> Vec<Change> {
    let claim = claim_one(store, "owner").await;
    let data = store.trip_data(&claim).await.unwrap();
    let summary = Summary { soc_transition: found.transition, ..summary() };
    let closing = Closing {
        charging: &found.charges,
        fills: &found.fills,
        cost: found.cost.as_ref(),
        ..closing(&data, &summary)
    };
    match store.close_trip(&claim, &closing).await.unwrap() {
        Closed::Done { charging, .. } => charging,
        other => panic!("{other:?}"),
    }
}

fn page(v: Option<usize>, limit: i64) -> Page {
    let filter = TripFilter { vehicle_id: v.map(|v| vehicle(v).to_string()), ..TripFilter::default() };
    Page { filter, behind: None, limit }
}

#[tokio::test]
async fn what_a_trips_end_finds_comes_back_as_it_was() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let cost = Cost { electric_cost: 0.36, gas_cost: 3.5, total_cost: 3.86, cost_per_mile: None };
        let found = Found {
            charges: vec![charge(0, 1000, Some(2.5)), charge(2000, 3000, None)],
            fills: vec![fill(0, 4.66, Some((37.123_456, -121.5))), fill(500, 1.0, None)],
            transition: Some(transition(Some(17.5))),
            cost: Some(cost),
        };
        assert_eq!(end_with(&store, &found).await, [Change::Added, Change::Added]);

        let curves = store.charging_of_trip(&trip).await.unwrap();
        let listed = store.charging_sessions(&page(Some(1), 10)).await.unwrap();
        assert_eq!(listed, [curves[1].session.clone(), curves[0].session.clone()], "{:?}", home.engine);
        let first = &curves[0].session;
        assert_eq!((first.trip_id.as_str(), first.vehicle_id.as_str()), (&*trip, vehicle(1).as_str()));
        assert_eq!((first.start_soc_percent, first.end_soc_percent), (Some(40.25), None));
        assert_eq!((first.kwh_added, first.complete, first.charge_type.as_str()), (Some(2.5), true, "L2"));
        assert_eq!((curves[1].session.kwh_added, curves[1].session.cost_usd), (None, None));
        assert_eq!(curves[0].curve, found.charges[0].curve);

        let refuels = store.refuels(&page(None, 10)).await.unwrap();
        let seen = |index: usize| (refuels[index].gallons, refuels[index].latitude, refuels[index].longitude);
        assert_eq!((seen(1), seen(0)), ((4.66, Some(37.123_456), Some(-121.5)), (1.0, None, None)));
        assert_eq!((refuels[0].cost_usd, refuels[0].odometer_miles), (Some(3.5), None));
        let transitions = store.soc_transitions(vehicle(1).as_str(), 10).await.unwrap();
        assert_eq!(transitions, [transition(Some(17.5))]);
        assert_eq!(store.trip(&trip).await.unwrap().unwrap().cost.unwrap()["total_cost"], 3.86);
    }
}

#[tokio::test]
async fn another_finalization_replaces_what_the_one_before_found() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let found = Found {
            charges: vec![charge(0, 1000, Some(2.5)), charge(2000, 3000, Some(1.0))],
            fills: vec![fill(0, 4.66, None)],
            transition: Some(transition(None)),
            cost: Some(Cost { electric_cost: 0.1, gas_cost: 0.0, total_cost: 0.1, cost_per_mile: None }),
        };
        end_with(&store, &found).await;
        keep(&store, reading(1, 1, 5000)).await;
        let again = Found {
            charges: vec![
                charge(0, 1000, Some(2.5)),
                charge(2000, 5000, Some(1.5)),
                charge(6000, 7000, None),
            ],
            ..Found::default()
        };
        let changes = end_with(&store, &again).await;
        assert_eq!(changes, [Change::Same, Change::Revised, Change::Added], "{:?}", home.engine);
        let ends: Vec<_> =
            store.charging_of_trip(&trip).await.unwrap().iter().map(|c| c.session.end_time_ms).collect();
        assert_eq!(ends, [1000, 5000, 7000].map(|ms| START_MS + ms));
        assert_eq!(store.refuels(&page(None, 10)).await.unwrap(), []);
        assert_eq!(store.soc_transitions(vehicle(1).as_str(), 10).await.unwrap(), []);
        assert_eq!(store.trip(&trip).await.unwrap().unwrap().cost, None);

        keep(&store, reading(1, 1, 6000)).await;
        assert_eq!(end_with(&store, &Found::default()).await, []);
        assert_eq!(number(&store, "SELECT COUNT(*) FROM charging_sessions").await, 0);
    }
}

#[tokio::test]
async fn a_trip_that_goes_on_keeps_what_was_found_before() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        end_with(&store, &Found { charges: vec![charge(0, 1000, None)], ..Found::default() }).await;
        keep(&store, reading(1, 1, 5000)).await;
        let claim = claim_one(&store, "owner").await;
        let data = store.trip_data(&claim).await.unwrap();
        keep(&store, reading(1, 1, 6000)).await;
        let summary = summary();
        let closed = store.close_trip(&claim, &closing(&data, &summary)).await.unwrap();
        assert!(matches!(closed, Closed::Outdated), "{:?}: {closed:?}", home.engine);
        assert_eq!(store.charging_sessions(&page(None, 10)).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended_and_know_vehicles() {
    for home in homes().await {
        let store = home.open().await;
        for v in [1, 2] {
            for s in 0..3 {
                keep(&store, reading(v, s, 10_000 * s as i64)).await;
                let at_ms = 10_000 * s as i64;
                let found = Found {
                    charges: vec![charge(at_ms, at_ms + 10, None)],
                    fills: vec![fill(at_ms, 1.0, None)],
                    transition: Some(SocTransition { time_ms: START_MS + at_ms, ..transition(None) }),
                    ..Found::default()
                };
                end_with(&store, &found).await;
            }
        }
        let mut behind = None;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let sessions = store.charging_sessions(&Page { behind, ..page(None, 2) }).await.unwrap();
            behind = sessions.last().map(|session| (session.start_time_ms, session.trip_id.clone()));
            seen.extend(sessions.into_iter().map(|session| (session.start_time_ms, session.vehicle_id)));
        }
        let mut expected: Vec<_> = [2, 1, 0]
            .into_iter()
            .flat_map(|s| [2, 1].map(|v| (START_MS + 10_000 * s, vehicle(v).to_string())))
            .collect();
        // Of one time, in the order of their trips.
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "{:?}", home.engine);
        assert_eq!(store.refuels(&page(Some(2), 10)).await.unwrap().len(), 3);
        let transitions = store.soc_transitions(vehicle(1).as_str(), 2).await.unwrap();
        let times: Vec<_> = transitions.iter().map(|transition| transition.time_ms - START_MS).collect();
        assert_eq!(times, [20_000, 10_000], "the last ones");
    }
}

/// Ends the only trip that has ended, on that route.
async fn end_on(store: &Store, route: Option<&Route>) -> Option<OnRoute> {
    let claim = claim_one(store, "owner").await;
    let data = store.trip_data(&claim).await.unwrap();
    let summary = summary();
    match store.close_trip(&claim, &Closing { route, ..closing(&data, &summary) }).await.unwrap() {
        Closed::Done { route, .. } => route,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_route_counts_its_trips_and_goes_with_the_last_of_them() {
    for home in homes().await {
        let store = home.open().await;
        let place = |latitude| Place { latitude, longitude: -121.5 };
        let ends = Ends { start: place(37.123_456), end: place(37.5) };
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let first = end_on(&store, Some(&Route::New(ends))).await.unwrap();
        assert_eq!(first.trips, 1);
        let known = Route::Known(first.route_id.clone());
        keep(&store, reading(1, 2, 10_000)).await;
        let second = end_on(&store, Some(&known)).await.unwrap();
        assert_eq!(second, OnRoute { route_id: first.route_id.clone(), trips: 2 }, "{:?}", home.engine);
        let routes = store.routes(vehicle(1).as_str(), 10).await.unwrap();
        assert_eq!(routes.len(), 1);
        assert_eq!((routes[0].ends(), routes[0].last_used_ms), (ends, START_MS + 10_000));
        assert_eq!(store.trip(&trip).await.unwrap().unwrap().route_id, Some(first.route_id.clone()));

        // Finalized again it counts once; on none, it leaves the route.
        keep(&store, reading(1, 2, 11_000)).await;
        assert_eq!(end_on(&store, Some(&known)).await, Some(second));
        keep(&store, reading(1, 2, 12_000)).await;
        assert_eq!(end_on(&store, None).await, None);
        assert_eq!(store.routes(vehicle(1).as_str(), 10).await.unwrap()[0].trips, 1);
        keep(&store, reading(1, 1, 1000)).await;
        let other = end_on(&store, Some(&Route::New(ends))).await.unwrap();
        let routes = store.routes(vehicle(1).as_str(), 10).await.unwrap();
        assert_eq!(
            (routes.len(), &routes[0].route_id),
            (1, &other.route_id),
            "a route without a trip is none"
        );

        let claim = {
            keep(&store, reading(1, 3, 0)).await;
            claim_one(&store, "owner").await
        };
        let data = store.trip_data(&claim).await.unwrap();
        let summary = summary();
        let gone =
            store.close_trip(&claim, &Closing { route: Some(&known), ..closing(&data, &summary) }).await;
        assert!(gone.is_err(), "a route that is gone: looked for again");
        assert_eq!(number(&store, "SELECT COUNT(*) FROM trips WHERE status = 'closed'").await, 2);
    }
}

#[tokio::test]
async fn a_deleted_trip_takes_along_what_its_end_found() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let place = |latitude| Place { latitude, longitude: 0.0 };
        let ends = Ends { start: place(1.0), end: place(2.0) };
        end_on(&store, Some(&Route::New(ends))).await.unwrap();
        let trip = keep(&store, reading(1, 2, 1000)).await.trip_id;
        let found = Found {
            charges: vec![charge(1000, 2000, Some(2.5))],
            fills: vec![fill(1000, 4.66, None)],
            transition: Some(transition(Some(17.5))),
            cost: None,
        };
        end_with(&store, &found).await;
        for trip in store.trips(&page(None, 10)).await.unwrap() {
            store.delete_trip(&trip.trip_id, LATER_MS).await.unwrap().unwrap();
        }
        assert!(store.charging_of_trip(&trip).await.unwrap().is_empty(), "{:?}", home.engine);
        assert!(store.refuels(&page(None, 10)).await.unwrap().is_empty());
        assert!(store.soc_transitions(vehicle(1).as_str(), 10).await.unwrap().is_empty());
        assert!(
            store.routes(vehicle(1).as_str(), 10).await.unwrap().is_empty(),
            "a route without a trip is none"
        );
    }
}

#[tokio::test]
async fn what_a_trips_end_found_goes_with_it_to_another_car() {
    for home in homes().await {
        let store = home.open().await;
        tell(&store, profile(1, "one", START_MS)).await;
        for s in [1, 2] {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_on_a_route(&store, s).await;
        }
        assert_eq!(number_of_findings(&store, &vehicle(1)).await, [2, 2, 2, 2]);
        tell(&store, profile(2, "two", START_MS)).await;
        assert_eq!(number_of_findings(&store, &vehicle(1)).await, [1, 1, 1, 1], "{:?}", home.engine);
        let moved = number_of_findings(&store, &further("two")).await;
        assert_eq!(moved, [1, 1, 1, 0], "a route is one of closed trips");
        let charging = end_on_a_route(&store, 2).await;
        assert_eq!(charging, [Change::Same], "it was told of already");
        assert_eq!(number_of_findings(&store, &vehicle(1)).await, [1, 1, 1, 1]);
        assert_eq!(number_of_findings(&store, &further("two")).await, [1, 1, 1, 1]);
    }
}

/// Ends the only trip that has ended, with one finding of each kind.
async fn end_on_a_route(store: &Store, s: usize) -> Vec<Change> {
    let claim = claim_one(store, "owner").await;
    let data = store.trip_data(&claim).await.unwrap();
    let summary = Summary { soc_transition: Some(transition(None)), ..miles(1.0) };
    let (at_ms, place) = (1000 * s as i64, Place { latitude: 37.0, longitude: -121.0 });
    let closing = Closing {
        charging: &[charge(at_ms, at_ms, None)],
        fills: &[fill(at_ms, 4.66, None)],
        route: Some(&Route::New(Ends { start: place, end: place })),
        ..closing(&data, &summary)
    };
    match store.close_trip(&claim, &closing).await.unwrap() {
        Closed::Done { charging, .. } => charging,
        other => panic!("{other:?}"),
    }
}

/// Charging sessions, fills, transitions and routes of a vehicle.
async fn number_of_findings(store: &Store, vehicle: &VehicleId) -> [usize; 4] {
    let filter = TripFilter { vehicle_id: Some(vehicle.to_string()), ..TripFilter::default() };
    let page = Page { filter, behind: None, limit: 100 };
    [
        store.charging_sessions(&page).await.unwrap().len(),
        store.refuels(&page).await.unwrap().len(),
        store.soc_transitions(vehicle.as_str(), 100).await.unwrap().len(),
        store.routes(vehicle.as_str(), 100).await.unwrap().len(),
    ]
}
