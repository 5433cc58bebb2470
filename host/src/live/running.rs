//! One trip that runs: the first and the latest that is known of it. Whom it
//! is shown to is not known here.

use std::time::Instant;

use uuid::Uuid;

use super::charger::Charger;
use crate::events::UploadDetails;
use crate::identity::VehicleId;
use crate::plugin_host::{Figures, Point};

/// A value over time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Value {
    first: Option<(i64, f64)>,
    latest: Option<(i64, f64)>,
}

impl Value {
    fn see(&mut self, time_ms: i64, value: Option<f64>) {
        let Some(value) = value else { return };
        if self.first.is_none_or(|(first_ms, _)| time_ms < first_ms) {
            self.first = Some((time_ms, value));
        }
        if self.latest.is_none_or(|(latest_ms, _)| time_ms >= latest_ms) {
            self.latest = Some((time_ms, value));
        }
    }

    pub(super) fn first(&self) -> Option<f64> {
        self.first.map(|(_, value)| value)
    }

    pub(super) fn latest(&self) -> Option<f64> {
        self.latest.map(|(_, value)| value)
    }
}

/// A trip that runs.
pub(super) struct Running {
    pub(super) vehicle_id: Option<VehicleId>,
    pub(super) session_id: Option<Uuid>,
    /// When something was received for it last.
    pub(super) seen: Instant,
    /// The change that it was last part of.
    pub(super) sequence: u64,
    /// Its latest reading: epoch milliseconds.
    pub(super) time_ms: i64,
    pub(super) odometer_miles: Value,
    pub(super) soc_percent: Value,
    pub(super) fuel_percent: Value,
    pub(super) engine_rpm: Value,
    pub(super) speed_mph: Value,
    pub(super) hv_battery_power_kw: Value,
    pub(super) charger_power_kw: Value,
    pub(super) latitude: Value,
    pub(super) longitude: Value,
    pub(super) charger: Charger,
    /// What is asked of others, each once in a while.
    pub(super) before: Option<Before>,
    pub(super) asked: Option<Instant>,
    pub(super) figures: Option<Figures>,
    pub(super) predicted_range_miles: Option<f64>,
}

/// What the store knows of the time before it was watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) first: Point,
    /// Mean of its vehicle's last trips.
    pub(super) recent_kwh_per_mile: Option<f64>,
}

impl Running {
    pub(super) fn new(upload: &UploadDetails, opens_trip: bool, now: Instant) -> Self {
        let nothing = Value::default();
        Self {
            vehicle_id: upload.vehicle_id.clone(),
            session_id: upload.session_id,
            seen: now,
            sequence: 0,
            time_ms: i64::MIN,
            odometer_miles: nothing,
            soc_percent: nothing,
            fuel_percent: nothing,
            engine_rpm: nothing,
            speed_mph: nothing,
            hv_battery_power_kw: nothing,
            charger_power_kw: nothing,
            latitude: nothing,
            longitude: nothing,
            charger: Charger::new(opens_trip),
            before: None,
            asked: None,
            figures: None,
            predicted_range_miles: None,
        }
    }

    /// Takes what an upload says.
    pub(super) fn see(&mut self, upload: &UploadDetails, time_ms: i64, now: Instant) {
        self.seen = now;
        self.time_ms = self.time_ms.max(time_ms);
        for (value, seen) in [
            (&mut self.odometer_miles, upload.odometer_miles),
            (&mut self.soc_percent, upload.state_of_charge),
            (&mut self.fuel_percent, upload.fuel_level_percent),
            (&mut self.engine_rpm, upload.engine_rpm),
            (&mut self.speed_mph, upload.speed_mph),
            (&mut self.hv_battery_power_kw, upload.hv_battery_power_kw),
            (&mut self.charger_power_kw, upload.charger_power_kw),
            (&mut self.latitude, upload.latitude),
            (&mut self.longitude, upload.longitude),
        ] {
            value.see(time_ms, seen);
        }
    }

    /// Takes what an upload says of whose trip it is. How it was before is asked
    /// again where that is another vehicle's now.
    pub(super) fn belongs_to(&mut self, vehicle_id: Option<&VehicleId>, sequence: u64) {
        self.sequence = sequence;
        if vehicle_id.is_some() && vehicle_id != self.vehicle_id.as_ref() {
            self.vehicle_id = vehicle_id.cloned();
            self.before = None;
        }
    }

    /// Whether it is that vehicle's; every trip is of no vehicle in particular.
    pub(super) fn is_of(&self, vehicle_id: Option<&str>) -> bool {
        vehicle_id.is_none() || vehicle_id == self.vehicle_id.as_ref().map(VehicleId::as_str)
    }

    /// The first values known: those in the store, or else those seen.
    pub(super) fn first(&self) -> Point {
        let stored = self.before.map(|before| before.first);
        let of = |stored: Option<f64>, seen: &Value| stored.or(seen.first());
        Point {
            odometer_miles: of(stored.and_then(|point| point.odometer_miles), &self.odometer_miles),
            state_of_charge: of(stored.and_then(|point| point.state_of_charge), &self.soc_percent),
            fuel_level_percent: of(stored.and_then(|point| point.fuel_level_percent), &self.fuel_percent),
            engine_rpm: of(stored.and_then(|point| point.engine_rpm), &self.engine_rpm),
        }
    }

    /// The latest values known.
    pub(super) fn latest(&self) -> Point {
        Point {
            odometer_miles: self.odometer_miles.latest(),
            state_of_charge: self.soc_percent.latest(),
            fuel_level_percent: self.fuel_percent.latest(),
            engine_rpm: self.engine_rpm.latest(),
        }
    }
}
