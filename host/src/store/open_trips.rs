//! What the writer remembers of open trips, so that an ordinary batch need not
//! ask for them. It is a guess: the statement that adds a batch to its trips
//! checks it, and where it does not hold the batch is written again unguessed.

use std::collections::HashMap;

use uuid::Uuid;

use super::trips::{TripInBatch, TripKey};
use super::vehicles::VehicleTotals;
use crate::identity::{PhoneId, TripId, VehicleId};

/// Trips that are remembered at most: some 300 bytes each. Beyond them all is
/// forgotten, and learnt again by the next batches.
const LARGEST: usize = 65_536;

/// Trips that were open when the writer last saw them.
#[derive(Default)]
pub(super) struct OpenTrips(HashMap<(PhoneId, Uuid), OpenTrip>);

/// An open trip as the writer left it.
#[derive(Clone)]
pub(super) struct OpenTrip {
    pub(super) trip_id: TripId,
    pub(super) vehicle_id: VehicleId,
    /// Its first reading.
    pub(super) start_time_ms: i64,
    /// Its last reading: what is later is new.
    pub(super) end_time_ms: i64,
    /// Its vehicle's row.
    pub(super) vehicle: VehicleTotals,
}

impl OpenTrips {
    pub(super) fn get(&self, (phone, session): TripKey<'_>) -> Option<&OpenTrip> {
        self.0.get(&(phone.clone(), session))
    }

    /// Remembers a trip as a committed batch left it.
    pub(super) fn remember(
        &mut self,
        (phone, session): TripKey<'_>,
        trip: &TripInBatch,
        totals: &VehicleTotals,
    ) {
        let key = (phone.clone(), session);
        if !trip.is_open() {
            self.0.remove(&key);
            return;
        }
        if self.0.len() >= LARGEST {
            self.0.clear();
        }
        let left = OpenTrip {
            trip_id: trip.trip_id.clone(),
            vehicle_id: trip.vehicle_id.clone(),
            start_time_ms: trip.start_time_ms.min(trip.known_since_ms),
            end_time_ms: trip.end_time_ms.max(trip.known_until_ms),
            vehicle: totals.clone(),
        };
        self.0.insert(key, left);
    }

    pub(super) fn forget(&mut self, (phone, session): TripKey<'_>) {
        self.0.remove(&(phone.clone(), session));
    }
}
