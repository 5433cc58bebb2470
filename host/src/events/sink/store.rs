//! The built-in store as a sink: many events in a transaction, and now and then
//! the old ones go. How they are kept is `store`'s business.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Consumer, KeptEvent};
use crate::store::{EventStore, StoreError};

/// Bytes of events in one transaction.
const BATCH: usize = 512 << 10;
/// After each write some events may gather, so that a transaction is for many.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two tries of what cannot be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often old events go,
const UPKEEP: Duration = Duration::from_secs(60);
/// and how often the store tells its database what its tables are like.
const STOCK: Duration = Duration::from_secs(600);

/// Starts the writer. Must be called on the runtime.
pub fn start(consumer: Consumer, store: Arc<EventStore>) {
    tokio::spawn(write_all(consumer, store));
}

/// Writes until closed. What the store does not take is tried again: it waits
/// in the queue.
async fn write_all(mut consumer: Consumer, store: Arc<EventStore>) {
    let (mut is_down, mut has_old) = (false, false);
    let mut upkeep = every(UPKEEP, Duration::ZERO);
    let mut stock = every(STOCK, UPKEEP);
    loop {
        // At a stop there is no time for anything but events.
        let has_time = !consumer.is_hurried();
        let events = tokio::select! {
            events = consumer.next(BATCH) => events,
            () = upkeep_is_due(&mut upkeep, has_old), if has_time => {
                has_old = remove_old(&store).await;
                continue;
            }
            _ = stock.tick(), if has_time => {
                take_stock(&store).await;
                continue;
            }
        };
        let Some(events) = events else { return };
        match write(&mut consumer, &store, &events).await {
            Ok(()) if is_down => {
                tracing::info!("the store of events takes events again");
                is_down = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_down, true) {
                    tracing::error!(%error, "the store of events takes none: they wait, as far as there is room");
                }
                consumer.pause(PATIENCE).await;
            }
        }
        let bytes: usize = events.iter().map(|event| event.line().len()).sum();
        if bytes < BATCH / 2 {
            consumer.pause(PAUSE).await;
        }
    }
}

/// Writes events, one by one where one of them may be at fault.
async fn write(
    consumer: &mut Consumer,
    store: &EventStore,
    events: &[Arc<KeptEvent>],
) -> Result<(), StoreError> {
    let lines: Vec<_> = events.iter().map(|event| event.line()).collect();
    match store.put(&lines).await {
        Ok(()) => {
            consumer.delivered(lines.len());
            return Ok(());
        }
        Err(error) if !error.may_be_one_items_fault() => return Err(error),
        Err(_) => {}
    }
    for line in lines {
        match store.put(&[line]).await {
            Ok(()) => consumer.delivered(1),
            Err(error) if error.may_be_one_items_fault() => {
                tracing::error!(%error, "the store refuses an event: it is lost there");
                consumer.lost(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn every(length: Duration, first: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + first, length);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Comes back when old events are to go: at once where some were left.
async fn upkeep_is_due(upkeep: &mut Interval, has_old: bool) {
    if !has_old {
        upkeep.tick().await;
    }
}

/// Removes some of the old events; whether there may be more.
async fn remove_old(store: &EventStore) -> bool {
    store.remove_old().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "old events could not be removed");
        false
    })
}

async fn take_stock(store: &EventStore) {
    if let Err(error) = store.take_stock().await {
        tracing::warn!(%error, "the store of events could not take stock");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant as StdInstant;

    use super::*;
    use crate::events::sink::tests::{Rig, event};
    use crate::query::Query;
    use crate::store::tests::home::{Home, homes, sqlite};

    const PLENTY: usize = 1 << 20;

    fn line(n: u32) -> Vec<u8> {
        let event = serde_json::json!({
            "request_id": n.to_string(), "timestamp": "2026-01-05T00:00:00Z", "operation": "api_request",
            "success": true, "duration_ms": 1.0, "service": {"environment": "e", "deployment_id": "d"},
        });
        format!("{event}\n").into_bytes()
    }

    async fn start(home: &Home) -> (Rig, Arc<EventStore>) {
        let store = Arc::new(home.open_events((36_500, 1024)).await);
        let (rig, [consumer]) = Rig::new([("store", PLENTY)]);
        super::start(consumer, store.clone());
        (rig, store)
    }

    fn emit(rig: &Rig, line: &[u8]) {
        rig.sinks.emit(&event(line, &rig.ledger));
    }

    async fn stored(store: &EventStore) -> u64 {
        let question = Query::parse(&serde_json::json!({"figures": "count"})).expect("a question");
        store.figures(&question).await.expect("an answer").matched.sample_size
    }

    #[tokio::test]
    async fn an_event_that_the_store_refuses_costs_no_other() {
        for home in homes().await {
            let (rig, store) = start(&home).await;
            for n in 0..5 {
                emit(&rig, &line(n));
            }
            emit(&rig, b"no event\n");
            emit(&rig, &line(5));
            rig.sinks.close(StdInstant::now() + Duration::from_secs(60)).await;
            assert_eq!(rig.of("store"), [6, 1, 0], "{:?}", home.engine);
            assert_eq!(rig.kept_and_lost(), [6, 1]);
            assert_eq!(stored(&store).await, 6);
        }
    }

    #[tokio::test]
    async fn events_wait_for_a_store_that_is_locked_and_are_kept_once() {
        let home = sqlite();
        let (rig, store) = start(&home).await;
        emit(&rig, &line(0));
        rig.sinks.flush(StdInstant::now() + Duration::from_secs(60)).await;
        let stranger = home.event_stranger().await;
        let held = stranger.begin_with("BEGIN IMMEDIATE").await.expect("a lock");
        emit(&rig, &line(1));
        // Longer than a statement waits for a lock: it has failed once.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(rig.of("store"), [1, 0, 1]);
        held.rollback().await.expect("rolled back");
        rig.sinks.close(StdInstant::now() + Duration::from_secs(60)).await;
        assert_eq!(rig.of("store"), [2, 0, 0]);
        assert_eq!(stored(&store).await, 2);
    }

    #[tokio::test]
    async fn what_a_store_that_is_gone_does_not_take_by_the_end_is_lost_and_counted() {
        for home in homes().await {
            let (rig, store) = start(&home).await;
            store.close(Duration::from_secs(60)).await;
            emit(&rig, &line(0));
            emit(&rig, &line(1));
            rig.sinks.close(StdInstant::now() + Duration::from_millis(500)).await;
            assert_eq!(rig.of("store"), [0, 2, 0], "{:?}", home.engine);
            assert_eq!(rig.kept_and_lost(), [0, 2]);
        }
    }
}
