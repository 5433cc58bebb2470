//! What the store of events promises, on both engines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod keeping;
mod known;
mod large;
mod like_the_evaluator;

use serde_json::{Value, json};

use super::EventStore;
use crate::query::{Answer, Query};
use crate::store::tests::home::homes;

/// Limits that nothing here comes near.
const ROOMY: (u64, u64) = (36_500, 1 << 20);

/// One fresh store of each engine, within what must outlive it.
async fn stores() -> Vec<(crate::store::tests::home::Home, EventStore)> {
    let mut stores = Vec::new();
    for home in homes().await {
        let store = home.open_events(ROOMY).await;
        stores.push((home, store));
    }
    stores
}

async fn put(store: &EventStore, events: &[Value]) {
    let lines: Vec<_> = events.iter().map(|event| format!("{event}\n").into_bytes()).collect();
    let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
    store.put(&lines).await.unwrap();
}

/// An event with an envelope, and whatever else.
fn event(n: u64, more: &Value) -> Value {
    let at = jiff::Timestamp::from_microsecond(1_767_571_200_000_000 + i64::try_from(n).unwrap() * 1_000_001);
    let mut event = json!({
        "request_id": format!("00000000-0000-7000-8000-{n:012}"), "timestamp": at.unwrap().to_string(),
        "operation": "api_request", "success": true, "outcome": "success", "duration_ms": 1.5,
        "service": {"name": "volttracker", "environment": "production", "deployment_id": "d1"},
        "sampling": {"rate": 1.0},
    });
    for (name, value) in more.as_object().unwrap().clone() {
        event[name] = value;
    }
    event
}

fn query(question: &Value) -> Query {
    Query::parse(question).unwrap()
}

async fn figures(store: &EventStore, question: &Value) -> Answer {
    store.figures(&query(question)).await.unwrap()
}

/// The request ids that a question finds, in its order.
async fn found(store: &EventStore, question: &Value) -> Vec<String> {
    let found = store.find(&query(question)).await.unwrap();
    found.events.iter().map(|event| event["request_id"].as_str().unwrap().to_owned()).collect()
}
