//! `volttracker plugin check`.

use clap::Args;

use super::candidate::Candidate;
use crate::cli::output::print;
use crate::cli::table::size;
use crate::config::CompileLimits;
use crate::plugin_host::Compiling;

const AFTER: &str = "\
What is checked, in this order: size; a component at all; its imports and exports
against the slot's world; compilation; one instance; describe; configure with the
settings; calls on built-in inputs, of one instance twice and of another one, which
must all answer the same; all of it within the slot's deadline and memory.

Exit code: 0 if it may serve the slot, 1 if not, 2 for options that cannot be used.

Examples:
  volttracker plugin check --slot usage-tier my_tier.wasm
  volttracker plugin check --slot sampling-policy --set new_user_days=60 policy.wasm
  volttracker plugin check --slot usage-tier --settings plugins/dist/plugins.toml my_tier.wasm";

/// Options of `volttracker plugin check`.
#[derive(Args)]
#[command(after_help = AFTER)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    candidate: Candidate,
    #[command(flatten)]
    limits: CompileLimits,
}

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let Candidate { slot, file, .. } = &args.candidate;
    let workbench = args.candidate.workbench().await?;
    let fit = workbench
        .check(Compiling::Apart(args.limits), *slot, file)
        .await
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let limits = workbench.limits(*slot);
    print(&format!(
        "{slot} ({}): fits: {} {}, {} of {} MB, memory {} of {} MB\n",
        file.display(),
        fit.name,
        fit.version,
        size(fit.size_bytes),
        limits.component_bytes >> 20,
        size(fit.memory_bytes),
        limits.memory_bytes >> 20,
    ))
}
