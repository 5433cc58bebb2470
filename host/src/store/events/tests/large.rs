//! The published queries and the dashboards on two hundred thousand events
//! whose answers are known; and how long they take, which is told and not
//! judged: `just bench-queries`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::known::{EVENTS, Known, all, counts, is_wanted, question};
use super::{EventStore, figures, query, stores};
use crate::query::{Answer, Dashboard};

const DASHBOARDS: [Dashboard; 4] = [
    Dashboard::FailuresByDeployment,
    Dashboard::DurationByOperation,
    Dashboard::WeatherFailures,
    Dashboard::HeavyUserFailures,
];

async fn fill(store: &EventStore, lines: &[Vec<u8>]) {
    for lines in lines.chunks(1000) {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        store.put(&lines).await.unwrap();
    }
    store.take_stock().await.unwrap();
}

/// The stored events, their estimated total and one figure, by group.
fn told(answer: &Answer, field: &str, figure: usize) -> BTreeMap<String, (u64, f64, f64)> {
    let groups = answer.groups.iter().map(|group| {
        let figure = &group.figures[figure];
        let sample = figure.sample;
        (
            group.by[field].as_str().unwrap().to_owned(),
            (sample.sample_size, sample.estimated_total, figure.value.unwrap()),
        )
    });
    groups.collect()
}

#[tokio::test]
async fn the_published_queries_and_the_dashboards_answer_right_on_200_000_events() {
    let lines: Vec<_> = all().map(|known| known.line()).collect();
    for (home, store) in stores().await {
        fill(&store, &lines).await;
        println!("{:?}", home.engine);
        for n in [0, 1, 2, 3, 5] {
            check_events(&store, n).await;
        }
        check_efficiency_by_age(&store).await;
        check_dashboards(&store).await;
        store.close(Duration::from_secs(60)).await;
    }
}

/// What is wanted is found, newest first, and counted.
async fn check_events(store: &EventStore, n: usize) {
    let wanted: Vec<_> = all().filter(|known| is_wanted(n, known)).collect();
    assert!(wanted.len() > 10, "query {n} wants {}", wanted.len());
    let found = store.find(&query(&question(n))).await.unwrap();
    let ids: Vec<_> = found
        .events
        .iter()
        .map(|event| event["request_id"].as_str().unwrap()[24..].parse::<u64>().unwrap())
        .collect();
    let newest: Vec<_> = wanted.iter().rev().take(1000).map(|known| known.n).collect();
    assert_eq!((ids, found.more), (newest, wanted.len() > 1000), "query {n}");
    let counted = figures(store, &json!({"filter": question(n)["filter"], "figures": "count"})).await;
    let total: f64 = wanted.iter().map(|known| known.rate).sum();
    assert_eq!(
        (counted.matched.sample_size, counted.matched.estimated_total),
        (wanted.len() as u64, total),
        "query {n}"
    );
}

async fn check_efficiency_by_age(store: &EventStore) {
    let mut expected: BTreeMap<u64, (u64, f64)> = BTreeMap::new();
    for known in all().filter(|known| is_wanted(4, known)) {
        let (count, sum) = expected.entry(known.account_age_days).or_default();
        *count += 1;
        *sum += known.avg_kwh_per_mile.unwrap();
    }
    assert!(expected.len() > 20, "{}", expected.len());
    let answer = figures(store, &question(4)).await;
    assert_eq!(answer.group_count, expected.len());
    for (group, (age, (count, sum))) in answer.groups.iter().zip(expected) {
        assert_eq!(group.by["vehicle_context.account_age_days"], age);
        let average = &group.figures[0];
        assert_eq!(average.sample.sample_size, count);
        assert!((average.value.unwrap() - sum / count as f64).abs() < 1e-9, "{average:?} {sum} {count}");
    }
}

async fn check_dashboards(store: &EventStore) {
    let answer = |dashboard: Dashboard| async move {
        store.figures(&dashboard.query(None, None).unwrap()).await.unwrap()
    };
    let as_told = |counts: BTreeMap<String, (u64, f64)>| {
        counts
            .into_iter()
            .map(|(key, (stored, total))| (key, (stored, total, total)))
            .collect::<BTreeMap<_, _>>()
    };
    let failures = answer(Dashboard::FailuresByDeployment).await;
    let expected = counts(|known| (!known.success).then(|| Known::deployment_id(known.deployment)));
    assert_eq!(told(&failures, "service.deployment_id", 0), as_told(expected));

    let weather = answer(Dashboard::WeatherFailures).await;
    let expected =
        counts(|known| known.code.filter(|_| known.operation == "external_api_weather").map(str::to_owned));
    assert_eq!(told(&weather, "error.code", 0), as_told(expected));

    let heavy = answer(Dashboard::HeavyUserFailures).await;
    let expected =
        counts(|known| known.code.filter(|_| known.tier == "heavy").map(|code| (known.operation, code)));
    let found: BTreeMap<_, _> = heavy
        .groups
        .iter()
        .map(|group| {
            let by = |field: &str| group.by[field].as_str().unwrap();
            (
                (by("operation"), by("error.code")),
                (group.figures[0].sample.sample_size, group.figures[0].value.unwrap()),
            )
        })
        .collect();
    assert_eq!(found, expected);

    check_durations(&answer(Dashboard::DurationByOperation).await);
}

fn check_durations(answer: &Answer) {
    let mut durations: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for known in all() {
        durations.entry(known.operation).or_default().push((known.duration_ms, known.rate));
    }
    let percentile = |mut values: Vec<(f64, f64)>| {
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (total, mut upto) = (values.iter().map(|(_, rate)| rate).sum::<f64>(), 0.0);
        let reached = values.iter().find(|(_, rate)| {
            upto += rate;
            upto >= 0.99 * total - 1e-6
        });
        (values.len() as u64, total, reached.unwrap().0)
    };
    let expected =
        durations.into_iter().map(|(operation, values)| (operation.to_owned(), percentile(values)));
    assert_eq!(told(answer, "operation", 0), expected.collect());
}

#[tokio::test]
#[ignore = "tells how long queries take: `just bench-queries`"]
async fn measure_queries() {
    let lines: Vec<_> = all().map(|known| known.line()).collect();
    for (home, store) in stores().await {
        let began = Instant::now();
        fill(&store, &lines).await;
        let us = began.elapsed().as_micros() / u128::from(EVENTS);
        println!("{:?}: {EVENTS} events, each kept in {us} µs", home.engine);
        for n in 0..6 {
            let mut question = question(n);
            if n != 4 {
                question.as_object_mut().unwrap().remove("limit");
            }
            tell(&format!("query {}", n + 1), &store, &question).await;
            if n != 4 {
                let counted = json!({"filter": question["filter"], "figures": "count"});
                tell(&format!("query {}, counted", n + 1), &store, &counted).await;
            }
        }
        for dashboard in DASHBOARDS {
            let took = median(async || {
                store.figures(&dashboard.query(None, None).unwrap()).await.unwrap();
            });
            println!("  {:8.1} ms  {dashboard:?}", took.await);
        }
    }
}

async fn tell(name: &str, store: &EventStore, question: &Value) {
    let query = query(question);
    let took = median(async || {
        if query.wants_events() {
            store.find(&query).await.unwrap();
        } else {
            store.figures(&query).await.unwrap();
        }
    });
    println!("  {:8.1} ms  {name}", took.await);
}

/// The median of eleven, after one that warms up: milliseconds.
async fn median(work: impl AsyncFn()) -> f64 {
    work().await;
    let mut took = Vec::new();
    for _ in 0..11 {
        let began = Instant::now();
        work().await;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    took[5]
}
