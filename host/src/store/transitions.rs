//! The moments at which engines took over from empty batteries: at most one
//! row a trip, replaced with the trip's end.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::StoreError;
use super::claims::Claim;
use super::open::Store;
use crate::plugin_host::SocTransition;

impl Store {
    /// The last transitions of a vehicle, newest first.
    pub async fn soc_transitions(
        &self,
        vehicle_id: &str,
        limit: i64,
    ) -> Result<Vec<SocTransition>, StoreError> {
        let rows = sqlx::query(
            "SELECT time_ms, soc_percent, ambient_temp_f, odometer_miles FROM soc_transitions
             WHERE vehicle_id = $1 ORDER BY time_ms DESC, trip_id DESC LIMIT $2",
        )
        .bind(vehicle_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(transition).collect()
    }
}

/// Keeps this transition in place of the one that the trip had.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    had_some: bool,
    transition: Option<&SocTransition>,
) -> Result<(), StoreError> {
    if had_some {
        let delete = sqlx::query("DELETE FROM soc_transitions WHERE trip_id = $1").bind(&claim.trip_id);
        delete.execute(&mut **transaction).await?;
    }
    let Some(transition) = transition else { return Ok(()) };
    sqlx::query(
        "INSERT INTO soc_transitions (trip_id, vehicle_id, time_ms, soc_percent, ambient_temp_f, odometer_miles)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&claim.trip_id)
    .bind(claim.vehicle.as_str())
    .bind(transition.time_ms)
    .bind(transition.soc_percent)
    .bind(transition.ambient_temp_f)
    .bind(transition.odometer_miles)
    // As in `finalization`: an absent f64 is a 4-byte float to PostgreSQL.
    .persistent(false)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn transition(row: &AnyRow) -> Result<SocTransition, StoreError> {
    Ok(SocTransition {
        time_ms: row.try_get("time_ms")?,
        soc_percent: row.try_get("soc_percent")?,
        ambient_temp_f: row.try_get("ambient_temp_f")?,
        odometer_miles: row.try_get("odometer_miles")?,
    })
}
