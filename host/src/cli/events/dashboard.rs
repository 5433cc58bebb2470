//! `volttracker events dashboard`: the questions that are asked again and again.

use clap::{Args, ValueEnum as _};
use jiff::Timestamp;

use super::{Reading, escaped, figures};
use crate::query::Dashboard;

/// Which dashboard, and of which time.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker events dashboard failures-by-deployment
  volttracker events dashboard duration-by-operation --since 2026-01-05T00:00:00Z
  volttracker events dashboard weather-failures --json")]
pub(super) struct DashboardArgs {
    /// Which one.
    name: Dashboard,
    /// From this time on: RFC 3339.
    #[arg(long)]
    since: Option<Timestamp>,
    /// Before this time: RFC 3339.
    #[arg(long)]
    until: Option<Timestamp>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) async fn run(args: DashboardArgs) -> anyhow::Result<()> {
    let name = args.name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let span = [("since", args.since), ("until", args.until)].into_iter();
    let span: Vec<_> =
        span.filter_map(|(name, time)| Some(format!("{name}={}", escaped(&time?.to_string())))).collect();
    let answer = args.reading.get(&format!("/api/events/dashboards/{name}?{}", span.join("&"))).await?;
    args.reading.print(&answer, figures::table)
}
