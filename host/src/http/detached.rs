//! Work that a request starts and a disconnect does not cancel.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// Whether the client still waits.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<AtomicBool>);

impl Gone {
    /// Whether the client is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Says that it does not.
    pub(super) fn leave(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a caught panic leaves.
pub(super) type Panic = Box<dyn Any + Send>;

/// A future that is finished whatever becomes of who waits for it: dropped
/// half-way, it goes on as a task of its own. As long as somebody waits it
/// costs no task, and no hand-over between threads.
pub(super) struct Detached<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    gone: Gone,
}

impl<T: Send + 'static> Detached<T> {
    /// Wraps `work`; `gone` tells it when nobody waits any more.
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static, gone: Gone) -> Self {
        Self { work: Some(Box::pin(work)), gone }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Result<T, Panic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.work.as_mut().expect("not polled again after its end");
        // What a panic leaves half-done is dropped with the future.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let end = match polled {
            Ok(poll) => Ok(ready!(poll)),
            Err(panic) => Err(panic),
        };
        self.work = None;
        Poll::Ready(end)
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.gone.leave();
            // Without a runtime the process is ending, and nothing goes on.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(work);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_and_is_told_so() {
        let (go, going) = oneshot::channel::<()>();
        let (done, was_gone) = oneshot::channel();
        let gone = Gone::default();
        let seen = gone.clone();
        let mut work = Box::pin(Detached::new(
            async move {
                going.await.expect("told to go on");
                done.send(seen.is_gone()).expect("the test waits");
            },
            gone,
        ));
        assert!(futures_poll(&mut work).is_pending());
        drop(work);
        go.send(()).expect("the work waits");
        assert!(was_gone.await.expect("the work went on"));
    }

    #[tokio::test]
    async fn a_panic_is_caught() {
        let end = Detached::new(async { panic!("in the middle") }, Gone::default()).await;
        assert!(end.is_err_and(|panic| *panic.downcast_ref::<&str>().expect("a text") == "in the middle"));
    }

    fn futures_poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}
