//! What every connection of a store is told, and who may use which.

use sqlx::AnyPool;

use super::home::homes;
use super::model::*;
use crate::store::{Engine, Record};

/// What each connection of a pool answers, as many as it may have at one time.
async fn ask_each(pool: &AnyPool, question: &'static str) -> Vec<String> {
    let most = pool.options().get_max_connections();
    let mut held = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..most {
        let mut connection = pool.acquire().await.unwrap();
        answers.push(sqlx::query_scalar(question).fetch_one(&mut *connection).await.unwrap());
        held.push(connection);
    }
    answers
}

#[tokio::test]
async fn every_connection_makes_its_commits_durable() {
    for home in homes().await {
        let store = home.open().await;
        let (questions, expected): (&[_], &[_]) = match home.engine {
            // 2 is FULL.
            Engine::Sqlite => (
                &[
                    "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
                    "SELECT journal_mode FROM pragma_journal_mode",
                ],
                &["2", "wal"],
            ),
            Engine::Postgres => (&["SHOW synchronous_commit"], &["on"]),
        };
        for (question, expected) in questions.iter().zip(expected) {
            for (pool, connections) in [(&store.pool, 8), (&store.writes.pool, 1)] {
                let answers = ask_each(pool, question).await;
                assert!(answers.len() >= connections, "{:?}: {} connections", home.engine, answers.len());
                assert!(answers.iter().all(|answer| answer == expected), "{question}: {answers:?}");
            }
        }
    }
}

#[tokio::test]
async fn reads_that_take_long_keep_no_write_waiting() {
    for home in homes().await {
        let store = home.open().await;
        let mut reads = Vec::new();
        for _ in 0..store.pool.options().get_max_connections() {
            reads.push(store.pool.acquire().await.unwrap());
        }
        let puts = async { store.put(Record::Reading(reading(1, 1, 0))).await.unwrap() };
        let put = tokio::time::timeout(PATIENCE / 2, puts).await;
        assert!(put.is_ok(), "{:?}: the write waited for the reads", home.engine);
        assert!(store.ping().await.is_ok());
    }
}
