//! The routes of vehicles, and how many trips each has. Which trips go the
//! same way is not known here.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::StoreError;
use super::claims::Claim;
use super::open::Store;
use crate::plugin_host::{Ends, Place};

/// A route as the API shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct RouteRow {
    /// The route.
    pub route_id: String,
    /// Its vehicle: a keyed hash.
    pub vehicle_id: String,
    /// Where its first trip starts: degrees.
    pub start_latitude: f64,
    /// Where its first trip starts: degrees.
    pub start_longitude: f64,
    /// Where its first trip ends: degrees.
    pub end_latitude: f64,
    /// Where its first trip ends: degrees.
    pub end_longitude: f64,
    /// Closed trips on it.
    pub trips: i64,
    /// Start of the latest trip that was ever on it: epoch milliseconds.
    pub last_used_ms: i64,
}

impl RouteRow {
    /// Where its first trip starts and ends.
    pub fn ends(&self) -> Ends {
        let start = Place { latitude: self.start_latitude, longitude: self.start_longitude };
        let end = Place { latitude: self.end_latitude, longitude: self.end_longitude };
        Ends { start, end }
    }
}

/// The route of a trip.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// One that is known, by its id.
    Known(String),
    /// A new one, with the ends of this trip.
    New(Ends),
}

/// What closing a trip made of its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnRoute {
    /// The route.
    pub route_id: String,
    /// Closed trips on it, this one included.
    pub trips: i64,
}

impl Store {
    /// The routes of a vehicle, those used last first.
    pub async fn routes(&self, vehicle_id: &str, limit: i64) -> Result<Vec<RouteRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT route_id, vehicle_id, start_latitude, start_longitude, end_latitude, end_longitude,
                    trip_count, last_used_ms
             FROM routes WHERE vehicle_id = $1 ORDER BY last_used_ms DESC, route_id DESC LIMIT $2",
        )
        .bind(vehicle_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(route).collect()
    }
}

/// Puts the trip on this route, and takes it off the one that it was on: a
/// route without a trip is none. To be called with the vehicle's row locked,
/// so that two hosts do not change its routes at once.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    start_time_ms: i64,
    next: Option<&Route>,
) -> Result<Option<OnRoute>, StoreError> {
    let before: Option<Option<String>> = sqlx::query_scalar("SELECT route_id FROM trips WHERE trip_id = $1")
        .bind(&claim.trip_id)
        .fetch_optional(&mut **transaction)
        .await?;
    let before = before.flatten();
    let joined = match next {
        None => None,
        Some(next) => Some(join(transaction, claim, start_time_ms, next).await?),
    };
    if let Some(route_id) = &before {
        leave(transaction, route_id).await?;
    }
    let Some(route_id) = joined else {
        if before.is_some() {
            set_route(transaction, claim, None).await?;
        }
        return Ok(None);
    };
    set_route(transaction, claim, Some(&route_id)).await?;
    let trips = sqlx::query_scalar("SELECT trip_count FROM routes WHERE route_id = $1")
        .bind(&route_id)
        .fetch_one(&mut **transaction)
        .await?;
    Ok(Some(OnRoute { route_id, trips }))
}

/// Counts the trip for a route; for a new one where the known one is gone.
async fn join(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    start_time_ms: i64,
    next: &Route,
) -> Result<String, StoreError> {
    match next {
        Route::Known(route_id) => {
            let joined = sqlx::query(
                "UPDATE routes SET trip_count = trip_count + 1,
                        last_used_ms = CASE WHEN $1 > last_used_ms THEN $1 ELSE last_used_ms END
                 WHERE route_id = $2",
            )
            .bind(start_time_ms)
            .bind(route_id)
            .execute(&mut **transaction)
            .await?;
            match joined.rows_affected() {
                // Its last trip left it since it was looked for: tried again.
                0 => Err(StoreError::Unexpected("a trip's route is gone".to_owned())),
                _ => Ok(route_id.clone()),
            }
        }
        Route::New(Ends { start, end }) => {
            let route_id = Uuid::now_v7().to_string();
            sqlx::query(
                "INSERT INTO routes (route_id, vehicle_id, start_latitude, start_longitude, end_latitude,
                                     end_longitude, trip_count, last_used_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, 1, $7)",
            )
            .bind(&route_id)
            .bind(claim.vehicle.as_str())
            .bind(start.latitude)
            .bind(start.longitude)
            .bind(end.latitude)
            .bind(end.longitude)
            .bind(start_time_ms)
            .execute(&mut **transaction)
            .await?;
            Ok(route_id)
        }
    }
}

/// Takes a closed trip off its route: a route without a trip is none.
pub(super) async fn leave(
    transaction: &mut Transaction<'static, Any>,
    route_id: &str,
) -> Result<(), StoreError> {
    for text in [
        "UPDATE routes SET trip_count = trip_count - 1 WHERE route_id = $1",
        "DELETE FROM routes WHERE route_id = $1 AND trip_count <= 0",
    ] {
        sqlx::query(text).bind(route_id).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn set_route(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
    route_id: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE trips SET route_id = $1 WHERE trip_id = $2")
        .bind(route_id)
        .bind(&claim.trip_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn route(row: &AnyRow) -> Result<RouteRow, StoreError> {
    Ok(RouteRow {
        route_id: row.try_get("route_id")?,
        vehicle_id: row.try_get("vehicle_id")?,
        start_latitude: row.try_get("start_latitude")?,
        start_longitude: row.try_get("start_longitude")?,
        end_latitude: row.try_get("end_latitude")?,
        end_longitude: row.try_get("end_longitude")?,
        trips: row.try_get("trip_count")?,
        last_used_ms: row.try_get("last_used_ms")?,
    })
}
