//! Any query that a reader sends: it makes a page within limits, or is told
//! what is wrong with it.

use super::super::params::{LARGEST_PAGE, parse};
use super::*;
use crate::http::problem::status_of;
use crate::tests::fuzz::{Target, about, seen};

fn queries() -> Target {
    let corpus = [
        "",
        "limit=100",
        "limit=0&limit=501",
        "vehicle_id=0123456789abcdef0123456789abcdef&limit=5",
        "cursor=1767312345678_019b7d2a-0000-7000-8000-000000000000",
        "cursor=-1_x&vehicle_id=%00",
        "colour=red",
        "from=2026-01-05T00:00:00Z&to=2026-02-05T00:00:00%2B01:00&mode=gas&status=closed",
        "min_distance_miles=1.5&max_distance_miles=NaN",
    ];
    let corpus = corpus.map(|query| query.as_bytes().to_vec()).to_vec();
    Target { name: "query of the API", corpus, words: &WORDS, take: parse_any }
}

const WORDS: [&str; 20] = [
    "&",
    "=",
    "_",
    "%",
    "+",
    "%00",
    "%FF",
    "%26",
    "limit=",
    "vehicle_id=",
    "cursor=",
    "&limit=500",
    "limit=+1",
    "é",
    "from=",
    "to=",
    "2026-01-05T00:00:00Z",
    "mode=electric",
    "status=failed",
    "min_distance_miles=",
];

fn parse_any(input: &[u8]) -> u64 {
    match parse(&String::from_utf8_lossy(input)).and_then(TripsQuery::page) {
        Ok(page) => {
            assert!((1..=LARGEST_PAGE).contains(&page.limit));
            let before = page.behind.as_ref().map(|(_, id)| id);
            assert!(!page.filter.vehicle_id.iter().chain(before).any(|text| text.contains('\0')));
            seen((
                page.limit.ilog2(),
                page.filter.vehicle_id.map(|id| about(id.len())),
                before.map(|id| about(id.len())),
            ))
        }
        Err(Problem(failure)) => {
            assert!(matches!(failure.code, Code::E003 | Code::E004), "{failure}");
            assert_eq!(status_of(failure.code), StatusCode::BAD_REQUEST);
            let response = Problem(failure.clone()).into_response();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            seen((failure.code.as_str(), about(failure.message.len())))
        }
    }
}

#[test]
fn odd_queries_make_a_page_or_are_refused() {
    queries().briefly();
}

#[test]
#[ignore = "takes as long as it is given: just fuzz"]
fn fuzz_query_of_the_api() {
    queries().at_length();
}
