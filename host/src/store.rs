//! Everything that is kept: all SQL, and nothing but SQL and the writer that
//! groups commits. No business rule, no HTTP, no event.

mod batch;
mod charging;
mod claims;
mod error;
mod finalization;
mod group_commit;
mod layout;
mod open;
mod open_trips;
mod plugins;
mod previous_fuel;
mod quarantine;
mod readiness;
mod readings;
mod reads;
mod record;
mod refuels;
mod rejections;
mod routes;
mod sessions;
mod sql;
#[cfg(test)]
pub(crate) mod tests;
mod transitions;
mod trips;
mod vehicles;

pub use charging::{Change, Charge, ChargingCurve, ChargingSession, CurvePoint};
pub use claims::{Claim, ClaimRequest, Retry};
pub use error::StoreError;
pub use finalization::{Calculator, Closed, Closing, TripData};
pub use group_commit::{Batch, Committed, GroupCommit};
pub use layout::{Layout, Packed};
pub use open::{Engine, Store};
pub use plugins::{Activation, NewActivation};
pub use reads::{Page, Status, TripRow};
pub use record::{Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, Stored};
pub use refuels::{Fill, RefuelRow};
pub use rejections::Rejection;
pub use routes::{OnRoute, Route, RouteRow};
