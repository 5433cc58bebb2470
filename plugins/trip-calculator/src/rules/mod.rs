//! The rules of this plugin, as pure functions. Nothing here knows the plugin
//! contract, and no function panics, whatever it is given.
//!
//! A value that is not finite is no value; what cannot be computed is absent.

pub mod charging;
pub mod costs;
pub mod distance;
pub mod energy;
pub mod fuel;
pub mod gas_mode;
pub mod live;
pub mod number;
pub mod range;
pub mod readings;
pub mod refuel;
pub mod routes;
pub mod soc_floor;
pub mod split;
pub mod summary;
pub mod weather;
