//! The commands of the `volttracker` binary, one module each. No logic here.

pub mod simulate;
