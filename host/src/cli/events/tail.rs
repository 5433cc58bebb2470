//! `volttracker events tail`: events as they come, until it is interrupted.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{Reading, escaped, lines};
use crate::cli::output::{print_while_read, say};
use crate::cli::receiver;

/// The longest line of a stream: bytes. An event has at most 64 KB.
const LONGEST_LINE: usize = 1 << 20;

/// Which events.
#[derive(Args)]
#[command(after_help = r#"Examples:
  volttracker events tail
  volttracker events tail '{"success": false}'
  volttracker events tail '{"duration_ms": {"$gte": 1000}}' --json | jq .route

It shows what the receiver keeps from now on: what sampling lets go is not there."#)]
pub(super) struct TailArgs {
    /// Which events, as JSON: a filter as that of `events query`.
    filter: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) async fn run(args: TailArgs) -> anyhow::Result<()> {
    let Reading { url, token, json } = &args.reading;
    let mut path = "/api/events/tail".to_owned();
    if let Some(filter) = &args.filter {
        serde_json::from_str::<Value>(filter).context("the filter is no JSON")?;
        path += &format!("?filter={}", escaped(filter));
    }
    let mut response = receiver::send(url, Method::GET, &path, Vec::new(), token.as_ref()).await?;
    let mut unread = Vec::new();
    while let Some(part) = response.chunk().await.context("the receiver hung up")? {
        unread.extend_from_slice(&part);
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            let event = serde_json::from_slice(data).context("the answer is none of a receiver")?;
            if let Some(text) = told(&event, *json)
                && !print_while_read(&text)?
            {
                return Ok(());
            }
        }
        ensure!(unread.len() <= LONGEST_LINE, "the answer is none of a receiver");
    }
    bail!("the receiver has ended the stream: it is stopping")
}

/// What is printed of an event; what was missed is said beside it.
fn told(event: &Value, as_json: bool) -> Option<String> {
    if let Some(missed) = event["missed"].as_u64() {
        say(&format!("{missed} events are missing here: they came faster than they were read"));
        return None;
    }
    Some(if as_json { format!("{event}\n") } else { format!("{}\n", lines::line(event)) })
}
