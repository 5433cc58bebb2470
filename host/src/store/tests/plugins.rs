//! The plugin library: generations, predecessors, rejections, what is kept.

use super::home::{Home, homes};
use super::model::PATIENCE;
use crate::plugin_host::Slot;
use crate::store::{Activated, Activation, NewActivation, Rejection, Store};

pub(super) const POLICY: Slot = Slot::SamplingPolicy;

pub(super) fn plugin<'a>(slot: Slot, digest: &'a str, settings: &'a str, at_ms: i64) -> NewActivation<'a> {
    NewActivation {
        slot,
        bytes: digest.as_bytes(),
        digest,
        settings_digest: settings,
        settings: "{}",
        name: "a plugin",
        version: "1.0.0",
        way: "watch",
        activated_ms: at_ms,
        follows: None,
    }
}

pub(super) async fn activate(store: &Store, digest: &str, settings: &str, at_ms: i64) -> Activation {
    all(store.activate_plugins(&[plugin(POLICY, digest, settings, at_ms)]).await.unwrap()).pop().unwrap()
}

fn all(activated: Activated) -> Vec<Activation> {
    match activated {
        Activated::All(activations) => activations,
        other => panic!("{other:?}"),
    }
}

pub(super) fn rejection(digest: &str, settings: &str, verdict: &str, at_ms: i64) -> Rejection {
    Rejection {
        slot: POLICY,
        digest: digest.to_owned(),
        settings_digest: settings.to_owned(),
        verdict: verdict.to_owned(),
        code: "E412".to_owned(),
        reason: "a\0reason".to_owned(),
        rejected_ms: at_ms,
    }
}

async fn digests(store: &Store, of: &Activation) -> Vec<String> {
    let predecessors = store.predecessors(POLICY, &of.identity(), 10).await.unwrap();
    predecessors.into_iter().map(|activation| activation.digest).collect()
}

#[tokio::test]
async fn each_slot_counts_its_activations_and_the_same_one_again_is_none() {
    for home in homes().await {
        let store = home.open().await;
        let both = [plugin(POLICY, "a", "s", 1), plugin(Slot::UsageTier, "t", "s", 1)];
        let generations = |activations: Vec<Activation>| -> Vec<u64> {
            activations.iter().map(|activation| activation.generation).collect()
        };
        assert_eq!(generations(all(store.activate_plugins(&both).await.unwrap())), [1, 1]);
        assert_eq!(activate(&store, "a", "s", 2).await.activated_ms, 1, "it serves already");
        assert_eq!(activate(&store, "a", "other", 3).await.generation, 2);
        assert_eq!(activate(&store, "a", "s", 4).await.generation, 3);
        store.close(PATIENCE).await;

        let store = home.open().await;
        let newest = store.activations(POLICY, 2).await.unwrap();
        assert_eq!(generations(newest), [3, 2]);
        let bytes = store.plugin_component(Slot::UsageTier, "t").await.unwrap();
        assert_eq!(bytes.as_deref(), Some(b"t".as_slice()));
        assert_eq!(store.plugin_component(POLICY, "t").await.unwrap(), None);
        assert!(store.was_active(POLICY, "a", "other").await.unwrap());
        assert!(!store.was_active(Slot::UsageTier, "a", "other").await.unwrap());
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn predecessors_are_other_good_plugins_each_once_newest_first() {
    for home in homes().await {
        let store = home.open().await;
        for (at_ms, digest) in (1..).zip(["a", "b", "a", "c", "b"]) {
            activate(&store, digest, "s", at_ms).await;
        }
        let current = activate(&store, "d", "s", 6).await;
        assert_eq!(digests(&store, &current).await, ["b", "c", "a"]);
        store.reject_plugin(&rejection("b", "s", "refused", 7)).await.unwrap();
        assert_eq!(digests(&store, &current).await, ["c", "a"]);

        // A rollback rejects what it leaves, and what it brings back is good.
        let back = plugin(POLICY, "c", "s", 8);
        let leaves = rejection("d", "s", "rolled_back", 8);
        let current = all(store.activate_instead(&back, &leaves).await.unwrap()).pop().unwrap();
        assert_eq!(current.generation, 7);
        assert_eq!(digests(&store, &current).await, ["a"]);
        let rejected = store.plugin_rejection(POLICY, "d", "s").await.unwrap().unwrap();
        assert_eq!((rejected.verdict.as_str(), rejected.reason.as_str()), ("rolled_back", "a reason"));
        activate(&store, "d", "s", 9).await;
        assert_eq!(store.plugin_rejection(POLICY, "d", "s").await.unwrap(), None, "somebody wants it");
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn a_rollback_does_not_undo_what_another_host_put_there() {
    for home in homes().await {
        let [here, there] = opened(&home).await;
        activate(&here, "good", "s", 1).await;
        activate(&here, "bad", "s", 2).await;
        activate(&there, "mended", "s", 3).await;
        let (back, leaves) = (plugin(POLICY, "good", "s", 4), rejection("bad", "s", "rolled_back", 4));
        let overtaken = here.activate_instead(&back, &leaves).await.unwrap();
        assert!(matches!(overtaken, Activated::Overtaken(POLICY)), "{overtaken:?}");
        let newest = here.activations(POLICY, 1).await.unwrap().pop().unwrap();
        assert_eq!((newest.digest.as_str(), newest.generation), ("mended", 3));
        assert_eq!(here.plugin_rejection(POLICY, "bad", "s").await.unwrap(), None, "nothing happened");

        // Two hosts that roll back at one time go back once.
        let (back, leaves) = (plugin(POLICY, "good", "s", 5), rejection("mended", "s", "rolled_back", 5));
        for store in [&here, &there] {
            let back = all(store.activate_instead(&back, &leaves).await.unwrap()).pop().unwrap();
            assert_eq!((back.digest.as_str(), back.generation), ("good", 4));
        }
        for store in [here, there] {
            store.close(PATIENCE).await;
        }
    }
}

#[tokio::test]
async fn what_was_meant_to_follow_another_plugin_activates_nothing() {
    for home in homes().await {
        let [here, there] = opened(&home).await;
        activate(&here, "first", "s", 1).await;
        let tier = plugin(Slot::UsageTier, "t", "s", 3);
        let set = |follows| NewActivation { follows: Some(follows), ..plugin(POLICY, "first", "new", 3) };
        activate(&there, "mended", "s", 2).await;
        let overtaken = here.activate_plugins(&[tier, set(1)]).await.unwrap();
        assert!(matches!(overtaken, Activated::Overtaken(POLICY)), "{overtaken:?}");
        assert!(here.activations(Slot::UsageTier, 1).await.unwrap().is_empty(), "all or none");
        assert_eq!(here.activations(POLICY, 1).await.unwrap()[0].digest, "mended");
        assert_eq!(all(here.activate_plugins(&[tier, set(2)]).await.unwrap())[1].generation, 3);
        for store in [here, there] {
            store.close(PATIENCE).await;
        }
    }
}

#[tokio::test]
async fn a_slot_keeps_the_components_that_it_served_last() {
    for home in homes().await {
        let store = home.open().await;
        activate(&store, "feed", "s", 0).await;
        let mut newest = None;
        for at_ms in 1..=25 {
            newest = Some(activate(&store, &format!("{at_ms:02}"), "s", at_ms).await);
            activate(&store, "feed", "s", at_ms).await;
        }
        let kept = digests(&store, &newest.unwrap()).await;
        assert_eq!(kept[..3], ["feed", "24", "23"]);
        assert_eq!(store.plugin_component(POLICY, "06").await.unwrap(), None);
        assert!(store.plugin_component(POLICY, "07").await.unwrap().is_some());
        assert_eq!(store.plugin_digests(POLICY, "0").await.unwrap(), ["07", "08"]);
        assert_eq!(store.plugin_digests(POLICY, "fe").await.unwrap(), ["feed"]);
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn the_latest_rejections_are_remembered() {
    for home in homes().await {
        let store = home.open().await;
        for at_ms in 0..205 {
            store.reject_plugin(&rejection(&at_ms.to_string(), "s", "refused", at_ms)).await.unwrap();
        }
        let rejections = store.plugin_rejections(POLICY, 1000).await.unwrap();
        assert_eq!((rejections.len(), rejections[0].digest.as_str()), (200, "204"));
        store.close(PATIENCE).await;
    }
}

#[tokio::test]
async fn hosts_that_activate_at_one_time_get_one_history() {
    for home in homes().await {
        let stores = opened(&home).await;
        let mut tasks = tokio::task::JoinSet::new();
        for (host, store) in stores.iter().cloned().enumerate() {
            tasks.spawn(async move {
                for round in 0..30 {
                    activate(&store, &format!("{host} {round}"), "s", 1).await;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let history = stores[0].activations(POLICY, 100).await.unwrap();
        let generations: Vec<u64> = history.iter().rev().map(|activation| activation.generation).collect();
        assert_eq!(generations, (1..=60).collect::<Vec<_>>());
        for store in stores {
            store.close(PATIENCE).await;
        }
    }
}

/// Two hosts, or two users of one file.
async fn opened(home: &Home) -> [std::sync::Arc<Store>; 2] {
    [home.open().await.into(), home.open().await.into()]
}
