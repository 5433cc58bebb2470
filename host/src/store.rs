//! Everything that is kept: all SQL, and nothing but SQL and the writer that
//! groups commits. No business rule, no HTTP, no event.

mod batch;
mod charging;
mod claims;
mod components;
mod error;
mod figures;
mod finalization;
mod group_commit;
mod known_drives;
mod last_answers;
mod layout;
mod open;
mod open_trips;
mod plugins;
mod previous_fuel;
mod quarantine;
mod reading_pages;
mod readings;
mod reads;
mod recalculation;
mod record;
mod refuels;
mod rejections;
mod removal;
mod routes;
mod sessions;
mod sql;
#[cfg(test)]
pub(crate) mod tests;
mod transitions;
mod trip_filter;
mod trips;
mod vehicle_reads;
mod vehicles;

pub use charging::{Change, Charge, ChargingCurve, ChargingSession, CurvePoint};
pub use claims::{Claim, ClaimRequest, Retry};
pub use error::StoreError;
pub use figures::{Efficiency, WeatherPoint};
pub use finalization::{Calculator, Closed, Closing, TripData};
pub use group_commit::{Batch, Committed, GroupCommit, WriterLoad};
pub use known_drives::KnownTrip;
pub use last_answers::UnfinishedTrips;
pub use layout::{Layout, Packed};
pub use open::{Engine, Store};
pub use plugins::{Activated, Activation, NewActivation};
pub use reading_pages::StoredReading;
pub use reads::{Page, Status, TripRow};
pub use recalculation::NotRecalculated;
pub use record::{Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, Stored};
pub use refuels::{Fill, RefuelRow};
pub use rejections::Rejection;
pub use removal::Removed;
pub use routes::{OnRoute, Route, RouteRow};
pub use trip_filter::TripFilter;
pub use vehicle_reads::VehicleRow;
