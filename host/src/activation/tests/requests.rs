//! What an operator asks for.

use super::*;
use crate::activation::{NotSwapped, activate, put, roll_back_for_operator};
use crate::plugin_host::VehicleStats;

const POLICY: Slot = Slot::SamplingPolicy;

#[tokio::test]
async fn an_upload_serves_the_next_operation_and_outlives_the_process() {
    let home = Home::with_guests();
    let process = home.process().await;
    let before = process.app.plugins.pin();
    let upload = variant(&home.component(POLICY), 1);
    let swapped = put(&process.app, POLICY, upload.clone()).await.expect("fit");
    assert!(swapped.changed);
    assert_eq!((swapped.from.generation, swapped.to.generation), (1, 2));
    assert_eq!(before.identity(POLICY).generation, 1, "what is pinned does not change");
    assert_eq!(process.generation(POLICY), 2);
    let again = put(&process.app, POLICY, upload).await.expect("fit");
    assert!(!again.changed, "it serves already");
    let swaps = process.stop().await;
    assert_eq!(swaps.len(), 4);
    assert_eq!((&swaps[3]["way"], &swaps[3]["to"]["generation"]), (&"api".into(), &2.into()));

    let next = home.process().await;
    assert_eq!(next.digest(POLICY), swapped.to.digest);
    assert_eq!(next.stop().await.len(), 0, "the file in the inbox is no news");
}

#[tokio::test]
async fn a_pinned_plugin_goes_on_answering_when_another_one_serves() {
    let home = Home::with_guests();
    let process = home.process().await;
    let pinned = process.app.plugins.pin();
    put(&process.app, Slot::UsageTier, variant(&home.component(Slot::UsageTier), 1)).await.expect("fit");
    let stats = VehicleStats {
        total_trips: 101,
        total_miles: 1.0,
        account_age_days: 1,
        avg_kwh_per_mile: None,
        avg_gas_mpg: None,
    };
    for calls in 1..=3 {
        assert_eq!(pinned.classify(stats, 0).await.expect("a tier"), "many");
        assert_eq!(pinned.status(Slot::UsageTier).calls.calls, calls);
    }
    let pool = serde_json::json!(pinned.status(Slot::UsageTier).pool);
    assert_eq!((&pool["idle"], &pool["made"]), (&0.into(), &4.into()), "it keeps no instance: {pool}");
    process.stop().await;
}

#[tokio::test]
async fn a_refused_upload_leaves_the_slot_as_it_was_and_says_why() {
    let home = Home::with_guests();
    let process = home.process().await;
    let tier = home.component(Slot::UsageTier);
    match put(&process.app, POLICY, tier).await {
        Err(NotSwapped::Refused(refusal)) => {
            assert_eq!(refusal.problems[0], "missing export: volttracker:plugins/sampling@0.1.0");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(process.generation(POLICY), 1);
    assert_eq!(process.degraded(POLICY), None);
    let refusal = process.stop().await.pop().expect("a swap");
    assert_eq!((&refusal["swap"], &refusal["outcome"]), (&"refusal".into(), &"rejected".into()));
    assert_eq!(refusal["error"]["alert"], true);
    assert_eq!(refusal["problems"][0], "missing export: volttracker:plugins/sampling@0.1.0");
    assert_eq!(refusal["from"], refusal_side(&refusal));
}

/// What the event's own metadata say of the slot.
fn refusal_side(event: &Value) -> Value {
    event["service"]["plugins"]["sampling-policy"].clone()
}

#[tokio::test]
async fn a_rollback_brings_back_the_plugin_with_its_settings_and_goes_on_to_the_one_before() {
    let home = Home::with_guests();
    home.set("[sampling-policy.settings]\nrate = 0.25\n");
    let process = home.process().await;
    let digest = process.digest(POLICY);
    home.set("[sampling-policy.settings]\nrate = 0.75\n");
    put(&process.app, POLICY, variant(&home.component(POLICY), 1)).await.expect("fit");
    put(&process.app, POLICY, variant(&home.component(POLICY), 2)).await.expect("fit");

    let swapped = roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    assert_eq!((swapped.from.generation, swapped.to.generation), (3, 4));
    let swapped = roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    assert_eq!((swapped.to.generation, &swapped.to.digest), (5, &digest));
    let status = process.app.plugins.pin().status(POLICY);
    assert_eq!((&status.set["settings"]["rate"], status.way.as_str()), (&"0.25".into(), "rollback"));
    assert!(!status.compiled, "a return to an old digest compiles nothing");
    match roll_back_for_operator(&process.app, POLICY).await {
        Err(NotSwapped::Impossible(reason)) => {
            assert_eq!(reason, "the slot sampling-policy has no good predecessor to go back to");
        }
        other => panic!("{other:?}"),
    }
    let swaps = process.stop().await;
    let kinds: Vec<_> = swaps[5..].iter().map(|swap| swap["swap"].as_str().expect("a word")).collect();
    assert_eq!(kinds, ["rollback", "rollback", "refusal"]);
}

#[tokio::test]
async fn a_component_of_the_library_is_activated_by_the_first_digits_of_its_digest() {
    let home = Home::with_guests();
    let process = home.process().await;
    let first = process.digest(POLICY);
    put(&process.app, POLICY, variant(&home.component(POLICY), 1)).await.expect("fit");
    roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    let rolled_back = crate::plugin_host::sha256_hex(&variant(&home.component(POLICY), 1));

    // Who asks for it by name gets also what was rolled back.
    let swapped = activate(&process.app, POLICY, &rolled_back[..8]).await.expect("in the library");
    assert_eq!((&swapped.to.digest, swapped.to.generation), (&rolled_back, 4));
    let swapped = roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    assert_eq!(swapped.to.digest, first);
    for unknown in ["0123456789", "xyz", "abc", ""] {
        let refused = activate(&process.app, POLICY, unknown).await;
        assert!(matches!(refused, Err(NotSwapped::Impossible(_))), "{unknown}: {refused:?}");
    }
    process.stop().await;
}
