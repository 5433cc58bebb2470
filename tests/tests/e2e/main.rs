//! End-to-end tests: the real binary, over loopback. Each module is one area;
//! what they share is in the library of this package.

mod admission;
mod api;
mod bad_input;
mod cars;
mod charging;
mod command_line;
mod compiling;
mod crashes;
mod demo;
mod error_codes;
mod events;
mod faults;
mod hopeless_trips;
mod hostile_plugins;
mod imports;
mod lifecycle;
mod live;
mod metrics;
mod new_plugin;
mod plugin_files;
mod plugins;
mod queries;
mod real_drive;
mod sampling;
mod shadows;
mod sinks;
mod start_and_stop;
mod swaps;
mod weather;
mod week;

use e2e::{on_both_engines, volt};
