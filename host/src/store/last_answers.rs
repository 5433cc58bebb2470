//! What many ask the store again and again: asked by one for all who want to
//! know, and remembered for a while.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::StoreError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the answer holds to whether an upload could be taken now. The
/// question waits for the connection that uploads are written with: more of
/// them would hold those up.
const READINESS: Duration = Duration::from_secs(1);
/// How long the number of unfinished trips holds: each is looked at for it.
const UNFINISHED: Duration = Duration::from_secs(10);

/// Trips that are not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedTrips {
    /// Trips that are not over.
    pub open: i64,
    /// Trips that no calculator could summarize.
    pub failed: i64,
}

/// The last answers.
pub(super) struct LastAnswers {
    /// Whether an upload could be taken now.
    pub(super) ready: LastAnswer<()>,
    /// How many trips are unfinished.
    pub(super) unfinished: LastAnswer<UnfinishedTrips>,
}

impl Default for LastAnswers {
    fn default() -> Self {
        Self { ready: LastAnswer::holding(READINESS), unfinished: LastAnswer::holding(UNFINISHED) }
    }
}

/// The last answer to a question, and when it came.
pub(super) struct LastAnswer<T> {
    holds: Duration,
    last: Mutex<Option<(Instant, Result<T, StoreError>)>>,
}

impl<T: Clone> LastAnswer<T> {
    fn holding(holds: Duration) -> Self {
        Self { holds, last: Mutex::default() }
    }

    /// The answer of this probe, or that of the last one while it holds.
    pub(super) async fn ask(
        &self,
        probe: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < self.holds
        {
            return answer.clone();
        }
        let answer = tokio::time::timeout(PATIENCE, probe).await;
        let answer = answer.unwrap_or(Err(StoreError::TimedOut(PATIENCE)));
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_answered_by_one_probe_a_second() {
        let (readiness, probes) = (LastAnswers::default().ready, AtomicUsize::new(0));
        let ask = async |takes_ms| {
            let probe = async {
                probes.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(takes_ms)).await;
                Ok(())
            };
            readiness.ask(probe).await.is_ok()
        };
        let crowd = tokio::join!(ask(500), ask(500), ask(500), ask(500));
        assert_eq!(crowd, (true, true, true, true));
        assert_eq!(probes.load(Ordering::Relaxed), 1);
        tokio::time::sleep(READINESS).await;
        // One that gets no answer in time is an answer for all, too.
        assert_eq!(tokio::join!(ask(5000), ask(5000)), (false, false));
        assert_eq!(probes.load(Ordering::Relaxed), 2);
        tokio::time::sleep(READINESS).await;
        assert!(ask(0).await);
    }
}
