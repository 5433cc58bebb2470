//! `volttracker plugin inspect`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use crate::cli::output::print;
use crate::cli::table::size;
use crate::plugin_host::{Inspection, Workbench};

const EXAMPLES: &str = "\
Examples:
  volttracker plugin inspect plugins/dist/usage-tier.wasm
  volttracker plugin inspect --json my_tier.wasm | jq -r .digest";

/// Options of `volttracker plugin inspect`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InspectArgs {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// The component
    file: PathBuf,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<()> {
    let workbench = Workbench::open(None, Vec::new()).await?;
    let inspected = workbench.inspect(&args.file).await;
    let inspection = inspected.map_err(|problem| anyhow!("{} {problem}", args.file.display()))?;
    if args.json {
        return print(&(serde_json::to_string_pretty(&inspection)? + "\n"));
    }
    print(&text(&args.file, &inspection))
}

fn text(file: &Path, inspection: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<12} {value}").ok();
    };
    line("file", &file.display().to_string());
    for (name, value) in [
        ("name", inspection.name.as_ref()),
        ("version", inspection.version.as_ref()),
        ("description", inspection.description.as_ref()),
        ("world", inspection.world.as_ref()),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("slot", inspection.slot.map_or("none: see below", |slot| slot.as_str()));
    line("size", &size(inspection.size_bytes));
    line("digest", &inspection.digest);
    for (name, interfaces) in [("imports", &inspection.imports), ("exports", &inspection.exports)] {
        for (index, interface) in interfaces.iter().enumerate() {
            line(if index == 0 { name } else { "" }, interface);
        }
    }
    for setting in &inspection.settings {
        let default = if setting.default.is_empty() { "(empty)" } else { &setting.default };
        write!(text, "\n{} = {default}\n    {}\n", setting.key, setting.doc).ok();
    }
    for (slot, problems) in &inspection.problems {
        write!(text, "\nnot fit for the slot {slot}:\n").ok();
        problems.iter().for_each(|problem| text.push_str(&format!("    {problem}\n")));
    }
    text
}
