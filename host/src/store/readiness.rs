//! Whether the store could take an upload now: asked by one for all who want
//! to know.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::StoreError;

/// How long a probe may take, and how long its answer holds. A probe waits for
/// the connection that uploads are written with: more of them would hold those
/// up.
const READINESS: Duration = Duration::from_secs(1);

/// The last answer, and when it came.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), StoreError>)>>);

impl Readiness {
    /// The answer of this probe, or that of the last one while it holds.
    pub(super) async fn ask(
        &self,
        probe: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < READINESS
        {
            return answer.clone();
        }
        let answer = tokio::time::timeout(READINESS, probe).await;
        let answer = answer.unwrap_or(Err(StoreError::TimedOut(READINESS)));
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
        let (readiness, probes) = (Readiness::default(), AtomicUsize::new(0));
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
