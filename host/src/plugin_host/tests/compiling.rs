//! Who waits for a compiler, and what of its code is kept.

use std::time::Duration;

use super::*;
use crate::plugin_host::{Candidate, PluginRuntime, Purpose};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

async fn candidate(slot: Slot, settings: &str) -> Candidate {
    let settings = PluginSettings::parse(settings).expect("settings").of(slot).clone();
    let bytes = std::fs::read(guest(slot)).expect("read");
    Candidate::new(slot, "a test", bytes, settings).await.expect("a digest")
}

fn files(cache: &TempDir) -> usize {
    std::fs::read_dir(cache.path()).expect("list").count()
}

#[tokio::test]
async fn code_that_is_there_waits_for_no_compiler() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path(), Compiling::InPlace).expect("a runtime");
    let patient = format!("[usage-tier]\n{PATIENT}\n");
    runtime
        .prepare(candidate(Slot::UsageTier, &patient).await, Purpose::Ordinary)
        .await
        .map(drop)
        .expect("fit");

    let busy = runtime.compilers().clone().acquire_many_owned(2).await.expect("both compilers");
    runtime
        .prepare(candidate(Slot::UsageTier, &patient).await, Purpose::Ordinary)
        .await
        .map(drop)
        .expect("compiled before");
    let calculator = candidate(Slot::TripCalculator, "").await;
    let waiting = {
        let (runtime, calculator) = (runtime.clone(), calculator.clone());
        tokio::spawn(async move { runtime.prepare(calculator, Purpose::Ordinary).await.map(drop) })
    };
    drop(busy);
    waiting.await.expect("no panic").expect("fit");
    assert_eq!(runtime.compilers().available_permits(), 2);
}

#[tokio::test]
async fn a_way_back_waits_for_no_compiler_that_others_have_and_for_nobody_who_wants_the_same() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path(), Compiling::InPlace).expect("a runtime");
    let _busy = runtime.compilers().clone().acquire_many_owned(2).await.expect("both compilers");
    let patient = candidate(Slot::UsageTier, &format!("[usage-tier]\n{PATIENT}\n")).await;
    // Asked first, so it has the turn.
    let ordinary = runtime.prepare(patient.clone(), Purpose::Ordinary);
    let way_back = runtime.prepare(patient, Purpose::WayBack);
    let both = async { tokio::join!(ordinary, way_back) };
    let (ordinary, way_back) = tokio::time::timeout(LONG, both).await.expect("it waits for others");
    let compiled = [ordinary, way_back].map(|prepared| prepared.expect("fit").compiled());
    assert_eq!(compiled, [true, false], "by the first for both");
}

#[tokio::test]
async fn code_of_a_refused_component_is_not_kept_unless_it_serves_with_other_settings() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path(), Compiling::InPlace).expect("a runtime");
    let fit = format!("[sampling-policy]\n{PATIENT}\n");
    let unfit = format!("{fit}settings = {{ rate = \"often\" }}\n");
    let policy = Slot::SamplingPolicy;
    let refusal = runtime
        .prepare(candidate(policy, &unfit).await, Purpose::Ordinary)
        .await
        .map(drop)
        .expect_err("unfit");
    assert!(!refusal.is_for_now() && refusal.problems[0].contains("rate is `often`"), "{refusal}");
    assert_eq!(files(&cache), 0);
    let serving = runtime.prepare(candidate(policy, &fit).await, Purpose::Ordinary).await.expect("fit");
    runtime.prepare(candidate(policy, &unfit).await, Purpose::Ordinary).await.map(drop).expect_err("unfit");
    assert_eq!(files(&cache), 1);
    drop(serving);
}

#[tokio::test]
async fn a_component_that_two_want_is_compiled_once() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let runtime = PluginRuntime::start(cache.path(), Compiling::InPlace).expect("a runtime");
    let calculator = candidate(Slot::TripCalculator, "").await;
    let (one, other) = tokio::join!(
        runtime.prepare(calculator.clone(), Purpose::Ordinary),
        runtime.prepare(calculator, Purpose::Ordinary)
    );
    let compiled = [one, other].map(|prepared| prepared.expect("fit").compiled());
    assert_ne!(compiled[0], compiled[1], "by one for both");
    assert_eq!(files(&cache), 1);
}
