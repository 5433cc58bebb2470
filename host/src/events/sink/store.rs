//! The built-in store as a sink: many events in a transaction, and now and then
//! the old ones go. How they are kept is `store`'s business.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Consumer, KeptEvent};
use crate::store::{EventStore, StoreError};

/// Bytes of events in one transaction.
const BATCH: usize = 512 << 10;
/// After each write some events may gather, so that a transaction is for many.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two tries of what cannot be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often old events go.
const UPKEEP: Duration = Duration::from_secs(60);

/// Starts the writer. Must be called on the runtime.
pub fn start(consumer: Consumer, store: Arc<EventStore>) {
    tokio::spawn(write_all(consumer, store));
}

/// Writes until closed. What the store does not take is tried again: it waits
/// in the queue.
async fn write_all(mut consumer: Consumer, store: Arc<EventStore>) {
    let mut is_down = false;
    let mut upkeep = interval_at(Instant::now(), UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let events = tokio::select! {
            biased;
            // At a stop there is no time for it.
            _ = upkeep.tick(), if !consumer.is_hurried() => {
                keep_up(&store).await;
                continue;
            }
            events = consumer.next(BATCH) => events,
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

async fn keep_up(store: &EventStore) {
    match store.remove_old().await {
        Ok(0) => {}
        Ok(events) => tracing::debug!(events, "old events are gone"),
        Err(error) => tracing::warn!(%error, "old events could not be removed"),
    }
    if let Err(error) = store.take_stock().await {
        tracing::warn!(%error, "the store of events could not take stock");
    }
}
