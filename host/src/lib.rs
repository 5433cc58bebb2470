//! x
pub mod plugin_host;
pub mod simulate;
