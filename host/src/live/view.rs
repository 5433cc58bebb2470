//! What is shown of a trip that runs: what its uploads said last, and the
//! calculator's figures, asked for at most once a second.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::running::{Before, Running};
use super::{Live, first_of};
use crate::events::Failure;
use crate::plugin_host::{Figures, PluginError, PluginSet, Point};
use crate::store::{Store, StoreError};

/// Figures of one trip are asked for no more often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A trip that runs, as the API shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct LiveTrip {
    /// The trip.
    pub trip_id: String,
    /// Its vehicle: a keyed hash.
    pub vehicle_id: String,
    /// Its session.
    pub session_id: String,
    /// Its latest reading: epoch milliseconds.
    pub time_ms: i64,
    /// Odometer: miles.
    pub odometer_miles: Option<f64>,
    /// State of charge: percent.
    pub state_of_charge: Option<f64>,
    /// Fuel level: percent.
    pub fuel_level_percent: Option<f64>,
    /// Engine speed: revolutions per minute.
    pub engine_rpm: Option<f64>,
    /// Speed: mph.
    pub speed_mph: Option<f64>,
    /// Power of the high-voltage battery: kW, positive discharges.
    pub hv_battery_power_kw: Option<f64>,
    /// Whether it charges.
    pub charging: bool,
    /// Power of the charger: kW.
    pub charger_power_kw: Option<f64>,
    /// Latitude, cut to 2 decimals.
    pub latitude: Option<f64>,
    /// Longitude, cut to 2 decimals.
    pub longitude: Option<f64>,
    /// The calculator's figures so far; null while it fails.
    pub figures: Option<Figures>,
    /// Miles that the battery still reaches; null where that is not asked for.
    pub predicted_range_miles: Option<f64>,
}

/// What figures are made of.
struct Ends {
    first: Point,
    latest: Point,
    recent_kwh_per_mile: Option<f64>,
}

impl Live {
    /// A trip that runs, with figures that are not older than a second; with
    /// its range, if that is asked for.
    ///
    /// # Errors
    /// The store or the calculator fails. The calculator is left alone for a
    /// while then, and the trip shown without its figures.
    pub async fn show(
        &self,
        trip_id: &str,
        store: &Store,
        plugins: &PluginSet,
        with_range: bool,
    ) -> Result<Option<LiveTrip>, Failure> {
        let _turn = self.asking.lock().await;
        if self.begin_asking(trip_id) {
            self.learn_before(trip_id, store).await.map_err(|error| Failure::from(&error))?;
            if let Some(ends) = self.ends(trip_id) {
                let asked = ask(&ends, plugins, with_range).await;
                if asked.is_err() {
                    self.pause();
                }
                self.set_figures(trip_id, asked.as_ref().ok().copied());
                asked.map_err(|error| Failure::from(&error))?;
            }
        }
        Ok(self.trips().by_id.get(trip_id).map(|running| LiveTrip::of(trip_id, running)))
    }

    /// Whether it is time to ask for figures; then it counts as asked.
    fn begin_asking(&self, trip_id: &str) -> bool {
        let mut trips = self.trips();
        let now = Instant::now();
        let paused = trips.paused_until.is_some_and(|until| now < until);
        let Some(running) = trips.by_id.get_mut(trip_id).filter(|_| !paused) else { return false };
        let due = running.asked.is_none_or(|asked| now >= asked + ASK_EVERY);
        if due {
            running.asked = Some(now);
        }
        due
    }

    /// Asks the store, once a trip, how it began.
    async fn learn_before(&self, trip_id: &str, store: &Store) -> Result<(), StoreError> {
        if self.trips().by_id.get(trip_id).is_none_or(|running| running.before.is_some()) {
            return Ok(());
        }
        let first = first_of(&store.first_readings(trip_id).await?);
        let vehicle_id = self.trips().by_id.get(trip_id).and_then(|running| running.vehicle_id.clone());
        let health = match vehicle_id {
            Some(vehicle_id) => store.battery_health(vehicle_id.as_str()).await?,
            None => None,
        };
        let before = Before { first, recent_kwh_per_mile: health.and_then(|health| health.kwh_per_mile) };
        if let Some(running) = self.trips().by_id.get_mut(trip_id) {
            running.before = Some(before);
        }
        Ok(())
    }

    fn ends(&self, trip_id: &str) -> Option<Ends> {
        let trips = self.trips();
        let running = trips.by_id.get(trip_id)?;
        let recent_kwh_per_mile = running.before.and_then(|before| before.recent_kwh_per_mile);
        Some(Ends { first: running.first(), latest: running.latest(), recent_kwh_per_mile })
    }

    fn set_figures(&self, trip_id: &str, asked: Option<(Figures, Option<f64>)>) {
        if let Some(running) = self.trips().by_id.get_mut(trip_id) {
            running.figures = asked.map(|(figures, _)| figures);
            running.predicted_range_miles = asked.and_then(|(_, range)| range);
        }
    }
}

async fn ask(
    ends: &Ends,
    plugins: &PluginSet,
    with_range: bool,
) -> Result<(Figures, Option<f64>), PluginError> {
    let now_ms = Timestamp::now().as_millisecond();
    let figures = plugins.figures_of(ends.first, ends.latest, now_ms).await?;
    let range = match (with_range, ends.latest.state_of_charge, ends.recent_kwh_per_mile) {
        (true, Some(charge), Some(kwh_per_mile)) => {
            plugins.predict_range(charge, kwh_per_mile, now_ms).await?
        }
        _ => None,
    };
    Ok((figures, range))
}

impl LiveTrip {
    fn of(trip_id: &str, running: &Running) -> Self {
        Self {
            trip_id: trip_id.to_owned(),
            vehicle_id: running.vehicle_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            session_id: running.session_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            time_ms: running.time_ms,
            odometer_miles: running.odometer_miles.latest(),
            state_of_charge: running.soc_percent.latest(),
            fuel_level_percent: running.fuel_percent.latest(),
            engine_rpm: running.engine_rpm.latest(),
            speed_mph: running.speed_mph.latest(),
            hv_battery_power_kw: running.hv_battery_power_kw.latest(),
            charging: running.charger.charges(),
            charger_power_kw: running.charger_power_kw.latest(),
            latitude: running.latitude.latest(),
            longitude: running.longitude.latest(),
            figures: running.figures,
            predicted_range_miles: running.predicted_range_miles,
        }
    }
}
