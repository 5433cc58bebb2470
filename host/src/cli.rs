//! The command line: one file for each command. What a command does lives
//! elsewhere.

mod compile_component;
pub mod events;
pub mod import;
mod measure_events;
mod output;
pub mod plugin;
mod receiver;
pub mod serve;
pub mod simulate;
mod table;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Receives Torque Pro telemetry from plug-in hybrids, makes trips of it, and
/// tells what happened in wide events.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Task(Box<Task>),
    /// Compile the component on standard input, for the receiver that started this.
    #[command(hide = true)]
    CompileComponent(compile_component::CompileArgs),
}

#[derive(Subcommand)]
enum Task {
    /// Run the receiver: events on standard output, diagnostics on standard error.
    Serve(Box<serve::ServeArgs>),
    /// Inspect, check, call and measure plugins; see and replace those of a running receiver.
    Plugin(plugin::PluginArgs),
    /// Ask a running receiver about its events: find, count, follow them.
    Events(events::EventsArgs),
    /// Import logs that Torque Pro wrote on the phone (trackLog-….csv).
    Import(import::ImportArgs),
    /// Drive a simulated car and upload what its phone would.
    Simulate(simulate::SimulateArgs),
    /// Measure what an event costs, for `just bench`.
    #[command(hide = true)]
    MeasureEvents(Box<measure_events::MeasureArgs>),
}

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Task(task) => run_task(*task),
        Command::CompileComponent(args) => compile_component::run(&args),
    }
}

/// Runs a command on a runtime of its own.
fn run_task(task: Task) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn")),
        )
        .with_target(false)
        // A closed standard error must not end anything.
        .log_internal_errors(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&anyhow::Error::new(error).context("the runtime cannot be started"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match task {
            Task::Serve(args) => serve::run(*args).await,
            Task::Plugin(args) => plugin::run(args).await,
            Task::Events(args) => events::run(args).await,
            Task::Import(args) => import::run(args).await,
            Task::Simulate(args) => simulate::run(args).await,
            Task::MeasureEvents(args) => measure_events::run(*args).await,
        }
    });
    // What is still compiled is for nobody, and takes long.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says what went wrong, to whoever still listens.
fn complain(error: &anyhow::Error) {
    output::say(&format!("error: {error:#}"));
}
