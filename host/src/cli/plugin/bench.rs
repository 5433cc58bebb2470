//! `volttracker plugin bench`.

use std::time::Duration;

use clap::Args;

use super::candidate::Candidate;
use crate::cli::output::{print, say};
use crate::cli::table::{size, table};
use crate::plugin_host::{Instances, Limits, Measured};

const AFTER: &str = "\
Calls every function on built-in inputs, up to half a second each: with a fresh
instance for each call, whose making and configuring is part of the time, and with
one that is used again. A receiver takes pooled instances for the two policies and a
fresh one for each call of a trip calculator. A development build of this program
does its own part of a call slowly: measure with a release build.

Examples:
  volttracker plugin bench --slot sampling-policy plugins/dist/sampling-policy.wasm
  volttracker plugin bench --slot usage-tier --set heavy_from=200 my_tier.wasm";

/// Options of `volttracker plugin bench`.
#[derive(Args)]
#[command(after_help = AFTER)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    candidate: Candidate,
}

pub(super) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let Candidate { slot, file, .. } = &args.candidate;
    let workbench = args.candidate.workbench().await?;
    let measured = workbench.measure(*slot, file).await.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let limits = workbench.limits(*slot);
    let head = format!("{} {} in the slot {slot}", measured.name, measured.version);
    print(&format!("{head}\n\n{}\n{}", sizes(&measured, limits), times(&measured, limits)))?;
    if cfg!(debug_assertions) {
        say("This is a development build: a release build calls faster.");
    }
    Ok(())
}

fn sizes(measured: &Measured, limits: Limits) -> String {
    let row = |name: &str, value: String, limit: String| vec![name.to_owned(), value, limit];
    let memory = limits.memory_bytes;
    table(&[
        row("", "measured".into(), "limit".into()),
        row("component", size(measured.size_bytes), format!("{} MB", limits.component_bytes >> 20)),
        row("linear memory, peak", size(measured.memory_bytes), format!("{} MB", memory >> 20)),
        row("compilation", format!("{:.0} ms", measured.compile.as_secs_f64() * 1000.0), String::new()),
    ])
}

fn times(measured: &Measured, limits: Limits) -> String {
    let heading = ["call", "instance", "calls", "p50 µs", "p99 µs", "max µs", "max of deadline"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for measurement in &measured.measurements {
        let [p50, p99, max] = [50, 99, 100].map(|percent| measurement.percentile(percent));
        let instances = match measurement.instances {
            Instances::Fresh => "fresh",
            Instances::Pooled => "pooled",
        };
        let mark = if measurement.instances == measured.used { "*" } else { " " };
        rows.push(vec![
            measurement.question.clone(),
            format!("{instances}{mark}"),
            measurement.calls().to_string(),
            micros(p50),
            micros(p99),
            micros(max),
            format!("{:.1} %", 100.0 * max.as_secs_f64() / limits.deadline.as_secs_f64()),
        ]);
    }
    let deadline = limits.deadline.as_millis();
    format!("{}\n* as a receiver calls this slot; deadline {deadline} ms a call\n", table(&rows))
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}
