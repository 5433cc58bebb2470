//! What becomes of an operation's event, whatever the operation, the policy
//! or the queue does. The guests in `tests/guests` are the plugins here.

pub(crate) mod contract;
mod counts;
mod reference;

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::Value as Json;
use uuid::Uuid;

use super::lookup::Lookup;
use super::pipeline::QUEUE;
use super::sink::Sinks;
use super::{
    Business, Code, Drained, Events, Failure, FinalizationDetails, Outcome, Timing, UploadDetails,
    VehicleContext, WeatherDetails,
};
use crate::activation::tests::first_start;
use crate::config::Config;
use crate::identity::IdentityKey;
use crate::plugin_host::{EventFields as _, FieldValue, PluginHost, VehicleStats, tests::plugin_dir};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// Events with these plugin settings and flags, and what their sink gets.
struct Rig {
    events: Events,
    plugins: PluginHost,
    written: Arc<Mutex<Vec<Json>>>,
}

impl Rig {
    async fn start(plugin_settings: &str, flags: &[&str]) -> Self {
        let dir = plugin_dir(plugin_settings);
        let plugins = first_start(dir.path()).await.expect("a fit set");
        let cli = Cli::try_parse_from([&["volttracker"], flags].concat()).expect("flags");
        let written = Arc::default();
        let sinks = Sinks::memory(Arc::clone(&written));
        let key = IdentityKey::new("a key of sixteen");
        Self { events: Events::start(&cli.config, &key, sinks), plugins, written }
    }

    fn upload(&self) -> super::WideEvent<UploadDetails> {
        self.events.open(self.plugins.pin(), UploadDetails::default())
    }

    async fn written(&self) -> Vec<Json> {
        self.events.drain(Instant::now() + Duration::from_secs(120)).await;
        let totals = self.events.totals();
        assert_eq!(totals.received, totals.kept + totals.sampled_out + totals.lost_by_sink);
        assert_eq!(totals.received, self.events.counts().events().map(|counted| counted.count).sum::<u64>());
        let written = self.written.lock().expect("no writer panicked").clone();
        contract::assert_as_published(&written);
        written
    }
}

const ALWAYS: &str = "[sampling-policy]\ndeadline_ms = 2000\n[sampling-policy.settings]\nrate = 1\n";

#[tokio::test]
async fn a_finished_event_says_what_happened_once() {
    let rig = Rig::start(ALWAYS, &[]).await;
    let mut event = rig.upload();
    event.business.set(Business::TRIP_CREATED, true);
    event.timings.add(Timing::PARSE_TELEMETRY, 0.25);
    event.finish(Outcome::Rejected(Failure::new(Code::E005, "no session")));

    let written = rig.written().await;
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["operation"], "telemetry_upload");
    assert_eq!(written[0]["outcome"], "rejected");
    assert_eq!(written[0]["success"], false);
    assert_eq!(written[0]["failure_reason"], "no session");
    assert_eq!(written[0]["error"]["code"], "E005");
    assert_eq!(written[0]["error"]["category"], "validation");
    assert_eq!(written[0]["business_metrics"]["trip_created"], true);
    assert_eq!(written[0]["performance_breakdown"]["parse_telemetry_ms"], 0.25);
    assert_eq!(written[0]["sampling"]["policy"], "wayward-policy");
}

#[tokio::test]
async fn a_dropped_event_is_abandoned_and_a_panic_says_so() {
    let rig = Rig::start(ALWAYS, &[]).await;
    drop(rig.upload());
    let event = rig.upload();
    let task = tokio::spawn(async move {
        let _event = event;
        panic!("in the middle of the operation");
    });
    assert!(task.await.is_err());

    let written = rig.written().await;
    assert_eq!(written.len(), 2);
    for (event, how) in written.iter().zip(["abandoned", "panicked"]) {
        assert_eq!(event["outcome"], "abandoned");
        assert_eq!(event["error"]["code"], "E500");
        assert_eq!(event["http_status"], 500);
        let message = event["error"]["message"].as_str().expect("a message");
        assert!(message.contains(how), "{message}");
    }
}

#[tokio::test]
async fn a_failing_policy_keeps_the_event_and_is_noted() {
    let settings =
        "[sampling-policy]\ndeadline_ms = 2000\n[sampling-policy.settings]\nhabit = \"half-trapping\"\n";
    let rig = Rig::start(settings, &[]).await;
    rig.events.open(rig.plugins.pin(), FinalizationDetails::default()).finish(Outcome::Success);

    let written = rig.written().await;
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["success"], true);
    assert_eq!(written[0]["error"]["code"], "E410");
    assert_eq!(written[0]["sampling"]["reason"], "policy_error");
    assert_eq!(written[0]["sampling"]["probability"], 1.0);
}

#[tokio::test]
async fn a_panic_in_an_event_task_loses_no_event_doubles_none_and_is_told() {
    let rig = Rig::start(ALWAYS, &[]).await;
    // One for each task, and one more.
    rig.events.fault().arm(3);
    let mut sent = Vec::new();
    for _ in 0..20 {
        let event = rig.upload();
        sent.push(event.request_id.to_string());
        event.finish(Outcome::Success);
    }
    let written = rig.written().await;
    assert_eq!(rig.events.fault().armed(), 0, "they panicked");
    let mut told: Vec<_> = written.iter().map(|event| event["request_id"].as_str().expect("an id")).collect();
    told.sort_unstable();
    assert_eq!(told, sent);
    let struck: Vec<_> = written.iter().filter(|event| event["error"]["code"] == "E500").collect();
    assert_eq!(struck.len(), 3);
    for event in struck {
        assert_eq!((&event["success"], &event["sampling"]["probability"]), (&true.into(), &1.0.into()));
        assert_eq!(event["sampling"]["reason"], "policy_error");
        assert_eq!(event["error"]["message"], "an event task panicked, and goes on");
    }
    rig.upload().finish(Outcome::Success);
    assert_eq!(rig.written().await.len(), 21, "the tasks go on");
}

#[tokio::test]
async fn a_stop_that_is_short_of_time_asks_nobody_about_the_rest_and_keeps_it() {
    // Each call takes its deadline: two tasks need six seconds for all of them.
    let slow = "[sampling-policy]\ndeadline_ms = 300\nfailures_before_rollback = 1000\n\
        settings = { in_call = \"sleep\" }\n";
    let rig = Rig::start(slow, &[]).await;
    for _ in 0..40 {
        rig.upload().finish(Outcome::Success);
    }
    let by = Instant::now() + Duration::from_secs(4);
    assert_eq!(rig.events.drain(by).await, Drained::Fully);
    let written = rig.written().await;
    let because = |reason: &str| written.iter().filter(|event| event["sampling"]["reason"] == reason).count();
    let (asked, kept) = (because("policy_error"), because("policy_overload"));
    assert!(asked > 0 && kept > 0 && asked + kept == 40, "{asked} asked, {kept} kept");
}

#[tokio::test]
async fn a_full_queue_keeps_events_without_asking_the_policy() {
    // Nothing awaits here, so the event tasks cannot empty their queues.
    let rig =
        Rig::start("[sampling-policy]\ndeadline_ms = 2000\n[sampling-policy.settings]\nrate = 0\n", &[])
            .await;
    let sent = (rig.events.waiting().count() + 1) * QUEUE;
    for _ in 0..sent {
        rig.upload().finish(Outcome::Success);
    }
    let overloaded = rig.written.lock().expect("no writer panicked").len();
    assert_eq!(overloaded, QUEUE);

    let written = rig.written().await;
    assert_eq!(written.len(), overloaded, "the policy, when it is asked, keeps nothing");
    assert!(written.iter().all(|event| event["sampling"]["reason"] == "policy_overload"));
    assert_eq!(rig.events.totals().received, sent as u64);
}

#[tokio::test]
async fn one_trace_stays_or_goes_together_and_requests_each_for_themselves() {
    let half = "[sampling-policy]\ndeadline_ms = 2000\n[sampling-policy.settings]\nrate = 0.5\n";
    for (unit, whole_traces) in [("trace", true), ("request", false)] {
        let rig = Rig::start(half, &["--sampling-unit", unit]).await;
        for number in 0..400 {
            let mut event = rig.upload();
            event.trace_id = Some(Uuid::from_u128(number % 20));
            event.finish(Outcome::Success);
        }
        let written = rig.written().await;
        let of_trace = |trace: u128| {
            written.iter().filter(|event| event["trace_id"] == Uuid::from_u128(trace).to_string()).count()
        };
        let whole = (0..20).all(|trace| matches!(of_trace(trace), 0 | 20));
        assert_eq!(whole, whole_traces, "{unit}");
        assert!(written.iter().all(|event| event["sampling"]["rate"] == 2.0));
        assert!((80..320).contains(&written.len()), "{unit}: {}", written.len());
    }
}

#[tokio::test]
async fn the_tier_is_the_plugins_answer_on_the_vehicles_figures() {
    let rig = Rig::start(ALWAYS, &[]).await;
    let mut event = rig.upload();
    let stats = VehicleStats {
        total_trips: 7,
        total_miles: 120.5,
        account_age_days: 41,
        avg_kwh_per_mile: Some(0.31),
        avg_gas_mpg: None,
    };
    event.vehicle = Some(VehicleContext { stats: Some(stats), stale: true, ..VehicleContext::default() });
    event.finish(Outcome::Success);

    let vehicle = &rig.written().await[0]["vehicle_context"];
    assert_eq!(vehicle["total_trips"], 7);
    assert_eq!(vehicle["stale"], true);
    assert!(vehicle["usage_tier"].is_string());
    assert!(vehicle.get("avg_gas_mpg").is_none(), "what is not known is left out");
}

#[tokio::test]
async fn long_texts_are_cut_and_listed_and_the_gravest_error_is_told_whole() {
    let rig = Rig::start(ALWAYS, &[]).await;
    let mut event = rig.upload();
    event.details.user_agent = Some("é".repeat(5000));
    event.note(Failure::new(Code::E504, "the client was gone"));
    event.note(Failure::new(Code::E203, "the batch was retried"));
    event.finish(Outcome::Success);

    let event = &rig.written().await[0];
    assert_eq!(event["user_agent"].as_str().expect("a text").len(), 1024);
    assert_eq!(event["truncated_fields"], serde_json::json!(["user_agent"]));
    assert_eq!(event["error"]["code"], "E203");
    assert_eq!(event["further_error_codes"], serde_json::json!(["E504"]));
    assert_eq!(event["success"], true);
}

#[tokio::test]
async fn a_policy_reads_what_is_written_and_nothing_else_of_a_text() {
    let rig = Rig::start(ALWAYS, &["--admin-token", "s3cret-of-an-admin"]).await;
    let key = IdentityKey::new("a key of sixteen");
    for (agent, read) in [
        ("curl by anna@example.com with S3cret-of-an-Admin".to_owned(), None),
        (format!("{} s3cret-of-an-admin", "x".repeat(1100)), Some("x".repeat(1024))),
    ] {
        let mut event = rig.upload();
        event.details.user_agent = Some(agent);
        let event = Lookup::new(ManuallyDrop::new(event).record(Instant::now()), key.clone());
        let read = read.unwrap_or(format!("curl by {} with [token]", key.pseudonym("anna@example.com")));
        assert_eq!(event.get("user_agent"), Some(FieldValue::Text(read.clone())));
        let line = event.into_record().write_line(&key).expect("JSON");
        let written: Json = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(written["user_agent"], read);
    }
}
