//! Vehicles' figures and the ends of trips as the store sees them, on each
//! engine, and the tier as the compiled plugin sees it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use vectors::{Group, Ours, Report, number};

use super::{AT_MS, ZERO};
use crate::events::{BatteryHealth, VehicleContext};
use crate::identity::{PhoneId, VehicleId};
use crate::plugin_host::{PluginSet, Summary, VehicleStats};
use crate::store::tests::home::{Home, homes};
use crate::store::tests::model::summary;
use crate::store::{Calculator, Claim, ClaimRequest, Closed, Closing, ReadingRow, Record, Store, Stored};

const DAY_MS: i64 = 86_400_000;
const TIMEOUT: Duration = Duration::from_secs(120);

pub(super) async fn ask(report: &mut Report, plugins: &PluginSet) {
    usage_tier(report, plugins).await;
    on_each_engine(report, "vehicle_stats", &decided_otherwise(), async |home, inputs| {
        let mut answers = Vec::new();
        let store = home.open().await;
        for (index, input) in inputs.iter().enumerate() {
            answers.push(vehicle_stats(&store, plugins, &vehicle(index), input).await);
        }
        answers
    })
    .await;
    on_each_engine(report, "stale_trips", &[], async |home, inputs| {
        let mut answers = Vec::new();
        let store = home.open().await;
        for (index, input) in inputs.iter().enumerate() {
            answers.push(stale_trips(&store, &vehicle(index), input).await);
        }
        answers
    })
    .await;
}

/// Asks one store of each engine; they must agree before the reference is
/// compared with.
async fn on_each_engine(
    report: &mut Report,
    group: &str,
    ours: &[Ours],
    ask: impl AsyncFn(&Home, &[&Value]) -> Vec<Value>,
) {
    let group = Group::read("vehicle.json", group);
    let inputs: Vec<_> = group.inputs().collect();
    let mut answers = Vec::new();
    for home in homes().await {
        answers.push(ask(&home, &inputs).await);
    }
    assert!(answers.iter().all(|engine| *engine == answers[0]), "engines differ: {answers:#?}");
    report.compare(&group, ours, &answers[0]);
}

async fn usage_tier(report: &mut Report, plugins: &PluginSet) {
    let group = Group::read("vehicle.json", "usage_tier");
    let mut answers = Vec::new();
    for input in group.inputs() {
        let trips = input["total_trips"].as_u64().and_then(|trips| u32::try_from(trips).ok());
        let stats = VehicleStats {
            total_trips: trips.expect("a count"),
            total_miles: 0.0,
            account_age_days: 0,
            avg_kwh_per_mile: None,
            avg_gas_mpg: None,
        };
        answers.push(json!(*plugins.classify(stats, AT_MS).await.expect("a tier")));
    }
    report.compare(&group, &[], &answers);
}

fn decided_otherwise() -> [Ours; 2] {
    let stats = |kwh_per_mile: Option<f64>, miles: f64| {
        json!({"total_trips": 1, "total_miles": miles, "account_age_days": 1, "usage_tier": "light",
            "avg_kwh_per_mile": kwh_per_mile, "avg_gas_mpg": null})
    };
    let nothing_used = json!({
        "stats": stats(Some(0.0), 0.0),
        "battery": {"recent_avg_electric_miles": 0.0, "recent_avg_efficiency_kwh_per_mile": 0.0,
            "recent_avg_soc_drop_percent": null, "sample_size_trips": 1},
    });
    let no_drop = json!({
        "stats": stats(None, 5.0),
        "battery": {"recent_avg_electric_miles": 5.0, "recent_avg_efficiency_kwh_per_mile": null,
            "recent_avg_soc_drop_percent": 0.0, "sample_size_trips": 1},
    });
    [
        Ours::instead("vehicle_stats-005", nothing_used, ZERO),
        Ours::instead("vehicle_stats-006", no_drop, ZERO),
    ]
}

fn vehicle(number: usize) -> VehicleId {
    VehicleId::from_stored(&format!("{number:032x}"))
}

/// The how-many-th session of a vehicle.
fn session(number: usize) -> Uuid {
    Uuid::from_u128(1 + u128::try_from(number).expect("few sessions"))
}

/// A reading that opens a session, without a value.
async fn open_trip(
    store: &Store,
    vehicle: &VehicleId,
    session: Uuid,
    time_ms: i64,
    received_ms: i64,
) -> VehicleStats {
    let phone = PhoneId::from_stored(vehicle.as_str());
    let (fields, unknown) = (store.layout().pack(&[]), "{}".to_owned());
    let row = ReadingRow { phone, session, time_ms, received_ms, fields, unknown };
    match store.put(Record::Reading(row)).await.expect("the store takes it").stored {
        Stored::Reading { vehicle, .. } => vehicle,
        other => panic!("{other:?}"),
    }
}

/// Claims what has ended, as the finalizer does.
async fn claim(store: &Store, vehicle: &VehicleId, now_ms: i64) -> Vec<Claim> {
    let lease = Duration::from_secs(60);
    let (owner, calculator_digest, limit) = ("host", "digest", 1000);
    let request = ClaimRequest { owner, now_ms, timeout: TIMEOUT, lease, calculator_digest, limit };
    let mut claims = store.claim_stale(request).await.expect("the store answers");
    claims.retain(|claim| claim.vehicle == *vehicle);
    claims
}

async fn vehicle_stats(store: &Store, plugins: &PluginSet, vehicle: &VehicleId, input: &Value) -> Value {
    let trips = input["trips"].as_array().expect("a list of trips");
    for (index, trip) in trips.iter().enumerate() {
        let start_ms = AT_MS - trip["days_ago"].as_i64().expect("days") * DAY_MS;
        open_trip(store, vehicle, session(index), start_ms, start_ms).await;
    }
    if trips.is_empty() {
        // A vehicle is known from its first reading on: this one.
        let stats = open_trip(store, vehicle, session(0), AT_MS, AT_MS).await;
        return in_words_of_the_reference(plugins, stats, None).await;
    }
    let mut battery_health = None;
    for claim in claim(store, vehicle, AT_MS + DAY_MS).await {
        let of_claim = |index: &usize| session(*index).to_string() == claim.session_id;
        let trip = &trips[(0..trips.len()).find(of_claim).expect("a trip of this case")];
        if trip["is_closed"] == true {
            battery_health = close(store, &claim, trip).await;
        }
    }
    let stats = store.vehicle_stats(vehicle, AT_MS).await.expect("the store answers");
    in_words_of_the_reference(plugins, stats.expect("a vehicle"), battery_health).await
}

/// Closes a trip with the figures of a case.
async fn close(store: &Store, claim: &Claim, figures: &Value) -> Option<BatteryHealth> {
    let mut data = store.trip_data(claim).await.expect("the store answers");
    data.start_soc = number(&figures["start_soc"]);
    let summary = Summary {
        distance_miles: number(&figures["distance_miles"]),
        electric_miles: number(&figures["electric_miles"]),
        kwh_per_mile: number(&figures["kwh_per_mile"]),
        gas_mpg: number(&figures["gas_mpg"]),
        soc_at_gas_transition: number(&figures["soc_at_gas_transition"]),
        ..summary()
    };
    let calculator = Calculator { name: "vectors", version: "1", digest: "digest" };
    let closing = Closing {
        now_ms: AT_MS,
        data: &data,
        summary: &summary,
        charging: &[],
        fills: &[],
        route: None,
        cost: None,
        weather: None,
        calculator,
    };
    match store.close_trip(claim, &closing).await.expect("the store answers") {
        Closed::Done { battery_health, .. } => battery_health,
        other => panic!("{other:?}"),
    }
}

/// An event's words are those of the reference.
async fn in_words_of_the_reference(
    plugins: &PluginSet,
    stats: VehicleStats,
    battery_health: Option<BatteryHealth>,
) -> Value {
    let usage_tier = Some(plugins.classify(stats, AT_MS).await.expect("a tier"));
    let context =
        VehicleContext { stats: Some(stats), usage_tier, shadow_tier: None, stale: false, battery_health };
    let Value::Object(context) = json!(context) else { panic!("a context is an object") };
    let of_battery =
        |(name, _): &(String, Value)| name.starts_with("recent_avg_") || name == "sample_size_trips";
    let (battery, stats): (Map<_, _>, Map<_, _>) = context.into_iter().partition(of_battery);
    json!({ "stats": stats, "battery": battery })
}

async fn stale_trips(store: &Store, vehicle: &VehicleId, input: &Value) -> Value {
    let ages = input["last_telemetry_age_s"].as_array().expect("a list of ages");
    for (index, age) in ages.iter().enumerate() {
        // For a trip that received nothing, as ours never are, it is for ever.
        let received_ms = age.as_i64().map_or(0, |seconds| AT_MS - seconds * 1000);
        open_trip(store, vehicle, session(index), AT_MS, received_ms).await;
    }
    let ended = claim(store, vehicle, AT_MS).await;
    let is_ended = |index: usize| ended.iter().any(|claim| claim.session_id == session(index).to_string());
    json!((0..ages.len()).map(is_ended).collect::<Vec<_>>())
}
