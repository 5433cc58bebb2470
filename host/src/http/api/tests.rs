//! Any query that a reader sends: it makes a page within limits, or is told
//! what is wrong with it.

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
    ];
    let corpus = corpus.map(|query| query.as_bytes().to_vec()).to_vec();
    Target { name: "query of the API", corpus, words: &WORDS, take: parse_any }
}

const WORDS: [&str; 14] = [
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
];

fn parse_any(input: &[u8]) -> u64 {
    match page(&String::from_utf8_lossy(input)) {
        Ok(page) => {
            assert!((1..=LARGEST_PAGE).contains(&page.limit));
            let before = page.before.as_ref().map(|(_, id)| id);
            assert!(!page.vehicle_id.iter().chain(before).any(|text| text.contains('\0')));
            seen((
                page.limit.ilog2(),
                page.vehicle_id.map(|id| about(id.len())),
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
