//! `volttracker import`: gives track logs to a running receiver, one after the
//! other, and says what became of them. The receiver reads them.

mod report;
mod sending;

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use reqwest::Url;

use self::report::Report;
use self::sending::Receiver;
use crate::config::Secret;

/// What is imported, and whose it is.
#[derive(Args)]
#[command(after_help = "Examples:
  volttracker import --device-id 00c0ffeedeadbeefdeadbeef00c0ffee trackLog-2026-Jan-03.csv
      As the uploads of this phone; without uploads, any text that stands for the car.
  volttracker import --vehicle 'My Volt' torqueLogs/*.csv
      The car whose profile has this name; its vehicle_id of /api/trips does as well.
  volttracker import --vehicle 'My Volt' --json trackLog.csv | jq .bad_rows
      What became of the file as JSON, a line a file.

What is there already is not imported again, so a file can be given again at any time.")]
pub struct ImportArgs {
    /// Files that the app wrote.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    whose: Whose,
    /// Where the receiver listens.
    #[arg(long, visible_alias = "server", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// The receiver's token of uploads, if it asks for one.
    #[arg(long, env = "TORQUE_API_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
    /// Print JSON, a line a file, instead of sentences.
    #[arg(long)]
    json: bool,
}

/// The car that made the logs.
#[derive(Args, Clone)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Id of the phone as the app uploads it, or the account's e-mail where it uploads none.
    #[arg(long, value_name = "ID")]
    device_id: Option<Secret>,
    /// Name of the car's profile, or its vehicle_id, once it has uploaded anything.
    #[arg(long, value_name = "NAME")]
    vehicle: Option<String>,
}

/// Imports the files.
///
/// # Errors
/// One of them could not be imported to its end.
pub async fn run(args: ImportArgs) -> anyhow::Result<()> {
    let receiver = Receiver::new(&args)?;
    let mut failed = 0;
    for path in &args.files {
        let report = Report::of(path, receiver.import(path).await);
        failed += usize::from(!report.is_imported());
        match report.print(args.json) {
            // Whoever reads has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            printed => printed?,
        }
    }
    ensure!(failed == 0, "{failed} of {} files could not be imported", args.files.len());
    Ok(())
}
