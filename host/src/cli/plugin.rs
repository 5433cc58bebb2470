//! `volttracker plugin`: one file for each command. What a command does lives
//! in `crate::plugin_host`.

mod bench;
mod call;
mod candidate;
mod check;
mod inspect;
mod table;

use clap::{Args, Subcommand};

/// Options of `volttracker plugin`.
#[derive(Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what a component file is: name, version, digest, slot, imports, exports, settings.
    Inspect(inspect::InspectArgs),
    /// Do all the checks that a plugin stands before it serves a slot.
    Check(check::CheckArgs),
    /// Call one function of a plugin: arguments as JSON on stdin, the answer as JSON on stdout.
    Call(call::CallArgs),
    /// Measure what a plugin's calls cost, beside the slot's limits.
    Bench(bench::BenchArgs),
}

/// Runs a command.
///
/// # Errors
/// What kept it from doing what it was asked to.
pub async fn run(args: PluginArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Inspect(args) => inspect::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Call(args) => call::run(args).await,
        Command::Bench(args) => bench::run(args).await,
    }
}
