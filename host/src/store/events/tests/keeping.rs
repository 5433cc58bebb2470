//! What is put is there, once, and goes when it is old or too much.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::EventStore;
use super::{event, figures, found, put, stores};
use crate::store::Engine;
use crate::store::tests::home::{homes, postgres, waiting};

#[tokio::test]
async fn an_event_is_there_as_it_was_and_once_however_often_it_is_put() {
    for (_home, store) in stores().await {
        let events: Vec<_> = (0..150)
            .map(|n| event(n, &json!({"trace_id": "t", "number": 0.1 + n as f64, "text": "ä\"\\\n", "nested": {"list": [1, "x", null]}})))
            .collect();
        put(&store, &events[..100]).await;
        put(&store, &events[50..]).await;
        assert_eq!(
            store.event(events[70]["request_id"].as_str().unwrap()).await.unwrap().as_ref(),
            Some(&events[70])
        );
        assert_eq!(store.event("nobody").await.unwrap(), None);
        assert_eq!(store.trace("t").await.unwrap().events, events);
        assert_eq!(figures(&store, &json!({"figures": "count"})).await.matched.sample_size, 150);
        store.close(std::time::Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn a_line_that_is_no_event_is_refused_and_none_of_its_batch_is_kept() {
    for (_home, store) in stores().await {
        let whole = event(1, &json!({})).to_string();
        let refused = store.put(&[whole.as_bytes(), b"{\"operation\": 5}"]).await;
        assert!(refused.unwrap_err().may_be_one_items_fault());
        assert_eq!(found(&store, &json!({})).await, [""; 0]);
    }
}

/// An event of a process that has its own name.
fn of_service(n: u64, name: &str) -> serde_json::Value {
    let mut event = event(n, &json!({"trace_id": "t"}));
    event["service"]["instance_id"] = name.into();
    event
}

fn hours_ago(hours: i64, mut event: serde_json::Value) -> serde_json::Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    event["timestamp"] = at.to_string().into();
    event
}

async fn services(store: &EventStore) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM event_services").fetch_one(&store.reads).await.unwrap()
}

#[tokio::test]
async fn what_events_say_of_their_service_is_kept_once_and_goes_with_the_last_of_them() {
    for home in homes().await {
        let store = home.open_events((3, 1 << 20)).await;
        let old: Vec<_> = (0..100).map(|n| hours_ago(73, of_service(n, "a"))).collect();
        let new: Vec<_> = (100..200).map(|n| hours_ago(1, of_service(n, "b"))).collect();
        put(&store, &old).await;
        put(&store, &new).await;
        assert_eq!(services(&store).await, 2);
        assert!(!store.remove_old().await.unwrap());
        assert_eq!((services(&store).await, store.trace("t").await.unwrap().events), (1, new.clone()));
        // The process whose events went is still there, and remembers a service
        // that is gone.
        let late = hours_ago(0, of_service(200, "a"));
        put(&store, std::slice::from_ref(&late)).await;
        assert_eq!(services(&store).await, 2);
        assert_eq!(store.event("00000000-0000-7000-8000-000000000200").await.unwrap(), Some(late));
    }
}

#[tokio::test]
async fn what_the_first_event_of_a_service_says_of_it_does_not_go_before_that_event_is_there() {
    let Some(home) = postgres().await else { return };
    let (quiet, busy) = (home.open_events((3, 1 << 20)).await, home.open_events((3, 1 << 20)).await);
    // The numbers of this host are lower than those of all events that stay.
    put(&quiet, &[hours_ago(73, of_service(1, "a"))]).await;
    put(&busy, &[hours_ago(1, of_service(2, "b"))]).await;
    let late = hours_ago(0, of_service(3, "c"));
    // Another transaction that keeps the same event lets the first one wait.
    let mut held = home.stranger().await.begin().await.unwrap();
    let same = "INSERT INTO events (id, request_id, started_us, operation, success, service_id, duration_ms,
                                    duration_bucket, sampling_rate, stored_bytes)
                SELECT 1000000, $1, started_us, operation, success, service_id, duration_ms, duration_bucket,
                       sampling_rate, stored_bytes FROM events WHERE request_id = $2";
    let same = sqlx::query(same).bind(late["request_id"].as_str().unwrap());
    same.bind("00000000-0000-7000-8000-000000000002").execute(&mut *held).await.unwrap();
    let removal = async {
        home.until_waiting(1).await;
        busy.remove_old().await.unwrap();
        held.rollback().await.unwrap();
    };
    tokio::join!(put(&quiet, std::slice::from_ref(&late)), removal);
    assert_eq!(quiet.event("00000000-0000-7000-8000-000000000003").await.unwrap(), Some(late));
    assert_eq!(services(&busy).await, 2);
}

#[tokio::test]
async fn events_that_were_kept_before_services_were_kept_apart_are_as_they_were() {
    for home in homes().await {
        let events: Vec<_> = (0..20).map(|n| of_service(n, ["a", "b"][usize::from(n % 3 == 0)])).collect();
        let database = home.events_before(2).await;
        let body = match home.engine {
            Engine::Sqlite => "jsonb($2)",
            Engine::Postgres => "CAST($2 AS JSONB)",
        };
        for (id, event) in (1_i64..).zip(&events) {
            let columns = sqlx::query(
                "INSERT INTO events (id, request_id, started_us, operation, success, environment, deployment_id,
                                     trace_id, duration_ms, duration_bucket, sampling_rate, stored_bytes)
                 VALUES ($1, $2, $3, 'api_request', 1, 'production', 'd1', 't', 1.5, 9, 1.0, 900)",
            );
            let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
            let columns =
                columns.bind(id).bind(event["request_id"].as_str().unwrap()).bind(at.as_microsecond());
            columns.execute(&database).await.unwrap();
            let text = format!("INSERT INTO event_bodies (id, body) VALUES ($1, {body})");
            let bodies = sqlx::query(sqlx::AssertSqlSafe(text)).bind(id).bind(event.to_string());
            bodies.execute(&database).await.unwrap();
        }
        database.close().await;
        let store = home.open_events(super::ROOMY).await;
        assert_eq!((services(&store).await, store.trace("t").await.unwrap().events), (2, events));
        let filter = json!({"service.deployment_id": "d1", "service.instance_id": "b", "service.environment": "production"});
        assert_eq!(found(&store, &json!({"filter": filter})).await.len(), 7);
    }
}

#[tokio::test]
async fn nul_in_a_text_costs_no_event() {
    for (_home, store) in stores().await {
        put(&store, &[event(1, &json!({"profile_name": "a\u{0}b", "path": "c:\\u0000"}))]).await;
        let kept = store.event("00000000-0000-7000-8000-000000000001").await.unwrap().unwrap();
        assert_eq!((&kept["profile_name"], &kept["path"]), (&json!("a\u{fffd}b"), &json!("c:\\u0000")));
    }
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended_also_among_equals() {
    for (_home, store) in stores().await {
        let events: Vec<_> = (0..1300)
            .map(|n| {
                let mut event = event(n, &json!({"duration_ms": n % 3, "odd": n % 2 == 1}));
                event["timestamp"] = "2026-01-05T00:00:00Z".into();
                event
            })
            .collect();
        put(&store, &events).await;
        for order in ["timestamp", "-timestamp", "duration_ms", "-duration_ms"] {
            let ids = found(&store, &json!({"filter": {"odd": true}, "order": order, "limit": 1000})).await;
            let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!((ids.len(), distinct.len()), (650, 650), "{order}");
        }
        let some = store.find(&super::query(&json!({"limit": 7}))).await.unwrap();
        assert_eq!((some.events.len(), some.more), (7, true));
        let all = store
            .find(&super::query(&json!({"filter": {"odd": true, "duration_ms": 2}, "limit": 215})))
            .await
            .unwrap();
        assert_eq!((all.events.len(), all.more), (215, true));
        let all = store
            .find(&super::query(&json!({"filter": {"odd": true, "duration_ms": 2}, "limit": 216})))
            .await
            .unwrap();
        assert_eq!((all.events.len(), all.more), (216, false));
    }
}

#[tokio::test]
async fn what_is_older_than_the_limit_goes() {
    for home in homes().await {
        let store = home.open_events((3, 1 << 20)).await;
        let now = jiff::Timestamp::now();
        let events: Vec<_> = (0..1200)
            .map(|n| {
                let mut event = event(n, &json!({"body": "x"}));
                let hours = if n < 1100 { 73 } else { 71 };
                event["timestamp"] = (now - jiff::SignedDuration::from_hours(hours)).to_string().into();
                event
            })
            .collect();
        put(&store, &events).await;
        assert!(!store.remove_old().await.unwrap(), "a few steps are enough");
        // No body is left behind, nor gone with others.
        let kept = figures(&store, &json!({"filter": {"body": "x"}, "figures": "count"})).await;
        assert_eq!(kept.matched.sample_size, 100);
        let bodies =
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM event_bodies").fetch_one(&store.reads);
        assert_eq!(bodies.await.unwrap(), 100);
    }
}

#[tokio::test]
async fn the_oldest_go_when_there_is_too_much_and_the_file_grows_no_further() {
    for home in homes().await {
        let store = home.open_events((36_500, 4)).await;
        let now = jiff::Timestamp::now();
        let padding = "x".repeat(1500);
        for round in 0..6 {
            let events: Vec<_> = (0..2000)
                .map(|n| {
                    let n = round * 2000 + n;
                    let mut event = event(n, &json!({"padding": padding}));
                    event["timestamp"] =
                        (now + jiff::SignedDuration::from_millis(n as i64)).to_string().into();
                    event
                })
                .collect();
            put(&store, &events).await;
            while store.remove_old().await.unwrap() {}
            // Besides what is kept there is room for a round, and for the log.
            if let Some(size) = home.event_file_bytes() {
                assert!(size < 12 << 20, "{size} bytes");
            }
        }
        let text = "SELECT CAST(SUM(stored_bytes) AS BIGINT) FROM events";
        let bytes: i64 = sqlx::query_scalar(text).fetch_one(&store.reads).await.unwrap();
        assert!(bytes <= 4 << 20 && bytes > 2 << 20, "{bytes} bytes");
        let newest = found(&store, &json!({"limit": 1})).await;
        assert_eq!(newest, ["00000000-0000-7000-8000-000000011999"]);
    }
}

#[tokio::test]
async fn two_hosts_do_not_both_remove_what_is_too_much() {
    let Some(home) = postgres().await else { return };
    let (one, other) = (home.open_events((36_500, 1)).await, home.open_events((36_500, 1)).await);
    let padding = "x".repeat(1500);
    let events: Vec<_> = (0..2300).map(|n| event(n, &json!({"padding": padding}))).collect();
    put(&one, &events).await;
    // Nothing goes before both have seen how much there is.
    let stranger = home.stranger().await;
    let mut held = home.stranger().await.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM events FOR UPDATE").fetch_all(&mut *held).await.unwrap();
    let finished = Cell::new(0);
    let remove = async |store: &EventStore| {
        store.remove_old().await.unwrap();
        finished.set(finished.get() + 1);
    };
    let release = async {
        let by = Instant::now() + Duration::from_secs(20);
        while waiting(&stranger).await + finished.get() < 2 {
            assert!(Instant::now() < by, "nobody removes anything");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        held.rollback().await.unwrap();
    };
    tokio::join!(remove(&one), remove(&other), release);
    // Four steps of 500 are enough.
    assert_eq!(figures(&one, &json!({"figures": "count"})).await.matched.sample_size, 300);
}
