//! Kept events as they come, for those who follow them. Who does not keep up
//! misses some, and is told how many: nobody waits for a reader.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use super::KeptEvent;

/// Events that wait for the slowest reader.
const WAITING: usize = 1024;

/// Where readers listen.
pub struct Tail(broadcast::Sender<Arc<KeptEvent>>);

/// Who follows events.
pub struct Listener(broadcast::Receiver<Arc<KeptEvent>>);

/// What a reader hears.
pub enum Heard {
    /// An event.
    Event(Arc<KeptEvent>),
    /// That many were gone before it listened.
    Missed(u64),
}

impl Tail {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    pub(super) fn emit(&self, event: &Arc<KeptEvent>) {
        if self.0.receiver_count() > 0 {
            // The last reader may be gone this moment; then nobody misses it.
            self.0.send(event.clone()).ok();
        }
    }

    /// Follows what comes from here on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// Waits for what comes next; nothing once no more events come.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::events::sink::tests::event;

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_how_many_events_are_missing() {
        let tail = Tail::new();
        let ledger = Arc::default();
        tail.emit(&event(b"before anybody listens\n", &ledger));
        let mut listener = tail.listen();
        for n in 0..WAITING + 5 {
            tail.emit(&event(format!("{n}\n").as_bytes(), &ledger));
        }
        assert!(matches!(listener.next().await, Some(Heard::Missed(5))));
        let Some(Heard::Event(next)) = listener.next().await else { panic!("an event") };
        assert_eq!(next.line(), b"5\n");
        drop(tail);
        while listener.next().await.is_some() {}
    }
}
