//! What an operator asks for.

use sqlx::{AnyConnection, Connection as _};

use super::*;
use crate::activation::requests::{by_operator, uploaded};
use crate::activation::{NotSwapped, activate, begin_shadow_from_library, put, roll_back_for_operator};
use crate::plugin_host::{Purpose, VehicleStats, sha256_hex};

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
    assert_eq!(swaps.len(), 5);
    assert_eq!((&swaps[4]["swap"], &swaps[4]["from"]), (&"unchanged".into(), &swaps[4]["to"]));
    assert_eq!((&swaps[3]["way"], &swaps[3]["to"]["generation"]), (&"api".into(), &2.into()));

    let next = home.process().await;
    assert_eq!(next.digest(POLICY), swapped.to.digest);
    assert_eq!(next.stop().await.len(), 0, "the file in the inbox is no news");
}

#[tokio::test]
async fn settings_that_change_while_an_upload_is_checked_are_for_what_is_uploaded() {
    let home = Home::with_guests();
    let process = home.process().await;
    let upload = uploaded(&process.app, POLICY, variant(&home.component(POLICY), 1)).await;
    let digest = upload.as_ref().expect("a candidate").digest.clone();
    // The watch over the folder gives them to what serves now.
    home.set("[sampling-policy.settings]\nrate = 0.5\n");
    let swapped = by_operator(&process.app, POLICY, upload, Purpose::Ordinary).await.expect("fit");
    assert_eq!(swapped.from.generation, 1);
    let plugins = process.app.plugins.pin();
    assert_eq!((&plugins.identity(POLICY).digest, plugins.identity(POLICY)), (&digest, &swapped.to));
    assert_eq!(plugins.settings(POLICY).as_json()["settings"]["rate"], "0.5");
    process.stop().await;
}

#[tokio::test]
async fn a_pinned_plugin_goes_on_answering_when_another_one_serves() {
    let home = Home::with_guests();
    let process = home.process().await;
    let pinned = process.app.plugins.pin();
    put(&process.app, Slot::UsageTier, variant(&home.component(Slot::UsageTier), 1)).await.expect("fit");
    for calls in 1..=3 {
        let stats = VehicleStats {
            total_trips: 101,
            // Each time another vehicle: it is asked once of each.
            total_miles: calls as f64,
            account_age_days: 1,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        assert_eq!(&*pinned.classify(stats, 0).await.expect("a tier"), "many");
        assert_eq!(pinned.status(Slot::UsageTier).calls.calls, calls);
        // What one said is not taken for what the other would say.
        let serving = process.app.plugins.pin();
        assert_eq!(&*serving.classify(stats, 0).await.expect("a tier"), "many");
        assert_eq!(serving.status(Slot::UsageTier).calls.calls, calls);
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
    let settings = swapped.settings.expect("others than before");
    assert_eq!(settings["settings"]["rate"], "0.25");
    match roll_back_for_operator(&process.app, POLICY).await {
        Err(NotSwapped::Impossible(reason)) => {
            assert_eq!(reason, "the slot sampling-policy has no good predecessor to go back to");
        }
        other => panic!("{other:?}"),
    }
    let swaps = process.stop().await;
    let kinds: Vec<_> = swaps[5..].iter().map(|swap| swap["swap"].as_str().expect("a word")).collect();
    assert_eq!(kinds, ["rollback", "rollback", "refusal"]);
    assert_eq!(swaps[5].get("settings"), None, "it went back to the same");
    let told = swaps[6]["settings"].as_str().expect("the settings that it went back to");
    assert_eq!(told, r#"{"deadline_ms":2000,"settings":{"rate":"0.25"}}"#);
}

#[tokio::test]
async fn a_predecessor_that_is_late_once_is_not_lost_for_good() {
    let home = Home::with_guests();
    let process = home.process().await;
    put(&process.app, POLICY, variant(&home.component(POLICY), 1)).await.expect("fit");
    // As on a machine that is too busy for it.
    let late = r#"{"deadline_ms":50,"settings":{"in_configure":"sleep"}}"#;
    set_predecessor(&home, late).await;
    let refused = roll_back_for_operator(&process.app, POLICY).await;
    insta::assert_snapshot!(refused.expect_err("late"), @"the slot sampling-policy has no good predecessor to go back to: generation 1 in the library cannot be configured: it exceeded its deadline: no answer within 50 ms (deadline_ms in plugins.toml)");
    let told = &process.swaps()[4];
    assert_eq!((&told["swap"], &told["error"]["code"]), (&"refusal".into(), &"E411".into()));
    let rejections = process.app.store.plugin_rejections(POLICY, 10).await.expect("a library");
    assert!(rejections.is_empty(), "{rejections:?}");

    set_predecessor(&home, r#"{"deadline_ms":2000}"#).await;
    let swapped = roll_back_for_operator(&process.app, POLICY).await.expect("in time");
    assert_eq!(swapped.to.digest, sha256_hex(&home.component(POLICY)));
    process.stop().await;
}

/// Sets in the library what the first plugin was set to.
async fn set_predecessor(home: &Home, settings: &str) {
    let url = format!("sqlite://{}", home.data_dir.path().join("volttracker.db").display());
    let mut library = AnyConnection::connect(&url).await.expect("a library");
    let text = "UPDATE plugin_activations SET settings = $1, settings_digest = $2
        WHERE slot = 'sampling-policy' AND generation = 1";
    let query = sqlx::query(text).bind(settings).bind(sha256_hex(settings.as_bytes()));
    query.execute(&mut library).await.expect("an update");
}

#[tokio::test]
async fn a_refusal_has_the_code_of_its_cause() {
    let home = Home::with_guests();
    let process = home.process().await;
    for (habit, code) in [("panic", "E410"), ("sleep", "E411"), ("memory", "E413"), ("", "E412")] {
        let (deadline_ms, setting) = match habit {
            "sleep" => (50, "in_configure"),
            "" => (2000, "unknown"),
            _ => (2000, "in_configure"),
        };
        let settings = format!(
            "[sampling-policy]\ndeadline_ms = {deadline_ms}\nsettings = {{ {setting} = \"{habit}\" }}\n"
        );
        std::fs::write(home.plugin_dir.path().join("plugins.toml"), settings).expect("write");
        let refused = put(&process.app, POLICY, home.component(POLICY)).await;
        assert!(matches!(refused, Err(NotSwapped::Refused(_))), "{habit}: {refused:?}");
        let told = process.swaps().pop().expect("a swap");
        assert_eq!((&told["swap"], &told["outcome"]), (&"refusal".into(), &"rejected".into()));
        assert_eq!(told["error"]["code"], code, "{habit}");
        let rejections = process.app.store.plugin_rejections(POLICY, 10).await.expect("a library");
        assert!(rejections.iter().any(|rejection| rejection.code == code), "{habit}: {rejections:?}");
    }
    process.stop().await;
}

#[tokio::test]
async fn a_component_of_the_library_is_activated_by_the_first_digits_of_its_digest() {
    let home = Home::with_guests();
    let process = home.process().await;
    let first = process.digest(POLICY);
    put(&process.app, POLICY, variant(&home.component(POLICY), 1)).await.expect("fit");
    roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    let rolled_back = sha256_hex(&variant(&home.component(POLICY), 1));

    // Who asks for it by name gets also what was rolled back.
    let swapped = activate(&process.app, POLICY, &rolled_back[..8]).await.expect("in the library");
    assert_eq!((&swapped.to.digest, swapped.to.generation), (&rolled_back, 4));
    let swapped = roll_back_for_operator(&process.app, POLICY).await.expect("a predecessor");
    assert_eq!(swapped.to.digest, first);
    for unknown in ["0123456789", "xyz", "abc", ""] {
        let refused = activate(&process.app, POLICY, unknown).await;
        assert!(matches!(refused, Err(NotSwapped::Unknown(_))), "{unknown}: {refused:?}");
    }
    process.stop().await;
}

#[tokio::test]
async fn a_rollback_and_a_digest_of_the_library_wait_for_no_compiler_that_others_have() {
    let home = Home::with_guests();
    let process = home.process().await;
    let digests = Slot::ALL.map(|slot| (slot, process.digest(slot)));
    for (slot, _) in &digests {
        put(&process.app, *slot, variant(&home.component(*slot), 1)).await.expect("fit");
    }
    home.forget_code();
    let _busy = process.busy_compilers().await;
    let [(calculator, other), (tier, digest), (policy, first)] = &digests;
    let ways_back = async {
        let back = roll_back_for_operator(&process.app, *policy).await.expect("a predecessor");
        let activated = activate(&process.app, *tier, digest).await.expect("in the library");
        assert_eq!([&back.to.digest, &activated.to.digest], [first, digest]);
    };
    tokio::select! {
        begun = begin_shadow_from_library(&process.app, *calculator, other) => {
            panic!("a shadow is no way back: {begun:?}")
        }
        ended = tokio::time::timeout(PATIENCE, ways_back) => ended.expect("they wait for others"),
    }
    assert_eq!([policy, tier].map(|slot| process.app.plugins.pin().status(*slot).compiled), [true; 2]);
    process.stop().await;
}

#[tokio::test]
async fn what_this_host_still_serves_is_put_there_again_where_another_host_has_put_something_else() {
    let home = Home::with_guests();
    let process = home.process().await;
    let (serving, component) = (home.component(POLICY), variant(&home.component(POLICY), 1));
    process.other_host_activates(POLICY, &component).await;
    let swapped = put(&process.app, POLICY, serving.clone()).await.expect("fit");
    assert_eq!((swapped.to.generation, &swapped.to.digest), (3, &sha256_hex(&serving)));
    let newest = process.app.store.activations(POLICY, 1).await.expect("a library").remove(0);
    assert_eq!(newest.identity(), swapped.to, "no host follows the other one any more");
    process.stop().await;
}
