//! Wide events: one for each operation, emitted once, at its completion.
//!
//! An operation opens a [`WideEvent`], adds context as it learns it, and
//! consumes it with its outcome. What happens to a finished event (tier,
//! policy, coin, sinks) lives in `pipeline` and delays nobody. No business
//! rule and no I/O of an operation belongs here.

pub(crate) mod cost;
mod decision;
mod details;
mod fields;
mod ledger;
mod life;
mod lookup;
mod names;
mod pipeline;
mod record;
mod schema;
mod secrecy;
mod service;
mod shadow;
pub mod sink;
mod taxonomy;
#[cfg(test)]
pub(crate) mod tests;
mod vehicle;
mod waiting;

pub use details::{
    ApiRequestDetails, ChargingDetails, Details, FinalizationDetails, ImportDetails, PluginSwapDetails,
    ServiceStartDetails, ServiceStopDetails, SwappedPlugin, UploadDetails, WeatherDetails,
};
pub use fields::{Fields, Timings, cut_coordinate};
pub use ledger::{Counts, DURATION_EDGES_US, EventCount, Totals};
pub use life::{Events, WideEvent};
pub use names::{Business, Technical, Timing};
pub use pipeline::Drained;
pub use record::{FeatureFlags, Operation, Outcome, OutcomeName};
pub use schema::schema;
pub use sink::{Heard, KeptEvent, Listener, SinkTotals, Tail};
pub use taxonomy::{Category, Code, Failure, Severity};
pub use vehicle::{BatteryHealth, VehicleContext};
