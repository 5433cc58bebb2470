//! A store with a past: 100,000 closed trips, made by SQL in one transaction.
//! The vehicles that upload are among their vehicles.

use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use volttracker::config::{StoreConfig, TripConfig};
use volttracker::identity::IdentityKey;
use volttracker::store::{Layout, Store};
use volttracker::torque::Catalogue;

use crate::targets;
use crate::variants::ID_KEY;

/// Vehicles of the history.
const VEHICLES: u32 = 1_250;
/// Closed trips of each vehicle, four a day. So many, and so young, that the
/// default plugins treat the uploads as those to an empty store: what differs
/// is the history alone, not the share of events that is written.
const TRIPS: u32 = 80;
/// The first trips began so long ago.
const BEGAN_MS: i64 = 26 * 86_400_000;

/// Fills the store of a receiver that has not been started yet.
pub fn seed(dir: &Path) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let config = StoreConfig { data_dir: dir.to_owned(), database_url: None, id_key: None };
        let trips = TripConfig { trip_timeout_seconds: 120, late_reading_days: 30 };
        Store::open(&config, &trips, layout()).await?.close(std::time::Duration::from_secs(8)).await;

        let url = format!("sqlite://{}", dir.join("volttracker.db").display());
        let mut connection = AnyConnection::connect(&url).await?;
        let mut transaction = connection.begin().await?;
        add_fleet(&mut transaction).await?;
        let began_ms = jiff::Timestamp::now().as_millisecond() - BEGAN_MS;
        sqlx::query(ADD_TRIPS)
            .bind(i64::from(VEHICLES))
            .bind(i64::from(VEHICLES * TRIPS))
            .bind(began_ms)
            .execute(&mut *transaction)
            .await?;
        let reading =
            layout().pack(&[("odometer_miles", 20_000.0), ("speed_mph", 35.5), ("state_of_charge", 60.0)]);
        let (layout_id, numbers) = reading.into_parts();
        sqlx::query(ADD_READINGS).bind(layout_id).bind(numbers).execute(&mut *transaction).await?;
        transaction.execute(ADD_SPANS).await?;
        transaction.execute(ADD_UP_VEHICLES).await?;
        transaction.commit().await?;
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        connection.close().await?;
        Ok(())
    })
}

/// The receiver's own, of its default catalogue.
fn layout() -> Layout {
    Layout::new(Catalogue::volt_gen2().fields().iter().map(|field| field.name))
}

/// The vehicles' names, uploading ones first.
async fn add_fleet(connection: &mut AnyConnection) -> anyhow::Result<()> {
    let key = IdentityKey::new(ID_KEY);
    let rows: Vec<String> = (1..=VEHICLES)
        .map(|number| {
            let phone = match number {
                1..=targets::VEHICLES => key.phone(&targets::identity(number, 0).device),
                _ => key.phone(&format!("parked {number}")),
            };
            // Each phone is in its own vehicle only.
            format!("({}, '{}')", number - 1, phone.own_vehicle())
        })
        .collect();
    connection
        .execute("CREATE TEMP TABLE fleet (place INTEGER PRIMARY KEY, vehicle_id TEXT NOT NULL)")
        .await?;
    let text = format!("INSERT INTO fleet (place, vehicle_id) VALUES {}", rows.join(","));
    connection.execute(AssertSqlSafe(text)).await?;
    Ok(())
}

/// Trips of 20 minutes, six hours apart. Ids are ordered by time, as the
/// receiver's are.
const ADD_TRIPS: &str = "
WITH RECURSIVE numbers(number) AS (
    SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < $2
), figures AS (
    SELECT number, number % $1 AS vehicle, $3 + number / $1 * 21600000 AS start_ms,
           10000000 + number % 40 * 500000 AS miles_e6, 250000 + number % 10 * 10000 AS kwh_per_mile_e6,
           CASE WHEN number % 3 = 0 THEN 38500000 END AS gas_mpg_e6
    FROM numbers
)
INSERT INTO trips (trip_id, phone_id, vehicle_id, session_id, status, start_time_ms, end_time_ms, first_received_ms,
                   last_received_ms, quiet_since_ms, reading_count, attempts, finalization_number, closed_ms,
                   start_odometer_miles, start_soc, distance_miles, electric_miles, kwh_per_mile,
                   soc_at_gas_transition, fuel_level_at_end, summary, calculator, counted,
                   counted_miles_e6, counted_kwh_per_mile_e6, counted_gas_mpg_e6)
SELECT printf('%08x-%04x-7000-8000-%012x', start_ms >> 16, start_ms & 65535, number), vehicle_id, vehicle_id,
       printf('%08x-0000-5000-8000-%012x', number * 40503 % 1048576, number), 'closed', start_ms,
       start_ms + 1200000, start_ms + 500, start_ms + 1200500, start_ms + 1200500, 3, 0, 1, start_ms + 1320500,
       20000.0 + number / $1 * 20, 80.0, miles_e6 / 1e6, miles_e6 / 1e6, kwh_per_mile_e6 / 1e6,
       CASE WHEN gas_mpg_e6 IS NOT NULL THEN 18.0 END, 75.0,
       json_object('distance_miles', miles_e6 / 1e6, 'distance_source', 'odometer', 'electric_miles',
                   miles_e6 / 1e6, 'kwh_per_mile', kwh_per_mile_e6 / 1e6, 'gas_mpg', gas_mpg_e6 / 1e6),
       '{}', 1, miles_e6, kwh_per_mile_e6, gas_mpg_e6
FROM figures JOIN fleet ON fleet.place = figures.vehicle";

/// A few readings of each trip.
const ADD_READINGS: &str = "
INSERT INTO readings (trip_id, time_ms, received_ms, layout_id, numbers, unknown)
SELECT trip_id, start_time_ms + nth * 600000, start_time_ms + nth * 600000 + 500, $1, $2, '{}'
FROM trips CROSS JOIN (SELECT 0 AS nth UNION ALL SELECT 1 UNION ALL SELECT 2)";

/// When they have readings.
const ADD_SPANS: &str =
    "INSERT INTO trip_spans (trip_id, span) SELECT DISTINCT trip_id, time_ms / 262144 FROM readings";

/// What the trips contribute to their vehicles.
const ADD_UP_VEHICLES: &str = "
INSERT INTO vehicles (vehicle_id, first_received_ms, first_trip_start_ms, total_trips, miles_e6,
                      kwh_per_mile_e6, kwh_per_mile_trips, gas_mpg_e6, gas_mpg_trips)
SELECT vehicle_id, MIN(first_received_ms), MIN(start_time_ms), SUM(counted), SUM(counted_miles_e6),
       SUM(counted_kwh_per_mile_e6), COUNT(counted_kwh_per_mile_e6), COALESCE(SUM(counted_gas_mpg_e6), 0),
       COUNT(counted_gas_mpg_e6)
FROM trips GROUP BY vehicle_id";
