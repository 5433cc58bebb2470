//! End-to-end tests: the real binary, over loopback. Each module is one area;
//! what they share is in the library of this package.

mod bad_input;
mod charging;
mod crashes;
mod demo;
mod events;
mod faults;
mod hopeless_trips;
mod hostile_plugins;
mod lifecycle;
mod live;
mod new_plugin;
mod plugin_files;
mod plugins;
mod real_drive;
mod sampling;
mod shadows;
mod start_and_stop;
mod swaps;
mod weather;

use e2e::{on_both_engines, volt};
