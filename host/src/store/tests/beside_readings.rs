//! What is kept beside readings: what is known of a session, and quarantine.

use std::collections::HashSet;

use super::home::{homes, number};
use super::model::*;
use crate::store::{QuarantinedRequest, Record, SessionFacts, Store, Stored};

#[tokio::test]
async fn what_requests_teach_about_a_session_adds_up_in_any_order() {
    for home in homes().await {
        let store = home.open().await;
        let trip = keep(&store, reading(1, 1, 0)).await.trip_id;
        let profile =
            SessionFacts { car: Some(car(1, "Volt")), profile: Some("{\"w\":1}".to_owned()), ..facts(1, 1) };
        let units = SessionFacts { default_units: Some("{\"k5\":\"F\"}".to_owned()), ..facts(1, 1) };
        store.put(Record::Session(profile.clone())).await.unwrap();
        store.put(Record::Session(units)).await.unwrap();
        let row: (String, String, String) =
            sqlx::query_as("SELECT profile_name, profile, default_units FROM sessions")
                .fetch_one(&store.pool)
                .await
                .unwrap();
        assert_eq!(row, ("Volt".to_owned(), "{\"w\":1}".to_owned(), "{\"k5\":\"F\"}".to_owned()));

        let session = SessionFacts { session: session(2), ..profile };
        store.put(Record::Session(session)).await.unwrap();
        let later = keep(&store, reading(1, 2, 0)).await.trip_id;
        for trip in [trip, later] {
            let trip = store.trip(&trip).await.unwrap().unwrap();
            assert_eq!(trip.profile_name.as_deref(), Some("Volt"), "{:?}", home.engine);
        }
        let names: HashSet<_> = {
            let mut names = HashSet::new();
            for claim in claim(&store, "owner").await {
                names.insert(store.trip_data(&claim).await.unwrap().profile_name);
            }
            names
        };
        assert_eq!(names, HashSet::from([Some("Volt".to_owned())]));
    }
}

async fn learn(store: &Store, facts: SessionFacts) {
    store.put(Record::Session(facts)).await.unwrap();
}

fn named(name: &str, sent_ms: i64) -> SessionFacts {
    let (car, profile) = (Some(car(1, name)), Some(format!("{{\"n\":\"{name}\"}}")));
    SessionFacts { time_ms: sent_ms, car, profile, ..facts(1, 1) }
}

#[tokio::test]
async fn of_profiles_that_which_was_sent_last_counts_whatever_came_last() {
    for home in homes().await {
        let store = home.open().await;
        for profile in [named("one", 1000), named("two", 2000), named("one", 1000)] {
            learn(&store, profile).await;
        }
        let names = || sqlx::query_as("SELECT profile_name, profile FROM sessions").fetch_one(&store.pool);
        let row: (String, String) = names().await.unwrap();
        assert_eq!(row, ("two".to_owned(), "{\"n\":\"two\"}".to_owned()), "{:?}", home.engine);
        // What the last one does not say is filled in by any.
        let nameless = SessionFacts { car: None, ..named("three", 3000) };
        learn(&store, nameless).await;
        let row: (String, String) = names().await.unwrap();
        assert_eq!(row, ("two".to_owned(), "{\"n\":\"three\"}".to_owned()), "{:?}", home.engine);
    }
}

#[tokio::test]
async fn units_of_several_requests_add_up_and_those_sent_last_count() {
    let units = |units: &str, conflicts: &str, sent_ms: i64| SessionFacts {
        default_units: Some(units.to_owned()),
        unit_conflicts: Some(conflicts.to_owned()),
        time_ms: sent_ms,
        ..facts(1, 1)
    };
    let one = units(r#"{"5":"F","c":"rpm"}"#, r#"["5: F instead of C"]"#, 1000);
    let two = units(r#"{"5":"C","d":"mph"}"#, r#"["d: mph instead of km/h"]"#, 2000);
    let shown = SessionFacts { user_units: Some(r#"{"userUnit5":"F"}"#.to_owned()), ..facts(1, 1) };
    for home in homes().await {
        for order in [[&one, &two, &one, &shown], [&two, &shown, &one, &one]] {
            let store = home.open().await;
            for facts in order {
                learn(&store, facts.clone()).await;
            }
            let row: (String, String, String) =
                sqlx::query_as("SELECT default_units, unit_conflicts, user_units FROM sessions")
                    .fetch_one(&store.pool)
                    .await
                    .unwrap();
            assert_eq!(row.0, r#"{"5":"C","c":"rpm","d":"mph"}"#, "{:?}", home.engine);
            assert_eq!(
                (row.1.as_str(), row.2.as_str()),
                (r#"["d: mph instead of km/h"]"#, r#"{"userUnit5":"F"}"#)
            );
            let mut transaction = store.writes.begin().await.unwrap();
            sqlx::query("DELETE FROM sessions").execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_request_in_quarantine_is_kept_as_it_came() {
    for home in homes().await {
        let store = home.open().await;
        let put = store.put(Record::Quarantine(quarantined())).await.unwrap();
        assert_eq!(put.stored, Stored::Kept);
        let row: (String, String, Option<String>, Option<String>, String) =
            sqlx::query_as("SELECT code, reason, phone_id, session_id, request FROM quarantine")
                .fetch_one(&store.pool)
                .await
                .unwrap();
        let phone = Some(phone(1).as_str().to_owned());
        assert_eq!(row, ("E301".into(), "no time".into(), phone, None, "eml=#1&time=x".into()));
    }
}

#[tokio::test]
async fn a_request_that_comes_again_is_in_quarantine_once() {
    for home in homes().await {
        let store = home.open().await;
        let later = QuarantinedRequest { received_ms: START_MS + 1000, ..quarantined() };
        let other = QuarantinedRequest { request: "eml=#1&time=y".to_owned(), ..quarantined() };
        let records = [quarantined(), later.clone(), other, later].map(Record::Quarantine);
        for put in put_together(&store, records.into()).await {
            assert_eq!(put.unwrap().stored, Stored::Kept);
        }
        store.put(Record::Quarantine(quarantined())).await.unwrap();
        assert_eq!(number(&store, "SELECT COUNT(*) FROM quarantine").await, 2, "{:?}", home.engine);
        assert_eq!(number(&store, "SELECT MIN(received_ms) FROM quarantine").await, START_MS);
    }
}
