//! The bounded queue before a sink: who emits never waits for it, who writes
//! takes from it at its own pace. What becomes of each event is counted here;
//! how it is written is not known here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::KeptEvent;

/// How long a pause is at most once the sink is asked to hurry.
const HURRIED_PAUSE: Duration = Duration::from_millis(200);

/// What became of the events that a sink was given: they add up to all of them.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema, utoipa::ToSchema,
)]
pub struct SinkTotals {
    /// Events that are where they should be.
    pub delivered: u64,
    /// Events that found no room, or never got there.
    pub lost: u64,
    /// Events that wait, those on their way included.
    pub waiting: u64,
}

/// The events that wait for a sink.
pub struct Queue {
    name: &'static str,
    most_bytes: usize,
    state: Mutex<State>,
    /// Wakes the consumer.
    woken: Notify,
    /// Wakes those who wait for the consumer.
    settled: Notify,
}

#[derive(Default)]
struct State {
    /// They stay until it is known what became of them.
    events: VecDeque<Arc<KeptEvent>>,
    bytes: usize,
    delivered: u64,
    lost: u64,
    /// It was said that events are lost, and not yet that they are not any more.
    is_losing: bool,
    is_hurried: bool,
    /// Nothing more comes.
    is_closing: bool,
    /// Nothing more is taken.
    has_ended: bool,
}

impl Queue {
    /// A queue for that many bytes, and who takes from it.
    pub fn new(name: &'static str, most_bytes: usize) -> (Arc<Self>, Consumer) {
        let (woken, settled) = (Notify::new(), Notify::new());
        let queue = Arc::new(Self { name, most_bytes, state: Mutex::default(), woken, settled });
        (queue.clone(), Consumer(queue))
    }

    /// The name of the sink.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Takes an event, or loses it at once. Never waits.
    pub(super) fn emit(&self, event: &Arc<KeptEvent>) {
        let mut state = self.state();
        let bytes = state.bytes + event.size();
        if state.has_ended || bytes > self.most_bytes {
            state.lost += 1;
            let was_losing = std::mem::replace(&mut state.is_losing, true);
            drop(state);
            event.lose();
            if !was_losing {
                tracing::warn!(sink = self.name, "too many events wait for a sink: further ones are lost");
            }
            return;
        }
        state.bytes = bytes;
        state.events.push_back(event.clone());
        let consumer_waits = state.events.len() == 1;
        drop(state);
        if consumer_waits {
            self.woken.notify_one();
        }
    }

    pub(super) fn totals(&self) -> SinkTotals {
        let state = self.state();
        SinkTotals { delivered: state.delivered, lost: state.lost, waiting: state.events.len() as u64 }
    }

    /// Waits until nothing waits. What does at that time is lost, and nothing
    /// more is taken.
    pub(super) async fn flush(&self, by: Instant) {
        self.state().is_hurried = true;
        self.woken.notify_one();
        self.wait_until(|state| state.events.is_empty(), by).await;
    }

    /// Takes nothing more, and waits until everything is written. What is not
    /// at that time is lost.
    pub(super) async fn close(&self, by: Instant) {
        {
            let mut state = self.state();
            (state.is_hurried, state.is_closing) = (true, true);
        }
        self.woken.notify_one();
        self.wait_until(|state| state.has_ended, by).await;
    }

    async fn wait_until(&self, is_over: impl Fn(&State) -> bool, by: Instant) {
        let over = async {
            loop {
                // It hears of what happens from here on, also before it waits.
                let settled = self.settled.notified();
                if is_over(&self.state()) {
                    return;
                }
                settled.await;
            }
        };
        if tokio::time::timeout_at(by.into(), over).await.is_err() {
            let events = self.end();
            tracing::warn!(sink = self.name, events, "a sink did not take the last events in time");
        }
    }

    /// Takes nothing more, and loses what waits; returns how many events.
    fn end(&self) -> usize {
        let mut state = self.state();
        let lost = std::mem::take(&mut state.events);
        state.bytes = 0;
        state.lost += lost.len() as u64;
        state.has_ended = true;
        state.is_losing = true;
        drop(state);
        lost.iter().for_each(|event| event.lose());
        self.settled.notify_waiters();
        lost.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the events out of a queue. When it is dropped, the sink has ended:
/// what waits is lost, and whatever comes.
pub struct Consumer(Arc<Queue>);

impl Consumer {
    /// Waits for events; the oldest, as many as have that many bytes together,
    /// and one at least. The same ones come again until they are settled by
    /// [`Self::delivered`] or [`Self::lost`]. `None` at the end.
    pub async fn next(&mut self, most_bytes: usize) -> Option<Vec<Arc<KeptEvent>>> {
        loop {
            {
                let state = self.0.state();
                if !state.events.is_empty() {
                    return Some(oldest(&state.events, most_bytes));
                }
                if state.is_closing || state.has_ended {
                    return None;
                }
            }
            self.0.woken.notified().await;
        }
    }

    /// That many of the oldest events are where they should be.
    pub fn delivered(&mut self, count: usize) {
        self.settle(count, |state, count| state.delivered += count);
    }

    /// That many of the oldest events will never be there.
    pub fn lost(&mut self, count: usize) {
        let lost = self.settle(count, |state, count| state.lost += count);
        lost.iter().for_each(|event| event.lose());
    }

    fn settle(&mut self, count: usize, add: impl FnOnce(&mut State, u64)) -> Vec<Arc<KeptEvent>> {
        let mut state = self.0.state();
        // None are left of what was given up meanwhile.
        let count = count.min(state.events.len());
        let settled: Vec<_> = state.events.drain(..count).collect();
        state.bytes -= settled.iter().map(|event| event.size()).sum::<usize>();
        add(&mut state, count as u64);
        let is_empty = state.events.is_empty();
        let recovered = is_empty && !state.has_ended && std::mem::take(&mut state.is_losing);
        let lost = state.lost;
        drop(state);
        if recovered {
            tracing::info!(sink = self.0.name, lost, "a sink has taken all events that waited");
        }
        if is_empty {
            self.0.settled.notify_waiters();
        }
        settled
    }

    /// Waits that long; once the sink is asked to hurry, hardly.
    pub async fn pause(&self, length: Duration) {
        let mut until = Instant::now() + length;
        while !self.is_hurried() {
            if tokio::time::timeout_at(until.into(), self.0.woken.notified()).await.is_err() {
                return;
            }
        }
        until = until.min(Instant::now() + HURRIED_PAUSE);
        tokio::time::sleep_until(until.into()).await;
    }

    /// Whether the process is about to end.
    pub fn is_hurried(&self) -> bool {
        self.0.state().is_hurried
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let events = self.0.end();
        if std::thread::panicking() {
            tracing::error!(sink = self.0.name, events, "a sink panicked: its events are lost from here on");
        }
    }
}

fn oldest(events: &VecDeque<Arc<KeptEvent>>, most_bytes: usize) -> Vec<Arc<KeptEvent>> {
    let mut bytes = 0;
    let fits = |event: &&Arc<KeptEvent>| {
        bytes += event.line().len();
        bytes <= most_bytes
    };
    let count = events.iter().take_while(fits).count().max(1);
    events.iter().take(count).cloned().collect()
}
