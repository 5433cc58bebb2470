//! Two hundred thousand events whose answers are known: each field follows from
//! the event's number, and each answer is counted here with plain conditions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// How many there are.
pub(super) const EVENTS: u64 = 200_000;
/// 2026-01-05T00:00:00Z.
const BEGIN_US: i64 = 1_767_571_200_000_000;
/// From one to the next: all of them are a day's.
const STEP_US: i64 = 432_000;

/// What is known of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) n: u64,
    pub(super) operation: &'static str,
    pub(super) at_us: i64,
    pub(super) success: bool,
    pub(super) code: Option<&'static str>,
    pub(super) tier: &'static str,
    pub(super) deployment: u64,
    pub(super) duration_ms: f64,
    pub(super) rate: f64,
    pub(super) account_age_days: u64,
    pub(super) avg_kwh_per_mile: Option<f64>,
    pub(super) recent_efficiency: f64,
    pub(super) kwh_per_mile: f64,
}

impl Known {
    pub(super) fn of(n: u64) -> Self {
        // The same for all events of a handful, and spread over all values.
        let handful = n / 100;
        let spread = |multiplier: u64, count: u64| (n * multiplier + handful) % count;
        let operation = match n % 100 {
            0..80 => "telemetry_upload",
            80..90 => "api_request",
            90..95 => "trip_finalization",
            95..98 => "external_api_weather",
            _ => "charging_session",
        };
        let success = spread(7, 40) != 0;
        let code = match (operation, spread(3, 4)) {
            ("external_api_weather", which) => {
                ["E100", "E101", "E102", "E103"][usize::try_from(which).unwrap()]
            }
            (_, 0) => "E200",
            _ => "E404",
        };
        let upload = operation == "telemetry_upload";
        Self {
            n,
            operation,
            at_us: BEGIN_US + i64::try_from(n).unwrap() * STEP_US,
            success,
            code: (!success).then_some(code),
            tier: ["heavy", "regular", "light", "new"][usize::try_from(handful % 4).unwrap()],
            deployment: n / 20_000,
            duration_ms: (0.5 + spread(37, 1000) as f64 / 100.0) * if upload { 1.0 } else { 300.0 },
            rate: if upload && success { 20.0 } else { 1.0 },
            account_age_days: spread(11, 800),
            avg_kwh_per_mile: (!n.is_multiple_of(3)).then(|| 0.2 + spread(5, 25) as f64 / 100.0),
            recent_efficiency: 0.2 + spread(13, 20) as f64 / 100.0,
            kwh_per_mile: 0.2 + spread(17, 30) as f64 / 100.0,
        }
    }

    pub(super) fn deployment_id(deployment: u64) -> String {
        format!("prod-us-east-1-20260105-{}", 1424 + deployment)
    }

    /// It is as long as those of the program, a trip's context included.
    pub(super) fn line(&self) -> Vec<u8> {
        let at = jiff::Timestamp::from_microsecond(self.at_us).unwrap().to_string();
        let plugin = |name: &str| {
            json!({"name": name, "version": "0.1.0", "generation": 3,
            "digest": format!("{name:0<64}"), "settings_digest": "1f0c9a3b5d7e1f0c"})
        };
        let mut event = json!({
            "schema_version": 1, "operation": self.operation, "timestamp": at,
            "request_id": format!("019b8c00-0000-7000-8000-{:012}", self.n),
            "trace_id": format!("00000000-0000-4000-8000-{:012}", self.n / 80),
            "duration_ms": self.duration_ms, "success": self.success,
            "outcome": if self.success { "success" } else { "failure" },
            "method": "GET", "route": "/torque/upload", "http_status": 200, "remote_addr": "192.0.2.7",
            "user_agent": "Dalvik/2.1.0 (Linux; U; Android 14)", "raw_params_count": 41, "session_id": "a-session",
            "service": {"name": "volttracker", "version": "0.1.0", "environment": "production",
                "deployment_id": Self::deployment_id(self.deployment), "deployed_at": "2026-01-05T00:00:00Z",
                "region": "us-east-1", "instance_id": "019b8c00-0000-7000-8000-000000000000",
                "wasmtime_version": "48.0.0", "plugins": {"trip-calculator": plugin("trip-calculator"),
                "usage-tier": plugin("usage-tier"), "sampling-policy": plugin("sampling-policy")}},
            "feature_flags": {"weather_integration": self.n % 200 < 100, "enhanced_route_detection": false, "predictive_range": false},
            "performance_breakdown": {"db_trip_query_ms": 0.41, "db_telemetry_insert_ms": 0.7, "db_queue_ms": 1.9},
            "business_metrics": {"kwh_per_mile": self.kwh_per_mile, "telemetry_points": 840},
            "vehicle_context": {"total_trips": 412, "total_miles": 9132.4, "account_age_days": self.account_age_days,
                "usage_tier": self.tier, "recent_avg_efficiency_kwh_per_mile": self.recent_efficiency},
            "sampling": {"probability": 1.0 / self.rate, "rate": self.rate, "reason": "base_rate",
                "policy": "sampling-policy", "policy_version": "0.1.0"},
        });
        if let Some(average) = self.avg_kwh_per_mile {
            event["vehicle_context"]["avg_kwh_per_mile"] = average.into();
        }
        if let Some(code) = self.code {
            event["error"] = json!({"code": code, "category": "database", "message": "it did not work", "severity": "error", "alert": true});
        }
        format!("{event}\n").into_bytes()
    }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Known> {
    (0..EVENTS).map(Known::of)
}

/// Whether each of the six published queries wants an event.
pub(super) fn is_wanted(query: usize, known: &Known) -> bool {
    let minutes = (known.at_us - BEGIN_US) as f64 / 60e6;
    match query {
        0 => !known.success && known.tier == "heavy",
        1 => {
            known.operation == "trip_finalization"
                && known.duration_ms >= 2000.0
                && known.account_age_days <= 30
        }
        2 => {
            Known::deployment_id(known.deployment) == "prod-us-east-1-20260105-1430"
                && !known.success
                && (870.0..=900.0).contains(&minutes)
        }
        3 => {
            known.operation == "external_api_weather"
                && known.n % 200 < 100
                && matches!(known.code, Some("E100" | "E101" | "E102"))
        }
        4 => {
            known.operation == "trip_finalization"
                && known.tier == "heavy"
                && known.account_age_days >= 365
                && known.avg_kwh_per_mile.is_some()
        }
        _ => {
            known.operation == "trip_finalization"
                && known.recent_efficiency >= 0.35
                && known.kwh_per_mile >= 0.40
        }
    }
}

/// Of the events of each key: how many there are stored, and how many were.
pub(super) fn counts<K: Ord>(key: impl Fn(&Known) -> Option<K>) -> BTreeMap<K, (u64, f64)> {
    let mut counts = BTreeMap::new();
    for known in all() {
        if let Some(key) = key(&known) {
            let (stored, total): &mut (u64, f64) = counts.entry(key).or_default();
            *stored += 1;
            *total += known.rate;
        }
    }
    counts
}

/// The question of a published query: the fifth is one about groups.
pub(super) fn question(query: usize) -> Value {
    let filter = crate::query::tests::published()[query].clone();
    match query {
        4 => json!({"filter": filter, "group_by": "vehicle_context.account_age_days",
            "figures": ["avg(vehicle_context.avg_kwh_per_mile)"], "order": "vehicle_context.account_age_days", "limit": 1000}),
        _ => json!({"filter": filter, "limit": 1000}),
    }
}
