//! What a look into PLUGIN_DIR brings.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::*;
use crate::activation::watcher::{self, look};
use crate::activation::{Way, put, roll_back_for_operator};

const POLICY: Slot = Slot::SamplingPolicy;

#[tokio::test]
async fn two_versions_go_back_and_forth() {
    let home = Home::with_guests();
    let process = home.process().await;
    let (one, other) = (home.component(POLICY), variant(&home.component(POLICY), 1));
    for generation in 2..6 {
        home.put(POLICY, if generation % 2 == 0 { &other } else { &one });
        look(&process.app, Way::Watch).await;
        assert_eq!(process.generation(POLICY), generation);
    }
    let swaps = process.stop().await;
    let compiled: Vec<_> = swaps[3..].iter().map(|swap| swap["compiled"] == true).collect();
    assert_eq!(compiled, [true, false, false, false]);
    assert!(swaps[3..].iter().all(|swap| swap["way"] == "watch"));
}

#[tokio::test]
async fn a_panic_while_the_folder_is_looked_at_is_told_and_what_is_new_is_taken_next_time() {
    let home = Home::with_guests();
    let process = home.process().await;
    process.app.activations.fault.arm(1);
    let hangup = signal(SignalKind::hangup()).expect("a signal");
    let app = Arc::clone(&process.app);
    let watching = tokio::spawn(async move { watcher::run(&app, hangup).await });
    home.put(POLICY, &variant(&home.component(POLICY), 1));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while process.generation(POLICY) != 2 || process.swaps().len() < 5 {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {:?}", process.swaps());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.app.stopping.send_replace(true);
    watching.await.expect("it ends with the process");
    let told = &process.swaps()[3];
    assert_eq!((&told["way"], &told["error"]["code"]), (&"watch".into(), &"E500".into()));
    assert_eq!(process.swaps()[4]["swap"], "activation");
    process.stop().await;
}

#[tokio::test]
async fn files_that_change_together_are_published_together() {
    let home = Home::with_guests();
    let process = home.process().await;
    for slot in Slot::ALL {
        home.put(slot, &variant(&home.component(slot), 1));
    }
    let (host, over) = (process.app.plugins.clone(), Arc::new(AtomicBool::new(false)));
    let watched = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut seen = std::collections::BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                let set = host.pin();
                seen.insert(Slot::ALL.map(|slot| set.identity(slot).generation));
            }
            seen
        })
    };
    look(&process.app, Way::Watch).await;
    over.store(true, Ordering::Relaxed);
    let seen = watched.join().expect("no panic");
    assert!(seen.is_subset(&[[1, 1, 1], [2, 2, 2]].into()), "{seen:?}");
    assert_eq!(Slot::ALL.map(|slot| process.generation(slot)), [2, 2, 2]);
    process.stop().await;
}

#[tokio::test]
async fn a_refused_file_is_tried_once_and_again_with_other_settings() {
    let home = Home::with_guests();
    let process = home.process().await;
    home.put(POLICY, &variant(&home.component(POLICY), 1));
    home.set("[sampling-policy.settings]\nrate = \"often\"\n");
    look(&process.app, Way::Watch).await;
    look(&process.app, Way::Sighup).await;
    // Written anew, and the same as before.
    home.put(POLICY, &home.component(POLICY));
    look(&process.app, Way::Watch).await;
    assert_eq!((process.generation(POLICY), process.swaps().len()), (1, 4));
    assert_eq!(process.swaps()[3]["problems"][0], "cannot be configured: rate is `often`; it takes 0 to 1");

    home.set("[sampling-policy.settings]\nrate = 0.5\n");
    look(&process.app, Way::Watch).await;
    assert_eq!(process.generation(POLICY), 2);
    let file = crate::plugin_host::sha256_hex(&home.component(POLICY));
    assert_eq!(process.digest(POLICY), file);
    process.stop().await;
}

#[tokio::test]
async fn changed_settings_are_for_the_plugin_that_serves() {
    let home = Home::with_guests();
    let process = home.process().await;
    let upload = variant(&home.component(POLICY), 1);
    let uploaded = put(&process.app, POLICY, upload).await.expect("fit").to;
    home.set("[sampling-policy.settings]\nrate = 0.125\n");
    look(&process.app, Way::Watch).await;
    let identity = process.app.plugins.pin().identity(POLICY).clone();
    assert_eq!((&identity.digest, identity.generation), (&uploaded.digest, 3));
    assert_ne!(identity.settings_digest, uploaded.settings_digest);
    assert_eq!(process.generation(Slot::UsageTier), 1, "its settings are the same");
    process.stop().await;
}

#[tokio::test]
async fn limits_are_settings_too() {
    let home = Home::with_guests();
    let process = home.process().await;
    home.set("[trip-calculator]\nmemory_mb = 8\n");
    look(&process.app, Way::Watch).await;
    assert_eq!(process.generation(Slot::TripCalculator), 2);
    assert_eq!(process.app.plugins.pin().status(Slot::TripCalculator).set["memory_mb"], 8);
    process.stop().await;
}

#[tokio::test]
async fn what_was_rolled_back_is_not_tried_again_also_after_a_restart() {
    let home = Home::with_guests();
    let (good, bad) = (home.component(POLICY), variant(&home.component(POLICY), 1));
    let process = home.process().await;
    home.put(POLICY, &bad);
    look(&process.app, Way::Watch).await;
    roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    look(&process.app, Way::Sighup).await;
    assert_eq!(process.generation(POLICY), 3);
    process.stop().await;

    let next = home.process().await;
    look(&next.app, Way::Watch).await;
    assert_eq!((next.generation(POLICY), next.degraded(POLICY)), (3, None));
    home.put(POLICY, &good);
    look(&next.app, Way::Watch).await;
    home.put(POLICY, &bad);
    look(&next.app, Way::Watch).await;
    assert_eq!((next.generation(POLICY), next.swaps().len()), (3, 0));
    next.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_once_and_change_nothing() {
    let home = Home::with_guests();
    let process = home.process().await;
    home.put(POLICY, &variant(&home.component(POLICY), 1));
    home.set("[sampling]\n");
    look(&process.app, Way::Watch).await;
    look(&process.app, Way::Watch).await;
    assert_eq!((process.generation(POLICY), process.swaps().len()), (1, 4));
    let told = &process.swaps()[3];
    assert_eq!((&told["swap"], &told["error"]["code"]), (&"refusal".into(), &"E412".into()));
    assert!(told["problems"][0].as_str().is_some_and(|problem| problem.contains("unknown field `sampling`")));

    home.set("");
    look(&process.app, Way::Watch).await;
    assert_eq!(process.generation(POLICY), 2, "the file waited for settings that can be used");
    process.stop().await;
}

#[tokio::test]
async fn a_file_that_is_too_large_or_gone_leaves_the_slot_as_it_was() {
    let home = Home::with_guests();
    home.set("component_mb = 1\n");
    let process = home.process().await;
    home.put(Slot::UsageTier, &vec![0; (1 << 20) + 1]);
    look(&process.app, Way::Watch).await;
    let told = process.swaps().pop().expect("a swap");
    assert!(
        told["problems"][0].as_str().is_some_and(|problem| problem.starts_with("is 2 MB, more than 1 MB"))
    );
    std::fs::remove_file(home.file(Slot::UsageTier)).expect("remove");
    look(&process.app, Way::Watch).await;
    assert_eq!((process.generation(Slot::UsageTier), process.swaps().len()), (1, 4));
    process.stop().await;
}
