//! x
pub mod cli;
pub mod plugin_host;
pub mod simulate;
pub mod torque;
