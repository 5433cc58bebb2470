//! The end of the store, and databases that are away for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::home::{homes, number, postgres, sqlite};
use super::model::*;
use crate::store::{Batch, GroupCommit, Record, StoreError};

#[tokio::test]
async fn closing_commits_what_waits_and_takes_nothing_more() {
    for home in homes().await {
        let store = home.open().await;
        let records = (0..700).map(|at_ms| Record::Reading(reading(1, 1, at_ms))).collect();
        // The puts are polled first, so all of them wait when the end begins.
        let (puts, ()) = tokio::join!(biased; put_together(&store, records), store.close());
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
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
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
