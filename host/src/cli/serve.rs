//! `volttracker serve`.

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;

/// Every setting is an environment variable and a flag; the flag wins.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker serve
  BIND_ADDR=0.0.0.0:8080 TORQUE_API_TOKEN=… volttracker serve
  DATABASE_URL=postgres://volttracker@db/volttracker ENVIRONMENT=production volttracker serve
  volttracker serve --trip-timeout-seconds 30 | jq 'select(.operation == \"trip_finalization\")'

Events go to standard output, one JSON object a line; diagnostics to standard
error (RUST_LOG sets how much). SIGTERM and SIGINT stop it gracefully.")]
pub struct ServeArgs {
    #[command(flatten)]
    config: Config,
}

/// Runs the receiver until a signal stops it.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    // Where cars were is nobody's business but the owner's: of the database, of
    // what it has beside it, and of everything else that is made from here on.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    // A file that may not grow is a write that fails, and not the end: handled
    // once, the signal ends nothing any more.
    let files_limited = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    drop(signal(files_limited).context("SIGXFSZ cannot be handled")?);
    let stop = async move {
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        // Who asks twice does not want to wait.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
        reason
    };
    crate::app::serve(args.config, stop).await
}
