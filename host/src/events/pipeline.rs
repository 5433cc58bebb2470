//! From a finished event to those who decide on it: event tasks behind bounded
//! queues, off the operation's path. What they decide lives in `decision`.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::decision::Decider;
use super::ledger::{Counts, Totals};
use super::names::Reason;
use super::record::Record;
use super::sink::Sinks;
use super::taxonomy::Failure;
use super::waiting::{Verdict, Waiting};
use crate::config::Config;
use crate::identity::IdentityKey;
use crate::live::{ChargerQuestion, Live};
use crate::plugin_host::{Shadowed, Summary};
#[cfg(test)]
use crate::supervision::PanicPoint;
use crate::supervision::caught;

/// Event tasks, one for each processor: at least so many that one that waits for
/// a slow policy leaves another free, and fewer than a policy usually has instances.
const TASKS: RangeInclusive<usize> = 2..=4;
/// Finished events that wait for one task.
pub(super) const QUEUE: usize = 4096;
/// So many that wait are worth waking their task.
const HANDFUL: usize = 64;
/// Events that a task takes before others on its thread have their turn.
const MOST_AT_ONCE: usize = 64;
/// Events are not urgent: a task lets some gather, so that it is woken for each
/// handful and not for each event.
const PAUSE: Duration = Duration::from_millis(5);

/// Whether a drain got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything is with the sinks.
    Fully,
    /// Time ran out first.
    TimedOut,
}

pub(super) struct Pipeline {
    decider: Arc<Decider>,
    tasks: Box<[EventTask]>,
}

/// An event task, for those who have events for it.
struct EventTask {
    queue: mpsc::Sender<Job>,
    /// Rung when it need not let more gather.
    enough: Arc<Notify>,
}

/// A finished event, and what somebody beside the policy is asked about it.
pub(super) struct Finished {
    pub(super) record: Box<Record>,
    /// The trip that a shadow is asked about.
    pub(super) trip: Option<Box<Shadowed<Summary>>>,
    /// Whether charging started with it.
    pub(super) charger: Option<Box<ChargerQuestion>>,
}

enum Job {
    Event(Finished),
    Flush(oneshot::Sender<()>),
}

impl Pipeline {
    pub(super) fn start(config: &Config, key: IdentityKey, sinks: Sinks) -> Self {
        let decider = Arc::new(Decider::new(config, key, sinks));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let tasks = processors.clamp(*TASKS.start(), *TASKS.end());
        let tasks = (0..tasks).map(|_| EventTask::start(decider.clone())).collect();
        Self { decider, tasks }
    }

    /// Takes an event that has just ended. Never blocks: with full queues the event is
    /// kept without asking the policy.
    pub(super) fn hand_over(
        &self,
        mut record: Box<Record>,
        trip: Option<Box<Shadowed<Summary>>>,
        ended: Instant,
    ) {
        self.decider.ledger.received();
        // What goes wrong here must not take the event along: it tells of it.
        let followed = caught("the end of an event", || {
            // Most events are let go, and nobody reads them: those that are kept are
            // cleaned when they are written. What waits must not be large.
            if record.is_long() {
                record.clean(&self.decider.key);
            }
            self.decider.follow_trip(&record, ended).map(Box::new)
        });
        let charger = followed.unwrap_or_else(|panicked| {
            record.note(Failure::from(panicked));
            None
        });
        if record.operation.always_kept() {
            return self.decider.emit(record, Verdict::always(Reason::ALWAYS_KEPT), None);
        }
        let finished = Finished { record, trip, charger };
        let first = place_of_this_thread();
        let mut job = Job::Event(finished);
        for offset in 0..self.tasks.len() {
            match self.tasks[(first + offset) % self.tasks.len()].take(job) {
                Ok(()) => return,
                Err(back) => job = back,
            }
        }
        if let Job::Event(finished) = job {
            self.decider.emit(finished.record, Verdict::always(Reason::POLICY_OVERLOAD), None);
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.decider.ledger.counts
    }

    /// Events that wait, by event task.
    pub(super) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.tasks.iter().map(EventTask::waiting)
    }

    pub(super) fn totals(&self) -> Totals {
        self.decider.ledger.totals()
    }

    pub(super) fn sinks(&self) -> &Sinks {
        &self.decider.sinks
    }

    #[cfg(test)]
    pub(super) fn fault(&self) -> &PanicPoint {
        &self.decider.fault
    }

    pub(super) fn live(&self) -> &Live {
        &self.decider.live
    }

    /// Waits for all events that were handed over. After half of the time
    /// nobody is asked any more: what is left is kept.
    pub(super) async fn drain(&self, by: Instant) -> Drained {
        let flush = async {
            for task in &self.tasks {
                let (done, flushed) = oneshot::channel();
                if task.queue.send(Job::Flush(done)).await.is_ok() {
                    task.enough.notify_one();
                    // A task that ended has nothing left to flush.
                    flushed.await.ok();
                }
            }
        };
        let half = by.saturating_duration_since(Instant::now()) / 2;
        let hurry = async {
            tokio::time::sleep(half).await;
            self.decider.hurry();
            std::future::pending().await
        };
        tokio::select! {
            flushed = tokio::time::timeout_at(by.into(), flush) => match flushed {
                Ok(()) => Drained::Fully,
                Err(_) => Drained::TimedOut,
            },
            never = hurry => never,
        }
    }
}

impl EventTask {
    fn start(decider: Arc<Decider>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let enough = Arc::new(Notify::new());
        tokio::spawn(work(decider, jobs, enough.clone()));
        Self { queue, enough }
    }

    /// Events that wait.
    fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Lets a job wait for the task; gives it back where there is no room.
    fn take(&self, job: Job) -> Result<(), Job> {
        self.queue.try_send(job).map_err(mpsc::error::TrySendError::into_inner)?;
        // Who is woken from a thread of the runtime runs there next: events are
        // decided where they were made, with their memory at hand.
        if self.waiting() == HANDFUL {
            self.enough.notify_one();
        }
        Ok(())
    }
}

/// Events of one thread go to one task.
fn place_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    PLACE.with(|place| *place)
}

async fn work(decider: Arc<Decider>, mut queue: mpsc::Receiver<Job>, enough: Arc<Notify>) {
    let mut jobs = Vec::with_capacity(MOST_AT_ONCE);
    let mut waiting = Waiting::default();
    loop {
        let taking = queue.recv_many(&mut jobs, MOST_AT_ONCE);
        let over = if waiting.is_empty() {
            taking.await == 0
        } else {
            // What waits must not wait for the next event.
            tokio::time::timeout(PAUSE, taking).await == Ok(0)
        };
        if over {
            return waiting.end(&decider).await;
        }
        for job in jobs.drain(..) {
            match job {
                Job::Event(event) => {
                    waiting.extend(pin!(decider.process(event)).await);
                    waiting.look(&decider);
                }
                Job::Flush(done) => {
                    waiting.end(&decider).await;
                    // Nobody may be waiting any more; then nobody minds.
                    done.send(()).ok();
                }
            }
        }
        if queue.len() < HANDFUL {
            // Ended early or not, more have gathered.
            tokio::time::timeout(PAUSE, enough.notified()).await.ok();
        } else {
            tokio::task::yield_now().await;
        }
        waiting.look(&decider);
    }
}
