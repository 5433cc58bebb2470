//! Plugins beside those that serve.

use std::time::{Duration, Instant};

use super::*;
use crate::activation::{NotSwapped, begin_shadow, containment, discard, promote, put};
use crate::events::{Drained, FinalizationDetails, Outcome, UploadDetails, VehicleContext};
use crate::plugin_host::{ShadowStatus, VehicleStats};

const POLICY: Slot = Slot::SamplingPolicy;

fn rate(rate: &str) -> String {
    format!("[sampling-policy.settings]\nrate = {rate}\n")
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Process {
    fn upload(&self) {
        let stats = VehicleStats {
            total_trips: 7,
            total_miles: 1.0,
            account_age_days: 41,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        let mut event = self.app.events.open(self.app.plugins.pin(), UploadDetails::default());
        event.vehicle = Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() });
        event.finish(Outcome::Success);
    }

    async fn uploads(&self, count: u64) {
        (0..count).for_each(|_| self.upload());
        assert_eq!(self.app.events.drain(Instant::now() + PATIENCE).await, Drained::Fully);
    }

    fn shadow(&self, slot: Slot) -> Option<ShadowStatus> {
        self.app.plugins.pin().status(slot).shadow
    }

    /// Its counts, when all of that many questions are answered.
    async fn compared(&self, slot: Slot, questions: u64) -> [u64; 4] {
        let compared = || self.shadow(slot).map(|shadow| shadow.compared);
        let answered = |shadow: &ShadowStatus| shadow.compared.agreements + shadow.compared.disagreements;
        until("its answers", || self.shadow(slot).is_some_and(|shadow| answered(&shadow) == questions)).await;
        let counted = compared().expect("it runs");
        assert_eq!(counted.skipped, 0);
        [counted.agreements, counted.disagreements, counted.keeps_gained, counted.keeps_lost]
    }

    fn written(&self) -> Vec<Value> {
        self.written.lock().expect("no writer panicked").clone()
    }
}

#[tokio::test]
async fn a_policy_is_compared_by_what_the_same_coin_would_have_kept() {
    for (shadow_rate, same) in [("0.5", true), ("1", false), ("0", false)] {
        let home = Home::with_guests();
        let process = home.process().await;
        home.set(&rate(shadow_rate));
        let component = variant(&home.component(POLICY), 1);
        let begun = begin_shadow(&process.app, POLICY, component).await.expect("fit");
        assert_eq!((begun.beside.generation, begun.shadow.calls.calls), (1, 0));
        process.uploads(200).await;
        let totals = process.app.events.totals();
        let [agreements, disagreements, gained, lost] = process.compared(POLICY, 200).await;
        assert_eq!((agreements, disagreements), if same { (200, 0) } else { (0, 200) });
        // The swaps are kept, too: three of the start and the shadow's.
        let (kept, let_go) = (totals.kept - 4, totals.sampled_out);
        assert!(kept > 0 && let_go > 0, "{totals:?}");
        let expected = match shadow_rate {
            "1" => (let_go, 0),
            "0" => (0, kept),
            _ => (0, 0),
        };
        assert_eq!((gained, lost), expected, "at {shadow_rate}");
        process.stop().await;
    }
}

#[tokio::test]
async fn an_event_says_what_the_shadows_said_and_was_decided_without_them() {
    let home = Home::with_guests();
    home.set(&rate("1"));
    let process = home.process().await;
    home.set(&rate("0"));
    let policy = variant(&home.component(POLICY), 1);
    let policy = begin_shadow(&process.app, POLICY, policy).await.expect("fit").shadow.digest;
    let tier = variant(&home.component(Slot::UsageTier), 1);
    let tier = begin_shadow(&process.app, Slot::UsageTier, tier).await.expect("fit").shadow.digest;
    // However busy the machine is, some answers come in time.
    until("answers in time", || {
        process.upload();
        process.written().iter().any(|event| {
            let beside = &event["vehicle_context"]["shadow_tier"];
            event["sampling"]["shadow"].is_object() && beside.is_object()
        })
    })
    .await;
    for event in process.written().iter().filter(|event| event["operation"] == "telemetry_upload") {
        let sampling = &event["sampling"];
        assert_eq!((&sampling["probability"], &sampling["reason"]), (&1.0.into(), &"good".into()));
        if let Some(shadow) = sampling.get("shadow") {
            let said = serde_json::json!({"probability": 0.0, "reason": "good", "digest": policy});
            assert_eq!(shadow, &said);
        }
        assert_eq!(event["vehicle_context"]["usage_tier"], "few");
        if let Some(shadow) = event["vehicle_context"].get("shadow_tier") {
            assert_eq!(shadow, &serde_json::json!({"tier": "few", "digest": tier}));
        }
    }
    process.stop().await;
}

#[tokio::test]
async fn beside_another_plugin_it_is_compared_anew_and_beside_itself_not_at_all() {
    let home = Home::with_guests();
    let process = home.process().await;
    let (one, other) = (variant(&home.component(POLICY), 1), variant(&home.component(POLICY), 2));
    begin_shadow(&process.app, POLICY, one.clone()).await.expect("fit");
    process.uploads(3).await;
    assert_eq!(process.compared(POLICY, 3).await, [3, 0, 0, 0]);
    put(&process.app, POLICY, other).await.expect("fit");
    assert_eq!(process.compared(POLICY, 0).await, [0; 4]);
    assert_eq!(process.shadow(POLICY).expect("it runs on").calls.calls, 3);
    process.uploads(2).await;
    assert_eq!(process.compared(POLICY, 2).await, [2, 0, 0, 0]);
    put(&process.app, POLICY, one.clone()).await.expect("fit");
    assert!(process.shadow(POLICY).is_none());
    match begin_shadow(&process.app, POLICY, one).await {
        Err(NotSwapped::Impossible(reason)) => {
            assert_eq!(reason, "this plugin serves the slot sampling-policy already");
        }
        other => panic!("{other:?}"),
    }
    process.stop().await;
}

#[tokio::test]
async fn a_shadow_that_comes_to_serve_another_way_is_told_to_have_ended() {
    let home = Home::with_guests();
    let process = home.process().await;
    let component = variant(&home.component(POLICY), 1);
    begin_shadow(&process.app, POLICY, component.clone()).await.expect("fit");
    process.uploads(3).await;
    process.compared(POLICY, 3).await;
    put(&process.app, POLICY, component).await.expect("fit");
    let swaps = process.stop().await;
    let told: Vec<_> = swaps[3..].iter().map(|swap| (swap["swap"].as_str(), swap["way"].as_str())).collect();
    let expected = [("shadow", "shadow"), ("discard", "api"), ("activation", "api")];
    assert_eq!(told, expected.map(|(swap, way)| (Some(swap), Some(way))));
    assert_eq!(swaps[4]["technical_metrics"]["agreements"], 3);
    assert_eq!(swaps[4]["to"]["digest"], swaps[5]["to"]["digest"]);
}

#[tokio::test]
async fn a_promoted_shadow_serves_with_its_instances_and_outlives_the_process() {
    let home = Home::with_guests();
    let process = home.process().await;
    let component = variant(&home.component(POLICY), 1);
    let begun = begin_shadow(&process.app, POLICY, component).await.expect("fit");
    process.uploads(3).await;
    process.compared(POLICY, 3).await;
    let swapped = promote(&process.app, POLICY).await.expect("it is there");
    assert_eq!((swapped.to.generation, &swapped.to.digest), (2, &begun.shadow.digest));
    assert!(process.shadow(POLICY).is_none());
    process.uploads(3).await;
    let status = process.app.plugins.pin().status(POLICY);
    assert_eq!((status.calls.calls, status.way.as_str()), (3, "promotion"));
    // The three of the trial and of the comparison: none was made for the uploads.
    let pool = serde_json::json!(status.pool);
    assert!(pool["made"].as_u64().is_some_and(|made| made <= 2), "{pool}");
    assert!(matches!(promote(&process.app, POLICY).await, Err(NotSwapped::Unknown(_))));
    let swaps = process.stop().await;
    let told: Vec<_> = swaps[3..].iter().map(|swap| (&swap["swap"], &swap["way"])).collect();
    let expected = [("shadow", "shadow"), ("activation", "promotion")];
    assert_eq!(
        format!("{told:?}"),
        format!("{:?}", expected.map(|(swap, way)| (Value::from(swap), Value::from(way))))
    );

    let next = home.process().await;
    assert_eq!((next.generation(POLICY), next.digest(POLICY)), (2, begun.shadow.digest));
    next.stop().await;
}

#[tokio::test]
async fn a_discarded_shadow_is_asked_no_more_and_one_that_is_refused_never_was() {
    let home = Home::with_guests();
    let process = home.process().await;
    for number in [1, 2] {
        let component = variant(&home.component(POLICY), number);
        begin_shadow(&process.app, POLICY, component).await.expect("fit");
    }
    process.uploads(2).await;
    process.compared(POLICY, 2).await;
    let pinned = process.app.plugins.pin();
    let ended = discard(&process.app, POLICY).await.expect("it is there");
    assert_eq!(ended.shadow.compared.agreements, 2);
    until("its end", || {
        pinned.status(POLICY).shadow.is_some_and(|shadow| serde_json::json!(shadow.pool)["idle"] == 0)
    })
    .await;
    assert!(matches!(discard(&process.app, POLICY).await, Err(NotSwapped::Unknown(_))));
    // An event that began while it ran.
    process.app.events.open(pinned, UploadDetails::default()).finish(Outcome::Success);
    process.uploads(1).await;
    let tier = home.component(Slot::UsageTier);
    assert!(matches!(begin_shadow(&process.app, POLICY, tier).await, Err(NotSwapped::Refused(_))));
    let swaps = process.stop().await;
    let told: Vec<_> = swaps[3..].iter().map(|swap| (&swap["swap"], &swap["outcome"])).collect();
    let expected = [
        ("shadow", "success"),
        // The one that the second took the place of.
        ("discard", "success"),
        ("shadow", "success"),
        ("discard", "success"),
        ("refusal", "rejected"),
    ];
    let told: Vec<_> = told.iter().map(|(swap, outcome)| (swap.as_str(), outcome.as_str())).collect();
    assert_eq!(told, expected.map(|(swap, outcome)| (Some(swap), Some(outcome))));
    assert_eq!(swaps[6]["technical_metrics"]["agreements"], 2);
    assert_eq!(swaps[7]["way"], "shadow");
}

#[tokio::test]
async fn a_shadow_that_fails_again_and_again_is_withdrawn_and_the_slot_is_well() {
    let home = Home::with_guests();
    let process = home.process().await;
    let app = Arc::clone(&process.app);
    let contained = tokio::spawn(async move { containment::run(&app).await });
    home.set("[sampling-policy.settings]\nhabit = \"half-trapping\"\n");
    let component = variant(&home.component(POLICY), 1);
    begin_shadow(&process.app, POLICY, component).await.expect("fit");
    for _ in 0..5 {
        let details = FinalizationDetails::default();
        process.app.events.open(process.app.plugins.pin(), details).finish(Outcome::Success);
    }
    until("its event", || process.swaps().len() == 5).await;
    contained.abort();
    assert!(process.shadow(POLICY).is_none());
    assert_eq!((process.generation(POLICY), process.degraded(POLICY)), (1, None));
    process.app.events.drain(Instant::now() + PATIENCE).await;
    for event in process.written().iter().filter(|event| event["operation"] == "trip_finalization") {
        assert_eq!((event.get("error"), &event["sampling"]["reason"]), (None, &"good".into()));
        if let Some(shadow) = event["sampling"].get("shadow") {
            assert_eq!(shadow["error_code"], "E410");
        }
    }
    let withdrawal = process.stop().await.pop().expect("a swap");
    assert_eq!((&withdrawal["swap"], &withdrawal["way"]), (&"discard".into(), &"auto_discard".into()));
    assert_eq!((&withdrawal["success"], &withdrawal["error"]["code"]), (&true.into(), &"E410".into()));
}

#[tokio::test]
async fn a_shadow_that_sleeps_delays_no_event_for_long() {
    let home = Home::with_guests();
    home.set(&rate("1"));
    let process = home.process().await;
    home.set("[sampling-policy.settings]\nin_call = \"sleep\"\n");
    let text = std::fs::read_to_string(home.plugin_dir.path().join("plugins.toml")).expect("read");
    let patient = text.replacen("deadline_ms = 2000", "deadline_ms = 60000", 1);
    std::fs::write(home.plugin_dir.path().join("plugins.toml"), patient).expect("write");
    let component = variant(&home.component(POLICY), 1);
    begin_shadow(&process.app, POLICY, component).await.expect("fit");
    process.upload();
    // It sleeps for a minute; nothing here waits half of one.
    until("its event", || process.written().iter().any(|event| event["operation"] == "telemetry_upload"))
        .await;
    process.uploads(1000).await;
    assert_eq!(process.written().len(), 4 + 1 + 1000);
    let shadow = process.shadow(POLICY).expect("it runs");
    assert_eq!(shadow.calls.calls, 0);
    // One is asked, 512 wait, and the rest found no room.
    assert_eq!((shadow.compared.skipped, shadow.compared.late), (488, 513));
    discard(&process.app, POLICY).await.expect("an end in the middle of its sleep");
    process.stop().await;
}
