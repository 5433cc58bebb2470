//! The `sampling-policy` plugin: with what probability, and why, is an event
//! kept? The rule is in `rules`, the settings in `settings`; only `component`
//! knows the contract.

#[cfg(target_arch = "wasm32")]
mod component;
pub mod rules;
pub mod settings;
