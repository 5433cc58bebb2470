//! Parses the command line and calls one function for each command.

use std::process::ExitCode;

use clap::Parser;
use volttracker::cli::{Cli, run};

/// Uploads are many small allocations on several threads. It takes the place of
/// `malloc` too: what SQLite frees, the usual one gives back to the system
/// several times a batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Cli::parse())
}
