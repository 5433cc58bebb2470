//! What a start begins with.

use super::*;
use crate::activation::start::checks_of;
use crate::plugin_host::{Candidate, PluginRuntime, PluginSettings};

#[tokio::test]
async fn a_first_start_activates_each_file_and_a_second_one_compiles_nothing() {
    let home = Home::with_guests();
    let first = home.process().await;
    let swaps = first.swaps();
    assert_eq!(swaps.len(), 3);
    for swap in &swaps {
        assert_eq!((&swap["swap"], &swap["way"]), (&"activation".into(), &"start".into()));
        assert_eq!((&swap["success"], &swap["compiled"]), (&true.into(), &true.into()));
        assert_eq!(swap["to"]["generation"], 1);
        assert!(swap["duration_ms"].as_f64() >= swap["performance_breakdown"]["compile_ms"].as_f64());
    }
    let before = first.app.plugins.pin();
    first.stop().await;

    let second = home.process().await;
    for slot in Slot::ALL {
        let status = second.app.plugins.pin().status(slot);
        assert_eq!(&status.identity, before.identity(slot));
        assert!(!status.compiled, "{slot} was compiled again");
        assert_eq!(status.degraded, None);
    }
    assert_eq!(second.stop().await, [] as [Value; 0], "nothing was swapped");
}

#[tokio::test]
async fn a_start_takes_what_came_while_nothing_ran() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    home.put(Slot::UsageTier, &variant(&home.component(Slot::UsageTier), 1));
    let process = home.process().await;
    assert_eq!(Slot::ALL.map(|slot| process.generation(slot)), [1, 2, 1]);
    let swaps = process.stop().await;
    assert_eq!(swaps.len(), 1);
    assert_eq!((&swaps[0]["slot"], &swaps[0]["from"]["generation"]), (&"usage-tier".into(), &1.into()));
}

#[tokio::test]
async fn an_unfit_file_means_the_last_good_plugin_degraded_and_is_told_at_each_start() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    home.put(Slot::UsageTier, b"tiers = [1, 20]\n");
    for tried in [true, false] {
        let process = home.process().await;
        assert_eq!(process.generation(Slot::UsageTier), 1);
        let reason = process.degraded(Slot::UsageTier).expect("degraded");
        assert!(reason.contains("is a text, not a component"), "{reason}");
        assert_eq!(process.degraded(Slot::SamplingPolicy), None);
        let swaps = process.stop().await;
        let [swap] = swaps.as_slice() else { panic!("{swaps:?}") };
        assert_eq!((&swap["swap"], &swap["error"]["code"]), (&"refusal".into(), &"E412".into()));
        assert_eq!(swap["service"]["plugins"]["usage-tier"]["degraded"], true);
        assert_eq!(swap["to"].get("digest").is_some(), tried, "{swap}");
        assert!(swap["problems"][0].as_str().is_some_and(|problem| problem.contains("is a text")), "{swap}");
    }
    // What serves badly is put there once more, and begins anew.
    let process = home.process().await;
    let serving = process.app.store.plugin_component(Slot::UsageTier, &process.digest(Slot::UsageTier)).await;
    let component = serving.expect("a library").expect("kept");
    let before = process.app.plugins.pin();
    crate::activation::put(&process.app, Slot::UsageTier, component).await.expect("fit");
    assert_eq!(process.degraded(Slot::UsageTier), None);
    let pool = serde_json::json!(before.status(Slot::UsageTier).pool);
    assert_eq!(pool["idle"], 0, "what it replaces keeps no instance");
    let renewal = process.stop().await.pop().expect("a swap");
    assert_eq!((&renewal["swap"], &renewal["from"]), (&"renewal".into(), &renewal["to"]));
}

#[tokio::test]
async fn settings_that_cannot_be_used_mean_the_last_good_ones() {
    let home = Home::with_guests();
    home.set("[sampling-policy.settings]\nrate = 0.25\n");
    home.process().await.stop().await;
    home.set("[sampling-policy.settings\n");
    let process = home.process().await;
    assert_eq!(process.app.plugins.pin().status(Slot::SamplingPolicy).set["settings"]["rate"], "0.25");
    assert!(Slot::ALL.into_iter().all(|slot| process.degraded(slot).is_some()));
    let swaps = process.stop().await;
    assert_eq!(swaps.len(), 1);
    assert_eq!(swaps[0].get("slot"), None);
    let problem = swaps[0]["problems"][0].as_str().expect("a problem");
    assert!(problem.contains("line 5"), "{problem}");
}

#[tokio::test]
async fn the_library_is_enough_to_start() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    for slot in Slot::ALL {
        std::fs::remove_file(home.file(slot)).expect("remove");
    }
    let process = home.process().await;
    assert_eq!(Slot::ALL.map(|slot| process.generation(slot)), [1, 1, 1]);
    assert_eq!(process.stop().await.len(), 0);
    // Without a folder nobody says that the settings are others.
    std::fs::remove_dir_all(home.plugin_dir.path()).expect("remove");
    let process = home.process().await;
    assert_eq!(Slot::ALL.map(|slot| process.generation(slot)), [1, 1, 1]);
    assert_eq!(process.app.plugins.pin().status(Slot::UsageTier).set["deadline_ms"], 2000);
    assert_eq!(process.stop().await.len(), 0);
}

#[tokio::test]
async fn a_file_that_was_refused_by_an_empty_library_is_tried_again() {
    let home = Home::with_guests();
    let tier = home.component(Slot::UsageTier);
    home.put(Slot::UsageTier, b"");
    for _ in 0..2 {
        let refused = first_process(&home).await;
        assert!(refused.contains("is empty"), "{refused}");
    }
    home.put(Slot::UsageTier, &tier);
    home.process().await.stop().await;
}

async fn first_process(home: &Home) -> String {
    match home.start(Arc::default(), pending()).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn where_the_library_has_an_unfit_plugin_its_predecessor_serves() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    home.put(Slot::UsageTier, &variant(&home.component(Slot::UsageTier), 1));
    let second = home.process().await;
    let database = second.app.store.engine().as_str();
    assert_eq!((database, second.generation(Slot::UsageTier)), ("sqlite", 2));
    second.stop().await;
    // As after an update of the receiver that takes no such component.
    let url = format!("sqlite://{}", home.data_dir.path().join("volttracker.db").display());
    let mut library = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.expect("a library");
    let (component, mut outdated) = (home.component(Slot::UsageTier), home.component(Slot::UsageTier));
    outdated[..8].copy_from_slice(b"outdated");
    sqlx::query("UPDATE plugin_parts SET bytes = $1 WHERE slot = 'usage-tier' AND digest = $2")
        .bind(outdated)
        .bind(crate::plugin_host::sha256_hex(&component))
        .execute(&mut library)
        .await
        .expect("an update");
    let third = home.process().await;
    assert_eq!(third.generation(Slot::UsageTier), 1);
    let reason = third.degraded(Slot::UsageTier).expect("degraded");
    assert!(reason.starts_with("generation 2 in the library: "), "{reason}");
    third.stop().await;
}

#[tokio::test]
async fn a_file_that_was_refused_before_a_crash_may_be_helped_by_settings_after_it() {
    const POLICY: Slot = Slot::SamplingPolicy;
    let home = Home::with_guests();
    let first = home.process().await;
    // A guest that says what it does when it is asked who it is.
    let (nothing, memory) = (b"in describe: nothing", b"in describe: memory ");
    let mut greedy = home.component(POLICY);
    let at = greedy.windows(nothing.len()).position(|bytes| bytes == nothing).expect("its habit");
    greedy[at..at + memory.len()].copy_from_slice(memory);
    let refused = crate::activation::put(&first.app, POLICY, greedy.clone()).await;
    assert!(refused.expect_err("it wants 256 MB").to_string().contains("exceeded its memory limit"));
    // It was killed before it noted that what it refused is the file.
    home.put(POLICY, &greedy);
    first.stop().await;

    let next = home.process().await;
    assert_eq!(next.generation(POLICY), 1);
    let settings =
        "[sampling-policy]\ndeadline_ms = 10000\nmemory_mb = 512\n[usage-tier]\ndeadline_ms = 2000\n";
    std::fs::write(home.plugin_dir.path().join("plugins.toml"), settings).expect("write");
    crate::activation::watcher::look(&next.app, crate::activation::Way::Watch, &Default::default()).await;
    assert_eq!((next.generation(POLICY), next.digest(POLICY)), (2, crate::plugin_host::sha256_hex(&greedy)));
    next.stop().await;
}

#[tokio::test]
async fn a_file_that_ends_each_process_that_checks_it_is_given_up() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    put_slow_one(&home);
    for times in 1..=3 {
        tokio::select! {
            started = home.start(Arc::default(), pending()) => panic!("it was checked: {:?}", started.err()),
            () = until_noted(&home, times) => {}
        }
    }
    let process = tokio::time::timeout(PATIENCE, home.process()).await.expect("nobody checks it");
    assert_eq!(process.generation(Slot::SamplingPolicy), 1);
    let reason = process.degraded(Slot::SamplingPolicy).expect("degraded");
    assert!(reason.contains("3 processes ended while it was checked"), "{reason}");
    assert!(!note(&home).exists(), "nothing is under its checks");
    process.stop().await;
}

#[tokio::test]
async fn a_planned_stop_ends_a_start_and_leaves_no_file_to_blame() {
    let home = Home::with_guests();
    home.process().await.stop().await;
    put_slow_one(&home);
    for _ in 1..=4 {
        let stop = async {
            // No process before it counts.
            until_noted(&home, 1).await;
            "SIGTERM"
        };
        let started = tokio::time::timeout(PATIENCE, home.start(Arc::default(), stop)).await;
        let started = started.expect("it does not wait for the checks").expect("a stop is no failure");
        assert!(started.is_none(), "it would serve");
        assert!(!note(&home).exists(), "nothing is under its checks");
    }
}

#[tokio::test]
async fn checks_that_nobody_waits_for_end() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path(), Compiling::InPlace).expect("a runtime");
    let home = Home::with_guests();
    let slot = Slot::UsageTier;
    let settings = PluginSettings::parse(PATIENT).expect("settings").of(slot).clone();
    let candidate = Candidate::new(slot, "a file", home.component(slot), settings).await;
    let compilers = Arc::clone(runtime.compilers());
    let _busy = Arc::clone(&compilers).acquire_many_owned(2).await.expect("compilers");
    let before = Arc::strong_count(&compilers);
    let checks = checks_of(runtime.clone(), candidate);
    assert_eq!(Arc::strong_count(&compilers), before + 1, "they want one");
    drop(checks);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while Arc::strong_count(&compilers) > before {
        assert!(tokio::time::Instant::now() < deadline, "they go on");
        tokio::task::yield_now().await;
    }
}

/// Puts a policy there that is under its checks for a minute.
fn put_slow_one(home: &Home) {
    let settings = "[usage-tier]\ndeadline_ms = 2000\n[sampling-policy]\ndeadline_ms = 60000\n\
        settings = { in_configure = \"sleep\" }\n";
    std::fs::write(home.plugin_dir.path().join("plugins.toml"), settings).expect("write");
    home.put(Slot::SamplingPolicy, &variant(&home.component(Slot::SamplingPolicy), 1));
}

/// Where it is noted what is under its checks.
fn note(home: &Home) -> PathBuf {
    home.data_dir.path().join("plugin-trials.json")
}

/// Waits until it is noted that they began for so many processes.
async fn until_noted(home: &Home, times: u32) {
    let begun = format!("\"begun\":{times}}}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !std::fs::read_to_string(note(home)).unwrap_or_default().contains(&begun) {
        assert!(tokio::time::Instant::now() < deadline, "its checks do not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
