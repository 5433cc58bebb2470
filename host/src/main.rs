<<<<<<< HEAD
//! The `volttracker` binary.

fn main() {}
=======
//! The `volttracker` binary: parses the command line and calls one function per command.

use clap::Parser;
use volttracker::cli::simulate::{self, SimulateArgs};

/// Receives Torque Pro telemetry from plug-in hybrids and makes trips of it.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Drive simulated cars, upload as their phones would, and tell what is true
    Simulate(SimulateArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Simulate(args) => simulate::run(args).await,
    }
}
>>>>>>> h-simulate
