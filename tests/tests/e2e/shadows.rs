//! Plugins beside those that serve, in a running receiver: asked, compared,
//! promoted, discarded; and whatever they do, nothing else changes.

use std::collections::BTreeMap;

use anyhow::Context as _;
use e2e::{Inbox, Server, Settings, built, guest, variant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::plugins::{ADMIN, Answer, admin, plugin_command, plugin_command_as};
use crate::volt::{Phone, now_ms};

const POLICY: &str = "sampling-policy";

/// Years before any test: an account older than 30 days.
const LONG_AGO_MS: i64 = 1_600_000_000_000;

fn settings(inbox: &Inbox) -> Settings {
    Settings::default().set("PLUGIN_DIR", inbox.path()).set("ADMIN_TOKEN", ADMIN)
}

async fn begin(server: &Server, slot: &str, component: Vec<u8>) -> anyhow::Result<Answer> {
    admin(server, Method::PUT, &format!("{slot}/shadow"), component).await
}

async fn shadow(server: &Server, slot: &str) -> anyhow::Result<Value> {
    Ok(server.api("/api/plugins").await?["plugins"][slot]["shadow"].clone())
}

/// Uploads until an event fulfils the condition: however busy the machine is,
/// some answers of a shadow come in time.
async fn upload_until(
    server: &Server,
    phone: &Phone,
    condition: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    for number in 0..1000 {
        assert!(server.upload(&phone.reading(now_ms() + number, "kc=900")).await?.is_ok());
        let uploads = server.wait_for_operation("telemetry_upload", usize::try_from(number)? + 1).await?;
        if let Some(event) = uploads.into_iter().find(|event| condition(event)) {
            return Ok(event);
        }
    }
    anyhow::bail!("no event is as it should be: {:?}", server.events().last())
}

#[tokio::test]
async fn an_operator_compares_a_policy_and_promotes_it() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(settings(&inbox)).await?;
    let file = inbox.path().join("candidate");
    std::fs::write(&file, guest("guest-wayward-policy")?)?;
    let file = file.to_str().context("a path")?;
    let told = plugin_command(&server, &["shadow", "--slot", POLICY, file]).await?;
    assert!(told.starts_with("sampling-policy: wayward-policy 0.1.0 ("), "{told}");
    assert!(told.contains(") runs beside sampling-policy "), "{told}");
    let begun = begin(&server, "usage-tier", guest("guest-plain-tier")?).await?;
    assert_eq!((begun.status, &begun.body["beside"]["generation"]), (200, &json!(1)), "{begun:?}");

    let phone = Phone::new(1, now_ms());
    let event = upload_until(&server, &phone, |event| {
        event["sampling"]["shadow"].is_object() && event["vehicle_context"]["shadow_tier"].is_object()
    })
    .await?;
    let running = shadow(&server, POLICY).await?;
    assert_eq!(
        event["sampling"]["shadow"],
        json!({"probability": 0.5, "reason": "good", "digest": running["digest"]})
    );
    assert_eq!(event["sampling"]["policy"], "sampling-policy");
    assert_eq!(event["vehicle_context"]["shadow_tier"]["tier"], "few");
    assert_ne!(event["vehicle_context"]["usage_tier"], "few");
    assert!(running["disagreements"].as_u64() > Some(0) && running["calls"]["p99_us"].as_f64() > Some(0.0));
    let listed = plugin_command(&server, &["list"]).await?;
    assert!(listed.contains("  shadow: wayward-policy 0.1.0 ("), "{listed}");

    let told = plugin_command(&server, &["discard", "--slot", "usage-tier"]).await?;
    assert!(told.starts_with("usage-tier: plain-tier 0.1.0 (") && told.contains("runs no more"), "{told}");
    let told = plugin_command(&server, &["promote", "--slot", POLICY]).await?;
    assert!(told.contains("generation 2) instead of sampling-policy"), "{told}");
    let refused = plugin_command(&server, &["promote", "--slot", POLICY]).await.expect_err("none is left");
    assert!(refused.to_string().contains("nothing runs beside the plugin in the slot"), "{refused}");
    // It keeps one trip in two: one in a million runs has none of these.
    for number in 2..22 {
        let start_ms = now_ms() + i64::from(number);
        assert!(server.upload(&Phone::new(number, start_ms).reading(start_ms, "kc=900")).await?.is_ok());
    }

    // From the library, by its digest.
    let digest = built_digest(&server).await?;
    let told = plugin_command(&server, &["shadow", "--slot", POLICY, &digest[..10]]).await?;
    assert!(told.contains("runs beside wayward-policy 0.1.0"), "{told}");
    let mut next = {
        let stopped = server.stop().await?;
        let promoted: Vec<_> =
            stopped.iter().filter(|event| event["sampling"]["policy"] == "wayward-policy").collect();
        assert!(!promoted.is_empty(), "it decides");
        let swaps = stopped.iter().filter(|event| event["operation"] == "plugin_swap");
        let ways: Vec<_> = swaps.map(|swap| format!("{} {}", swap["swap"], swap["way"])).collect();
        let expected = [
            r#""shadow" "shadow""#,
            r#""shadow" "shadow""#,
            r#""discard" "shadow""#,
            r#""activation" "promotion""#,
            r#""shadow" "shadow""#,
        ];
        assert_eq!(ways[3..], expected);
        Server::start(settings(&inbox).data_of(&server)).await?
    };
    assert_eq!(shadow(&next, POLICY).await?, Value::Null, "it does not outlive the process");
    let serving = next.api("/api/plugins").await?["plugins"][POLICY].clone();
    assert_eq!((&serving["name"], &serving["way"]), (&json!("wayward-policy"), &json!("promotion")));
    next.stop().await?;
    Ok(())
}

/// The digest of what served the policy's slot before.
async fn built_digest(server: &Server) -> anyhow::Result<String> {
    let listed = server.api("/api/plugins").await?;
    let digest = listed["plugins"][POLICY]["predecessors"][0]["digest"].as_str().context("a digest")?;
    Ok(digest.to_owned())
}

#[tokio::test]
async fn only_an_administrator_begins_a_shadow_and_an_unfit_one_is_refused() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(settings(&inbox).set("TORQUE_API_TOKEN", "a read token")).await?;
    let url = format!("http://{}/api/plugins/{POLICY}/shadow", server.address());
    let client = e2e::http_client()?;
    for request in [
        client.put(&url).body("a component"),
        client.put(&url).bearer_auth("a read token").body("a component"),
        client.post(format!("{url}/0123456789")),
        client.post(format!("{url}/promote")).bearer_auth("a read token"),
        client.delete(&url),
    ] {
        let refused: Value = request.send().await?.json().await?;
        assert_eq!(refused["code"], "E001", "{refused}");
    }
    let refused = begin(&server, POLICY, built("usage-tier")?).await?;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("E412")));
    assert_eq!(refused.body["problems"][0], "missing export: volttracker:plugins/sampling@0.1.0");
    for (method, path) in [(Method::DELETE, "shadow"), (Method::POST, "shadow/promote")] {
        let refused = admin(&server, method, &format!("{POLICY}/{path}"), vec![]).await?;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("E004")), "{refused:?}");
    }
    let refused = begin(&server, POLICY, built(POLICY)?).await?;
    assert_eq!(refused.body["detail"], "this plugin serves the slot sampling-policy already");

    // A read needs no more than the read token.
    let listed = plugin_command_as(&server, ("TORQUE_API_TOKEN", "a read token"), &["list"]).await?;
    assert!(listed.starts_with("sampling-policy: "), "{listed}");
    let wrong = plugin_command_as(&server, ("TORQUE_API_TOKEN", "another"), &["list"]).await;
    assert!(wrong.expect_err("refused").to_string().contains("(E001)"));
    let events = server.stop().await?;
    let refusals: Vec<_> = events.iter().filter(|event| event["swap"] == "refusal").collect();
    assert!(refusals.iter().all(|refusal| refusal["way"] == "shadow"), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_trip_keeps_the_figures_of_what_serves_and_its_event_has_those_of_the_shadow() -> anyhow::Result<()>
{
    let inbox = Inbox::fresh()?;
    let mut server = Server::start(settings(&inbox).set("TRIP_TIMEOUT_SECONDS", "1")).await?;
    assert_eq!(begin(&server, "trip-calculator", guest("guest-plain-calculator")?).await?.status, 200);
    let start_ms = now_ms() - 3_600_000;
    for number in 1..=20 {
        let phone = Phone::new(number, start_ms);
        for point in phone.drive(start_ms, 0..20) {
            assert!(server.upload(&point.query).await?.is_ok());
        }
        let ends = server.wait_for_operation("trip_finalization", number as usize).await?;
        // On a busy machine a trip may end before its last upload, and again after it.
        let whole = |event: &&Value| {
            event["business_metrics"]["telemetry_points"] == 20 && event["shadow"].is_object()
        };
        let Some(event) = ends.iter().find(whole) else { continue };
        let (beside, digest) = (&event["shadow"], &shadow(&server, "trip-calculator").await?["digest"]);
        assert_eq!((&beside["digest"], &beside["gas_mode_entered"]), (digest, &json!(false)), "{event}");
        assert!(beside["distance_miles"].as_f64() > Some(0.0) && beside.get("electric_miles").is_none());
        assert_eq!((&event["success"], &event["gas_mode_entered"]), (&json!(true), &json!(true)), "{event}");
        let trips = server.trips().await?;
        let trip = trips.iter().find(|trip| trip["trip_id"] == event["trip_id"]).context("the trip")?;
        assert_eq!(trip["summary"]["electric_miles"], event["electric_miles"], "{trip}");
        assert_eq!(trip["calculator"]["name"], "trip-calculator");
        let running = shadow(&server, "trip-calculator").await?;
        assert!(running["disagreements"].as_u64() > Some(0), "{running}");
        server.stop().await?;
        return Ok(());
    }
    anyhow::bail!("no event has the shadow's figures: {:?}", server.events().last())
}

/// What shadows may do in a call.
const HABITS: [&str; 6] = ["loop", "sleep", "panic", "memory", "nan", "huge_answer"];

#[tokio::test]
async fn whatever_shadows_do_uploads_trips_and_decisions_are_as_without_them() -> anyhow::Result<()> {
    let undisturbed = told(&run_with(&[]).await?);
    let events = run_with(&HABITS).await?;
    assert_eq!(told(&events), undisturbed);
    assert!(undisturbed.values().sum::<usize>() > 20, "{undisturbed:?}");
    let withdrawn = events.iter().filter(|event| event["way"] == "auto_discard" && event["slot"] == POLICY);
    let codes: Vec<_> = withdrawn.filter_map(|event| event["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["E411", "E411", "E410", "E413", "E414", "E414"]);
    Ok(())
}

/// The same uploads, with shadows of these habits one after the other in the
/// policy's slot, and sleeping and trapping ones in the others.
async fn run_with(habits: &[&str]) -> anyhow::Result<Vec<Value>> {
    let inbox = Inbox::fresh()?;
    let settings = settings(&inbox)
        .set("ENVIRONMENT", "production")
        .set("ID_KEY", "a key that never changes")
        .set("LOG_SAMPLE_TELEMETRY", "0.5")
        .set("LOG_SLOW_THRESHOLD_MS", "600000")
        .set("TRIP_TIMEOUT_SECONDS", "6");
    let mut server = Server::start(settings).await?;
    if !habits.is_empty() {
        configure(&inbox, "sleep")?;
        begin_one(&server, "usage-tier", guest("guest-plain-tier")?).await?;
        begin_one(&server, "trip-calculator", guest("guest-plain-calculator")?).await?;
    }
    for (number, habit) in HABITS.into_iter().enumerate() {
        if habits.contains(&habit) {
            configure(&inbox, habit)?;
            begin_one(&server, POLICY, variant(&guest("guest-wayward-policy")?, u8::try_from(number)?))
                .await?;
        }
        // Vehicles of their own: a tier depends on how many trips are closed by now.
        let first = u32::try_from(number)? * 8;
        for number in first..first + 8 {
            let phone = Phone::new(number, LONG_AGO_MS + i64::from(number) * 1_000_000);
            for reading in 0..2 {
                let time_ms = phone.session.parse::<i64>()? + reading * 1000;
                let answer = server.upload(&phone.reading(time_ms, "kc=900")).await?;
                assert!(answer.is_ok(), "{habit}: {answer:?}; {}", server.stderr());
            }
        }
        if habits.contains(&habit) {
            // All of them fail: it is withdrawn.
            server
                .wait_for("its withdrawal", |events| {
                    let ended = |event: &&Value| event["way"] == "auto_discard" && event["slot"] == POLICY;
                    events.iter().filter(ended).count() == number + 1
                })
                .await?;
        }
    }
    server.wait_for_operation("trip_finalization", 8 * HABITS.len()).await?;
    assert!(server.trips().await?.iter().all(|trip| trip["status"] == "closed"));
    server.stop().await
}

/// What the settings say that a shadow then begins with. They do nothing to the
/// plugins that serve: these know no such setting, and refuse it.
fn configure(inbox: &Inbox, habit: &str) -> anyhow::Result<()> {
    // What fails by itself must not be late before that, however busy the machine is.
    let deadline_ms = if matches!(habit, "loop" | "sleep") { 300 } else { 5000 };
    let table = |slot| {
        format!(
            "[{slot}]\ndeadline_ms = {deadline_ms}\nfailures_before_rollback = 3\nsettings = {{ in_call = '{habit}' }}\n"
        )
    };
    let text: String = ["sampling-policy", "usage-tier", "trip-calculator"].map(table).concat();
    let aside = inbox.path().join(".plugins.toml.new");
    std::fs::write(&aside, text)?;
    Ok(std::fs::rename(aside, inbox.path().join("plugins.toml"))?)
}

async fn begin_one(server: &Server, slot: &str, component: Vec<u8>) -> anyhow::Result<()> {
    let begun = begin(server, slot, component).await?;
    anyhow::ensure!(begun.status == 200, "{begun:?}");
    Ok(())
}

/// What was decided on each event, without what differs from run to run.
fn told(events: &[Value]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in events {
        let described = match event["operation"].as_str() {
            Some("telemetry_upload" | "trip_finalization") => {
                assert_eq!((&event["success"], event.get("error")), (&json!(true), None), "{event}");
                let Value::Object(mut sampling) = event["sampling"].clone() else { continue };
                sampling.remove("shadow");
                format!(
                    "{} {} {} {} {}",
                    event["operation"],
                    event["trace_id"],
                    event["vehicle_context"]["usage_tier"],
                    event["distance_miles"],
                    Value::Object(sampling)
                )
            }
            // Requests of the API have events too, and shadows come by some.
            _ => continue,
        };
        *told.entry(described).or_default() += 1;
    }
    told
}
