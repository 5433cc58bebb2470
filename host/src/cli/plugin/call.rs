//! `volttracker plugin call`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;

use super::candidate::Candidate;
use crate::cli::output::{print, say};
use crate::cli::table::size;
use crate::plugin_host::{CallError, Spent};

const AFTER: &str = "\
Reads one JSON object from standard input: the function's arguments by name, as the
contract in wit/ names them, in snake_case. Writes the answer to standard output as
one line of JSON; a result of the contract is {\"ok\": …} or {\"err\": …}. Readings are
a list of objects with time_ms and fields by name; the event of a sampling policy is
an object that the policy reads by path. Time, fuel and peak memory go to standard
error: the time as on a receiver, the fuel from a second call, which must answer the
same. Exit code: 0 with an answer, 1 without, 2 for options that cannot be used.

Examples:
  echo '{\"stats\": {\"total_trips\": 40, \"total_miles\": 310.5, \"account_age_days\": 20}}' |
      volttracker plugin call --slot usage-tier plugins/dist/usage-tier.wasm classify
  echo '{\"code\": 61}' |
      volttracker plugin call --slot trip-calculator plugins/dist/trip-calculator.wasm condition
  volttracker plugin call --slot usage-tier --set heavy_from=200 plugins/dist/usage-tier.wasm \\
      describe </dev/null";

/// Options of `volttracker plugin call`.
#[derive(Args)]
#[command(after_help = AFTER)]
pub(super) struct CallArgs {
    #[command(flatten)]
    candidate: Candidate,
    /// The function, such as summarize
    function: String,
    /// The time that the plugin sees, RFC 3339
    #[arg(long, default_value = "2026-01-01T00:00:00Z")]
    at: Timestamp,
}

pub(super) async fn run(args: CallArgs) -> anyhow::Result<()> {
    let Candidate { slot, file, .. } = &args.candidate;
    let mut arguments = String::new();
    tokio::io::stdin()
        .read_to_string(&mut arguments)
        .await
        .context("standard input cannot be read as text")?;
    let workbench = args.candidate.workbench().await?;
    let at_ms = args.at.as_millisecond();
    let called = workbench.call(*slot, file, &args.function, &arguments, at_ms).await;
    let spent = match &called {
        Ok(called) => Some(called.spent),
        Err(CallError::Failed { spent, .. }) => Some(*spent),
        Err(_) => None,
    };
    if let Some(spent) = spent {
        say(&cost(spent, workbench.limits(*slot).deadline));
    }
    print(&format!("{}\n", called?.answer))
}

fn cost(spent: Spent, deadline: Duration) -> String {
    let fuel = spent.fuel.map_or(String::new(), |fuel| format!("fuel {fuel}, "));
    let time_ms = spent.time.as_secs_f64() * 1000.0;
    format!(
        "time {time_ms:.3} of {} ms, {fuel}peak memory {}",
        deadline.as_millis(),
        size(spent.memory_bytes)
    )
}
