//! The end of the store, and databases that are away for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::Row as _;
use tokio::sync::Notify;

use super::home::{homes, number, postgres, sqlite};
use super::model::*;
use crate::store::{Batch, GroupCommit, ReadingRow, Record, Store, StoreError};

#[tokio::test]
async fn closing_commits_what_waits_and_takes_nothing_more() {
    for home in homes().await {
        let store = home.open().await;
        let records = (0..700).map(|at_ms| Record::Reading(reading(1, 1, at_ms))).collect();
        // The puts are polled first, so all of them wait when the end begins.
        let (puts, ()) = tokio::join!(biased; put_together(&store, records), store.close(PATIENCE));
        assert!(puts.iter().all(Result::is_ok), "{:?}", home.engine);
        assert!(matches!(store.put(Record::Reading(reading(1, 1, 1))).await, Err(StoreError::Closed)));
        let store = home.open().await;
        assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 700);
    }
}

#[tokio::test]
async fn an_acknowledged_reading_is_there_after_the_store_is_dropped() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        drop(store);
        let store = home.open().await;
        assert!(keep(&store, reading(1, 1, 0)).await.duplicate, "{:?}", home.engine);
    }
}

#[tokio::test]
async fn a_locked_file_refuses_uploads_until_it_is_free_again() {
    let home = sqlite();
    let store = home.open().await;
    keep(&store, reading(1, 1, 0)).await;
    let stranger = home.stranger().await;
    let lock = stranger.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let records = vec![Record::Reading(reading(1, 1, 1000)); 2];
    for put in put_together(&store, records).await {
        assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    }
    let claimed = store.claim_stale(request("owner")).await;
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))), "{claimed:?}");
    lock.rollback().await.unwrap();
    assert!(!keep(&store, reading(1, 1, 1000)).await.duplicate, "nothing of what was refused was stored");
    assert_eq!(claim(&store, "owner").await.len(), 1);
}

#[tokio::test]
async fn a_file_without_room_refuses_uploads_until_there_is_some() {
    let home = sqlite();
    let store = home.open().await;
    keep(&store, reading(1, 1, 0)).await;
    // More than the pages have room for that migrations left free.
    let large = || {
        let unknown = format!("{{\"text\":\"{}\"}}", "x".repeat(200_000));
        Record::Reading(ReadingRow { unknown, ..reading(1, 1, 1000) })
    };
    for _ in 0..2 {
        limit_to_what_it_has(&store).await;
        assert!(keep(&store, reading(1, 1, 0)).await.duplicate, "what needs no room goes on");
        let refused = store.put(large()).await;
        assert!(matches!(refused, Err(StoreError::Exhausted(_))), "{refused:?}");
    }
    // The limit belonged to a connection that the refusal spoiled.
    assert!(!kept(store.put(large()).await.unwrap().stored).duplicate, "nothing of it was stored");
    assert_eq!(number(&store, "SELECT COUNT(*) FROM readings").await, 2);
}

/// Lets the writer's connection, its only one, add no page to the file.
async fn limit_to_what_it_has(store: &Store) {
    let mut transaction = store.writes.begin().await.unwrap();
    // SQLite makes the least possible of it.
    let pages = sqlx::query("PRAGMA max_page_count = 1").fetch_one(&mut *transaction).await.unwrap();
    assert!(pages.get::<i64, _>(0) > 1);
    transaction.commit().await.unwrap();
}

const END_OTHERS: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_server_that_hung_up_is_reached_again() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    keep(&store, reading(1, 1, 0)).await;
    let stranger = home.stranger().await;
    let ended: i64 = sqlx::query_scalar(END_OTHERS).fetch_one(&stranger).await.unwrap();
    assert!(ended > 0);
    assert!(!keep(&store, reading(1, 1, 1000)).await.created);
    assert_eq!(claim(&store, "owner").await.len(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_up_within_a_batch_keeps_nothing_of_it() {
    let Some(home) = postgres().await else { return };
    let store = home.open().await;
    let (lock, stranger) = (home.stranger().await, home.stranger().await);
    let mut locked = lock.begin().await.unwrap();
    sqlx::query("LOCK TABLE readings IN EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let hang_up = async {
        let waiting = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&stranger).await.unwrap() == 0 {
            assert!(tokio::time::Instant::now() < deadline, "the batch does not wait for the lock");
        }
    };
    let (put, ()) = tokio::join!(store.put(Record::Reading(reading(1, 1, 0))), hang_up);
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    locked.rollback().await.unwrap();
    assert!(keep(&store, reading(1, 1, 0)).await.created, "the trip was rolled back too");
}

/// Refuses batches for the sake of one item, and is gone then.
struct GoneAfterTheFirst(Arc<AtomicUsize>);

impl Batch for GoneAfterTheFirst {
    type Item = ();
    type Outcome = ();

    async fn commit(&mut self, _: &[()]) -> Result<Vec<()>, StoreError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StoreError::Constraint("one of them".to_owned())),
            _ => Err(StoreError::Unavailable("gone".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_database_that_goes_while_uploads_are_retried_is_not_asked_for_each_of_them() {
    let commits = Arc::new(AtomicUsize::new(0));
    let uploads = GroupCommit::start(GoneAfterTheFirst(commits.clone()));
    let (a, b, c) = tokio::join!(uploads.submit(()), uploads.submit(()), uploads.submit(()));
    for answer in [a, b, c] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(commits.load(Ordering::Relaxed), 2, "the batch, and one try");
}

/// A database that does not answer until it is told to, and fails then.
struct Hangs(Arc<Notify>);

impl Batch for Hangs {
    type Item = ();
    type Outcome = ();

    async fn commit(&mut self, _: &[()]) -> Result<Vec<()>, StoreError> {
        self.0.notified().await;
        Err(StoreError::Unavailable("gone".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_batch_that_failed_after_long_is_told_at_once() {
    let fails = Arc::new(Notify::new());
    let uploads = GroupCommit::start(Hangs(fails.clone()));
    let first = uploads.submit(());
    let behind = async {
        // The writer has taken the first by now.
        tokio::time::sleep(Duration::from_millis(1)).await;
        uploads.submit(()).await
    };
    let fail = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        // Once: the second is no batch of its own.
        fails.notify_one();
    };
    let (first, behind, ()) = tokio::join!(first, behind, fail);
    for answer in [first, behind] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_a_database_that_does_not_answer() {
    let uploads = GroupCommit::start(Hangs(Arc::new(Notify::new())));
    let (answer, ()) = tokio::join!(uploads.submit(()), async {
        tokio::task::yield_now().await;
        uploads.close(Duration::from_secs(2)).await;
    });
    assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
}
