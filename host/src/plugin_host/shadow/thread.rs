//! Where a shadow computes: a thread of its own, so that it never holds one
//! that serves, and most of the time at rest, so that it leaves the processor
//! to those. What it computes is not known here.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::super::Slot;
use crate::supervision::guarded;

/// A question, its answer's comparison included.
pub(super) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Questions that wait. A policy's hold an event, a few KB each; a
/// calculator's a trip's readings, which are large.
const WAITING: usize = 512;
const WAITING_TRIPS: usize = 1;
/// Rests in proportion to work: a shadow takes at most a quarter of the time
/// of one processor.
const RESTS: u32 = 3;
/// Rests are saved up to this: shorter ones are not worth a timer.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// Starts the thread of a slot's shadow. It ends with `ended`, in the middle of
/// a call too, and when nobody can ask any more.
pub(super) fn start(slot: Slot, ended: watch::Receiver<bool>) -> std::io::Result<mpsc::Sender<Job>> {
    let room = if slot == Slot::TripCalculator { WAITING_TRIPS } else { WAITING };
    let (sender, jobs) = mpsc::channel(room);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("plugin-shadow".into())
        .spawn(move || runtime.block_on(work(jobs, ended)))?;
    Ok(sender)
}

async fn work(mut jobs: mpsc::Receiver<Job>, mut ended: watch::Receiver<bool>) {
    let over = ended.clone();
    let work = async {
        let mut rest = Duration::ZERO;
        while let Some(job) = jobs.recv().await {
            if *over.borrow() {
                return;
            }
            let started = Instant::now();
            // A panic is logged; who asked gets no answer, and the next one may.
            guarded("a shadow", job).await.ok();
            rest += started.elapsed() * RESTS;
            if rest >= SHORTEST_REST {
                tokio::time::sleep(std::mem::take(&mut rest)).await;
            }
        }
    };
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => {}
        () = work => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn job(work: impl Future<Output = ()> + Send + 'static) -> Job {
        Box::pin(work)
    }

    #[tokio::test]
    async fn what_finds_no_room_is_told_so_at_once() {
        let (_ended, ending) = watch::channel(false);
        let jobs = start(Slot::UsageTier, ending).expect("a thread");
        let (begun, begins) = oneshot::channel::<()>();
        let first = job(async move {
            begun.send(()).ok();
            std::future::pending::<()>().await;
        });
        assert!(jobs.try_send(first).is_ok());
        begins.await.expect("it begins");
        for _ in 0..WAITING {
            assert!(jobs.try_send(job(async {})).is_ok());
        }
        assert!(jobs.try_send(job(async {})).is_err());
    }

    #[tokio::test]
    async fn a_panic_ends_its_question_only() {
        let (_ended, ending) = watch::channel(false);
        let jobs = start(Slot::UsageTier, ending).expect("a thread");
        let (answered, answer) = oneshot::channel();
        assert!(jobs.try_send(job(async { panic!("in the middle of a call") })).is_ok());
        let next = job(async move {
            answered.send(()).ok();
        });
        assert!(jobs.try_send(next).is_ok());
        answer.await.expect("the thread goes on");
    }

    #[tokio::test]
    async fn an_end_comes_in_the_middle_of_a_call() {
        let (ended, ending) = watch::channel(false);
        let jobs = start(Slot::UsageTier, ending).expect("a thread");
        assert!(jobs.try_send(job(std::future::pending())).is_ok());
        ended.send_replace(true);
        tokio::time::timeout(Duration::from_secs(30), jobs.closed()).await.expect("it ends");
    }

    #[tokio::test]
    async fn most_of_the_time_is_rest() {
        const WORK: Duration = Duration::from_millis(20);
        let (_ended, ending) = watch::channel(false);
        let jobs = start(Slot::UsageTier, ending).expect("a thread");
        let began = Instant::now();
        for _ in 0..3 {
            assert!(jobs.try_send(job(async { std::thread::sleep(WORK) })).is_ok());
        }
        let (done, last) = oneshot::channel();
        let last_job = job(async move {
            done.send(()).ok();
        });
        assert!(jobs.try_send(last_job).is_ok());
        last.await.expect("it is done");
        assert!(began.elapsed() >= WORK * 3 * (1 + RESTS), "{:?}", began.elapsed());
    }
}
