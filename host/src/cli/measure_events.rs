//! `volttracker measure-events`: what `just bench` starts, to be told what an
//! event costs in this program as it is built. Nobody else has a use for it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use super::output::say;
use crate::config::Config;
use crate::events::cost;
use crate::events::sink::Sinks;
use crate::plugin_host::Compiling;

/// The receiver's settings, and how long to measure.
#[derive(Args)]
pub struct MeasureArgs {
    #[command(flatten)]
    config: Config,
    /// Rounds that count.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Measures, with the events themselves on standard output; says the figures
/// as JSON on standard error.
pub async fn run(args: MeasureArgs) -> anyhow::Result<()> {
    let MeasureArgs { config, rounds } = args;
    let sinks = Sinks::start(&config)?;
    let compiling = Compiling::Apart(config.plugins.compile_limits);
    let started = crate::app::start(&config, compiling, sinks, std::future::pending()).await?;
    let (app, _, _) = started.context("nobody stops it")?;
    // On a thread of the runtime, as uploads are.
    let measuring = {
        let app = app.clone();
        tokio::spawn(async move { cost::measure(&app, &config, rounds).await })
    };
    let costs = measuring.await??;
    app.events.close(Instant::now() + Duration::from_secs(10)).await;
    say(&serde_json::to_string(&costs)?);
    Ok(())
}
