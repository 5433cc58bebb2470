//! Parses the command line and calls one function for each command.

use std::process::ExitCode;

use clap::Parser;
use volttracker::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
