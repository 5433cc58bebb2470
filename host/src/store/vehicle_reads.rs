//! Vehicles as the API shows them, and their names.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::StoreError;
use super::open::Store;
use super::vehicles::VehicleTotals;

/// A vehicle as the API shows it.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Vehicle)]
pub struct VehicleRow {
    /// The vehicle: a keyed hash.
    pub vehicle_id: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Name of its profile, where one came.
    pub profile_name: Option<String>,
    /// When the first of its trips began: epoch milliseconds. The age of its
    /// account counts from the first upload, whatever was deleted since.
    pub first_trip_start_ms: Option<i64>,
    /// When the last of its trips began: epoch milliseconds.
    pub last_trip_start_ms: Option<i64>,
    /// Closed trips.
    pub total_trips: u32,
    /// Miles of its closed trips, 1 decimal.
    pub total_miles: f64,
    /// Mean of its trips: kWh a mile, 3 decimals.
    pub avg_kwh_per_mile: Option<f64>,
    /// Mean of its trips: miles a US gallon, 1 decimal.
    pub avg_gas_mpg: Option<f64>,
}

fn text(conditions: &str) -> String {
    format!(
        "SELECT {}, vehicles.name,
                (SELECT profile_name FROM cars WHERE cars.vehicle_id = vehicles.vehicle_id) AS profile_name,
                (SELECT start_time_ms FROM trips WHERE trips.vehicle_id = vehicles.vehicle_id
                 ORDER BY start_time_ms LIMIT 1) AS began_ms,
                (SELECT start_time_ms FROM trips WHERE trips.vehicle_id = vehicles.vehicle_id
                 ORDER BY start_time_ms DESC LIMIT 1) AS last_trip_start_ms
         FROM vehicles WHERE {conditions}",
        VehicleTotals::COLUMNS
    )
}

impl Store {
    /// Vehicles behind this id, in the order of their ids, at most that many.
    pub async fn vehicles(&self, behind: &str, limit: i64) -> Result<Vec<VehicleRow>, StoreError> {
        let text = text("vehicles.vehicle_id > $1 ORDER BY vehicles.vehicle_id LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(text)).bind(behind).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(vehicle).collect()
    }

    /// One vehicle.
    pub async fn vehicle(&self, vehicle_id: &str) -> Result<Option<VehicleRow>, StoreError> {
        let text = text("vehicles.vehicle_id = $1");
        let row = sqlx::query(AssertSqlSafe(text)).bind(vehicle_id).fetch_optional(&self.pool).await?;
        row.as_ref().map(vehicle).transpose()
    }

    /// Gives a vehicle a name, or takes it away. Says whether there is such a
    /// vehicle.
    pub async fn name_vehicle(&self, vehicle_id: &str, name: Option<&str>) -> Result<bool, StoreError> {
        let mut transaction = self.writes.begin().await?;
        let named = sqlx::query("UPDATE vehicles SET name = $1 WHERE vehicle_id = $2")
            .bind(name.map(str::to_owned))
            .bind(vehicle_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(named.rows_affected() > 0)
    }
}

fn vehicle(row: &AnyRow) -> Result<VehicleRow, StoreError> {
    let totals = VehicleTotals::from_row(row)?;
    // What depends on the time of day is not shown.
    let stats = totals.stats(totals.first_trip_start_ms);
    Ok(VehicleRow {
        vehicle_id: row.try_get("vehicle_id")?,
        name: row.try_get("name")?,
        profile_name: row.try_get("profile_name")?,
        first_trip_start_ms: row.try_get("began_ms")?,
        last_trip_start_ms: row.try_get("last_trip_start_ms")?,
        total_trips: stats.total_trips,
        total_miles: stats.total_miles,
        avg_kwh_per_mile: stats.avg_kwh_per_mile,
        avg_gas_mpg: stats.avg_gas_mpg,
    })
}
