//! The counts of finished events are those of the events themselves, whoever
//! decided on them, and the same whatever is sampled.

use std::collections::BTreeMap;

use super::*;
use crate::events::ledger::EventCount;

/// How many events there are with an operation, an outcome, a code and a tier.
type Counted = BTreeMap<[String; 4], u64>;

fn by_events(written: &[Json]) -> Counted {
    let mut counted = Counted::new();
    for event in written {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let (code, tier) = (&event["error"]["code"], &event["vehicle_context"]["usage_tier"]);
        *counted.entry([&event["operation"], &event["outcome"], code, tier].map(text)).or_default() += 1;
    }
    counted
}

fn by_counts(events: &Events) -> Counted {
    let counted = events.counts().events().filter(|counted| counted.count > 0);
    let labels = |counted: EventCount<'_>| {
        let EventCount { operation, outcome, code, usage_tier, count } = counted;
        let (code, tier) = (code.map_or("", Code::as_str), usage_tier.unwrap_or_default());
        ([operation.as_str(), outcome.as_str(), code, tier].map(str::to_owned), count)
    };
    counted.map(labels).collect()
}

fn errors_by_events(written: &[Json]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for event in written {
        let further = event["further_error_codes"].as_array().into_iter().flatten();
        for code in further.chain([&event["error"]["code"]]).filter_map(Json::as_str) {
            *counted.entry(code.to_owned()).or_default() += 1;
        }
    }
    counted
}

fn errors_by_counts(events: &Events) -> BTreeMap<String, u64> {
    let counted = events.counts().errors().filter(|(_, count)| *count > 0);
    counted.map(|(code, count)| (code.as_str().to_owned(), count)).collect()
}

/// Events of every outcome, with and without a vehicle, with failures beside.
fn operate(rig: &Rig) {
    for number in 0..30_u64 {
        let mut event = rig.upload();
        let stats = VehicleStats {
            total_trips: u32::try_from(number * 10).expect("few"),
            total_miles: 120.5,
            account_age_days: 41,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        if number % 2 == 0 {
            event.vehicle = Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() });
        }
        if number % 3 == 0 {
            event.note(Failure::new(Code::E203, "a batch was retried"));
        }
        match number % 5 {
            0 => drop(event),
            1 => event.finish(Outcome::Rejected(Failure::new(Code::E005, "no session"))),
            2 => event.finish(Outcome::Failure(Failure::new(Code::E200, "no store"))),
            _ => event.finish(Outcome::Success),
        }
    }
    // Always kept: no event task sees it.
    rig.events
        .open(rig.plugins.pin(), WeatherDetails { peer_service: "open_meteo", ..WeatherDetails::default() })
        .finish(Outcome::Failure(Failure::new(Code::E100, "no answer in time")));
}

async fn assert_counts_are_those_of_the_events(rig: &Rig) {
    let written = rig.written().await;
    assert_eq!(written.len() as u64, rig.events.totals().received, "all are kept");
    assert_eq!(by_counts(&rig.events), by_events(&written));
    assert_eq!(errors_by_counts(&rig.events), errors_by_events(&written));
    for (operation, outcome, durations) in rig.events.counts().durations() {
        let alike =
            |event: &&Json| event["operation"] == operation.as_str() && event["outcome"] == outcome.as_str();
        let alike: Vec<f64> =
            written.iter().filter(alike).filter_map(|event| event["duration_ms"].as_f64()).collect();
        assert_eq!(durations.count, alike.len() as u64, "{operation:?} {outcome:?}");
        let microseconds: f64 = alike.iter().map(|ms| (ms * 1e3).round()).sum();
        assert_eq!(durations.sum as f64, microseconds, "{operation:?} {outcome:?}");
    }
}

#[tokio::test]
async fn counts_are_those_of_the_events() {
    let rig = Rig::start(ALWAYS, &[]).await;
    operate(&rig);
    assert_counts_are_those_of_the_events(&rig).await;
    assert!(by_counts(&rig.events).keys().any(|[.., tier]| !tier.is_empty()), "some have a tier");
    assert_eq!(errors_by_counts(&rig.events)["E203"], 10, "it decided no outcome");
}

#[tokio::test]
async fn counts_do_not_depend_on_what_is_sampled() {
    let nothing = "[sampling-policy]\ndeadline_ms = 2000\n[sampling-policy.settings]\nrate = 0\n";
    let (all, none) = (Rig::start(ALWAYS, &[]).await, Rig::start(nothing, &[]).await);
    for rig in [&all, &none] {
        operate(rig);
    }
    assert!(none.written().await.len() < all.written().await.len());
    assert_eq!(by_counts(&none.events), by_counts(&all.events));
    assert_eq!(errors_by_counts(&none.events), errors_by_counts(&all.events));
}

#[tokio::test]
async fn what_a_failing_policy_adds_to_an_event_is_counted_with_it() {
    let settings = ALWAYS.to_owned() + "habit = \"half-trapping\"\n";
    let rig = Rig::start(&settings, &[]).await;
    operate(&rig);
    // The policy traps when it is asked about the end of a trip.
    let finalization = || rig.events.open(rig.plugins.pin(), FinalizationDetails::default());
    let mut retried = finalization();
    retried.note(Failure::new(Code::E203, "a batch was retried"));
    retried.finish(Outcome::Success);
    finalization().finish(Outcome::Success);
    finalization().finish(Outcome::Failure(Failure::new(Code::E404, "no figures")));
    assert_counts_are_those_of_the_events(&rig).await;
    assert_eq!(errors_by_counts(&rig.events)["E410"], 3);
}

#[tokio::test]
async fn an_event_that_a_panic_leaves_undecided_is_counted_once() {
    let rig = Rig::start(ALWAYS, &[]).await;
    rig.events.fault().arm(3);
    operate(&rig);
    assert_counts_are_those_of_the_events(&rig).await;
    assert_eq!(rig.events.fault().armed(), 0, "they panicked");
}

#[tokio::test]
async fn events_that_find_full_queues_are_counted_as_all_others() {
    // Nothing awaits here, so the event tasks cannot empty their queues.
    let rig = Rig::start(ALWAYS, &[]).await;
    let room = rig.events.waiting().count() * QUEUE;
    for _ in 0..room + 1000 {
        rig.upload().finish(Outcome::Success);
    }
    assert_eq!(rig.events.waiting().sum::<usize>(), room);
    assert_counts_are_those_of_the_events(&rig).await;
    assert_eq!(rig.events.waiting().sum::<usize>(), 0);
}
