//! `volttracker plugin`: one file for each kind of command. What they do lives
//! elsewhere.

mod list;
mod remote;

use clap::{Args, Subcommand};

/// Plugins of a running receiver.
#[derive(Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Show which plugin serves each slot, how it does, and what was before.
    List(list::ListArgs),
    /// Put the predecessor back into a slot.
    Rollback(remote::RollbackArgs),
    /// Put a component of the library into a slot.
    Activate(remote::ActivateArgs),
}

/// Runs one of the commands.
pub async fn run(args: PluginArgs) -> anyhow::Result<()> {
    match args.command {
        PluginCommand::List(args) => list::run(args).await,
        PluginCommand::Rollback(args) => remote::roll_back(args).await,
        PluginCommand::Activate(args) => remote::activate(args).await,
    }
}
