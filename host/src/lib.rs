//! The VoltTracker library: the modules the binary and the tests share. No logic here.

pub mod cli;
pub mod simulate;
