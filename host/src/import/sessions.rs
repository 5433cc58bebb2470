//! Which session a row is of: that of a trip of the vehicle that is there
//! already, or one that is made from what the drive is, so that the same drive
//! always gets the same.

use std::time::Duration;

use uuid::Uuid;

use super::drives::Drive;
use crate::identity::VehicleId;
use crate::store::{KnownTrip, Store, StoreError};

/// The sessions of a file's drives.
pub(super) struct Sessions {
    vehicle: VehicleId,
    pause: Duration,
    drives: Vec<Drive>,
    /// What is known of the drive that was asked for last, and which it is.
    current: Option<(usize, Vec<KnownTrip>)>,
}

impl Sessions {
    pub(super) fn new(vehicle: VehicleId) -> Self {
        Self { vehicle, pause: Duration::ZERO, drives: Vec::new(), current: None }
    }

    pub(super) fn vehicle(&self) -> &VehicleId {
        &self.vehicle
    }

    pub(super) fn plan(&mut self, drives: Vec<Drive>, pause: Duration) {
        (self.drives, self.pause) = (drives, pause);
    }

    /// The session of a reading at this time. A vehicle drives once at a time:
    /// what it has at that time, or within a pause of it, is the same drive,
    /// whichever way it came. Where several trips are near, the nearest is it.
    pub(super) async fn session_of(&mut self, store: &Store, time_ms: i64) -> Result<Uuid, StoreError> {
        let index = self.drives.partition_point(|drive| drive.start_ms <= time_ms).saturating_sub(1);
        let Some(&drive) = self.drives.get(index) else {
            return Err(StoreError::Unexpected("a row is of none of the file's drives".to_owned()));
        };
        if self.current.as_ref().is_none_or(|(of, _)| *of != index) {
            let wide = drive.widened(self.pause);
            let known = store.trips_between(&self.vehicle, wide.start_ms, wide.end_ms).await?;
            self.current = Some((index, known));
        }
        let known = self.current.iter().flat_map(|(_, known)| known);
        let nearest = known.min_by_key(|trip| (distance(trip, time_ms), trip.start_ms, trip.session));
        Ok(nearest.map_or_else(|| made_for(&self.vehicle, drive), |trip| trip.session))
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
