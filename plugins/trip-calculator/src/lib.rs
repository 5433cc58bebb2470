//! The `trip-calculator` plugin: what did a trip do, what does a running one
//! do, what did it cost? The rules are in `rules`, the settings in `settings`;
//! only `component` knows the plugin contract.

#[cfg(target_arch = "wasm32")]
mod component;
pub mod rules;
pub mod settings;
