//! Charging sessions: one row each, replaced with their trip's end.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::claims::Claim;
use super::open::Store;
use super::reads::{Page, Source};
use crate::plugin_host::Session;

/// A charging session as the API shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct ChargingSession {
    /// The trip that it is a part of.
    pub trip_id: String,
    /// Its vehicle: a keyed hash.
    pub vehicle_id: String,
    /// First reading: epoch milliseconds.
    pub start_time_ms: i64,
    /// Last reading: epoch milliseconds.
    pub end_time_ms: i64,
    /// Whether the readings show its end; it ended with its trip otherwise.
    pub complete: bool,
    /// `L1`, `L1-high`, `L2` or `DCFC`.
    pub charge_type: String,
    /// State of charge at its start: percent.
    pub start_soc_percent: Option<f64>,
    /// State of charge at its end: percent.
    pub end_soc_percent: Option<f64>,
    /// Highest power: kW.
    pub peak_power_kw: f64,
    /// Mean power: kW.
    pub avg_power_kw: f64,
    /// Energy that came into the battery: kWh.
    pub kwh_added: Option<f64>,
    /// What it cost: $.
    pub cost_usd: Option<f64>,
}

/// One point of a charging session's curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct CurvePoint {
    /// Epoch milliseconds.
    pub time_ms: i64,
    /// Power of the charger: kW.
    pub power_kw: Option<f64>,
    /// State of charge: percent.
    pub soc_percent: Option<f64>,
}

/// A charging session with its curve.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct ChargingCurve {
    /// The session.
    #[serde(flatten)]
    pub session: ChargingSession,
    /// A few of its readings, in time order.
    pub curve: Vec<CurvePoint>,
}

/// A charging session that a trip's end is to keep.
#[derive(Debug, Clone)]
pub struct Charge {
    /// What the calculator found.
    pub session: Session,
    /// A few of its readings, in time order.
    pub curve: Vec<CurvePoint>,
}

/// What keeping a charging session changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not known before.
    Added,
    /// It was known with other figures.
    Revised,
    /// It was known as it is.
    Same,
}

const COLUMNS: &str = "trip_id, vehicle_id, start_time_ms, end_time_ms, complete, charge_type, start_soc_percent, \
                       end_soc_percent, peak_power_kw, avg_power_kw, kwh_added, cost_usd";
const TABLE: &str = "charging_sessions";
pub(super) const SESSIONS: Source =
    Source { columns: COLUMNS, from: TABLE, table: TABLE, time: "start_time_ms" };

impl Store {
    /// One page of charging sessions, newest first.
    pub async fn charging_sessions(&self, page: &Page) -> Result<Vec<ChargingSession>, StoreError> {
        self.page(SESSIONS, page).await?.iter().map(session).collect()
    }

    /// The charging sessions of a trip with their curves, in time order.
    pub async fn charging_of_trip(&self, trip_id: &str) -> Result<Vec<ChargingCurve>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS}, curve FROM charging_sessions WHERE trip_id = $1 ORDER BY start_time_ms"
        );
        let rows = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_all(&self.pool).await?;
        let with_curve = |row: &AnyRow| {
            let curve = serde_json::from_str(row.try_get("curve")?)
                .map_err(|error| StoreError::Unexpected(format!("a curve is not what it was: {error}")))?;
            Ok(ChargingCurve { session: session(row)?, curve })
        };
        rows.iter().map(with_curve).collect()
    }
}

/// Keeps these sessions in place of those that the trip had, and says of each
/// what that changed.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    had_some: bool,
    charges: &[Charge],
) -> Result<Vec<Change>, StoreError> {
    let mut before = HashMap::new();
    if had_some {
        let text = format!("DELETE FROM charging_sessions WHERE trip_id = $1 RETURNING {COLUMNS}");
        let rows =
            sqlx::query(AssertSqlSafe(text)).bind(&claim.trip_id).fetch_all(&mut **transaction).await?;
        for row in &rows {
            let session = session(row)?;
            before.insert(session.start_time_ms, session);
        }
    }
    let mut changes = Vec::with_capacity(charges.len());
    for charge in charges {
        let now = ChargingSession::of(claim, &charge.session);
        insert(transaction, &now, &charge.curve).await?;
        changes.push(match before.get(&now.start_time_ms) {
            None => Change::Added,
            Some(known) if *known == now => Change::Same,
            Some(_) => Change::Revised,
        });
    }
    Ok(changes)
}

async fn insert(
    transaction: &mut Transaction<'static, Any>,
    session: &ChargingSession,
    curve: &[CurvePoint],
) -> Result<(), StoreError> {
    let curve = serde_json::to_string(curve).map_err(|error| StoreError::Unexpected(error.to_string()))?;
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO charging_sessions ({COLUMNS}, curve)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    )))
    .bind(&session.trip_id)
    .bind(&session.vehicle_id)
    .bind(session.start_time_ms)
    .bind(session.end_time_ms)
    .bind(i64::from(session.complete))
    .bind(&session.charge_type)
    .bind(session.start_soc_percent)
    .bind(session.end_soc_percent)
    .bind(session.peak_power_kw)
    .bind(session.avg_power_kw)
    .bind(session.kwh_added)
    .bind(session.cost_usd)
    .bind(curve)
    // As in `finalization`: an absent f64 is a 4-byte float to PostgreSQL.
    .persistent(false)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl ChargingSession {
    fn of(claim: &Claim, session: &Session) -> Self {
        Self {
            trip_id: claim.trip_id.clone(),
            vehicle_id: claim.vehicle.to_string(),
            start_time_ms: session.start_time_ms,
            end_time_ms: session.end_time_ms,
            complete: session.complete,
            charge_type: session.charge_type.clone(),
            start_soc_percent: session.start_soc,
            end_soc_percent: session.end_soc,
            peak_power_kw: session.peak_power_kw,
            avg_power_kw: session.avg_power_kw,
            kwh_added: session.kwh_added,
            cost_usd: session.cost,
        }
    }
}

fn session(row: &AnyRow) -> Result<ChargingSession, StoreError> {
    Ok(ChargingSession {
        trip_id: row.try_get("trip_id")?,
        vehicle_id: row.try_get("vehicle_id")?,
        start_time_ms: row.try_get("start_time_ms")?,
        end_time_ms: row.try_get("end_time_ms")?,
        complete: row.try_get::<i64, _>("complete")? != 0,
        charge_type: row.try_get("charge_type")?,
        start_soc_percent: row.try_get("start_soc_percent")?,
        end_soc_percent: row.try_get("end_soc_percent")?,
        peak_power_kw: row.try_get("peak_power_kw")?,
        avg_power_kw: row.try_get("avg_power_kw")?,
        kwh_added: row.try_get("kwh_added")?,
        cost_usd: row.try_get("cost_usd")?,
    })
}
