//! What is kept of a session beside its readings. What was sent last counts,
//! in whatever order requests come, and what it does not say stays.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::StoreError;
use super::record::SessionFacts;

/// By PID, or by parameter.
type Units = BTreeMap<String, String>;

/// Keeps what a request teaches about a session.
pub(super) async fn keep_session(
    transaction: &mut Transaction<'static, Any>,
    facts: &SessionFacts,
) -> Result<(), StoreError> {
    // Setting what is there already makes RETURNING tell of it, and locks it.
    let row = sqlx::query(
        "INSERT INTO sessions (vehicle_id, session_id, received_ms) VALUES ($1, $2, $3)
         ON CONFLICT (vehicle_id, session_id) DO UPDATE SET received_ms = excluded.received_ms
         RETURNING profile_name, profile, profile_time_ms, default_units, unit_conflicts, default_units_time_ms,
                   user_units, user_units_time_ms",
    )
    .bind(facts.vehicle.as_str())
    .bind(facts.session.to_string())
    .bind(facts.received_ms)
    .fetch_one(&mut **transaction)
    .await?;
    let mut known = Known::from_row(&row)?;
    known.learn(facts)?;
    sqlx::query(
        "UPDATE sessions SET profile_name = $1, profile = $2, profile_time_ms = $3, default_units = $4,
                unit_conflicts = $5, default_units_time_ms = $6, user_units = $7, user_units_time_ms = $8
         WHERE vehicle_id = $9 AND session_id = $10",
    )
    .bind(known.profile_name)
    .bind(known.profile)
    .bind(known.profile_time_ms)
    .bind(known.default_units)
    .bind(known.unit_conflicts)
    .bind(known.default_units_time_ms)
    .bind(known.user_units)
    .bind(known.user_units_time_ms)
    .bind(facts.vehicle.as_str())
    .bind(facts.session.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// What is known of a session, and when that was sent.
struct Known {
    profile_name: Option<String>,
    profile: Option<String>,
    profile_time_ms: i64,
    default_units: Option<String>,
    unit_conflicts: Option<String>,
    default_units_time_ms: i64,
    user_units: Option<String>,
    user_units_time_ms: i64,
}

impl Known {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            profile_name: row.try_get("profile_name")?,
            profile: row.try_get("profile")?,
            profile_time_ms: row.try_get("profile_time_ms")?,
            default_units: row.try_get("default_units")?,
            unit_conflicts: row.try_get("unit_conflicts")?,
            default_units_time_ms: row.try_get("default_units_time_ms")?,
            user_units: row.try_get("user_units")?,
            user_units_time_ms: row.try_get("user_units_time_ms")?,
        })
    }

    fn learn(&mut self, facts: &SessionFacts) -> Result<(), StoreError> {
        if facts.profile_name.is_some() || facts.profile.is_some() {
            let is_latest = latest(&mut self.profile_time_ms, facts.time_ms);
            fill(&mut self.profile_name, facts.profile_name.as_ref(), is_latest);
            fill(&mut self.profile, facts.profile.as_ref(), is_latest);
        }
        if let Some(sent) = &facts.user_units {
            let is_latest = latest(&mut self.user_units_time_ms, facts.time_ms);
            let (older, newer) = in_order(read(self.user_units.as_ref())?, read(Some(sent))?, is_latest);
            self.user_units = Some(write(&merged(older, newer))?);
        }
        if let Some(sent) = &facts.default_units {
            let is_latest = latest(&mut self.default_units_time_ms, facts.time_ms);
            let (known, sent): (Units, _) = (read(self.default_units.as_ref())?, read(Some(sent))?);
            let (older, newer) = in_order(known, sent, is_latest);
            let (known, sent) = (read(self.unit_conflicts.as_ref())?, read(facts.unit_conflicts.as_ref())?);
            let (mut conflicts, newer_conflicts): (Vec<String>, _) = in_order(known, sent, is_latest);
            // The newer units replace the older ones, and so their conflicts.
            conflicts.retain(|text| !newer.contains_key(text.split(':').next().unwrap_or_default()));
            conflicts.extend(newer_conflicts);
            self.unit_conflicts = Some(write(&conflicts)?);
            self.default_units = Some(write(&merged(older, newer))?);
        }
        Ok(())
    }
}

/// Whether what was sent then is later than all that is known; it is known then.
fn latest(known_ms: &mut i64, sent_ms: i64) -> bool {
    let is_latest = sent_ms >= *known_ms;
    *known_ms = sent_ms.max(*known_ms);
    is_latest
}

fn fill(known: &mut Option<String>, sent: Option<&String>, is_latest: bool) {
    if is_latest || known.is_none() {
        *known = sent.cloned().or(known.take());
    }
}

/// The older of two, and the newer.
fn in_order<T>(known: T, sent: T, sent_is_latest: bool) -> (T, T) {
    if sent_is_latest { (known, sent) } else { (sent, known) }
}

fn merged(mut older: Units, newer: Units) -> Units {
    older.extend(newer);
    older
}

fn read<T: DeserializeOwned + Default>(text: Option<&String>) -> Result<T, StoreError> {
    let value = text.map(|text| serde_json::from_str(text)).transpose();
    Ok(value
        .map_err(|error| StoreError::Unexpected(format!("units of a session: {error}")))?
        .unwrap_or_default())
}

fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}
