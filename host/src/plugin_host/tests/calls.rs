//! Calls of a policy: good ones, hostile ones, and what they leave behind.

use std::time::{Duration, Instant};

use super::super::pool::Pool;
use super::super::world::SamplingPolicy;
use super::super::{PluginError, PluginErrorKind, VehicleStats};
use super::*;

/// What the policy answers as its reason, or the error.
async fn reason(pool: &Pool<SamplingPolicy>, operation: &str) -> Result<String, PluginError> {
    let verdict = pool.decide(facts(operation), event(), AT_MS).await?;
    Ok(verdict.reason)
}

async fn kind(pool: &Pool<SamplingPolicy>, operation: &str) -> PluginErrorKind {
    let error = reason(pool, operation).await.expect_err(operation);
    error.kind
}

#[tokio::test]
async fn a_good_set_answers_and_says_who_it_is() {
    let host = host().await;
    let set = host.pin();

    let verdict = set.decide(facts("upload"), event(), AT_MS).await.expect("decide");
    assert_eq!((verdict.probability, verdict.reason.as_str()), (0.5, "good"));
    let stats = VehicleStats {
        total_trips: 101,
        total_miles: 1.0,
        account_age_days: 1,
        avg_kwh_per_mile: None,
        avg_gas_mpg: None,
    };
    assert_eq!(&*set.classify(stats, AT_MS).await.expect("classify"), "many");

    let identity = set.identity(Slot::SamplingPolicy);
    assert_eq!(identity.name, "wayward-policy");
    assert_eq!(identity.generation, 1);
    let file = std::fs::read(guest(Slot::SamplingPolicy)).expect("read");
    assert_eq!(identity.digest, super::super::sha256_hex(&file));
}

#[tokio::test]
async fn a_tier_is_asked_for_once_unless_it_depends_on_the_time() {
    let host = host().await;
    let set = host.pin();
    let asked = async |total_trips: u32| {
        let stats = VehicleStats {
            total_trips,
            total_miles: 1.0,
            account_age_days: 1,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        let before = set.status(Slot::UsageTier).calls.calls;
        for later_ms in 0..3 {
            set.classify(stats, AT_MS + later_ms).await.expect("a tier");
        }
        set.status(Slot::UsageTier).calls.calls - before
    };
    // Of few trips the guest looks at the clock.
    assert_eq!((asked(101).await, asked(102).await, asked(101).await, asked(5).await), (1, 1, 0, 3));
}

#[tokio::test]
async fn settings_reach_every_instance() {
    let active = policy("recycle_after = 1\nsettings = { rate = 0.25 }").await;
    for _ in 0..3 {
        let verdict = active.pool.decide(facts("x"), event(), AT_MS).await;
        assert_eq!(verdict.expect("decide").probability, 0.25);
    }
}

#[tokio::test]
async fn a_policy_reads_fields_of_the_event() {
    let active = policy(PATIENT).await;
    assert_eq!(reason(&active.pool, "event").await.expect("decide"), "e200");
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline_and_the_next_call_has_a_fresh_instance() {
    let active = policy("pool_size = 1").await;
    assert_eq!(reason(&active.pool, "calls").await.expect("decide"), "call_3");

    assert_eq!(kind(&active.pool, "loop").await, PluginErrorKind::DeadlineExceeded);
    assert_eq!(active.pool.idle_instances(), 0);

    assert_eq!(reason(&active.pool, "calls").await.expect("decide"), "call_1");
}

#[tokio::test]
async fn an_endless_loop_lets_other_tasks_run_meanwhile() {
    // One thread: were the loop to hold it, the sleep could not end first.
    let active = policy(PATIENT).await;
    let ended_first = tokio::select! {
        _ = reason(&active.pool, "loop") => "loop",
        () = tokio::time::sleep(Duration::from_millis(50)) => "sleep",
    };
    assert_eq!(ended_first, "sleep");
}

#[tokio::test]
async fn a_panic_is_a_trap_and_its_message_is_told() {
    let active = policy(PATIENT).await;
    let error = reason(&active.pool, "panic").await.expect_err("panic");
    assert_eq!(error.code(), "E410");
    assert!(error.message.contains("told to panic"), "{error}");
    assert_eq!(reason(&active.pool, "x").await.expect("decide"), "good");
}

#[tokio::test]
async fn printing_without_end_harms_nothing() {
    let active = policy(PATIENT).await;
    assert_eq!(reason(&active.pool, "print").await.expect("decide"), "printed");
}

#[tokio::test]
async fn a_plugin_sees_nothing_of_the_host() {
    let active = policy(PATIENT).await;
    assert_eq!(
        reason(&active.pool, "files").await.expect("decide"),
        "files_false_variables_0_arguments_0_network_false"
    );
}

#[tokio::test]
async fn the_clock_stands_at_the_time_of_the_call() {
    let active = policy(PATIENT).await;
    for at_ms in [AT_MS, AT_MS + 1] {
        let verdict = active.pool.decide(facts("clock"), event(), at_ms).await;
        assert_eq!(verdict.expect("decide").reason, format!("at_{at_ms}"));
    }
}

#[tokio::test]
async fn random_numbers_are_the_same_for_the_same_call() {
    let fresh = "deadline_ms = 400\nrecycle_after = 1";
    let (one, other) = (policy(fresh).await, policy(fresh).await);
    let first = reason(&one.pool, "random").await.expect("decide");
    assert_eq!(reason(&one.pool, "random").await.expect("decide"), first);
    assert_eq!(reason(&other.pool, "random").await.expect("decide"), first);
}

#[tokio::test]
async fn an_instance_is_replaced_after_its_calls() {
    let active = policy("deadline_ms = 400\nrecycle_after = 4\npool_size = 1").await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(reason(&active.pool, "calls").await.expect("decide"));
    }
    // The trial calls before publication are the first two.
    assert_eq!(seen, ["call_3", "call_4", "call_1", "call_2", "call_3", "call_4"]);
}

#[tokio::test]
async fn a_dropped_call_drops_its_instance() {
    let active = policy("deadline_ms = 5000\npool_size = 1").await;
    assert_eq!(active.pool.idle_instances(), 1);
    let dropped = tokio::time::timeout(Duration::from_millis(20), reason(&active.pool, "sleep"));
    assert!(dropped.await.is_err());
    assert_eq!(active.pool.idle_instances(), 0);
    assert_eq!(reason(&active.pool, "calls").await.expect("decide"), "call_1");
}

#[tokio::test]
async fn a_pooled_store_does_not_grow() {
    let active = policy("deadline_ms = 400\npool_size = 1").await;
    let before = active.pool.idle_handles();
    for _ in 0..100 {
        reason(&active.pool, "event").await.expect("decide");
    }
    assert_eq!(active.pool.idle_handles(), before);
}

#[tokio::test]
async fn no_more_instances_work_at_once_than_the_pool_has() {
    let active = policy("deadline_ms = 200\npool_size = 1").await;
    let (one, other) = tokio::join!(reason(&active.pool, "sleep"), reason(&active.pool, "sleep"));
    let codes = [one, other].map(|outcome| outcome.expect_err("late").code());
    assert_eq!(codes, ["E411", "E411"]);
    assert_eq!(reason(&active.pool, "x").await.expect("decide"), "good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_side_by_side_on_other_threads() {
    let host = host().await;
    let calls = (0..64).map(|_| {
        let set = host.pin();
        tokio::spawn(async move { set.decide(facts("x"), event(), AT_MS).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("decide");
    }
    assert!(host.pin().sampling_policy.pool.idle_instances() <= 8);
}

/// What a call costs with a pooled instance: `cargo test --release -- --ignored
/// --nocapture cost_of_a_call`.
#[tokio::test]
#[ignore = "a measurement, not a rule"]
async fn cost_of_a_call() {
    const CALLS: u32 = 200_000;
    let active = policy("recycle_after = 1000000").await;
    let event = event();
    let start = Instant::now();
    for _ in 0..CALLS {
        let decided = active.pool.decide(facts("event"), Arc::clone(&event), AT_MS);
        decided.await.expect("decide");
    }
    println!("{:?} a call", start.elapsed() / CALLS);
}
