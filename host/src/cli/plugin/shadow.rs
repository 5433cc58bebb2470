//! `volttracker plugin shadow`, `promote` and `discard`: a plugin beside the one
//! that serves, in a running receiver.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::remote::{Receiver, named, report};
use crate::cli::output::print;
use crate::plugin_host::Slot;

/// What runs beside what serves.
#[derive(Args)]
#[command(after_help = "Examples:
  ADMIN_TOKEN=… volttracker plugin shadow --slot sampling-policy my_policy.wasm
  ADMIN_TOKEN=… volttracker plugin shadow --slot sampling-policy 1f0c9a
  volttracker plugin list")]
pub(super) struct ShadowArgs {
    /// trip-calculator, usage-tier or sampling-policy.
    #[arg(long)]
    slot: Slot,
    /// A component file, or the first digits of a digest in the receiver's library.
    component: String,
    #[command(flatten)]
    receiver: Receiver,
}

/// Whose shadow it is.
#[derive(Args)]
#[command(after_help = "Examples:
  ADMIN_TOKEN=… volttracker plugin promote --slot sampling-policy
  ADMIN_TOKEN=… volttracker plugin discard --slot sampling-policy")]
pub(super) struct SlotArgs {
    /// trip-calculator, usage-tier or sampling-policy.
    #[arg(long)]
    slot: Slot,
    #[command(flatten)]
    receiver: Receiver,
}

pub(super) async fn begin(args: ShadowArgs) -> anyhow::Result<()> {
    let ShadowArgs { slot, component, receiver } = args;
    let path = format!("/api/plugins/{slot}/shadow");
    let begun = if Path::new(&component).is_file() {
        let bytes = std::fs::read(&component).with_context(|| format!("{component} cannot be read"))?;
        receiver.ask_with(Method::PUT, &path, bytes, None).await?
    } else if component.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        receiver.ask(Method::POST, &format!("{path}/{component}")).await?
    } else {
        bail!("there is no file {component}, and it is no digest");
    };
    print(&format!("{slot}: {} runs beside {}\n", named(&begun["shadow"]), named(&begun["beside"])))
}

pub(super) async fn promote(args: SlotArgs) -> anyhow::Result<()> {
    let path = format!("/api/plugins/{}/shadow/promote", args.slot);
    report(&args.receiver.ask(Method::POST, &path).await?)
}

pub(super) async fn discard(args: SlotArgs) -> anyhow::Result<()> {
    let path = format!("/api/plugins/{}/shadow", args.slot);
    let ended = args.receiver.ask(Method::DELETE, &path).await?;
    let shadow = &ended["shadow"];
    print(&format!("{}: {} runs no more: {}\n", args.slot, named(shadow), compared(shadow)))
}

/// How a shadow compares with what serves, in words.
pub(super) fn compared(shadow: &Value) -> String {
    format!(
        "{} agreements, {} disagreements, {} keeps gained, {} lost; {} skipped, {} late",
        shadow["agreements"],
        shadow["disagreements"],
        shadow["keeps_gained"],
        shadow["keeps_lost"],
        shadow["skipped"],
        shadow["late"]
    )
}
