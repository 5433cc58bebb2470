//! What phones were answered, held against what is told and what is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use e2e::{Answered, Server};
use serde_json::Value;
use sqlx::Row as _;

/// Each answer has one event, with its status; no upload has two.
pub fn every_answer_is_told_once(answered: &[Answered], events: &[Value]) {
    let mut told = BTreeMap::new();
    for event in events.iter().filter(|event| event["operation"] == "telemetry_upload") {
        let request_id = event["client_request_id"].as_str().unwrap_or_default();
        assert!(told.insert(request_id, event).is_none(), "told twice: {event}");
    }
    for Answered { request_id, answer, .. } in answered {
        let event = told.get(request_id.as_str()).unwrap_or_else(|| panic!("{request_id} is not told"));
        assert_eq!(event["http_status"], answer.status, "{event}");
        assert_eq!(event["success"], answer.is_ok(), "{event}");
    }
}

/// Each acknowledged reading is there, once, and none that nobody sent.
pub async fn every_acknowledged_reading_is_kept(
    server: &Server,
    answered: &[Answered],
) -> anyhow::Result<()> {
    let rows = server.look().await?.rows("SELECT time_ms FROM readings").await?;
    let times: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let kept: BTreeSet<_> = times.iter().copied().collect();
    ensure!(kept.len() == times.len(), "a reading is kept twice");
    let acknowledged: BTreeSet<_> =
        answered.iter().filter(|answered| answered.answer.is_ok()).map(|answered| answered.time_ms).collect();
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    Ok(())
}

/// What is kept has its totals and one stop: `received = kept + sampled_out +
/// lost_by_sink`, and every kept event was written.
pub fn ledger_adds_up(events: &[Value]) {
    let (stop, before) = events.split_last().expect("a stop has its event");
    assert_eq!(stop["operation"], "service_stop");
    let total = |name: &str| stop[name].as_u64().unwrap_or_else(|| panic!("{name}: {stop}"));
    assert_eq!(total("events_kept"), before.len() as u64, "every kept event is written");
    assert_eq!(total("events_lost_by_sink"), 0);
    assert_eq!(total("events_received"), total("events_kept") + total("events_sampled_out"));
}
