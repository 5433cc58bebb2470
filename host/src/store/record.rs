//! What an upload puts into the store, and what it gets back.

use super::layout::Packed;
use super::trips::TripKey;
use crate::identity::{PhoneId, TripId, VehicleId};
use crate::plugin_host::VehicleStats;
use uuid::Uuid;

/// One upload, ready to be written.
#[derive(Debug, Clone)]
pub enum Record {
    /// Telemetry.
    Reading(ReadingRow),
    /// A profile or unit request.
    Session(SessionFacts),
    /// What cannot be stored as either.
    Quarantine(QuarantinedRequest),
}

/// A reading as it rests.
#[derive(Debug, Clone)]
pub struct ReadingRow {
    /// The phone.
    pub phone: PhoneId,
    /// The app's session.
    pub session: Uuid,
    /// When it was taken: epoch milliseconds.
    pub time_ms: i64,
    /// When it was received: epoch milliseconds.
    pub received_ms: i64,
    /// The numbers of its fields.
    pub fields: Packed,
    /// JSON object, PID to text as sent, canonical.
    pub unknown: String,
}

/// What a profile or unit request teaches; absent is what it does not say.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// The phone.
    pub phone: PhoneId,
    /// The app's session.
    pub session: Uuid,
    /// When it was received: epoch milliseconds.
    pub received_ms: i64,
    /// When it was sent, as far as it says so, else received: epoch
    /// milliseconds. What was sent last counts.
    pub time_ms: i64,
    /// The car, where the profile has a name.
    pub car: Option<NamedCar>,
    /// The whole profile: JSON object.
    pub profile: Option<String>,
    /// PID to unit: JSON object.
    pub default_units: Option<String>,
    /// Units that disagree with the catalogue: JSON list.
    pub unit_conflicts: Option<String>,
    /// Display preferences: JSON object.
    pub user_units: Option<String>,
}

impl SessionFacts {
    pub(super) fn key(&self) -> TripKey<'_> {
        (&self.phone, self.session)
    }
}

/// A car as its profile names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCar {
    /// Name of the vehicle profile.
    pub profile_name: String,
    /// The vehicle that it is, unless it is the first car of its phone.
    pub further_vehicle: VehicleId,
}

/// A request that cannot be stored, with identity replaced by its hash.
#[derive(Debug, Clone)]
pub struct QuarantinedRequest {
    /// When it was received: epoch milliseconds.
    pub received_ms: i64,
    /// Error code.
    pub code: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// The phone, where it is known.
    pub phone: Option<PhoneId>,
    /// The session, where it is known.
    pub session: Option<Uuid>,
    /// The request's text.
    pub request: String,
}

/// An upload that is durable now.
#[derive(Debug)]
pub struct Put {
    /// What it became.
    pub stored: Stored,
    /// Time in the writer's queue: milliseconds.
    pub queue_ms: f64,
    /// Finding the trips of the batch: milliseconds.
    pub trip_query_ms: f64,
    /// Inserting the readings of the batch: milliseconds.
    pub insert_ms: f64,
    /// Reading the vehicles of the batch: milliseconds.
    pub vehicle_ms: f64,
    /// Making the batch durable: milliseconds.
    pub commit_ms: f64,
    /// Uploads in the batch.
    pub batch_size: usize,
    /// Whether a batch with it was rolled back first.
    pub retried: bool,
}

/// What an upload became.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// A reading of a trip.
    Reading {
        /// The trip.
        trip_id: TripId,
        /// Its vehicle.
        vehicle_id: VehicleId,
        /// Whether it opened the trip.
        trip_created: bool,
        /// Whether it reopened a closed trip.
        trip_reopened: bool,
        /// Whether the trip has a reading of that time already.
        duplicate: bool,
        /// Whether that reading says something else.
        conflicting: bool,
        /// Closed trips of the vehicle, added up.
        vehicle: VehicleStats,
    },
    /// The reading's trip was closed too long ago: nothing was stored.
    TooLate {
        /// The trip.
        trip_id: TripId,
        /// Its vehicle.
        vehicle_id: VehicleId,
    },
    /// What is known of a session.
    Session {
        /// The vehicle that it is in.
        vehicle_id: VehicleId,
        /// Its trip, where that was another vehicle's until now.
        moved_trip: Option<TripId>,
    },
    /// A row of quarantine.
    Kept,
}
