//! Figures over many trips, added up by the database.

use sqlx::Row as _;

use super::StoreError;
use super::open::Store;
use super::reads::TRIPS;
use super::trip_filter::{Conditions, TripFilter};

/// What closed trips did together. A sum is absent where no trip has the
/// figure.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Efficiency {
    /// Closed trips.
    pub trips: i64,
    /// Miles that they drove.
    pub distance_miles: Option<f64>,
    /// Miles on the battery.
    pub electric_miles: Option<f64>,
    /// Miles on the engine.
    pub gas_miles: Option<f64>,
    /// Miles on the battery, of those on battery and engine: percent.
    pub electric_share_percent: Option<f64>,
    /// Energy for the miles on the battery: kWh.
    pub electric_kwh_used: Option<f64>,
    /// Fuel for the miles on the engine: US gallons.
    pub fuel_used_gallons: Option<f64>,
    /// Energy a mile on the battery, over the trips that know both: kWh.
    pub kwh_per_mile: Option<f64>,
    /// Miles on the engine a US gallon, over the trips that know both.
    pub gas_mpg: Option<f64>,
    /// Trips that entered gas mode.
    pub trips_with_gas: i64,
}

/// What a trip used, and the weather it had.
#[derive(Debug, Clone, Copy)]
pub struct WeatherPoint {
    /// Mean temperature along it: °F.
    pub temperature_f: f64,
    /// Energy a mile on the battery: kWh.
    pub kwh_per_mile: f64,
}

/// Adds up `column` of the trips that have both it and `other`.
fn together(column: &str, other: &str) -> String {
    format!("SUM(CASE WHEN {other} IS NOT NULL THEN {column} END)")
}

impl Store {
    /// What the closed trips of a filter did together.
    pub async fn efficiency(&self, filter: &TripFilter) -> Result<Efficiency, StoreError> {
        let closed = TripFilter { status: Some("closed"), ..filter.clone() };
        let text = |conditions: &str| {
            let kwh_miles = together("electric_miles", "electric_kwh_used");
            let kwh = together("electric_kwh_used", "electric_miles");
            let fuel_miles = together("gas_miles", "fuel_used_gallons");
            let fuel = together("fuel_used_gallons", "gas_miles");
            format!(
                "SELECT COUNT(*) AS trips, SUM(distance_miles) AS distance, SUM(electric_miles) AS electric,
                        SUM(gas_miles) AS gas, SUM(electric_kwh_used) AS kwh_all, {kwh} AS kwh,
                        SUM(fuel_used_gallons) AS fuel_all, {fuel} AS fuel,
                        {kwh_miles} AS kwh_miles, {fuel_miles} AS fuel_miles,
                        COUNT(CASE WHEN gas_mode_entered = 1 THEN 1 END) AS with_gas
                 FROM trips WHERE {conditions}"
            )
        };
        let row = Conditions::new(&closed, TRIPS).query(text).fetch_one(&self.pool).await?;
        let sum = |name: &str| row.try_get::<Option<f64>, _>(name);
        let (electric, gas) = (sum("electric")?, sum("gas")?);
        let both = electric.unwrap_or_default() + gas.unwrap_or_default();
        Ok(Efficiency {
            trips: row.try_get("trips")?,
            distance_miles: sum("distance")?,
            electric_miles: electric,
            gas_miles: gas,
            electric_share_percent: ratio(electric.map(|miles| miles * 100.0), Some(both)),
            electric_kwh_used: sum("kwh_all")?,
            fuel_used_gallons: sum("fuel_all")?,
            kwh_per_mile: ratio(sum("kwh")?, sum("kwh_miles")?),
            gas_mpg: ratio(sum("fuel_miles")?, sum("fuel")?),
            trips_with_gas: row.try_get("with_gas")?,
        })
    }

    /// The newest closed trips of a filter that know both their weather and
    /// what they used, at most that many.
    pub async fn weather_points(
        &self,
        filter: &TripFilter,
        limit: i64,
    ) -> Result<Vec<WeatherPoint>, StoreError> {
        let closed = TripFilter { status: Some("closed"), ..filter.clone() };
        let text = |conditions: &str| {
            format!(
                "SELECT weather_temperature_f, kwh_per_mile FROM trips
                 WHERE {conditions} AND weather_temperature_f IS NOT NULL AND kwh_per_mile IS NOT NULL
                 ORDER BY start_time_ms DESC, trip_id DESC LIMIT {limit}"
            )
        };
        let rows = Conditions::new(&closed, TRIPS).query(text).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let temperature_f = row.try_get("weather_temperature_f")?;
                Ok(WeatherPoint { temperature_f, kwh_per_mile: row.try_get("kwh_per_mile")? })
            })
            .collect()
    }
}

fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let (part, whole) = part.zip(whole)?;
    (whole > 0.0).then(|| part / whole)
}
