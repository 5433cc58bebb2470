//! VoltTracker: receives what a Torque Pro phone uploads from a plug-in
//! hybrid, makes trips of it, and tells what happened in wide events.
//!
//! An upload's way: [`http`] → [`ingest`] ([`torque`], [`store`]) → answer →
//! [`events`] ([`plugin_host`]). A trip's end: [`finalize`] ([`weather`]). A
//! track log's: [`http`] → [`import`] ([`torque::track_log`], [`store`]).

pub mod activation;
pub mod app;
pub mod cli;
pub mod config;
pub mod durable;
pub mod events;
pub mod export;
pub mod finalize;
mod fixes;
pub mod histogram;
pub mod http;
pub mod identity;
pub mod import;
pub mod ingest;
pub mod live;
pub mod metrics;
pub mod open_files;
pub mod outbound;
pub mod plugin_host;
pub mod query;
pub mod rate_limit;
pub mod run_marker;
pub mod simulate;
pub mod store;
pub mod supervision;
pub mod torque;
pub mod weather;

#[cfg(test)]
mod tests;
