//! The `volttracker` binary.

fn main() {}
