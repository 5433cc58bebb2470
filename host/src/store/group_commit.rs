//! One writer takes all that waits and commits it together: many uploads for
//! the price of one sync to disk. What a batch does is its [`Batch`]'s
//! business.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::StoreError;
use crate::histogram::{Distribution, Histogram};
use crate::supervision::guarded;

/// Items that wait for the writer: more than uploads may be under way, imports
/// included, so that
/// who has to come back learns it at the door, and nobody waits for a place here.
const QUEUE: usize = 4096;
/// The largest batch: what one commit may cost its neighbours in latency.
const LARGEST: usize = 512;
/// A batch that failed after this long was no hiccup: the next would fail so.
const LONG: Duration = Duration::from_secs(1);

/// Edges of the sizes of batches.
const SIZE_EDGES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, LARGEST as u64];

/// How items are committed together.
pub trait Batch: Send + 'static {
    /// What is committed.
    type Item: Send + Sync + 'static;
    /// What became of one item.
    type Outcome: Send + 'static;

    /// Commits the items in one transaction: outcomes in the order of the
    /// items, or nothing of it has happened.
    fn commit(
        &mut self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send;
}

/// What became of an item, and how it got there.
#[derive(Debug)]
pub struct Committed<T> {
    /// What [`Batch::commit`] says of it.
    pub outcome: T,
    /// Time in the queue.
    pub queued: Duration,
    /// Items in the batch.
    pub batch_size: usize,
    /// Whether a batch with it was rolled back first.
    pub retried: bool,
}

type Reply<T> = oneshot::Sender<Result<Committed<T>, StoreError>>;
type Answer<T> = oneshot::Receiver<Result<Committed<T>, StoreError>>;

struct Waiting<B: Batch> {
    item: B::Item,
    since: Instant,
    reply: Reply<B::Outcome>,
}

/// The front of the writer.
pub struct GroupCommit<B: Batch> {
    queue: Mutex<Option<mpsc::Sender<Waiting<B>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    sizes: Arc<Histogram>,
}

/// How much the writer has to do.
#[derive(Debug, Clone)]
pub struct WriterLoad {
    /// Items that wait for it.
    pub waiting: usize,
    /// Items of the batches that it committed or tried to.
    pub batch_sizes: Distribution,
}

impl<B: Batch> GroupCommit<B> {
    /// Starts the writer. Must be called on the runtime.
    pub fn start(batch: B) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let sizes = Arc::new(Histogram::new(SIZE_EDGES));
        let writer = tokio::spawn(write_all(batch, receiver, Arc::clone(&sizes)));
        Self { queue: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)), sizes }
    }

    /// How much the writer has to do. Once closed, nothing waits for it.
    pub fn load(&self) -> WriterLoad {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity());
        WriterLoad { waiting, batch_sizes: self.sizes.distribution() }
    }

    /// Commits `item` with whatever else waits; returns when that is durable.
    pub async fn submit(&self, item: B::Item) -> Result<Committed<B::Outcome>, StoreError> {
        self.enqueue(item).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// Commits items with whatever else waits; returns what became of each, in
    /// their order, when the last one is durable or refused.
    pub async fn submit_all(
        &self,
        items: impl IntoIterator<Item = B::Item>,
    ) -> Vec<Result<Committed<B::Outcome>, StoreError>> {
        let mut answers = Vec::new();
        for item in items {
            answers.push(self.enqueue(item).await);
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(match answer {
                Ok(answer) => answer.await.unwrap_or(Err(StoreError::Closed)),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn enqueue(&self, item: B::Item) -> Result<Answer<B::Outcome>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.lock().map_err(|_| StoreError::Closed)?.clone().ok_or(StoreError::Closed)?;
        queue.send(Waiting { item, since: Instant::now(), reply }).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// Takes nothing new, commits what waits, and ends the writer; what is
    /// not committed within `patience` is given up.
    pub async fn close(&self, patience: Duration) {
        let queue = self.queue.lock().ok().and_then(|mut queue| queue.take());
        drop(queue);
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        let Some(mut writer) = writer else { return };
        match tokio::time::timeout(patience, &mut writer).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the writer ended badly"),
            Err(_) => {
                tracing::warn!(
                    "the database did not take the last uploads in time; they are told to come back"
                );
                writer.abort();
            }
        }
    }
}

async fn write_all<B: Batch>(mut batch: B, mut queue: mpsc::Receiver<Waiting<B>>, sizes: Arc<Histogram>) {
    let mut waiting = Vec::with_capacity(LARGEST);
    while queue.recv_many(&mut waiting, LARGEST).await > 0 {
        sizes.observe(waiting.len() as u64);
        let started = tokio::time::Instant::now();
        let unwell = write(&mut batch, &mut waiting).await;
        if let Some(error) = unwell.filter(|_| started.elapsed() >= LONG) {
            // Who waited behind the batch would wait as long again.
            while let Ok(behind) = queue.try_recv() {
                behind.reply.send(Err(error.clone())).ok();
            }
        }
    }
}

/// Commits what waits and answers it; returns what the database is unwell
/// with, if it is.
async fn write<B: Batch>(batch: &mut B, waiting: &mut Vec<Waiting<B>>) -> Option<StoreError> {
    let started = Instant::now();
    let (items, others): (Vec<_>, Vec<_>) =
        waiting.drain(..).map(|one| (one.item, (one.since, one.reply))).unzip();
    match commit(batch, &items).await {
        Ok(outcomes) => {
            for (outcome, (since, reply)) in outcomes.into_iter().zip(others) {
                let queued = started.duration_since(since);
                // A client that is gone does not wait for its answer.
                reply.send(Ok(Committed { outcome, queued, batch_size: items.len(), retried: false })).ok();
            }
            None
        }
        Err(error) if items.len() > 1 && error.may_be_one_items_fault() => {
            tracing::warn!(%error, items = items.len(), "a batch was rolled back; its uploads are tried one by one");
            retry_one_by_one(batch, items, others).await
        }
        Err(error) => {
            tracing::error!(%error, items = items.len(), "a batch was not committed");
            for (_, reply) in others {
                reply.send(Err(error.clone())).ok();
            }
            Some(error).filter(|error| !error.may_be_one_items_fault())
        }
    }
}

/// A batch that panics fails; the writer goes on.
async fn commit<B: Batch>(batch: &mut B, items: &[B::Item]) -> Result<Vec<B::Outcome>, StoreError> {
    let committed = guarded("the writer", batch.commit(items)).await;
    committed.unwrap_or_else(|_| Err(StoreError::Unexpected("the batch panicked".to_owned())))
}

/// One item that the database refuses must not refuse its neighbours. Returns
/// what the database turned out to be unwell with, if it did.
async fn retry_one_by_one<B: Batch>(
    batch: &mut B,
    items: Vec<B::Item>,
    others: Vec<(Instant, Reply<B::Outcome>)>,
) -> Option<StoreError> {
    let mut unwell = None;
    for (item, (since, reply)) in items.into_iter().zip(others) {
        // Each further try would take the database's whole patience, and all
        // that waits behind it.
        if let Some(error) = &unwell {
            reply.send(Err(StoreError::clone(error))).ok();
            continue;
        }
        let queued = since.elapsed();
        let result = commit(batch, std::slice::from_ref(&item)).await.and_then(|outcomes| {
            let outcome = outcomes.into_iter().next();
            outcome.ok_or_else(|| StoreError::Unexpected("a batch of one had no outcome".to_owned()))
        });
        unwell = result.as_ref().err().filter(|error| !error.may_be_one_items_fault()).cloned();
        let result = result.map(|outcome| Committed { outcome, queued, batch_size: 1, retried: true });
        reply.send(result).ok();
    }
    unwell
}
