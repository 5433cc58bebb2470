//! Panics that end no more than the work they happen in: loops go on, and what
//! was in hand is told. What the work is, and what its event says, is the
//! business of who does it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::events::{Code, Failure};

/// A panic that was caught. Its message is on standard error; it may quote what
/// must not get into an event.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{what} panicked, and goes on")]
pub struct Panicked {
    what: &'static str,
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        Failure::new(Code::E500, panicked.to_string())
    }
}

/// Does a piece of work; `what` does it.
///
/// # Errors
/// It panicked, which is logged. Whatever it borrowed is as the panic left it.
pub fn caught<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let panicked = Panicked { what };
        tracing::error!("{panicked}");
        panicked
    })
}

/// The same with work that waits, such as one round of a loop.
///
/// # Errors
/// It panicked, which is logged. Whatever it borrowed is as the panic left it.
pub async fn guarded<T>(what: &'static str, work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match caught(what, || work.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// A place where a test provokes a panic. Outside of tests it is nothing.
#[derive(Default)]
pub struct PanicPoint {
    #[cfg(test)]
    armed: std::sync::atomic::AtomicU32,
}

impl PanicPoint {
    /// Panics if a test wants it.
    pub fn strike(&self) {
        #[cfg(test)]
        {
            use std::sync::atomic::Ordering;
            let left =
                self.armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            assert!(left.is_err(), "provoked by a test");
        }
    }

    /// Lets the next strikes panic, that many.
    #[cfg(test)]
    pub fn arm(&self, times: u32) {
        self.armed.store(times, std::sync::atomic::Ordering::SeqCst);
    }

    /// Strikes that are still to panic.
    #[cfg(test)]
    pub fn armed(&self) -> u32 {
        self.armed.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_and_not_who_waits_for_it() {
        let panicked = guarded("a round", async {
            tokio::task::yield_now().await;
            panic!("in the middle");
        });
        let failure = Failure::from(panicked.await.expect_err("it panicked"));
        assert_eq!((failure.code, failure.message.as_str()), (Code::E500, "a round panicked, and goes on"));
        assert_eq!(guarded("a round", async { 1 }).await.ok(), Some(1));
    }
}
