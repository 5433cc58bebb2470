//! What SQL finds and counts is what the evaluator in `query` finds and counts
//! among the same events, whatever is asked.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::{EventStore, event, put, stores};
use crate::query::Query;
use crate::query::tests::answer;

/// Events whose fields have all sorts of values, also of odd types.
fn events() -> Vec<Value> {
    let any = [
        json!(3),
        json!(3.5),
        json!(-1),
        json!("3"),
        json!("x"),
        json!(true),
        json!(null),
        json!([3, "x"]),
        json!({"b": 3}),
        json!(1e300),
        json!("2026-01-05T00:00:07Z"),
    ];
    let texts = ["telemetry_upload", "trip_finalization", "Z"];
    (0..240)
        .map(|n: u64| {
            let at = |step: u64| usize::try_from(n / step).unwrap();
            let environment = ["production", "staging"][at(5) % 2];
            let mut more = json!({
                "operation": (texts[at(1) % 3]), "success": !n.is_multiple_of(4),
                "duration_ms": ([0.5, 3.0, 3.1, 900.0][at(3) % 4]),
                "service": {"name": "volttracker", "environment": environment, "deployment_id": (texts[at(2) % 3]),
                            "a": (any[at(7) % any.len()])},
                "sampling": {"rate": ([1.0, 20.0, 4.0][at(7) % 3])},
                "vehicle_context": {},
            });
            more["a"] = any[at(1) % any.len()].clone();
            if !n.is_multiple_of(5) {
                more["vehicle_context"]["account_age_days"] = any[at(11) % any.len()].clone();
            }
            if !n.is_multiple_of(3) {
                more["vehicle_context"]["usage_tier"] = texts[at(13) % 3].into();
            }
            if n % 8 == 4 {
                more["error"] = json!({"code": "E100"});
            }
            if n % 6 < 3 {
                more["trace_id"] = texts[at(17) % 3].into();
            }
            event(n % 30 * 7 + n / 30 * 1000, &more)
        })
        .collect()
}

fn values() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(3),
        json!(3.1),
        json!(-1),
        json!(900),
        json!(0.5),
        json!("3"),
        json!("x"),
        json!("Z"),
        json!(true),
        json!(false),
        json!(null),
        json!("telemetry_upload"),
        json!("production"),
        json!("E100"),
        json!(1e300),
        json!("2026-01-05T00:00:07.000007Z"),
        json!("2026-01-05T01:00:00+01:00"),
        json!("2026-01-05T00:00:49.0000491Z"),
    ])
}

fn fields() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "operation",
        "success",
        "duration_ms",
        "timestamp",
        "service.environment",
        "service.deployment_id",
        "service.name",
        "service.a",
        "service.a.b",
        "service",
        "vehicle_context.usage_tier",
        "vehicle_context.account_age_days",
        "error.code",
        "trace_id",
        "sampling.rate",
        "a",
        "a.b",
        "missing",
    ])
}

fn tests() -> impl Strategy<Value = Value> {
    let compared = (prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), values())
        .prop_map(|(operator, value)| json!({ operator: value }));
    let listed = (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(values(), 0..4))
        .prop_map(|(operator, values)| json!({ operator: values }));
    let exists = any::<bool>().prop_map(|is| json!({ "$exists": is }));
    let test = prop_oneof![4 => compared, 2 => listed, 1 => exists, 2 => values()];
    prop_oneof![5 => test.clone(), 1 => test.prop_filter_map("operators", |test| test.is_object().then(|| json!({ "$not": test })))]
}

fn filters() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec((fields(), tests()), 0..3).prop_map(|all| {
        Value::Object(all.into_iter().map(|(field, test)| (field.to_owned(), test)).collect::<Map<_, _>>())
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            some.clone().prop_map(|filters| json!({ "$and": filters })),
            some.prop_map(|filters| json!({ "$or": filters })),
            inner.prop_map(|filter| json!({ "$not": filter })),
        ]
    })
}

fn questions() -> impl Strategy<Value = Value> {
    let figures = prop::sample::select(vec![
        json!(["count"]),
        json!(["count", "avg(duration_ms)", "min(duration_ms)", "max(duration_ms)"]),
        json!(["p50(duration_ms)", "p95(duration_ms)", "p99(duration_ms)"]),
        json!(["p50(a)", "avg(a)", "p99(duration_ms)"]),
        json!(["max(vehicle_context.account_age_days)", "count"]),
    ]);
    let groups = prop::sample::select(vec![
        json!([]),
        json!(["operation"]),
        json!(["vehicle_context.usage_tier"]),
        json!(["a"]),
        json!(["duration_ms"]),
        json!(["error.code", "success"]),
        json!(["timestamp"]),
        json!(["sampling.rate", "vehicle_context.account_age_days"]),
    ]);
    (filters(), figures, groups).prop_map(|(filter, figures, group_by)| {
        json!({ "filter": filter, "figures": figures, "group_by": group_by, "limit": 1000 })
    })
}

/// Figures to nine digits: sums may be added in another order.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) => format!("{:.9e}", number.as_f64().unwrap()).into(),
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), rounded(value))).collect()
        }
        value => value.clone(),
    }
}

async fn check(store: &EventStore, events: &[Value], question: &Value) -> Result<(), TestCaseError> {
    // A value may be of the wrong type for its field.
    let Ok(query) = Query::parse(question) else { return Err(TestCaseError::reject("no question")) };
    let expected = serde_json::to_value(answer(&query, events).unwrap()).unwrap();
    let figures = serde_json::to_value(store.figures(&query).await.unwrap()).unwrap();
    prop_assert_eq!(rounded(&figures), rounded(&expected), "{}", question);

    let events_only = Query::parse(&json!({"filter": question["filter"], "limit": 1000})).unwrap();
    let id = |event: &Value| event["request_id"].as_str().unwrap().to_owned();
    let mut expected: Vec<_> = events.iter().filter(|event| query.filter.matches(event)).map(id).collect();
    let mut found: Vec<_> = store.find(&events_only).await.unwrap().events.iter().map(id).collect();
    expected.sort();
    found.sort();
    prop_assert_eq!(found, expected, "{}", question);
    Ok(())
}

#[test]
fn sql_answers_what_the_evaluator_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let events = events();
    for (home, store) in runtime.block_on(stores()) {
        runtime.block_on(put(&store, &events));
        let config = Config {
            cases: 400,
            max_global_rejects: 100_000,
            failure_persistence: None,
            ..Config::default()
        };
        let checked = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        )
        .run(&questions(), |question| runtime.block_on(check(&store, &events, &question)));
        if let Err(error) = checked {
            panic!("{:?}: {error}", home.engine);
        }
    }
}
