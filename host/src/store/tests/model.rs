//! Short words for what the tests put into the store and ask of it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use uuid::Uuid;

use crate::identity::{PhoneId, VehicleId};
use crate::plugin_host::{Summary, VehicleStats};
use crate::store::{
    Calculator, Claim, ClaimRequest, Closed, Closing, Layout, NamedCar, Packed, Put, QuarantinedRequest,
    ReadingRow, Record, SessionFacts, Store, StoreError, Stored,
};

pub(super) use crate::store::open::PATIENCE;

/// When the tests begin: epoch milliseconds.
pub(super) const START_MS: i64 = 1_750_000_000_000;
pub(super) const DAY_MS: i64 = 86_400_000;
/// Far enough after [`START_MS`] for every trip to have ended.
pub(super) const LATER_MS: i64 = START_MS + 1_000_000_000;
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);
pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) fn phone(number: usize) -> PhoneId {
    PhoneId::from_stored(&format!("{number:032x}"))
}

/// The own vehicle of that phone.
pub(super) fn vehicle(number: usize) -> VehicleId {
    phone(number).own_vehicle()
}

/// The car of phone `p` with a profile of that name.
pub(super) fn car(p: usize, profile_name: &str) -> NamedCar {
    let further_vehicle = VehicleId::from_stored(&format!("{profile_name} of {p}"));
    NamedCar { profile_name: profile_name.to_owned(), further_vehicle }
}

pub(super) fn session(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

/// The layout of the tests' readings.
pub(super) fn layout() -> Layout {
    Layout::new(["engine_rpm", "odometer_miles", "speed_mph", "state_of_charge"])
}

/// Fields given as a JSON object, packed.
pub(super) fn fields(json: &str) -> Packed {
    let fields: BTreeMap<&str, f64> = serde_json::from_str(json).unwrap();
    layout().pack(&fields.into_iter().collect::<Vec<_>>())
}

/// A reading of phone `p` in session `s`, taken and received at `START_MS + at_ms`.
pub(super) fn reading(p: usize, s: usize, at_ms: i64) -> ReadingRow {
    ReadingRow {
        phone: phone(p),
        session: session(s),
        time_ms: START_MS + at_ms,
        received_ms: START_MS + at_ms,
        fields: fields("{}"),
        unknown: "{}".to_owned(),
    }
}

pub(super) fn facts(p: usize, s: usize) -> SessionFacts {
    SessionFacts {
        phone: phone(p),
        session: session(s),
        received_ms: START_MS,
        time_ms: START_MS,
        car: None,
        profile: None,
        default_units: None,
        unit_conflicts: None,
        user_units: None,
    }
}

pub(super) fn quarantined() -> QuarantinedRequest {
    QuarantinedRequest {
        received_ms: START_MS,
        code: "E301",
        reason: "no time".to_owned(),
        phone: Some(phone(1)),
        session: None,
        request: "eml=#1&time=x".to_owned(),
    }
}

/// Puts one reading.
pub(super) async fn put(store: &Store, row: ReadingRow) -> Stored {
    store.put(Record::Reading(row)).await.unwrap().stored
}

/// What the store says of a reading that it keeps.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) trip_id: String,
    pub(super) vehicle_id: VehicleId,
    pub(super) created: bool,
    pub(super) reopened: bool,
    pub(super) duplicate: bool,
    pub(super) conflicting: bool,
    pub(super) vehicle: VehicleStats,
}

pub(super) fn kept(stored: Stored) -> Kept {
    match stored {
        Stored::Reading {
            trip_id,
            vehicle_id,
            trip_created: created,
            trip_reopened: reopened,
            duplicate,
            conflicting,
            vehicle,
        } => {
            let trip_id = trip_id.to_string();
            Kept { trip_id, vehicle_id, created, reopened, duplicate, conflicting, vehicle }
        }
        other => panic!("not a reading that was kept: {other:?}"),
    }
}

/// Puts a reading and says what became of it.
pub(super) async fn keep(store: &Store, row: ReadingRow) -> Kept {
    kept(put(store, row).await)
}

/// Puts records so that all of them wait before the writer takes the first:
/// on the one thread of a test nothing else runs until this gives way.
pub(super) async fn put_together(store: &Store, records: Vec<Record>) -> Vec<Result<Put, StoreError>> {
    let mut puts: Vec<Pin<Box<_>>> = records.into_iter().map(|record| Box::pin(store.put(record))).collect();
    let mut answers: Vec<_> = puts.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (put, answer) in puts.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(result) = put.as_mut().poll(context)
            {
                *answer = Some(result);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

pub(super) fn request(owner: &str) -> ClaimRequest<'_> {
    ClaimRequest {
        owner,
        now_ms: LATER_MS,
        timeout: TIMEOUT,
        lease: LEASE,
        calculator_digest: "digest",
        limit: 100,
    }
}

/// Claims all that has ended.
pub(super) async fn claim(store: &Store, owner: &str) -> Vec<Claim> {
    store.claim_stale(request(owner)).await.unwrap()
}

/// Claims the only trip that has ended.
pub(super) async fn claim_one(store: &Store, owner: &str) -> Claim {
    let mut claims = claim(store, owner).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims.remove(0)
}

/// A summary without any figure.
pub(crate) fn summary() -> Summary {
    Summary {
        end_time_ms: None,
        end_odometer_miles: None,
        distance_miles: None,
        distance_source: None,
        ambient_temp_avg_f: None,
        gas_mode_entered: false,
        gas_mode_entry_time_ms: None,
        soc_at_gas_transition: None,
        fuel_level_at_gas_entry: None,
        fuel_level_at_end: None,
        electric_miles: None,
        gas_miles: None,
        gas_mpg: None,
        fuel_used_gallons: None,
        electric_kwh_used: None,
        kwh_per_mile: None,
        soc_transition: None,
        refuels: Vec::new(),
        metrics: Vec::new(),
    }
}

pub(super) fn miles(distance: f64) -> Summary {
    Summary { distance_miles: Some(distance), ..summary() }
}

/// Closes a claimed trip with these figures.
pub(super) async fn close(store: &Store, claim: &Claim, summary: &Summary) -> Closed {
    let data = store.trip_data(claim).await.unwrap();
    close_with(store, claim, summary, &data).await.unwrap()
}

/// Closes a claimed trip with figures of these data.
pub(super) async fn close_with(
    store: &Store,
    claim: &Claim,
    summary: &Summary,
    data: &crate::store::TripData,
) -> Result<Closed, StoreError> {
    store.close_trip(claim, &closing(data, summary)).await
}

/// A closing that found nothing beside these figures.
pub(super) fn closing<'a>(data: &'a crate::store::TripData, summary: &'a Summary) -> Closing<'a> {
    Closing {
        now_ms: LATER_MS,
        data,
        summary,
        charging: &[],
        fills: &[],
        route: None,
        cost: None,
        weather: None,
        calculator: Calculator { name: "test", version: "1", digest: "digest" },
    }
}

/// Closes the only trip that has ended.
pub(super) async fn end_trip(store: &Store, summary: &Summary) -> Closed {
    let claim = claim_one(store, "owner").await;
    close(store, &claim, summary).await
}

/// The vehicle's row.
pub(super) async fn stats(store: &Store, v: usize) -> VehicleStats {
    store.vehicle_stats(&vehicle(v), START_MS).await.unwrap().unwrap()
}
