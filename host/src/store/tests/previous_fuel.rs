//! What one trip says of the next, whatever the order in which they come.

use super::home::homes;
use super::model::*;
use crate::plugin_host::Summary;
use crate::store::{Closed, Retry, Store};

fn level(percent: Option<f64>) -> Summary {
    Summary { fuel_level_at_end: percent, ..miles(1.0) }
}

#[tokio::test]
async fn the_fuel_level_before_is_the_settled_one_of_the_trip_before() {
    let cases = [
        (Some(50.0), Some(47.5), Some(47.5)),
        (Some(50.0), None, Some(50.0)),
        (None, Some(30.0), Some(30.0)),
        (None, None, Some(99.0)),
    ];
    for home in homes().await {
        let store = home.open().await;
        for (v, (at_end, settled, expected)) in cases.into_iter().enumerate() {
            keep(&store, reading(v, 1, 0)).await;
            end_trip(&store, &Summary { fuel_level_at_end: Some(99.0), ..summary() }).await;
            keep(&store, reading(v, 2, 10_000)).await;
            let metrics = settled.map(|level| ("settled_fuel_level_percent".to_owned(), level));
            let metrics = [("other".to_owned(), 1.0)].into_iter().chain(metrics).collect();
            end_trip(&store, &Summary { fuel_level_at_end: at_end, metrics, ..summary() }).await;
            keep(&store, reading(v, 4, 30_000)).await;
            end_trip(&store, &Summary { fuel_level_at_end: Some(11.0), ..summary() }).await;
            keep(&store, reading(v, 3, 20_000)).await;
            let claim = claim_one(&store, "owner").await;
            let before = store.trip_data(&claim).await.unwrap().previous_fuel_level_percent;
            assert_eq!(before, expected, "{:?}: {at_end:?} {settled:?}", home.engine);
            store.fail_attempt(&claim, Retry::At(LATER_MS + DAY_MS)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_trip_that_comes_late_has_those_after_it_judged_again() {
    for home in homes().await {
        let store = home.open().await;
        // Two trips, of which the first does not know a level; then one that
        // was judged against the second and stays as it is.
        for (s, percent) in [(5, None), (6, Some(90.0)), (7, Some(80.0))] {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_trip(&store, &level(percent)).await;
        }
        keep(&store, reading(1, 1, 1000)).await;
        let Closed::Done { vehicle, .. } = end_trip(&store, &level(Some(40.0))).await else { panic!() };
        assert_eq!(vehicle.total_trips, 2, "{:?}: two are to be counted again", home.engine);

        let claims = claim(&store, "owner").await;
        let sessions: Vec<_> = claims.iter().map(|claim| claim.session_id.clone()).collect();
        assert_eq!(sessions, [session(5).to_string(), session(6).to_string()]);
        for (claim, percent) in claims.iter().zip([None, Some(90.0)]) {
            let data = store.trip_data(claim).await.unwrap();
            assert_eq!(data.previous_fuel_level_percent, Some(40.0));
            let closed = close_with(&store, claim, &level(percent), &data).await.unwrap();
            assert!(matches!(closed, Closed::Done { finalization_number: 2, .. }), "{closed:?}");
        }
        assert_eq!(stats(&store, 1).await.total_trips, 4);
        assert!(claim(&store, "owner").await.is_empty(), "nothing else has changed");

        // The same level again changes nothing.
        keep(&store, reading(1, 1, 1001)).await;
        end_trip(&store, &level(Some(40.0))).await;
        assert_eq!(stats(&store, 1).await.total_trips, 4);
    }
}

#[tokio::test]
async fn a_trip_that_loses_its_level_has_those_after_it_judged_against_the_one_before() {
    for home in homes().await {
        let store = home.open().await;
        for (s, percent) in [(1, 90.0), (2, 50.0), (3, 90.0)] {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_trip(&store, &level(Some(percent))).await;
        }
        keep(&store, reading(1, 2, 2001)).await;
        end_trip(&store, &level(None)).await;
        assert_eq!(judged_again(&store, &[(3, Some(90.0))]).await, [(3, Some(90.0))], "{:?}", home.engine);

        // And the first of all leaves them with none.
        keep(&store, reading(1, 1, 1001)).await;
        end_trip(&store, &level(None)).await;
        let again = judged_again(&store, &[(2, None), (3, Some(90.0))]).await;
        assert_eq!(again, [(2, None), (3, None)], "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_trip_whose_start_moves_past_another_has_those_behind_its_old_place_judged_again() {
    for home in homes().await {
        let store = home.open().await;
        for (s, at_ms, percent) in [(1, 0, 90.0), (2, 1000, 60.0), (3, 2000, 90.0), (4, 3000, 90.0)] {
            keep(&store, reading(1, s, at_ms)).await;
            end_trip(&store, &level(Some(percent))).await;
        }
        keep(&store, reading(1, 3, 500)).await;
        end_trip(&store, &level(Some(90.0))).await;
        assert_eq!(judged_again(&store, &[(4, Some(90.0))]).await, [(4, Some(60.0))], "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_trip_that_is_given_up_has_those_after_it_judged_against_the_one_before() {
    for home in homes().await {
        let store = home.open().await;
        for (s, percent) in [(1, 90.0), (2, 50.0), (3, 80.0)] {
            keep(&store, reading(1, s, 1000 * s as i64)).await;
            end_trip(&store, &level(Some(percent))).await;
        }
        // It begins before all others now, and leaves nothing there either.
        keep(&store, reading(1, 2, 0)).await;
        let claim = claim_one(&store, "owner").await;
        store.fail_attempt(&claim, Retry::WithAnotherCalculator("digest")).await.unwrap();
        assert_eq!(judged_again(&store, &[(3, Some(80.0))]).await, [(3, Some(90.0))], "{:?}", home.engine);
        assert_eq!(stats(&store, 1).await.total_trips, 2);
    }
}

/// Closes all that is open with these levels, by session; the levels that they
/// were judged against.
async fn judged_again(store: &Store, levels: &[(usize, Option<f64>)]) -> Vec<(usize, Option<f64>)> {
    let mut judged = Vec::new();
    for claim in claim(store, "owner").await {
        let of_claim = |(s, _): &&(usize, Option<f64>)| session(*s).to_string() == claim.session_id;
        let &(s, percent) = levels.iter().find(of_claim).expect("a trip that is to be judged again");
        let data = store.trip_data(&claim).await.unwrap();
        let closed = close_with(store, &claim, &level(percent), &data).await.unwrap();
        assert!(matches!(closed, Closed::Done { .. }), "{closed:?}");
        judged.push((s, data.previous_fuel_level_percent));
    }
    judged.sort_by_key(|(s, _)| *s);
    judged
}

#[tokio::test]
async fn a_trip_before_that_closes_meanwhile_has_this_one_calculated_again() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 2, 2000)).await;
        let later = claim_one(&store, "owner").await;
        let outdated = store.trip_data(&later).await.unwrap();
        keep(&store, reading(1, 1, 1000)).await;
        end_trip(&store, &Summary { fuel_level_at_end: Some(40.0), ..miles(1.0) }).await;

        let closed = close_with(&store, &later, &miles(2.0), &outdated).await.unwrap();
        assert!(matches!(closed, Closed::Outdated), "{:?}: {closed:?}", home.engine);
        let data = store.trip_data(&later).await.unwrap();
        assert_eq!(data.previous_fuel_level_percent, Some(40.0));
        let closed = close_with(&store, &later, &miles(2.0), &data).await.unwrap();
        assert!(matches!(closed, Closed::Done { .. }), "{closed:?}");
        assert_eq!(stats(&store, 1).await.total_miles, 3.0);
    }
}
