//! `volttracker plugin`: one file for each kind of command. What they do lives
//! elsewhere.

mod bench;
mod call;
mod candidate;
mod check;
mod inspect;
mod list;
mod remote;
mod shadow;

use clap::{Args, Subcommand};

/// Plugins, as files and in a running receiver.
#[derive(Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Say what a component file is: name, version, digest, slot, imports, exports, settings.
    Inspect(inspect::InspectArgs),
    /// Do all the checks that a plugin stands before it serves a slot.
    Check(check::CheckArgs),
    /// Call one function of a plugin: arguments as JSON on stdin, the answer as JSON on stdout.
    Call(call::CallArgs),
    /// Measure what a plugin's calls cost, beside the slot's limits.
    Bench(bench::BenchArgs),
    /// Show which plugin serves each slot, how it does, and what was before.
    List(list::ListArgs),
    /// Put the predecessor back into a slot.
    Rollback(remote::RollbackArgs),
    /// Put a component of the library into a slot.
    Activate(remote::ActivateArgs),
    /// Let a plugin run beside the one that serves a slot: asked the same, compared, without effect.
    Shadow(shadow::ShadowArgs),
    /// Let the shadow of a slot serve it.
    Promote(shadow::SlotArgs),
    /// End the shadow of a slot.
    Discard(shadow::SlotArgs),
}

/// Runs one of the commands.
pub async fn run(args: PluginArgs) -> anyhow::Result<()> {
    match args.command {
        PluginCommand::Inspect(args) => inspect::run(args).await,
        PluginCommand::Check(args) => check::run(args).await,
        PluginCommand::Call(args) => call::run(args).await,
        PluginCommand::Bench(args) => bench::run(args).await,
        PluginCommand::List(args) => list::run(args).await,
        PluginCommand::Rollback(args) => remote::roll_back(args).await,
        PluginCommand::Activate(args) => remote::activate(args).await,
        PluginCommand::Shadow(args) => shadow::begin(args).await,
        PluginCommand::Promote(args) => shadow::promote(args).await,
        PluginCommand::Discard(args) => shadow::discard(args).await,
    }
}
