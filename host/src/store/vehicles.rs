//! One row a vehicle: its closed trips, added up.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::open::Engine;
use super::{StoreError, sql};
use crate::events::BatteryHealth;
use crate::identity::VehicleId;
use crate::plugin_host::VehicleStats;

/// A vehicle's row.
#[derive(Debug, Clone)]
pub(super) struct VehicleTotals {
    /// Grows with each change of the row.
    pub(super) revision: i64,
    pub(super) first_trip_start_ms: i64,
    total_trips: i64,
    miles_e6: i64,
    kwh_per_mile_e6: i64,
    kwh_per_mile_trips: i64,
    gas_mpg_e6: i64,
    gas_mpg_trips: i64,
}

impl VehicleTotals {
    pub(super) const COLUMNS: &str = "vehicles.vehicle_id, vehicles.revision, vehicles.first_trip_start_ms, vehicles.total_trips, \
                                      vehicles.miles_e6, vehicles.kwh_per_mile_e6, vehicles.kwh_per_mile_trips, \
                                      vehicles.gas_mpg_e6, vehicles.gas_mpg_trips";

    pub(super) fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            revision: row.try_get("revision")?,
            first_trip_start_ms: row.try_get("first_trip_start_ms")?,
            total_trips: row.try_get("total_trips")?,
            miles_e6: row.try_get("miles_e6")?,
            kwh_per_mile_e6: row.try_get("kwh_per_mile_e6")?,
            kwh_per_mile_trips: row.try_get("kwh_per_mile_trips")?,
            gas_mpg_e6: row.try_get("gas_mpg_e6")?,
            gas_mpg_trips: row.try_get("gas_mpg_trips")?,
        })
    }

    /// What the tier plugin is told, at `now_ms`.
    pub(super) fn stats(&self, now_ms: i64) -> VehicleStats {
        let mean =
            |sum: i64, trips: i64, digits| (trips > 0).then(|| round(millionths(sum) / trips as f64, digits));
        VehicleStats {
            total_trips: u32::try_from(self.total_trips).unwrap_or_default(),
            total_miles: round(millionths(self.miles_e6), 1),
            account_age_days: u32::try_from((now_ms - self.first_trip_start_ms) / MS_PER_DAY)
                .unwrap_or_default(),
            avg_kwh_per_mile: mean(self.kwh_per_mile_e6, self.kwh_per_mile_trips, 3),
            avg_gas_mpg: mean(self.gas_mpg_e6, self.gas_mpg_trips, 1),
        }
    }
}

/// No trip has more miles than that.
const LARGEST_FIGURE: f64 = 1e6;
const MS_PER_DAY: i64 = 86_400_000;

fn millionths(number: i64) -> f64 {
    number as f64 / 1e6
}

/// A figure in whole millionths, as it is added up. A plugin may give any
/// number: the bound keeps the sums of millions of trips within a BIGINT.
pub(super) fn to_millionths(figure: f64) -> i64 {
    (figure.clamp(-LARGEST_FIGURE, LARGEST_FIGURE) * 1e6).round() as i64
}

/// Half-to-even on the exact binary value, as the rules round.
fn round(number: f64, digits: usize) -> f64 {
    format!("{number:.digits$}").parse().unwrap_or(number)
}

/// Vehicles that were seen, in the order in which they are locked.
#[derive(Default)]
pub(super) struct Seen<'a>(BTreeMap<&'a VehicleId, (i64, i64)>);

impl<'a> Seen<'a> {
    /// A vehicle was seen at this time, and it was received then: epoch
    /// milliseconds.
    pub(super) fn add(&mut self, vehicle: &'a VehicleId, time_ms: i64, received_ms: i64) {
        let first = self.0.entry(vehicle).or_insert((time_ms, received_ms));
        *first = (first.0.min(time_ms), first.1.min(received_ms));
    }
}

/// Opens the vehicles that are new, and moves the first start of those that
/// began earlier than was known; what the database says of them goes into
/// `vehicles`. With `all`, every vehicle that was seen is locked so.
pub(super) async fn touch_vehicles(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    seen: Seen<'_>,
    all: bool,
    vehicles: &mut HashMap<VehicleId, VehicleTotals>,
) -> Result<(), StoreError> {
    let known_since = |vehicle| vehicles.get(vehicle).map(|known: &VehicleTotals| known.first_trip_start_ms);
    let changed: Vec<_> = seen
        .0
        .into_iter()
        .filter(|(vehicle, (start_ms, _))| all || known_since(*vehicle).is_none_or(|known| *start_ms < known))
        .collect();
    for part in sql::parts(&changed) {
        let mut query = sqlx::query(AssertSqlSafe(touch_text(engine, part.len())));
        for (vehicle, (start_ms, received_ms)) in part {
            query = query.bind(vehicle.as_str()).bind(start_ms).bind(received_ms);
        }
        for row in query.fetch_all(&mut **transaction).await? {
            vehicles
                .insert(VehicleId::from_stored(row.try_get("vehicle_id")?), VehicleTotals::from_row(&row)?);
        }
    }
    Ok(())
}

pub(super) fn touch_text(engine: Engine, vehicles: usize) -> String {
    format!(
        "INSERT INTO vehicles (vehicle_id, first_trip_start_ms, first_received_ms) VALUES {}
         ON CONFLICT (vehicle_id) DO UPDATE SET revision = vehicles.revision + 1, first_trip_start_ms =
             CASE WHEN excluded.first_trip_start_ms < vehicles.first_trip_start_ms
                  THEN excluded.first_trip_start_ms ELSE vehicles.first_trip_start_ms END
         RETURNING {}",
        sql::rows(engine, vehicles, 3),
        VehicleTotals::COLUMNS
    )
}

/// Adds a trip's contribution to its vehicle's row, or takes it out.
pub(super) async fn contribute(
    transaction: &mut Transaction<'static, Any>,
    sign: char,
    trip_id: &str,
) -> Result<VehicleTotals, StoreError> {
    let text = format!("{} RETURNING {}", contribution(sign), VehicleTotals::COLUMNS);
    let row = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_one(&mut **transaction).await?;
    Ok(VehicleTotals::from_row(&row)?)
}

/// Opens an ended trip again: takes its contribution out of its vehicle's row,
/// and returns what is left there.
pub(super) async fn withdraw_contribution(
    transaction: &mut Transaction<'static, Any>,
    trip_id: &str,
) -> Result<VehicleTotals, StoreError> {
    let totals = contribute(transaction, '-', trip_id).await?;
    sqlx::query(
        "UPDATE trips SET status = 'open', attempts = 0, setbacks = 0, next_attempt_ms = 0, failed_digest = NULL, counted = 0,
                counted_miles_e6 = 0, counted_kwh_per_mile_e6 = NULL, counted_gas_mpg_e6 = NULL
         WHERE trip_id = $1",
    )
    .bind(trip_id)
    .execute(&mut **transaction)
    .await?;
    Ok(totals)
}

/// One text for both directions, so that they cannot differ.
fn contribution(sign: char) -> String {
    format!(
        "UPDATE vehicles SET
             revision = vehicles.revision + 1,
             total_trips = vehicles.total_trips {sign} trips.counted,
             miles_e6 = vehicles.miles_e6 {sign} trips.counted_miles_e6,
             kwh_per_mile_e6 = vehicles.kwh_per_mile_e6 {sign} COALESCE(trips.counted_kwh_per_mile_e6, 0),
             kwh_per_mile_trips = vehicles.kwh_per_mile_trips
                 {sign} CASE WHEN trips.counted_kwh_per_mile_e6 IS NULL THEN 0 ELSE 1 END,
             gas_mpg_e6 = vehicles.gas_mpg_e6 {sign} COALESCE(trips.counted_gas_mpg_e6, 0),
             gas_mpg_trips = vehicles.gas_mpg_trips
                 {sign} CASE WHEN trips.counted_gas_mpg_e6 IS NULL THEN 0 ELSE 1 END
         FROM trips WHERE trips.trip_id = $1 AND vehicles.vehicle_id = trips.vehicle_id"
    )
}

/// Means over the vehicle's last closed trips with electric miles.
pub(super) async fn battery_health(
    database: impl sqlx::Executor<'_, Database = Any>,
    vehicle: &VehicleId,
) -> Result<Option<BatteryHealth>, StoreError> {
    let rows = sqlx::query(
        "SELECT electric_miles, kwh_per_mile, start_soc - soc_at_gas_transition AS soc_drop FROM trips
         WHERE vehicle_id = $1 AND status = 'closed' AND electric_miles IS NOT NULL
         ORDER BY start_time_ms DESC LIMIT 30",
    )
    .bind(vehicle.as_str())
    .fetch_all(database)
    .await?;
    let column = |name: &str| -> Result<Vec<f64>, sqlx::Error> {
        rows.iter().filter_map(|row| row.try_get::<Option<f64>, _>(name).transpose()).collect()
    };
    let mean = |values: &[f64], digits| {
        (!values.is_empty()).then(|| round(values.iter().sum::<f64>() / values.len() as f64, digits))
    };
    let Some(electric_miles) = mean(&column("electric_miles")?, 1) else {
        return Ok(None);
    };
    Ok(Some(BatteryHealth {
        electric_miles,
        kwh_per_mile: mean(&column("kwh_per_mile")?, 3),
        soc_drop_percent: mean(&column("soc_drop")?, 1),
        trips: u32::try_from(rows.len()).unwrap_or(u32::MAX),
    }))
}
