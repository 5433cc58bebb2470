//! End-to-end tests: the real binary, over loopback. Each module is one area;
//! what they share is in the library of this package.

mod bad_input;
mod demo;
mod events;
mod faults;
mod lifecycle;
mod real_drive;
mod sampling;
mod start_and_stop;

use e2e::{on_both_engines, volt};
