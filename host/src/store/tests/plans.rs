//! What an upload costs does not depend on how much is there: the plans of
//! SQLite search by index and never walk through trips or readings.

use sqlx::{AssertSqlSafe, Row as _};

use super::home::sqlite;
use super::model::*;
use crate::store::charging::SESSIONS;
use crate::store::claims::{
    SEEM_ENDED, SEEM_ENDLESS, claim_text, has_stale_text, mend_clock_text, pass_over_text,
};
use crate::store::previous_fuel::later_trips_text;
use crate::store::reading_pages::page_text;
use crate::store::readings::{compare_text, insert_text};
use crate::store::reads::{TRIPS, UNFINISHED};
use crate::store::refuels::REFUELS;
use crate::store::removal::delete_text;
use crate::store::spans;
use crate::store::trip_filter::Conditions;
use crate::store::trips::{add_text, find_text, open_text};
use crate::store::vehicles::touch_text;
use crate::store::{Engine, Store, TripFilter};

async fn plan(store: &Store, text: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let rows = sqlx::query(explain).fetch_all(&store.pool).await.unwrap();
    rows.iter().map(|row| row.try_get("detail").unwrap()).collect()
}

#[tokio::test]
async fn no_statement_of_an_upload_a_claim_or_a_closing_walks_through_a_table() {
    let home = sqlite();
    let store = home.open().await;
    keep(&store, reading(1, 1, 0)).await;
    let statements = [
        ("trips by key", find_text(Engine::Sqlite, 4), Some("SEARCH vehicles USING INDEX")),
        ("new trips", open_text(Engine::Sqlite, 4), None),
        ("insert of readings", insert_text(Engine::Sqlite, 4, ""), None),
        ("vehicles", touch_text(Engine::Sqlite, 4), None),
        (
            "comparison with what is stored",
            compare_text(Engine::Sqlite, 4),
            Some("SEARCH readings USING INDEX readings_by_slice (<expr>=? AND trip_id=? AND time_ms=?"),
        ),
        ("spans", spans::add_text(Engine::Sqlite, 4), None),
        ("a trip's next spans", spans::NEXT.to_owned(), Some("SEARCH trip_spans USING")),
        (
            "a page of readings",
            page_text(),
            Some("SEARCH readings USING INDEX readings_by_slice (<expr>=? AND trip_id=?"),
        ),
        (
            "a portion of readings",
            delete_text(),
            Some(
                "SEARCH readings USING COVERING INDEX readings_by_slice (<expr>=? AND trip_id=? AND time_ms<?",
            ),
        ),
        ("counters of trips", add_text(Engine::Sqlite, 4), Some("SEARCH trips USING INDEX")),
        ("trips that go on", pass_over_text(Engine::Sqlite), Some("trips_unfinished")),
        ("claim", claim_text(Engine::Sqlite), Some("trips_unfinished")),
        ("trips after one", later_trips_text(Engine::Sqlite), Some("trips_by_vehicle")),
        ("whether trips have ended", has_stale_text(), Some("trips_unfinished")),
        ("ended by a clock set back", mend_clock_text(Engine::Sqlite, SEEM_ENDED), Some("trips_unfinished")),
        ("endless by it", mend_clock_text(Engine::Sqlite, SEEM_ENDLESS), Some("trips_unfinished")),
    ];
    for (name, text, expected) in statements {
        let plan = plan(&store, &text).await;
        for step in &plan {
            let walks =
                ["SCAN trips", "SCAN readings", "SCAN vehicles"].iter().any(|scan| step.starts_with(scan));
            assert!(!walks, "{name}: {plan:?}");
        }
        let found = expected.is_none_or(|part| plan.iter().any(|step| step.contains(part)));
        assert!(found, "{name}: {plan:?}");
    }
}

#[tokio::test]
async fn a_page_is_found_by_index_and_not_sorted() {
    let home = sqlite();
    let store = home.open().await;
    for (source, of_all, of_vehicle) in [
        (TRIPS, "trips_by_start", "trips_by_vehicle"),
        (SESSIONS, "charging_sessions_by_start", "charging_sessions_by_vehicle"),
        (REFUELS, "refuels_by_time", "refuels_by_vehicle"),
    ] {
        for (index, vehicle_id) in [(of_all, None), (of_vehicle, Some("x".to_owned()))] {
            let mut conditions = Conditions::new(&TripFilter { vehicle_id, ..TripFilter::default() }, source);
            conditions.behind(1, "");
            let plan = plan(&store, &source.page_text(conditions.text(), 100)).await;
            assert!(plan.iter().any(|step| step.contains("SEARCH") && step.contains(index)), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}

#[tokio::test]
async fn unfinished_trips_are_counted_among_themselves() {
    let home = sqlite();
    let store = home.open().await;
    assert_eq!(plan(&store, UNFINISHED).await, ["SCAN trips USING INDEX trips_unfinished"]);
}
