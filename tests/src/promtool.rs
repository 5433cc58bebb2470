//! What Prometheus itself says of metrics and rules, by its own tool.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// Gives `input` to `promtool` with these arguments; returns what it said.
/// Without promtool on the machine nothing is checked, and nothing returned; on
/// CI that is an error, so that it cannot be forgotten there.
///
/// # Errors
/// It is not content, or is not there on CI.
pub fn promtool(arguments: &[&str], input: &str) -> anyhow::Result<Option<String>> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            println!("SKIPPED: promtool is not on this machine (apt-get install prometheus)");
            return Ok(None);
        }
        Err(error) => bail!("promtool cannot be started (apt-get install prometheus): {error}"),
    };
    let mut stdin = child.stdin.take().context("standard input is piped")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "promtool {arguments:?} ended with {}:\n{said}", output.status);
    ensure!(matches!(written, Ok(Ok(()))), "promtool did not read all that it was given");
    Ok(Some(said))
}
