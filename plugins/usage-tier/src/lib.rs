//! The `usage-tier` plugin: in which tier is a vehicle's owner? The rule is in
//! `rules`, the settings in `settings`; only `component` knows the contract.

#[cfg(target_arch = "wasm32")]
mod component;
pub mod rules;
pub mod settings;
