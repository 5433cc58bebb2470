//! What becomes of an event, whatever its sinks do: each counts what it was
//! given, and the ledger each event once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Consumer, KeptEvent, Queue, Sink, SinkTotals, Sinks};
use crate::events::ledger::{Ledger, Totals};
use crate::events::record::Operation;

const PLENTY: usize = 1 << 20;

/// Sinks with room for so many bytes each, and events for them.
pub(super) struct Rig {
    pub(super) sinks: Sinks,
    pub(super) ledger: Arc<Ledger>,
}

impl Rig {
    pub(super) fn new<const SINKS: usize>(
        rooms: [(&'static str, usize); SINKS],
    ) -> (Self, [Consumer; SINKS]) {
        let mut sinks = Sinks::none();
        let consumers = rooms.map(|(name, room)| {
            let (queue, consumer) = Queue::new(name, room);
            sinks.sinks.push(Sink::Queued(queue));
            consumer
        });
        (Self { sinks, ledger: Arc::default() }, consumers)
    }

    pub(super) fn emit(&self, count: usize) {
        for _ in 0..count {
            self.sinks.emit(&event(b"a line\n", &self.ledger));
        }
    }

    /// How many of a sink's events are delivered, lost, and wait.
    pub(super) fn of(&self, sink: &str) -> [u64; 3] {
        let SinkTotals { delivered, lost, waiting } = self.sinks.totals()[sink];
        [delivered, lost, waiting]
    }

    /// How many events are kept, and how many lost.
    pub(super) fn kept_and_lost(&self) -> [u64; 2] {
        let Totals { kept, lost_by_sink, .. } = self.ledger.totals();
        [kept, lost_by_sink]
    }
}

pub(super) fn event(line: &[u8], ledger: &Arc<Ledger>) -> Arc<KeptEvent> {
    KeptEvent::new(Operation::TelemetryUpload, Timestamp::UNIX_EPOCH, line.to_vec(), ledger)
}

fn size_of_event() -> usize {
    event(b"a line\n", &Arc::default()).size()
}

#[tokio::test]
async fn an_event_that_several_sinks_lose_is_lost_once() {
    let rooms = [("roomy", PLENTY), ("tight", 3 * size_of_event()), ("tighter", 2 * size_of_event())];
    let (rig, [mut roomy, tight, tighter]) = Rig::new(rooms);
    rig.emit(5);
    assert_eq!(rig.of("tight"), [0, 2, 3]);
    assert_eq!(rig.of("tighter"), [0, 3, 2]);
    assert_eq!(rig.kept_and_lost(), [2, 3]);

    assert_eq!(roomy.next(PLENTY).await.map(|events| events.len()), Some(5));
    roomy.delivered(4);
    roomy.lost(1);
    assert_eq!(rig.of("roomy"), [4, 1, 0]);
    assert_eq!(rig.kept_and_lost(), [2, 3], "the others had lost that one too");
    drop((tight, tighter));
    assert_eq!([rig.of("tight"), rig.of("tighter")], [[0, 5, 0], [0, 5, 0]]);
    assert_eq!(rig.kept_and_lost(), [0, 5]);
}

#[tokio::test]
async fn events_come_again_until_they_are_settled_and_make_room_then() {
    let (rig, [mut consumer]) = Rig::new([("sink", 3 * size_of_event())]);
    rig.emit(3);
    let sizes = [2 * b"a line\n".len(), PLENTY, 1];
    for (most, count) in sizes.into_iter().zip([2, 3, 1]) {
        assert_eq!(consumer.next(most).await.map(|events| events.len()), Some(count));
    }
    rig.emit(1);
    assert_eq!(rig.of("sink"), [0, 1, 3]);
    consumer.delivered(1);
    rig.emit(2);
    assert_eq!(rig.of("sink"), [1, 2, 3]);
}

#[tokio::test]
async fn a_sink_that_ended_loses_whatever_comes() {
    let (rig, [consumer]) = Rig::new([("sink", PLENTY)]);
    rig.emit(2);
    drop(consumer);
    rig.emit(1);
    assert_eq!(rig.of("sink"), [0, 3, 0]);
    assert_eq!(rig.kept_and_lost(), [0, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_does_not_take_in_time_is_lost_and_never_counted_again() {
    let (rig, [mut slow, mut quick]) = Rig::new([("slow", PLENTY), ("quick", PLENTY)]);
    rig.emit(3);
    let in_hand = slow.next(PLENTY).await.expect("events").len();
    let quick = tokio::spawn(async move {
        while let Some(events) = quick.next(PLENTY).await {
            quick.delivered(events.len());
            quick.pause(Duration::from_secs(3600)).await;
        }
    });
    let soon = || tokio::time::Instant::now().into_std() + Duration::from_secs(1);
    rig.sinks.flush(soon()).await;
    assert_eq!([rig.of("slow"), rig.of("quick")], [[0, 3, 0], [3, 0, 0]]);
    slow.delivered(in_hand);
    slow.lost(in_hand);
    rig.emit(1);
    rig.sinks.close(soon()).await;
    quick.await.expect("it ends");
    assert_eq!([rig.of("slow"), rig.of("quick")], [[0, 4, 0], [4, 0, 0]]);
    assert_eq!(rig.kept_and_lost(), [0, 4]);
    assert!(slow.next(PLENTY).await.is_none());
}
