//! Plugins that passed every check and then fail.

use std::time::{Duration, Instant};

use super::*;
use crate::activation::{containment, put};
use crate::events::{FinalizationDetails, Outcome};
use crate::plugin_host::{Trip, TripReadings};

const POLICY: Slot = Slot::SamplingPolicy;

/// Traps on finalizations, which no trial asks about.
const HALF_TRAPPING: &str = "[sampling-policy.settings]\nhabit = \"half-trapping\"\n";

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Process {
    fn contained(&self) -> tokio::task::JoinHandle<()> {
        let app = Arc::clone(&self.app);
        tokio::spawn(async move { containment::run(&app).await })
    }

    fn finalization(&self) {
        self.app.events.open(self.app.plugins.pin(), FinalizationDetails::default()).finish(Outcome::Success);
    }
}

#[tokio::test]
async fn a_policy_that_fails_again_and_again_goes_back_to_the_last_good_one() {
    let home = Home::with_guests();
    let process = home.process().await;
    let contained = process.contained();
    home.set(HALF_TRAPPING);
    put(&process.app, POLICY, home.component(POLICY)).await.expect("fit");
    for _ in 0..4 {
        process.finalization();
    }
    process.app.events.drain(Instant::now() + PATIENCE).await;
    assert_eq!(process.generation(POLICY), 2, "four failures in a row are not five");
    process.finalization();
    until("the rollback", || process.generation(POLICY) == 3).await;
    until("its event", || process.swaps().len() == 5).await;
    contained.abort();

    let rollback = &process.swaps()[4];
    assert_eq!((&rollback["swap"], &rollback["way"]), (&"rollback".into(), &"auto_rollback".into()));
    assert_eq!((&rollback["from"]["generation"], &rollback["to"]["generation"]), (&2.into(), &3.into()));
    assert_eq!((&rollback["error"]["code"], &rollback["error"]["alert"]), (&"E410".into(), &true.into()));
    assert_eq!(process.degraded(POLICY), None);
    let rejections = process.app.store.plugin_rejections(POLICY, 10).await.expect("a library");
    assert_eq!((rejections.len(), rejections[0].verdict.as_str()), (1, "rolled_back"));
    assert!(rejections[0].reason.contains("told to trap"), "{}", rejections[0].reason);
    process.stop().await;

    // The settings are still there, and are not tried again.
    let next = home.process().await;
    assert_eq!((next.generation(POLICY), next.degraded(POLICY)), (3, None));
    next.stop().await;
}

#[tokio::test]
async fn without_a_good_predecessor_the_slot_is_degraded_until_it_does_its_work() {
    let home = Home::with_guests();
    home.set(HALF_TRAPPING);
    let process = home.process().await;
    let contained = process.contained();
    for _ in 0..8 {
        process.finalization();
    }
    until("its event", || process.swaps().len() == 4).await;
    process.app.events.drain(Instant::now() + PATIENCE).await;
    let told = &process.swaps()[3];
    assert_eq!((&told["outcome"], &told["error"]["code"]), (&"failure".into(), &"E410".into()));
    assert_eq!(told["error"]["alert"], true);
    assert_eq!(told["service"]["plugins"]["sampling-policy"]["degraded"], true);
    let reason = process.degraded(POLICY).expect("degraded");
    assert!(reason.starts_with("5 failures in a row: sampling-policy trapped"), "{reason}");
    assert_eq!(process.generation(POLICY), 1);

    // It is asked about one of them, a second later.
    until("its recovery", || {
        let upload = crate::events::UploadDetails::default();
        process.app.events.open(process.app.plugins.pin(), upload).finish(Outcome::Success);
        process.degraded(POLICY).is_none()
    })
    .await;
    assert_eq!(process.swaps().len(), 4, "a row of failures is told once");
    contained.abort();
    process.stop().await;
}

#[tokio::test]
async fn a_panic_in_the_watch_over_failing_plugins_is_told_and_the_watch_goes_on() {
    let home = Home::with_guests();
    let process = home.process().await;
    let contained = process.contained();
    home.set(HALF_TRAPPING);
    put(&process.app, POLICY, home.component(POLICY)).await.expect("fit");
    process.app.activations.fault.arm(1);
    until("the rollback", || {
        process.finalization();
        process.generation(POLICY) == 3
    })
    .await;
    until("its event", || process.swaps().len() == 6).await;
    contained.abort();
    let told = &process.swaps()[4];
    assert_eq!((&told["way"], &told["outcome"]), (&"auto_rollback".into(), &"failure".into()));
    assert_eq!((&told["error"]["code"], &told["error"]["alert"]), (&"E500".into(), &true.into()));
    process.stop().await;
}

#[tokio::test]
async fn a_calculator_goes_back_when_different_trips_fail_in_a_row() {
    let home = Home::with_guests();
    let process = home.process().await;
    let contained = process.contained();
    home.set("[trip-calculator]\nfailures_before_rollback = 3\n");
    put(&process.app, Slot::TripCalculator, home.component(Slot::TripCalculator)).await.expect("fit");
    for trip in ["one", "one", "one", "one", "two"] {
        fail(&process, trip).await;
    }
    assert_eq!(process.generation(Slot::TripCalculator), 2, "two trips are not three");
    fail(&process, "three").await;
    until("the rollback", || process.generation(Slot::TripCalculator) == 3).await;
    until("its event", || process.swaps().len() == 5).await;
    assert_eq!(process.swaps()[4]["error"]["code"], "E404");
    contained.abort();
    process.stop().await;
}

/// The guest says that it cannot calculate a trip that starts like this.
async fn fail(process: &Process, trip_id: &str) {
    let trip = Trip {
        start_time_ms: 1_700_000_000_000,
        start_odometer_miles: None,
        start_soc: Some(-1.0),
        previous_fuel_level_percent: None,
    };
    let readings = Arc::new(TripReadings { times_ms: vec![1_700_000_000_000], ..TripReadings::default() });
    let plugins = process.app.plugins.pin();
    plugins.calculate(trip_id, trip, readings, 1_700_000_000_000).await.expect_err("it says so");
}
