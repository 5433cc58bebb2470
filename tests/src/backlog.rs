//! Points that are uploaded as the app does: each again and again until it is
//! acknowledged. What the points are, and what becomes of them, belongs
//! elsewhere.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::phone::{self, Answer};

/// Pause of a connection whose point was refused, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(20);

/// One point of a phone's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The time of its reading, which no other point has: epoch milliseconds.
    pub time_ms: i64,
    /// The query of its upload.
    pub query: String,
}

/// An answer that came to its end.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What the request called itself.
    pub request_id: String,
    /// The point's time.
    pub time_ms: i64,
    /// The answer.
    pub answer: Answer,
}

/// What is still to be sent, and the answers so far. Cheap to clone.
#[derive(Clone, Default)]
pub struct Backlog(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiting: Mutex<VecDeque<Point>>,
    answered: Mutex<Vec<Answered>>,
    acknowledged: watch::Sender<usize>,
    attempts: AtomicUsize,
}

impl Backlog {
    /// Adds points to be sent after those that wait.
    pub fn add(&self, points: impl IntoIterator<Item = Point>) {
        lock(&self.0.waiting).extend(points);
    }

    /// How many points are not acknowledged, while nobody sends.
    pub fn len(&self) -> usize {
        lock(&self.0.waiting).len()
    }

    /// Whether every point is acknowledged, while nobody sends.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All answers so far.
    pub fn answered(&self) -> Vec<Answered> {
        lock(&self.0.answered).clone()
    }

    /// Uploads over that many connections at a time until every point is
    /// acknowledged or the server is gone; what is not acknowledged waits on.
    pub async fn send(&self, address: SocketAddr, connections: usize) {
        self.upload(address, connections, usize::MAX).await;
    }

    /// Uploads each point that waits now once, however it is answered.
    pub async fn send_once(&self, address: SocketAddr, connections: usize) {
        self.upload(address, connections, self.len()).await;
    }

    async fn upload(&self, address: SocketAddr, connections: usize, attempts: usize) {
        let left = Arc::new(Mutex::new(attempts));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let (backlog, left) = (self.clone(), left.clone());
            tasks.spawn(async move {
                while let Some(point) = backlog.next(&left) {
                    if !backlog.upload_one(address, point).await {
                        return;
                    }
                }
            });
        }
        // A task that panicked is a fault of this file, and has said so.
        while tasks.join_next().await.is_some() {}
    }

    fn next(&self, left: &Mutex<usize>) -> Option<Point> {
        let mut left = lock(left);
        *left = left.checked_sub(1)?;
        lock(&self.0.waiting).pop_front()
    }

    /// Whether the server still answers.
    async fn upload_one(&self, address: SocketAddr, point: Point) -> bool {
        let number = self.0.attempts.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("{}-{number}", point.time_ms);
        let target = format!("/torque/upload?{}", point.query);
        let answer = phone::get(address, &target, &[("x-request-id", &request_id)]).await;
        let Ok(answer) = answer else {
            lock(&self.0.waiting).push_back(point);
            return false;
        };
        let acknowledged = answer.is_ok();
        let answered = Answered { request_id, time_ms: point.time_ms, answer };
        lock(&self.0.answered).push(answered);
        if acknowledged {
            self.0.acknowledged.send_modify(|acknowledged| *acknowledged += 1);
        } else {
            lock(&self.0.waiting).push_back(point);
            tokio::time::sleep(PAUSE).await;
        }
        true
    }

    /// How many uploads had no answer, while nobody sends.
    pub fn unanswered(&self) -> usize {
        self.0.attempts.load(Ordering::Relaxed) - lock(&self.0.answered).len()
    }

    /// How many points are acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        *self.0.acknowledged.borrow()
    }

    /// Waits until that many points are acknowledged in all.
    ///
    /// # Errors
    /// They are not within `patience`.
    pub async fn wait_for_acknowledged(&self, count: usize, patience: Duration) -> anyhow::Result<()> {
        let mut acknowledged = self.0.acknowledged.subscribe();
        let waited = tokio::time::timeout(patience, acknowledged.wait_for(|now| *now >= count)).await;
        waited.with_context(|| format!("{} of {count} points acknowledged", self.acknowledged()))??;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
