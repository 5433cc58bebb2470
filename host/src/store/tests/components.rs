//! Components of the plugin library: large ones, and what of them is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::home::{homes, number};
use super::model::*;
use super::plugins::{POLICY, activate, plugin, rejection};
use crate::store::{NewActivation, Store};

/// As large as a component may be by default.
const LARGE: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn uploads_go_on_while_a_large_component_is_kept() {
    for home in homes().await {
        let store = Arc::new(home.open().await);
        let bytes = vec![7; LARGE];
        let keeping = {
            let store = store.clone();
            tokio::spawn(async move {
                let large = NewActivation { bytes: &bytes, ..plugin(POLICY, "large", "s", 1) };
                store.activate_plugins(&[large]).await.unwrap();
            })
        };
        let (began, mut uploads, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while !keeping.is_finished() {
            let sent = Instant::now();
            keep(&store, reading(1, 1, uploads)).await;
            (uploads, longest) = (uploads + 1, longest.max(sent.elapsed()));
        }
        keeping.await.unwrap();
        let took = began.elapsed();
        println!("{:?}: {took:?}, {uploads} uploads meanwhile, the longest {longest:?}", home.engine);
        let kept = store.plugin_component(POLICY, "large").await.unwrap();
        assert_eq!(kept.map(|bytes| bytes.len()), Some(LARGE));
        assert!(uploads > 100, "{uploads} uploads in {took:?}, the longest {longest:?}");
        store.close(PATIENCE).await;
    }
}

/// Three parts.
async fn activate_large(store: &Store, digest: &str, at_ms: i64) -> Vec<u8> {
    let bytes: Vec<u8> = (0..600_000u32).map(|index| (index % 251) as u8).collect();
    let large = NewActivation { bytes: &bytes, ..plugin(POLICY, digest, "s", at_ms) };
    store.activate_plugins(&[large]).await.unwrap();
    bytes
}

const PARTS: &str = "SELECT COUNT(*) FROM plugin_parts";

#[tokio::test]
async fn parts_that_no_component_needs_go_when_nobody_can_be_about_to_need_them() {
    for home in homes().await {
        let store = home.open().await;
        activate_large(&store, "large", 1).await;
        for at_ms in 2..=21 {
            activate(&store, &format!("{at_ms:02}"), "s", at_ms).await;
        }
        assert_eq!(store.plugin_component(POLICY, "large").await.unwrap(), None);
        let now = Timestamp::now();
        store.prune_plugin_parts(now).await.unwrap();
        assert_eq!(number(&store, PARTS).await, 23, "somebody may be about to activate it");
        store.prune_plugin_parts(now + SignedDuration::from_hours(2)).await.unwrap();
        assert_eq!(number(&store, PARTS).await, 20);
        assert!(store.plugin_component(POLICY, "02").await.unwrap().is_some());
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn a_component_is_whole_whatever_an_attempt_left_that_ended_half_way() {
    for home in homes().await {
        let store = home.open().await;
        activate(&store, "old", "s", 1).await;
        let stranger = home.stranger().await;
        for part in 1..6i64 {
            sqlx::query("INSERT INTO plugin_parts VALUES ('sampling-policy', 'large', $1, 1, $2)")
                .bind(part)
                .bind(b"half a part".as_slice())
                .execute(&stranger)
                .await
                .unwrap();
        }
        stranger.close().await;
        assert_eq!(store.plugin_digests(POLICY, "la").await.unwrap(), Vec::<String>::new());
        let bytes = activate_large(&store, "large", 2).await;
        assert!(store.plugin_component(POLICY, "large").await.unwrap() == Some(bytes));
        assert_eq!(number(&store, PARTS).await, 4);
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn the_history_is_bounded_and_what_can_serve_again_stays_in_it() {
    for home in homes().await {
        let store = home.open().await;
        activate(&store, "good", "s", 1).await;
        activate(&store, "good", "other", 2).await;
        store.reject_plugin(&rejection("good", "other", "rolled_back", 3)).await.unwrap();
        activate(&store, "bad", "s", 4).await;
        store.reject_plugin(&rejection("bad", "s", "refused", 5)).await.unwrap();
        let mut newest = None;
        for at_ms in 6..1_106 {
            newest = Some(activate(&store, ["a", "b"][at_ms as usize % 2], "s", at_ms).await);
        }
        let newest = newest.unwrap();
        assert_eq!(newest.generation, 1_103, "generations are counted on");
        assert_eq!(number(&store, "SELECT COUNT(*) FROM plugin_activations").await, 1_001);
        let predecessors = store.predecessors(POLICY, &newest.identity(), 10).await.unwrap();
        let left: Vec<_> = predecessors.iter().map(|one| (one.digest.as_str(), one.generation)).collect();
        assert_eq!(left, [("a", 1_102), ("good", 1)]);
        assert!(store.was_active(POLICY, "good", "s").await.unwrap());
        assert_eq!(store.plugin_component(POLICY, "bad").await.unwrap(), None, "no row needs it");
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn components_of_an_older_receiver_are_there_after_an_update() {
    for home in homes().await {
        let stranger = home.stranger().await;
        let mut older = sqlx::migrate!();
        older.migrations.to_mut().retain(|migration| migration.version < 23);
        older.run(&stranger).await.unwrap();
        let bytes: Vec<u8> = (0..600_000u32).map(|index| (index % 251) as u8).collect();
        sqlx::query("INSERT INTO plugin_components VALUES ('sampling-policy', 'old', 1, $1)")
            .bind(&bytes)
            .execute(&stranger)
            .await
            .unwrap();
        stranger.close().await;

        let store = home.open().await;
        assert!(store.plugin_component(POLICY, "old").await.unwrap().as_ref() == Some(&bytes));
        let again = NewActivation { bytes: &bytes, ..plugin(POLICY, "old", "s", 2) };
        store.activate_plugins(&[again]).await.unwrap();
        assert_eq!(number(&store, PARTS).await, 1, "it is not brought again");
        store.close(PATIENCE).await;
    }
}
