//! The VoltTracker server as a library: what the binary runs and the tests call.

pub mod plugin_host;
