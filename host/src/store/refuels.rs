//! Fills of the tank: one row each, replaced with their trip's end.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::claims::Claim;
use super::open::Store;
use super::reads::{Page, Source};
use crate::plugin_host::Refuel;

/// A fill as the API shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct RefuelRow {
    /// The trip at whose beginning, or during which, it was seen.
    pub trip_id: String,
    /// Its vehicle: a keyed hash.
    pub vehicle_id: String,
    /// When the new level was first seen: epoch milliseconds.
    pub time_ms: i64,
    /// Level before: percent.
    pub level_before_percent: f64,
    /// Level after: percent.
    pub level_after_percent: f64,
    /// Fuel filled in: US gallons.
    pub gallons: f64,
    /// What it cost: $.
    pub cost_usd: Option<f64>,
    /// Odometer: miles.
    pub odometer_miles: Option<f64>,
    /// Latitude of the reading next to it: degrees.
    pub latitude: Option<f64>,
    /// Longitude of that reading: degrees.
    pub longitude: Option<f64>,
}

/// A fill that a trip's end is to keep.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// What the calculator found.
    pub refuel: Refuel,
    /// What it cost: $.
    pub cost_usd: Option<f64>,
    /// Latitude and longitude of the reading next to it: degrees.
    pub position: Option<(f64, f64)>,
}

const COLUMNS: &str = "trip_id, vehicle_id, time_ms, level_before_percent, level_after_percent, gallons, cost_usd, \
                       odometer_miles, latitude, longitude";

pub(super) const REFUELS: Source =
    Source { columns: COLUMNS, from: "refuels", table: "refuels", time: "time_ms" };

impl Store {
    /// One page of fills, newest first.
    pub async fn refuels(&self, page: &Page) -> Result<Vec<RefuelRow>, StoreError> {
        self.page(REFUELS, page).await?.iter().map(refuel).collect()
    }
}

/// Keeps these fills in place of those that the trip had.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    had_some: bool,
    fills: &[Fill],
) -> Result<(), StoreError> {
    if had_some {
        let delete = sqlx::query("DELETE FROM refuels WHERE trip_id = $1").bind(&claim.trip_id);
        delete.execute(&mut **transaction).await?;
    }
    for Fill { refuel, cost_usd, position } in fills {
        let text =
            format!("INSERT INTO refuels ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
        sqlx::query(AssertSqlSafe(text))
            .bind(&claim.trip_id)
            .bind(claim.vehicle.as_str())
            .bind(refuel.time_ms)
            .bind(refuel.level_before_percent)
            .bind(refuel.level_after_percent)
            .bind(refuel.gallons)
            .bind(*cost_usd)
            .bind(refuel.odometer_miles)
            .bind(position.map(|(latitude, _)| latitude))
            .bind(position.map(|(_, longitude)| longitude))
            // As in `finalization`: an absent f64 is a 4-byte float to PostgreSQL.
            .persistent(false)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

fn refuel(row: &AnyRow) -> Result<RefuelRow, StoreError> {
    Ok(RefuelRow {
        trip_id: row.try_get("trip_id")?,
        vehicle_id: row.try_get("vehicle_id")?,
        time_ms: row.try_get("time_ms")?,
        level_before_percent: row.try_get("level_before_percent")?,
        level_after_percent: row.try_get("level_after_percent")?,
        gallons: row.try_get("gallons")?,
        cost_usd: row.try_get("cost_usd")?,
        odometer_miles: row.try_get("odometer_miles")?,
        latitude: row.try_get("latitude")?,
        longitude: row.try_get("longitude")?,
    })
}
