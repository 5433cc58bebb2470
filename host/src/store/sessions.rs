//! What is kept beside readings: facts about a session, and what could not
//! be stored.

use sqlx::{Any, Transaction};
use uuid::Uuid;

use super::StoreError;
use super::record::{QuarantinedRequest, SessionFacts};

/// Keeps what a request teaches about a session; what it does not say stays.
pub(super) async fn keep_session(
    transaction: &mut Transaction<'static, Any>,
    facts: &SessionFacts,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (vehicle_id, session_id, received_ms, profile_name, profile, default_units,
                               unit_conflicts, user_units)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (vehicle_id, session_id) DO UPDATE SET
             received_ms = excluded.received_ms,
             profile_name = COALESCE(excluded.profile_name, sessions.profile_name),
             profile = COALESCE(excluded.profile, sessions.profile),
             default_units = COALESCE(excluded.default_units, sessions.default_units),
             unit_conflicts = COALESCE(excluded.unit_conflicts, sessions.unit_conflicts),
             user_units = COALESCE(excluded.user_units, sessions.user_units)",
    )
    .bind(facts.vehicle.as_str())
    .bind(facts.session.to_string())
    .bind(facts.received_ms)
    .bind(facts.profile_name.clone())
    .bind(facts.profile.clone())
    .bind(facts.default_units.clone())
    .bind(facts.unit_conflicts.clone())
    .bind(facts.user_units.clone())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Keeps a request that cannot be stored otherwise.
pub(super) async fn quarantine(
    transaction: &mut Transaction<'static, Any>,
    request: &QuarantinedRequest,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO quarantine (quarantine_id, received_ms, code, reason, vehicle_id, session_id, request)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(request.received_ms)
    .bind(request.code)
    .bind(request.reason.clone())
    .bind(request.vehicle.as_ref().map(|vehicle| vehicle.as_str().to_owned()))
    .bind(request.session.map(|session| session.to_string()))
    .bind(request.request.clone())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
