//! The rules of this plugin, as pure functions. Nothing here knows the plugin
//! contract.

pub mod tier;
