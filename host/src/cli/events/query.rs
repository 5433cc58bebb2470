//! `volttracker events query`: a filter, and what is said of the events.

use std::io::Read as _;

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Reading, figures, lines};
use crate::cli::receiver;

/// What is asked.
#[derive(Args)]
#[command(after_help = r#"Examples:
  volttracker events query '{"success": false, "timestamp": {"$gte": "2026-01-05T00:00:00Z"}}'
      The newest 100 failures since then.
  volttracker events query '{"operation": "trip_finalization", "duration_ms": {"$gte": 2000}}' --order=-duration_ms
  volttracker events query '{"success": false}' --group-by error.code --count
  volttracker events query '{"operation": "telemetry_upload"}' --p50 duration_ms --p99 duration_ms --json

A filter names fields with dots. Operators: $eq $ne $gt $gte $lt $lte $in $nin $exists $not, and $and $or $not of
filters. A figure counts each event as often as its sampling.rate says; beside it stands how many stored events that are."#)]
pub(super) struct QueryArgs {
    /// Which events, as JSON; `-` reads it from standard input.
    #[arg(default_value = "{}")]
    filter: String,
    /// Fields whose values make a group.
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    group_by: Vec<String>,
    #[command(flatten)]
    figures: Figures,
    /// What comes first: timestamp, duration_ms, a figure such as "avg(duration_ms)", a field of the group; -… turns it round.
    #[arg(long, allow_hyphen_values = true)]
    order: Option<String>,
    /// Events or groups, at most [default: 100].
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    reading: Reading,
}

/// What is said of each group.
#[derive(Args)]
struct Figures {
    /// How many events there were.
    #[arg(long)]
    count: bool,
    /// The mean of a field.
    #[arg(long, value_name = "FIELD")]
    avg: Vec<String>,
    /// Its least value.
    #[arg(long, value_name = "FIELD")]
    min: Vec<String>,
    /// Its greatest.
    #[arg(long, value_name = "FIELD")]
    max: Vec<String>,
    /// What half of its values do not exceed.
    #[arg(long, value_name = "FIELD")]
    p50: Vec<String>,
    /// What 95 % of its values do not exceed.
    #[arg(long, value_name = "FIELD")]
    p95: Vec<String>,
    /// What 99 % of its values do not exceed.
    #[arg(long, value_name = "FIELD")]
    p99: Vec<String>,
}

impl Figures {
    fn names(&self) -> Vec<String> {
        let Self { count, avg, min, max, p50, p95, p99 } = self;
        let of = [("avg", avg), ("min", min), ("max", max), ("p50", p50), ("p95", p95), ("p99", p99)];
        let of =
            of.iter().flat_map(|(name, fields)| fields.iter().map(move |field| format!("{name}({field})")));
        count.then(|| "count".to_owned()).into_iter().chain(of).collect()
    }
}

impl QueryArgs {
    fn question(&self) -> anyhow::Result<Value> {
        let mut text = self.filter.clone();
        if text == "-" {
            text.clear();
            std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        }
        let filter: Value = serde_json::from_str(&text).context("the filter is no JSON")?;
        let mut question = Map::from_iter([("filter".to_owned(), filter)]);
        let mut add = |name: &str, value: Option<Value>| {
            question.extend(value.map(|value| (name.to_owned(), value)));
        };
        let list = |names: Vec<String>| (!names.is_empty()).then(|| json!(names));
        add("group_by", list(self.group_by.clone()));
        add("figures", list(self.figures.names()));
        add("order", self.order.clone().map(Value::from));
        add("limit", self.limit.map(Value::from));
        Ok(Value::Object(question))
    }
}

pub(super) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    let question = args.question()?.to_string().into_bytes();
    let Reading { url, token, .. } = &args.reading;
    let answer = receiver::ask(url, Method::POST, "/api/events/query", question, token.as_ref()).await?;
    args.reading.print(&answer, |answer| match answer.get("events") {
        Some(_) => lines::table(answer),
        None => figures::table(answer),
    })
}
