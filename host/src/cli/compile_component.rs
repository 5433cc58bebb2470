//! `volttracker compile-component`: what the receiver starts itself as, for each
//! component that it compiles. Nobody else has a use for it.

use std::process::ExitCode;

use clap::Args;

use crate::plugin_host::compiler::child::{self, ChildArgs};

/// What the receiver tells it.
#[derive(Args)]
pub struct CompileArgs {
    #[command(flatten)]
    child: ChildArgs,
}

/// Compiles the component on standard input.
pub fn run(args: &CompileArgs) -> ExitCode {
    child::run(&args.child)
}
