//! `bench`: what an upload costs the receiver, beside what it costs the least
//! that could keep it. The command line; the measuring is in the modules.

mod controls;
mod events;
mod history;
mod process;
mod report;
mod rounds;
mod targets;
mod variants;
mod wrk;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::controls::Control;
use crate::report::Report;

/// Measures the receiver, with and without a history, beside a bare route and
/// a minimal handler. All run at once, each as a process of its own; `wrk`
/// loads one after the other, round by round.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Be one of the controls.
    #[command(hide = true)]
    Control {
        /// Which.
        control: Control,
        /// Where to listen.
        #[arg(long)]
        listen: std::net::SocketAddr,
        /// Where to keep what comes.
        #[arg(long)]
        data_dir: PathBuf,
    },
}

/// How to measure.
#[derive(Args, Clone)]
pub struct Options {
    /// Rounds that count; one more goes before them to warm up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Length of a server's turn in a round: seconds.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: u32,
    /// Connections of the load.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=4096))]
    connections: u32,
    /// Threads of the load.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// One round of one second: does it run at all?
    #[arg(long)]
    quick: bool,
    /// Only what an event costs: needs no `wrk`.
    #[arg(long)]
    events: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Write the tables to this file too.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The receiver to measure [default: `volttracker` beside this program].
    #[arg(long)]
    receiver: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Cli { command, mut options } = Cli::parse();
    if let Some(Command::Control { control, listen, data_dir }) = command {
        return controls::serve(control, listen, &data_dir);
    }
    if options.quick {
        (options.rounds, options.seconds) = (1, 1);
    }
    let place = tempfile::Builder::new().prefix("volttracker-bench-").tempdir()?;
    let servers = if options.events {
        Vec::new()
    } else {
        wrk::require()?;
        rounds::measure(&options, place.path())?
    };
    let events = events::measure(&options, &place.path().join("events"))?;
    let report = Report::of(&servers, &events, &options);
    if let Some(file) = &options.out {
        std::fs::write(file, report.to_markdown())
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.to_markdown());
    }
    Ok(())
}
