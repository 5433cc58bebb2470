//! A vehicle's totals are its closed trips added up, whatever happened before.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::home::{Home, homes};
use super::model::*;
use crate::plugin_host::Summary;
use crate::store::{Closed, Record};

const VEHICLES: usize = 3;
const SESSIONS: usize = 3;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Readings of these trips arrive in one batch.
    Arrive(Vec<(usize, usize)>),
    /// All ended trips are closed, in this order where it is true, with
    /// figures made of the number.
    Close(bool, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let trip = (0..VEHICLES, 0..SESSIONS);
    prop_oneof![
        3 => prop::collection::vec(trip, 1..5).prop_map(Step::Arrive),
        2 => (any::<bool>(), 0..1_000_000u32).prop_map(|(forth, seed)| Step::Close(forth, seed)),
    ]
}

/// What a vehicle's row must hold: trips, miles, kWh/mile and gas mpg with their trips.
type Row = (i64, i64, i64, i64, i64, i64);

#[derive(Clone, Copy)]
struct Figures {
    miles_e6: i64,
    kwh_per_mile_e6: Option<i64>,
    gas_mpg_e6: Option<i64>,
}

impl Figures {
    fn of(seed: u32) -> Self {
        let miles_e6 = i64::from(seed) * 131;
        Self {
            miles_e6,
            kwh_per_mile_e6: (!seed.is_multiple_of(3)).then_some(i64::from(seed % 997) * 1000),
            gas_mpg_e6: seed.is_multiple_of(5).then_some(i64::from(seed % 61) * 100_000),
        }
    }

    fn summary(&self) -> Summary {
        let figure = |e6: i64| e6 as f64 / 1e6;
        Summary {
            kwh_per_mile: self.kwh_per_mile_e6.map(figure),
            gas_mpg: self.gas_mpg_e6.map(figure),
            ..miles(figure(self.miles_e6))
        }
    }

    fn add_to(&self, row: &mut Row) {
        row.0 += 1;
        row.1 += self.miles_e6;
        row.2 += self.kwh_per_mile_e6.unwrap_or_default();
        row.3 += i64::from(self.kwh_per_mile_e6.is_some());
        row.4 += self.gas_mpg_e6.unwrap_or_default();
        row.5 += i64::from(self.gas_mpg_e6.is_some());
    }
}

async fn totals_follow(home: &Home, steps: &[Step]) {
    let store = home.open().await;
    let mut closed: BTreeMap<(String, String), Figures> = BTreeMap::new();
    let mut clock_ms = 0;
    for step in steps {
        match step {
            Step::Arrive(trips) => {
                let mut records = Vec::new();
                for &(v, s) in trips {
                    clock_ms += 1;
                    closed.remove(&(vehicle(v).to_string(), session(s).to_string()));
                    records.push(Record::Reading(reading(v, s, clock_ms)));
                }
                put_together(&store, records).await.into_iter().for_each(|put| drop(put.unwrap()));
            }
            Step::Close(forth, seed) => {
                let mut claims = claim(&store, "owner").await;
                if !forth {
                    claims.reverse();
                }
                for (index, claim) in (0..).zip(claims) {
                    let figures = Figures::of(seed + index);
                    let result = close(&store, &claim, &figures.summary()).await;
                    assert!(matches!(result, Closed::Done { .. }), "{result:?}");
                    closed.insert((claim.vehicle.to_string(), claim.session_id), figures);
                }
            }
        }
    }
    let mut expected: BTreeMap<String, Row> = BTreeMap::new();
    for ((vehicle, _), figures) in &closed {
        figures.add_to(expected.entry(vehicle.clone()).or_default());
    }
    let rows: Vec<(String, i64, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT vehicle_id, total_trips, miles_e6, kwh_per_mile_e6, kwh_per_mile_trips, gas_mpg_e6, gas_mpg_trips
         FROM vehicles",
    )
    .fetch_all(&store.pool)
    .await
    .unwrap();
    for (vehicle, trips, miles, kwh, kwh_trips, mpg, mpg_trips) in rows {
        let expected = expected.remove(&vehicle).unwrap_or_default();
        assert_eq!((trips, miles, kwh, kwh_trips, mpg, mpg_trips), expected, "{:?} {steps:?}", home.engine);
    }
    assert!(expected.is_empty(), "vehicles are missing");
    store.close(PATIENCE).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_the_closed_trips_added_up(steps in prop::collection::vec(step(), 5..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for home in homes().await {
                totals_follow(&home, &steps).await;
            }
        });
    }
}

#[tokio::test]
async fn totals_do_not_depend_on_the_order_of_closings() {
    for forth in [true, false] {
        for home in homes().await {
            let trips: Vec<_> = (0..SESSIONS).map(|s| (0, s)).collect();
            let steps = [
                Step::Arrive(trips.clone()),
                Step::Close(forth, 15),
                Step::Arrive(trips),
                Step::Arrive(vec![(0, 0)]),
                Step::Close(!forth, 15),
            ];
            totals_follow(&home, &steps).await;
        }
    }
}
