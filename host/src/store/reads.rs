//! What the read API shows.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::StoreError;
use super::last_answers::UnfinishedTrips;
use super::open::Store;
use super::trip_filter::{Conditions, TripFilter};

/// A trip as the API shows it.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Trip)]
pub struct TripRow {
    /// The trip.
    pub trip_id: String,
    /// Its vehicle: a keyed hash.
    pub vehicle_id: String,
    /// Its session.
    pub session_id: String,
    /// Name of the vehicle profile.
    pub profile_name: Option<String>,
    /// `open`, `closed` or `failed`.
    pub status: String,
    /// First reading: epoch milliseconds.
    pub start_time_ms: i64,
    /// Last reading: epoch milliseconds.
    pub end_time_ms: i64,
    /// Last receipt: epoch milliseconds.
    pub last_received_ms: i64,
    /// Number of readings.
    pub readings: i64,
    /// Readings that came again.
    pub duplicates: i64,
    /// Among them those that said something else.
    pub conflicting_readings: i64,
    /// How often the trip was finalized.
    pub finalization_number: i64,
    /// First known odometer: miles.
    pub start_odometer_miles: Option<f64>,
    /// First known state of charge: percent.
    pub start_soc: Option<f64>,
    /// The calculator's figures, of the last finalization.
    #[schema(value_type = Option<crate::plugin_host::Summary>)]
    pub summary: Option<serde_json::Value>,
    /// Who calculated them: name, version, digest.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub calculator: Option<serde_json::Value>,
    /// The weather along the trip and what it does to consumption, of the last finalization.
    #[schema(value_type = Option<crate::plugin_host::Impact>)]
    pub weather: Option<serde_json::Value>,
    /// The route that it is on, where routes are looked for.
    pub route_id: Option<String>,
    /// What the trip cost, of the last finalization.
    #[schema(value_type = Option<crate::plugin_host::Cost>)]
    pub cost: Option<serde_json::Value>,
}

/// Which trips, or which of what trips left: newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// Only these.
    pub filter: TripFilter,
    /// Only behind this trip: its start and id.
    pub behind: Option<(i64, String)>,
    /// At most that many.
    pub limit: i64,
}

/// How much the store holds.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = StoreStatus)]
pub struct Status {
    /// Vehicles.
    pub vehicles: i64,
    /// Closed trips.
    pub closed_trips: i64,
    /// Trips that are not over.
    pub open_trips: i64,
    /// Trips that no calculator could summarize.
    pub failed_trips: i64,
    /// Requests in quarantine.
    pub quarantined: i64,
}

/// Trips that are not closed: as many rows as there are of them.
pub(super) const UNFINISHED: &str = "SELECT COUNT(CASE WHEN status = 'open' THEN 1 END) AS open_trips,
            COUNT(CASE WHEN status = 'failed' THEN 1 END) AS failed_trips
     FROM trips WHERE status <> 'closed'";

const COLUMNS: &str = "trips.trip_id, trips.vehicle_id, trips.session_id, sessions.profile_name, trips.status, \
     trips.start_time_ms, trips.end_time_ms, trips.last_received_ms, trips.reading_count, trips.duplicate_count, \
     trips.conflict_count, trips.finalization_number, trips.start_odometer_miles, trips.start_soc, trips.summary, \
     trips.calculator, trips.weather, trips.cost, trips.route_id";
const FROM: &str = "trips LEFT JOIN sessions \
     ON sessions.phone_id = trips.phone_id AND sessions.session_id = trips.session_id";

/// What is read, from where, and the table and its time that a page goes by.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) columns: &'static str,
    pub(super) from: &'static str,
    pub(super) table: &'static str,
    pub(super) time: &'static str,
}

pub(super) const TRIPS: Source =
    Source { columns: COLUMNS, from: FROM, table: "trips", time: "start_time_ms" };

impl Source {
    pub(super) fn page_text(self, conditions: &str, limit: i64) -> String {
        let Self { columns, from, table, time } = self;
        format!(
            "SELECT {columns} FROM {from} WHERE {conditions}
             ORDER BY {table}.{time} DESC, {table}.trip_id DESC LIMIT {limit}"
        )
    }
}

impl Store {
    /// One page of trips, newest first.
    pub async fn trips(&self, page: &Page) -> Result<Vec<TripRow>, StoreError> {
        self.page(TRIPS, page).await?.iter().map(trip).collect()
    }

    /// The rows of a page.
    pub(super) async fn page(&self, source: Source, page: &Page) -> Result<Vec<AnyRow>, StoreError> {
        let mut conditions = Conditions::new(&page.filter, source);
        let (time_ms, trip_id) = page.behind.as_ref().map_or((i64::MAX, ""), |(time, id)| (*time, id));
        conditions.behind(time_ms, trip_id);
        let query = conditions.query(|conditions| source.page_text(conditions, page.limit));
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// One trip.
    pub async fn trip(&self, trip_id: &str) -> Result<Option<TripRow>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM {FROM} WHERE trips.trip_id = $1");
        let row = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_optional(&self.pool).await?;
        row.as_ref().map(trip).transpose()
    }

    /// How much the store holds.
    pub async fn status(&self) -> Result<Status, StoreError> {
        // CAST because SUM of BIGINT is NUMERIC on PostgreSQL.
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM vehicles) AS vehicles,
                    (SELECT CAST(COALESCE(SUM(total_trips), 0) AS BIGINT) FROM vehicles) AS closed_trips,
                    (SELECT COUNT(*) FROM trips WHERE status <> 'closed' AND status = 'open') AS open_trips,
                    (SELECT COUNT(*) FROM trips WHERE status <> 'closed' AND status = 'failed') AS failed_trips,
                    (SELECT COUNT(*) FROM quarantine) AS quarantined",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Status {
            vehicles: row.try_get("vehicles")?,
            closed_trips: row.try_get("closed_trips")?,
            open_trips: row.try_get("open_trips")?,
            failed_trips: row.try_get("failed_trips")?,
            quarantined: row.try_get("quarantined")?,
        })
    }

    /// Whether an upload could be written now, or within the last second.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.answers.ready.ask(self.writes.probe()).await
    }

    /// How many trips are unfinished, now or a few seconds ago.
    pub async fn unfinished_trips(&self) -> Result<UnfinishedTrips, StoreError> {
        let count = async {
            let row = sqlx::query(UNFINISHED).fetch_one(&self.pool).await?;
            Ok(UnfinishedTrips { open: row.try_get("open_trips")?, failed: row.try_get("failed_trips")? })
        };
        self.answers.unfinished.ask(count).await
    }
}

fn trip(row: &AnyRow) -> Result<TripRow, StoreError> {
    let json = |name: &str| -> Result<Option<serde_json::Value>, StoreError> {
        let text: Option<&str> = row.try_get(name)?;
        let value = text.map(serde_json::from_str).transpose();
        value.map_err(|error| StoreError::Unexpected(format!("{name} is not the JSON it was: {error}")))
    };
    Ok(TripRow {
        trip_id: row.try_get("trip_id")?,
        vehicle_id: row.try_get("vehicle_id")?,
        session_id: row.try_get("session_id")?,
        profile_name: row.try_get("profile_name")?,
        status: row.try_get("status")?,
        start_time_ms: row.try_get("start_time_ms")?,
        end_time_ms: row.try_get("end_time_ms")?,
        last_received_ms: row.try_get("last_received_ms")?,
        readings: row.try_get("reading_count")?,
        duplicates: row.try_get("duplicate_count")?,
        conflicting_readings: row.try_get("conflict_count")?,
        finalization_number: row.try_get("finalization_number")?,
        start_odometer_miles: row.try_get("start_odometer_miles")?,
        start_soc: row.try_get("start_soc")?,
        summary: json("summary")?,
        calculator: json("calculator")?,
        weather: json("weather")?,
        cost: json("cost")?,
        route_id: row.try_get("route_id")?,
    })
}
