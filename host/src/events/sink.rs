//! Where kept events go. Every sink gets the same event, in a queue of its own,
//! and none makes an operation, or another sink, wait. A further one is a file
//! with a task that takes from a [`Consumer`], and a line where it starts.

mod files;
mod kept;
mod lines;
mod otlp;
mod queue;
mod stdout;
pub mod store;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
#[cfg(test)]
use std::sync::Mutex;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::config::{Config, EventConfig, SinkName};

#[cfg(test)]
pub(super) use otlp::renamed;

pub use kept::KeptEvent;
pub use queue::{Consumer, Queue, SinkTotals};
pub use tail::{Heard, Listener, Tail};

/// Does work that blocks on a thread of its own. Must be called on the runtime.
fn on_a_thread<W: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> W + Send + 'static,
) -> std::io::Result<()> {
    let runtime = Handle::current();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work()))?;
    Ok(())
}

/// A place for kept events.
enum Sink {
    /// Something that takes from a queue.
    Queued(Arc<Queue>),
    #[cfg(test)]
    Memory(Arc<Mutex<Vec<serde_json::Value>>>),
}

impl Sink {
    fn queue(&self) -> Option<&Arc<Queue>> {
        match self {
            Self::Queued(queue) => Some(queue),
            #[cfg(test)]
            Self::Memory(_) => None,
        }
    }
}

/// All places for kept events.
pub struct Sinks {
    sinks: Vec<Sink>,
    /// Those who follow the events as they come.
    tail: Tail,
}

impl Sinks {
    /// Starts those that need nothing else. Must be called on the runtime.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let mut sinks = Self::none();
        let events = &config.events;
        if let Some(consumer) = sinks.add(SinkName::Stdout, events) {
            stdout::start(consumer)?;
        }
        if let Some(consumer) = sinks.add(SinkName::File, events) {
            files::start(&config.event_files, &config.store.data_dir, consumer)?;
        }
        if let Some(consumer) = sinks.add(SinkName::Otlp, events) {
            otlp::start(&config.otlp, consumer)?;
        }
        Ok(sinks)
    }

    /// No place yet.
    fn none() -> Self {
        Self { sinks: Vec::new(), tail: Tail::new() }
    }

    /// Adds a sink, if it is wanted; whoever starts it takes from its queue.
    pub fn add(&mut self, name: SinkName, config: &EventConfig) -> Option<Consumer> {
        config.has(name).then(|| {
            let (queue, consumer) = Queue::new(name.as_str(), config.buffer_bytes());
            self.sinks.push(Sink::Queued(queue));
            consumer
        })
    }

    /// Events into memory.
    #[cfg(test)]
    pub fn memory(events: Arc<Mutex<Vec<serde_json::Value>>>) -> Self {
        Self { sinks: vec![Sink::Memory(events)], ..Self::none() }
    }

    /// Gives an event to all of them. Never waits.
    pub(super) fn emit(&self, event: &Arc<KeptEvent>) {
        self.tail.emit(event);
        for sink in &self.sinks {
            match sink {
                Sink::Queued(queue) => queue.emit(event),
                #[cfg(test)]
                Sink::Memory(events) => {
                    let event = serde_json::from_slice(event.line()).expect("a line is JSON");
                    events.lock().expect("no reader panicked").push(event);
                }
            }
        }
    }

    /// Those who follow the events as they come.
    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// What became of the events so far, by sink.
    pub(super) fn totals(&self) -> BTreeMap<&'static str, SinkTotals> {
        let totals = self.sinks.iter().map(|sink| match sink {
            Sink::Queued(queue) => (queue.name(), queue.totals()),
            #[cfg(test)]
            Sink::Memory(events) => {
                let delivered = events.lock().expect("no reader panicked").len() as u64;
                ("memory", SinkTotals { delivered, ..SinkTotals::default() })
            }
        });
        totals.collect()
    }

    /// Waits until every sink has taken what waits for it. One that has not at
    /// that time loses it, and takes nothing more.
    pub(super) async fn flush(&self, by: Instant) {
        join_all(self.queues().map(|queue| queue.flush(by))).await;
    }

    /// Ends all of them, with everything written that can be by that time.
    pub(super) async fn close(&self, by: Instant) {
        join_all(self.queues().map(|queue| queue.close(by))).await;
    }

    fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.sinks.iter().filter_map(Sink::queue)
    }
}
