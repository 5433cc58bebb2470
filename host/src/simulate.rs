//! A simulated plug-in hybrid and the uploads its phone would make. Pure: no clock,
//! no network, no files; the same seed gives the same drive and the same bytes.

mod charge;
mod days;
mod drive;
mod encode;
mod engine;
mod figures;
mod noise;
mod outage;
mod parameters;
mod path;
mod powertrain;
mod readout;
mod route;
mod thermal;
mod track_log;
mod truth;
mod volt;

pub use charge::ChargeTruth;
pub use days::{DAY_MS, Days, DaysSpec, FillTruth, Session};
pub use drive::{Drive, DriveSpec, Sample};
pub use encode::{Identity, Upload, uploads};
pub use engine::Engine;
pub use figures::{
    Comparison, ServerCharge, ServerRefuel, ServerSummary, ServerTrip, ServerVehicle, Totals, compare,
    compare_energy, compare_totals,
};
pub use path::Motion;
pub use powertrain::Battery;
pub use readout::{Readout, Value};
pub use thermal::Thermal;
pub use track_log::track_log;
pub use truth::Truth;
