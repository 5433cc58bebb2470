//! `volttracker events`: one file for each kind of command. The receiver
//! answers; here it is put into words.

mod dashboard;
mod figures;
mod lines;
mod query;
mod show;
mod tail;
mod trace;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::cli::output::print;
use crate::cli::receiver;
use crate::config::Secret;
use crate::events;

/// Events that a running receiver keeps.
#[derive(Args)]
pub struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Subcommand)]
enum EventsCommand {
    /// Find events, or count and measure groups of them.
    Query(query::QueryArgs),
    /// Follow events as they come.
    Tail(tail::TailArgs),
    /// Show one event, all of it.
    Show(show::ShowArgs),
    /// Show all events of a trip in their order, with what each of them caused.
    Trace(trace::TraceArgs),
    /// Show failures by deployment, durations, failures of the weather service, or those of heavy users.
    Dashboard(dashboard::DashboardArgs),
    /// Print the JSON Schema of events.
    Schema,
}

/// Runs one of the commands.
pub async fn run(args: EventsArgs) -> anyhow::Result<()> {
    match args.command {
        EventsCommand::Query(args) => query::run(args).await,
        EventsCommand::Tail(args) => tail::run(args).await,
        EventsCommand::Show(args) => show::run(args).await,
        EventsCommand::Trace(args) => trace::run(args).await,
        EventsCommand::Dashboard(args) => dashboard::run(args).await,
        EventsCommand::Schema => print(&format!("{:#}\n", events::schema())),
    }
}

/// The receiver, the right to read from it, and the form of what it says.
#[derive(Args)]
struct Reading {
    /// Where the receiver listens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// The receiver's token of reads, if it asks for one.
    #[arg(long, env = "TORQUE_API_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Reading {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        receiver::ask(&self.url, Method::GET, path, Vec::new(), self.token.as_ref()).await
    }

    /// Prints an answer as JSON if that is wanted, else in words.
    fn print(&self, answer: &Value, in_words: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(answer)?));
        }
        print(&in_words(answer))
    }
}

/// A text as it stands in an address.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
