//! The same drives in any order: whatever comes twice, late, mixed or all at
//! once, the trips and the vehicles' figures are those of a phone that sent
//! everything in time. Through the receiver's own way, on each engine.

mod fleet;
mod receiver;

use proptest::prelude::*;
use proptest::sample::Index;

use self::fleet::{Drive, devices, drives, uploads};
use self::receiver::{Figures, Receiver};

/// What happens to a batch of uploads, after them, and how they are chosen.
#[derive(Debug, Clone)]
struct Step {
    /// How many of the uploads that are left come together.
    together: usize,
    /// Which of them come twice in this batch.
    twice: Vec<Index>,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    /// Trips end: what comes later for them opens them again.
    TripsEnd,
    /// The rest is a backlog.
    DaysPass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let then = prop_oneof![
        6 => Just(Then::Nothing),
        3 => Just(Then::TripsEnd),
        // In all fewer than the days that a closed trip takes readings.
        1 => (1..3_i64).prop_map(Then::DaysPass),
    ];
    (1..9_usize, prop::collection::vec(any::<Index>(), 0..3), then).prop_map(|(together, twice, then)| Step {
        together,
        twice,
        then,
    })
}

/// Drives, and an order of their uploads with some of them twice.
fn plan() -> impl Strategy<Value = (Vec<Drive>, Vec<usize>)> {
    drives().prop_flat_map(|drives| {
        let count = uploads(&drives, "").len();
        let again = prop::collection::vec(0..count, 0..count);
        let order = again.prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>()).prop_shuffle();
        (Just(drives), order)
    })
}

/// Sends the uploads in this order, by these steps.
async fn send(receiver: &Receiver, uploads: &[String], order: &[usize], steps: &[Step]) {
    let mut left = order;
    let mut steps = steps.iter().cycle();
    let mut days_left = 20;
    while !left.is_empty() {
        let step = steps.next().expect("a cycle of at least one step");
        let (now, later) = left.split_at(step.together.min(left.len()));
        let twice = step.twice.iter().map(|index| *index.get(now));
        let batch = now.iter().copied().chain(twice).map(|index| uploads[index].clone());
        receiver.receive_together(batch.collect()).await;
        match step.then {
            Then::TripsEnd => receiver.end_trips().await,
            Then::DaysPass(days) if days <= days_left => {
                receiver.end_trips().await;
                receiver.let_days_pass(days).await;
                days_left -= days;
            }
            Then::Nothing | Then::DaysPass(_) => {}
        }
        left = later;
    }
    receiver.end_trips().await;
}

/// In time and once, one after the other.
async fn in_order(receiver: &Receiver, uploads: &[String]) {
    for upload in uploads {
        receiver.receive_together(vec![upload.clone()]).await;
    }
    receiver.end_trips().await;
}

/// What all of these say.
fn the_same(mut figures: Vec<Figures>) -> Figures {
    let first = figures.pop().expect("at least one engine");
    for other in figures {
        assert_eq!(first, other);
    }
    first
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// Each case opens fresh databases: few, unless PROPTEST_CASES asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn trips_and_vehicles_do_not_depend_on_the_order_of_uploads(
        (drives, order) in plan(),
        steps in prop::collection::vec(step(), 1..12),
    ) {
        on_a_runtime(async {
            let mut figures = Vec::new();
            for receiver in Receiver::on_each_engine().await {
                // Two fleets that differ by name only.
                in_order(&receiver, &uploads(&drives, "in-order")).await;
                send(&receiver, &uploads(&drives, "any-order"), &order, &steps).await;
                figures.push(receiver.figures(&devices(&drives, "in-order")).await);
                figures.push(receiver.figures(&devices(&drives, "any-order")).await);
            }
            let (trips, _) = the_same(figures);
            assert_eq!(trips.len(), drives.len());
        });
    }
}

/// A real phone's log; without it the test is skipped, but not in CI.
const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/torque-drive.queries");

#[tokio::test]
async fn a_real_drive_does_not_depend_on_the_order_of_its_uploads() {
    let Ok(log) = std::fs::read_to_string(LOG) else {
        assert!(std::env::var_os("CI").is_none(), "{LOG} is missing");
        println!("SKIPPED: {LOG} is not on this machine");
        return;
    };
    let queries: Vec<String> = log.lines().map(str::to_owned).collect();
    let id = queries[0].split('&').find_map(|pair| pair.strip_prefix("id=")).expect("a device");
    let mut figures = Vec::new();
    for receiver in Receiver::on_each_engine().await {
        in_order(&receiver, &queries).await;
        figures.push(receiver.figures(&[id.to_owned()].into()).await);
    }
    for receiver in Receiver::on_each_engine().await {
        let steps = [Step { together: 40, twice: vec![], then: Then::TripsEnd }];
        let mut order: Vec<usize> = (0..queries.len()).chain(0..queries.len() / 2).collect();
        // Scattered, and the same in every run.
        order.sort_by_key(|index| (index.wrapping_mul(2_654_435_761) % 4_294_967_291, *index));
        send(&receiver, &queries, &order, &steps).await;
        figures.push(receiver.figures(&[id.to_owned()].into()).await);
    }
    let (trips, vehicles) = the_same(figures);
    assert_eq!((trips.len(), vehicles.len()), (1, 1));
}
