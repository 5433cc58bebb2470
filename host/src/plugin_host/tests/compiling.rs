//! Compiling within bounds: how many at one time, how long somebody waits, and
//! what of it is kept.

use std::time::Duration;

use super::*;
use crate::plugin_host::{Candidate, PluginRuntime};

const PATIENCE: Duration = Duration::from_millis(50);

async fn candidate(slot: Slot, settings: &str) -> Candidate {
    let settings = PluginSettings::parse(settings).expect("settings").of(slot).clone();
    let bytes = std::fs::read(guest(slot)).expect("read");
    Candidate::new(slot, "a test", bytes, settings).await.expect("a digest")
}

fn files(cache: &TempDir) -> usize {
    std::fs::read_dir(cache.path()).expect("list").count()
}

#[tokio::test]
async fn who_waits_too_long_for_a_compiler_is_refused_for_now_and_code_that_is_there_waits_for_nobody() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path()).expect("a runtime");
    let patient = format!("[usage-tier]\n{PATIENT}\n");
    runtime.prepare(candidate(Slot::UsageTier, &patient).await).await.map(drop).expect("fit");

    let impatient = runtime.clone().with_patience(PATIENCE);
    let busy = runtime.compilers().clone().acquire_many_owned(2).await.expect("both compilers");
    impatient.prepare(candidate(Slot::UsageTier, &patient).await).await.map(drop).expect("compiled before");
    let calculator = candidate(Slot::TripCalculator, "").await;
    let refusal = impatient.prepare(calculator.clone()).await.map(drop).expect_err("nobody compiles it");
    assert!(refusal.is_for_now(), "{refusal}");
    assert_eq!(refusal.problems, ["is not compiled within 50ms: try it again later"]);
    drop(busy);
    let prepared = runtime.prepare(calculator).await.expect("fit");
    assert!(prepared.compiled());
    assert_eq!(runtime.compilers().available_permits(), 2);
}

#[tokio::test]
async fn code_of_a_refused_component_is_not_kept_unless_it_serves_with_other_settings() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path()).expect("a runtime");
    let fit = format!("[sampling-policy]\n{PATIENT}\n");
    let unfit = format!("{fit}settings = {{ rate = \"often\" }}\n");
    let policy = Slot::SamplingPolicy;
    let refusal = runtime.prepare(candidate(policy, &unfit).await).await.map(drop).expect_err("unfit");
    assert!(!refusal.is_for_now() && refusal.problems[0].contains("rate is `often`"), "{refusal}");
    assert_eq!(files(&cache), 0);
    let serving = runtime.prepare(candidate(policy, &fit).await).await.expect("fit");
    runtime.prepare(candidate(policy, &unfit).await).await.map(drop).expect_err("unfit");
    assert_eq!(files(&cache), 1);
    drop(serving);
}

#[tokio::test]
async fn a_component_that_two_want_is_compiled_once() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path()).expect("a runtime");
    let calculator = candidate(Slot::TripCalculator, "").await;
    let (one, other) = tokio::join!(runtime.prepare(calculator.clone()), runtime.prepare(calculator));
    let compiled = [one, other].map(|prepared| prepared.expect("fit").compiled());
    assert_ne!(compiled[0], compiled[1], "by one for both");
    assert_eq!(files(&cache), 1);
}
