//! Who may finalize a trip, and when.

use std::collections::HashSet;

use super::home::homes;
use super::model::*;
use crate::store::{ClaimRequest, Closed, ReadingRow, Retry};

#[tokio::test]
async fn only_trips_that_have_ended_are_claimed_the_longest_waiting_first() {
    for home in homes().await {
        let store = home.open().await;
        for (v, at_ms) in [(1, 3000), (2, 1000), (3, 2000), (4, 500_000)] {
            keep(&store, reading(v, 1, at_ms)).await;
        }
        let now_ms = START_MS + 3000 + 120_000;
        assert!(!store.has_stale(START_MS + 1000 + 119_999, TIMEOUT, "digest").await.unwrap());
        assert!(store.has_stale(now_ms, TIMEOUT, "digest").await.unwrap());

        let two = ClaimRequest { now_ms, limit: 2, ..request("owner") };
        let vehicles = |claims: Vec<crate::store::Claim>| claims.into_iter().map(|claim| claim.vehicle);
        let first: Vec<_> = vehicles(store.claim_stale(two).await.unwrap()).collect();
        assert_eq!(first, [vehicle(2), vehicle(3)], "{:?}", home.engine);
        let second: Vec<_> = vehicles(store.claim_stale(two).await.unwrap()).collect();
        assert_eq!(second, [vehicle(1)]);
        assert!(store.claim_stale(two).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_trip_has_one_owner_at_a_time() {
    for home in homes().await {
        let store = home.open().await;
        for v in 0..40 {
            keep(&store, reading(v, 1, 0)).await;
        }
        let few = |owner| ClaimRequest { limit: 3, ..request(owner) };
        let mut held = HashSet::new();
        let mut rounds = 0;
        while held.len() < 40 {
            let (a, b, c, d) = tokio::join!(
                store.claim_stale(few("a")),
                store.claim_stale(few("b")),
                store.claim_stale(few("c")),
                store.claim_stale(few("d")),
            );
            for claims in [a, b, c, d] {
                let claims = claims.unwrap();
                assert!(claims.len() <= 3, "a claim takes no more than its limit");
                for claim in claims {
                    assert!(held.insert(claim.trip_id), "{:?}: a trip was claimed twice", home.engine);
                }
            }
            rounds += 1;
            assert!(rounds <= 40, "trips are left that nobody gets");
        }
        assert!(claim(&store, "e").await.is_empty());
    }
}

#[tokio::test]
async fn a_claim_that_ran_out_goes_to_another_owner_and_the_first_cannot_close() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let first = claim_one(&store, "first").await;
        assert_eq!(first.attempt, 1);
        assert!(claim(&store, "second").await.is_empty());
        assert!(store.begin_attempt(&first, LATER_MS + 30_000, LEASE).await.unwrap());
        let early = ClaimRequest { now_ms: LATER_MS + 60_001, ..request("second") };
        assert!(store.claim_stale(early).await.unwrap().is_empty(), "the lease is that of the attempt");

        let later = ClaimRequest { now_ms: LATER_MS + 90_001, ..request("second") };
        let second = store.claim_stale(later).await.unwrap().remove(0);
        assert_eq!(second.attempt, 2);
        assert!(!store.begin_attempt(&first, LATER_MS, LEASE).await.unwrap());
        assert!(matches!(close(&store, &first, &miles(1.0)).await, Closed::NotOurs));
        store.fail_attempt(&first, Retry::At(0)).await.unwrap();
        assert!(
            matches!(close(&store, &second, &miles(2.0)).await, Closed::Done { .. }),
            "{:?}",
            home.engine
        );
        assert!(matches!(close(&store, &second, &miles(2.0)).await, Closed::NotOurs), "it is closed already");
        assert_eq!(stats(&store, 1).await.total_miles, 2.0);
    }
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_a_pause() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let first = claim_one(&store, "owner").await;
        store.fail_attempt(&first, Retry::At(LATER_MS + 5000)).await.unwrap();
        assert!(claim(&store, "owner").await.is_empty());
        let later = ClaimRequest { now_ms: LATER_MS + 5000, ..request("owner") };
        assert_eq!(store.claim_stale(later).await.unwrap()[0].attempt, 2, "{:?}", home.engine);
    }
}

#[tokio::test]
async fn only_attempts_that_began_count_and_setbacks_are_counted_by_themselves() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        for setbacks in 0..3 {
            let claim = claim_one(&store, "owner").await;
            assert_eq!((claim.attempt, claim.setbacks), (1, setbacks), "{:?}", home.engine);
            assert!(store.begin_attempt(&claim, LATER_MS, LEASE).await.unwrap());
            store.fail_attempt(&claim, Retry::Uncounted(LATER_MS)).await.unwrap();
        }
        for attempt in 1..4 {
            let claim = claim_one(&store, "owner").await;
            assert_eq!((claim.attempt, claim.setbacks), (attempt, if attempt == 1 { 3 } else { 0 }));
            store.fail_attempt(&claim, Retry::At(LATER_MS)).await.unwrap();
        }
        // Claimed by a process that ends before it begins.
        for _ in 0..2 {
            assert_eq!(claim_one(&store, "owner").await.attempt, 4);
            store.release_claims("owner").await.unwrap();
        }
        // Begun by a process that ends with it.
        let claim = claim_one(&store, "owner").await;
        assert!(store.begin_attempt(&claim, LATER_MS, LEASE).await.unwrap());
        store.release_claims("owner").await.unwrap();
        assert_eq!(claim_one(&store, "owner").await.attempt, 5);
    }
}

#[tokio::test]
async fn what_a_clock_wrote_that_was_set_back_since_holds_nothing_up() {
    for home in homes().await {
        let store = home.open().await;
        let year_ms = 365 * DAY_MS;
        let ahead =
            |s: usize, at_ms: i64| ReadingRow { received_ms: LATER_MS + year_ms, ..reading(1, s, at_ms) };
        // Begun ahead of time; gone on ahead of time; leased and put off so.
        keep(&store, ahead(1, 0)).await;
        keep(&store, reading(1, 2, 0)).await;
        keep(&store, ahead(2, 1000)).await;
        keep(&store, reading(1, 3, 0)).await;
        keep(&store, reading(1, 4, 0)).await;
        for claim in claim(&store, "ahead").await {
            if claim.session_id == session(3).to_string() {
                store.begin_attempt(&claim, LATER_MS + year_ms, LEASE).await.unwrap();
            } else {
                store.fail_attempt(&claim, Retry::At(LATER_MS + year_ms)).await.unwrap();
            }
        }
        // What was received ahead of time counts as received now.
        assert!(store.has_stale(LATER_MS + 1, TIMEOUT, "digest").await.unwrap(), "{:?}", home.engine);
        let later = ClaimRequest { now_ms: LATER_MS + 1, lease: 10 * TIMEOUT, ..request("owner") };
        let sessions = |claims: Vec<crate::store::Claim>| {
            let mut sessions: Vec<_> = claims.into_iter().map(|claim| claim.session_id).collect();
            sessions.sort();
            sessions
        };
        let texts = |sessions: [usize; 2]| sessions.map(|s| session(s).to_string());
        assert_eq!(sessions(store.claim_stale(later).await.unwrap()), texts([3, 4]), "{:?}", home.engine);
        let later = ClaimRequest { now_ms: LATER_MS + 1 + 120_000, ..request("owner") };
        assert!(store.has_stale(later.now_ms, TIMEOUT, "digest").await.unwrap());
        assert_eq!(sessions(store.claim_stale(later).await.unwrap()), texts([1, 2]), "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_trip_that_was_given_up_or_is_put_off_is_not_looked_at_each_second() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let waits = async |now_ms, digest| store.has_stale(now_ms, TIMEOUT, digest).await.unwrap();
        assert!(waits(LATER_MS, "digest").await);
        let first = claim_one(&store, "owner").await;
        assert!(!waits(LATER_MS, "digest").await, "{:?}: it is leased", home.engine);
        store.fail_attempt(&first, Retry::At(LATER_MS + 5000)).await.unwrap();
        assert!(!waits(LATER_MS + 4999, "digest").await, "{:?}: it is put off", home.engine);
        assert!(waits(LATER_MS + 5000, "digest").await);
        store.fail_attempt(&first, Retry::WithAnotherCalculator("digest")).await.unwrap();
        let later = ClaimRequest { now_ms: LATER_MS + 5000, ..request("owner") };
        let again = store.claim_stale(later).await.unwrap().remove(0);
        store.fail_attempt(&again, Retry::WithAnotherCalculator("digest")).await.unwrap();
        assert!(!waits(LATER_MS + 5000, "digest").await, "{:?}: it was given up", home.engine);
        assert!(waits(LATER_MS + 5000, "other").await);
    }
}

#[tokio::test]
async fn a_trip_that_a_calculator_gave_up_waits_for_another_calculator() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let first = claim_one(&store, "owner").await;
        store.fail_attempt(&first, Retry::WithAnotherCalculator("digest")).await.unwrap();
        assert_eq!(store.trip(&trip).await.unwrap().unwrap().status, "failed");
        assert!(claim(&store, "owner").await.is_empty());

        let other = ClaimRequest { calculator_digest: "other", ..request("owner") };
        let again = store.claim_stale(other).await.unwrap().remove(0);
        assert_eq!(again.attempt, 1, "{:?}: another calculator has all its attempts", home.engine);
        assert!(matches!(close(&store, &again, &miles(1.0)).await, Closed::Done { .. }));
    }
}

#[tokio::test]
async fn a_new_reading_opens_a_trip_that_was_given_up() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        let first = claim_one(&store, "owner").await;
        store.fail_attempt(&first, Retry::WithAnotherCalculator("digest")).await.unwrap();
        assert!(!keep(&store, reading(1, 1, 0)).await.reopened, "a duplicate brings nothing new");
        assert!(claim(&store, "owner").await.is_empty());
        assert!(keep(&store, reading(1, 1, 1)).await.reopened, "{:?}", home.engine);
        end_trip(&store, &miles(3.0)).await;
        assert_eq!(stats(&store, 1).await.total_miles, 3.0);
    }
}

#[tokio::test]
async fn the_claims_of_an_owner_known_to_be_dead_end_and_no_others() {
    for home in homes().await {
        let store = home.open().await;
        for (session, owner) in [(1, "dead"), (2, "alive")] {
            keep(&store, reading(1, session, 0)).await;
            claim_one(&store, owner).await;
        }
        drop(store);

        let store = home.open().await;
        assert!(claim(&store, "next").await.is_empty(), "leases outlive their process");
        store.release_claims("dead").await.unwrap();
        let claimed = claim_one(&store, "next").await;
        assert_eq!(claimed.session_id, session(1).to_string(), "{:?}", home.engine);
    }
}
