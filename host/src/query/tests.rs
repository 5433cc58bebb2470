//! What questions mean, and how mistakes in them are told.

use serde_json::{Value, json};

use super::{Answer, Filter, Groups, Measured, Query, QueryError, Row, Sample};

fn refusal(question: &Value) -> String {
    Query::parse(question).expect_err("it is refused").to_string()
}

fn filter(value: &Value) -> Filter {
    Filter::parse(value, "filter").expect("a filter")
}

/// What a question gets of events, without any store.
pub(crate) fn answer(query: &Query, events: &[Value]) -> Result<Answer, QueryError> {
    let mut groups = Groups::new(query, &query.filter);
    for event in events {
        let values = groups.fields().iter().map(|field| field.of(event).cloned()).collect();
        let rate = event["sampling"]["rate"].as_f64().unwrap_or(1.0);
        let sample = Sample { sample_size: 1, estimated_total: rate };
        groups.add(&Row { values, sample, measured: Measured::Field })?;
    }
    Ok(groups.answer())
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let refusals = [
        json!([]),
        json!({"filters": {}}),
        json!({"filter": []}),
        json!({"filter": {"duration_ms": {"$above": 5}}}),
        json!({"filter": {"$nor": []}}),
        json!({"filter": {"$or": [{"success": false}, {"duration_ms": {"$gte": "5"}}]}}),
        json!({"filter": {"$and": []}}),
        json!({"filter": {"success": "no"}}),
        json!({"filter": {"timestamp": {"$gte": "yesterday"}}}),
        json!({"filter": {"error.code": {"$in": ["E100", 101]}}}),
        json!({"filter": {"error.code": {"$in": "E100"}}}),
        json!({"filter": {"error.code": ["E100"]}}),
        json!({"filter": {"error": {"code": "E100"}}}),
        json!({"filter": {"x": {"$gt": true}}}),
        json!({"filter": {"x": {"$exists": 1}}}),
        json!({"filter": {"x": {"$not": 5}}}),
        json!({"filter": {"x": {}}}),
        json!({"filter": {"a..b": 1}}),
        json!({"filter": {"x'; DROP TABLE events": 1}}),
        json!({"filter": {"x": "a\u{0}b"}}),
        json!({"group_by": "1"}),
        json!({"group_by": ["a", "b", "c", "d", "e"]}),
        json!({"figures": ["median(duration_ms)"]}),
        json!({"figures": ["avg(operation)"]}),
        json!({"figures": ["count", 5]}),
        json!({"order": "request_id"}),
        json!({"figures": "count", "group_by": "operation", "order": "-avg(duration_ms)"}),
        json!({"limit": 0}),
        json!({"limit": "10"}),
    ];
    let told: Vec<_> =
        refusals.iter().map(|question| format!("{question}\n    {}", refusal(question))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_filter_has_a_bounded_size() {
    let mut deep = json!({"success": true});
    for _ in 0..20 {
        deep = json!({"$not": deep});
    }
    let mut deep_operators = json!({"$gt": 1});
    for _ in 0..20 {
        deep_operators = json!({"$not": deep_operators});
    }
    let wide: Vec<_> = (0..101).map(|n| json!({"x": n})).collect();
    for (question, what) in [
        (json!({"filter": deep}), "deep"),
        (json!({"filter": {"x": deep_operators}}), "deep"),
        (json!({"filter": {"$or": wide}}), "at most 100 conditions"),
        (json!({"filter": {"x": {"$in": (0..201).collect::<Vec<_>>()}}}), "at most 200 values"),
        (json!({"filter": {"x": "x".repeat(1025)}}), "at most 1024 bytes"),
    ] {
        assert!(refusal(&question).contains(what), "{}", refusal(&question));
    }
}

#[test]
fn operators_mean_what_they_do_in_mongodb() {
    let event = json!({
        "operation": "api_request", "timestamp": "2026-01-05T14:30:00.5Z", "duration_ms": 12.5, "success": true,
        "count": 3, "text": "b", "nothing": null, "list": ["E203", 5], "service": {"deployed_at": "2026-01-05T12:00:00Z"},
    });
    for (is, question) in [
        (true, json!({})),
        (true, json!({"count": 3})),
        (true, json!({"count": 3.0})),
        (false, json!({"count": "3"})),
        (true, json!({"count": {"$ne": "3"}})),
        (true, json!({"count": {"$gt": 2, "$lte": 3}})),
        (false, json!({"count": {"$gt": 3}})),
        (false, json!({"count": {"$gt": "2"}})),
        (true, json!({"text": {"$gte": "b", "$lt": "c"}})),
        (false, json!({"text": {"$gt": 1}})),
        (true, json!({"missing": null})),
        (true, json!({"nothing": null})),
        (false, json!({"nothing": {"$exists": true}})),
        (true, json!({"missing": {"$exists": false}})),
        (true, json!({"missing": {"$ne": 5}})),
        (true, json!({"missing": {"$nin": [5, 6]}})),
        (false, json!({"missing": {"$nin": [5, null]}})),
        (false, json!({"missing": {"$lt": 5}})),
        (true, json!({"missing": {"$not": {"$lt": 5}}})),
        (true, json!({"service.missing.deeper": {"$exists": false}})),
        (false, json!({"count.deeper": {"$exists": true}})),
        (true, json!({"list": "E203"})),
        (true, json!({"list": {"$in": [5]}})),
        (false, json!({"list": {"$ne": "E203"}})),
        (false, json!({"list": {"$gte": 1}})),
        (true, json!({"success": {"$in": [true]}})),
        (true, json!({"timestamp": "2026-01-05T15:30:00.5+01:00"})),
        (
            true,
            json!({"timestamp": {"$gte": "2026-01-05T09:30:00.5-05:00", "$lt": "2026-01-05T14:30:00.500001Z"}}),
        ),
        (true, json!({"service.deployed_at": {"$lt": "2026-01-05T14:30:00+02:00"}})),
        (false, json!({"service.deployed_at": {"$lt": "2026-01-05T13:30:00+02:00"}})),
        (true, json!({"$or": [{"count": 4}, {"text": "b"}]})),
        (false, json!({"$and": [{"count": 4}, {"text": "b"}]})),
        (true, json!({"$not": {"count": 4}})),
        (true, json!({"text": "b", "$or": [{"count": 3}]})),
    ] {
        assert_eq!(filter(&question).matches(&event), is, "{question}");
    }
}

#[test]
fn the_filters_of_the_published_queries_are_taken_as_written() {
    for question in published() {
        filter(&question);
    }
}

/// The six filters that must work, as they are written.
pub(crate) fn published() -> [Value; 6] {
    [
        r#"{"service.name":"volttracker","service.environment":"production","success":false,"vehicle_context.usage_tier":"heavy","timestamp":{"$gte":"2026-01-05T00:00:00Z"}}"#,
        r#"{"operation":"trip_finalization","duration_ms":{"$gte":2000},"vehicle_context.account_age_days":{"$lte":30}}"#,
        r#"{"service.deployment_id":"prod-us-east-1-20260105-1430","success":false,"timestamp":{"$gte":"2026-01-05T14:30:00Z","$lte":"2026-01-05T15:00:00Z"}}"#,
        r#"{"operation":"external_api_weather","success":false,"feature_flags.weather_integration":true,"error.code":{"$in":["E100","E101","E102"]}}"#,
        r#"{"operation":"trip_finalization","vehicle_context.usage_tier":"heavy","vehicle_context.account_age_days":{"$gte":365},"vehicle_context.avg_kwh_per_mile":{"$exists":true}}"#,
        r#"{"operation":"trip_finalization","vehicle_context.recent_avg_efficiency_kwh_per_mile":{"$gte":0.35},"business_metrics.kwh_per_mile":{"$gte":0.40}}"#,
    ]
    .map(|text| serde_json::from_str(text).expect("JSON"))
}

#[test]
fn an_event_counts_as_often_as_its_rate_says_and_the_sample_stands_beside_it() {
    let event = |ms: f64, rate: f64| json!({"operation": "o", "duration_ms": ms, "sampling": {"rate": rate}});
    let mut events = vec![event(10.0, 20.0), event(20.0, 4.0), event(1000.0, 1.0)];
    events.push(json!({"operation": "o", "sampling": {"rate": 5.0}}));
    let question = json!({
        "group_by": "operation",
        "figures": ["count", "avg(duration_ms)", "min(duration_ms)", "max(duration_ms)", "p50(duration_ms)",
            "p95(duration_ms)", "p99(duration_ms)"],
    });
    let answer = answer(&Query::parse(&question).expect("a question"), &events).expect("an answer");
    insta::assert_json_snapshot!(answer);
}

#[test]
fn percentiles_are_values_that_occurred() {
    let percentile = |values: &[f64], percent: u8| {
        let events: Vec<_> = values.iter().map(|ms| json!({"duration_ms": ms})).collect();
        let question = json!({"figures": format!("p{percent}(duration_ms)")});
        let answer = answer(&Query::parse(&question).expect("a question"), &events).expect("an answer");
        answer.groups[0].figures[0].value
    };
    let hundred: Vec<_> = (1..=100).map(f64::from).collect();
    assert_eq!(
        [50, 95, 99].map(|percent| percentile(&hundred, percent)),
        [Some(50.0), Some(95.0), Some(99.0)]
    );
    assert_eq!(percentile(&[7.0], 99), Some(7.0));
    assert_eq!(percentile(&[1.0, 2.0], 50), Some(1.0));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn groups_are_sorted_as_asked_for_and_those_without_a_value_come_last() {
    let events = [json!({"a": 2, "x": 1}), json!({"a": 10, "x": 5}), json!({"x": 3}), json!({"a": 1})];
    let order = |order: &str| {
        let question = json!({"group_by": "a", "figures": ["avg(x)"], "order": order, "limit": 3});
        let answer = answer(&Query::parse(&question).expect("a question"), &events).expect("an answer");
        assert_eq!(answer.group_count, 4);
        answer.groups.iter().map(|group| group.by["a"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(order("a"), [json!(1), json!(2), json!(10)]);
    assert_eq!(order("-a"), [json!(10), json!(2), json!(1)]);
    assert_eq!(order("-avg(x)"), [json!(10), json!(null), json!(2)]);
    assert_eq!(order("avg(x)"), [json!(2), json!(null), json!(10)]);
}

#[test]
fn nothing_is_said_of_no_events_but_that_there_are_none() {
    let question = json!({"figures": ["count", "avg(x)"]});
    let answer = answer(&Query::parse(&question).expect("a question"), &[]).expect("an answer");
    let figures: Vec<_> = answer.groups[0].figures.iter().map(|figure| figure.value).collect();
    assert_eq!(figures, [Some(0.0), None]);
}
