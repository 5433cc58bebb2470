//! Which session a row is of: that of a trip of the phone that is there
//! already, or one that is made from what the drive is, so that the same drive
//! always gets the same.

use std::time::Duration;

use uuid::Uuid;

use super::drives::Drive;
use crate::identity::{PhoneId, VehicleId};
use crate::store::{Car, KnownTrip, NamedCar, Record, SessionFacts, Store, StoreError};

/// The sessions of a file's drives.
pub(super) struct Sessions {
    car: Car,
    pause: Duration,
    drives: Vec<Drive>,
    /// What is known of the drive that was asked for last, and which it is.
    current: Option<(usize, Vec<KnownTrip>)>,
}

impl Sessions {
    pub(super) fn new(car: Car) -> Self {
        Self { car, pause: Duration::ZERO, drives: Vec::new(), current: None }
    }

    pub(super) fn phone(&self) -> &PhoneId {
        &self.car.phone
    }

    pub(super) fn plan(&mut self, drives: Vec<Drive>, pause: Duration) {
        (self.drives, self.pause) = (drives, pause);
    }

    /// The session of a reading at this time. A phone drives once at a time:
    /// what it has at that time, or within a pause of it, is the same drive,
    /// whichever way it came. Where several trips are near, the nearest is it.
    pub(super) async fn session_of(&mut self, store: &Store, time_ms: i64) -> Result<Uuid, StoreError> {
        let index = self.drives.partition_point(|drive| drive.start_ms <= time_ms).saturating_sub(1);
        let Some(&drive) = self.drives.get(index) else {
            return Err(StoreError::Unexpected("a row is of none of the file's drives".to_owned()));
        };
        if self.current.as_ref().is_none_or(|(of, _)| *of != index) {
            let wide = drive.widened(self.pause);
            let known = store.trips_between(&self.car.phone, wide.start_ms, wide.end_ms).await?;
            if known.is_empty() {
                self.name_car(store, drive).await?;
            }
            self.current = Some((index, known));
        }
        let known = self.current.iter().flat_map(|(_, known)| known);
        let nearest = known.min_by_key(|trip| (distance(trip, time_ms), trip.start_ms, trip.session));
        Ok(nearest.map_or_else(|| made_for(&self.car.vehicle, drive), |trip| trip.session))
    }

    /// Says of a session that is made which of its cars the phone is in, unless
    /// it is the phone's own.
    async fn name_car(&self, store: &Store, drive: Drive) -> Result<(), StoreError> {
        let Car { phone, vehicle, profile_name } = &self.car;
        let Some(profile_name) = profile_name.clone().filter(|_| *vehicle != phone.own_vehicle()) else {
            return Ok(());
        };
        let facts = SessionFacts {
            phone: phone.clone(),
            session: made_for(vehicle, drive),
            received_ms: jiff::Timestamp::now().as_millisecond(),
            time_ms: drive.start_ms,
            car: Some(NamedCar { profile_name, further_vehicle: vehicle.clone() }),
            profile: None,
            default_units: None,
            unit_conflicts: None,
            user_units: None,
        };
        store.put(Record::Session(facts)).await?;
        Ok(())
    }
}

/// How far a time is from a trip; 0 within it.
fn distance(trip: &KnownTrip, time_ms: i64) -> i64 {
    (trip.start_ms - time_ms).max(time_ms - trip.end_ms).max(0)
}

fn made_for(vehicle: &VehicleId, drive: Drive) -> Uuid {
    let name = format!("volttracker:track-log:{vehicle}:{}", drive.start_ms);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}
