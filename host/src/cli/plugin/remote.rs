//! `volttracker plugin rollback` and `activate`: what a running receiver is
//! asked to do. It does the work, and refuses what is to be refused.

use clap::Args;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::cli::output::print;
use crate::cli::receiver;
use crate::config::Secret;
use crate::plugin_host::Slot;

/// The receiver, and the right to administer it.
#[derive(Args)]
pub(super) struct Receiver {
    /// Where the receiver listens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// The receiver's admin token.
    #[arg(long, env, hide_env_values = true)]
    admin_token: Option<Secret>,
}

/// What is rolled back.
#[derive(Args)]
#[command(after_help = "Examples:
  ADMIN_TOKEN=… volttracker plugin rollback --slot sampling-policy")]
pub(super) struct RollbackArgs {
    /// trip-calculator, usage-tier or sampling-policy.
    #[arg(long)]
    slot: Slot,
    #[command(flatten)]
    receiver: Receiver,
}

/// What is activated.
#[derive(Args)]
#[command(after_help = "Examples:
  ADMIN_TOKEN=… volttracker plugin activate --slot sampling-policy 1f0c9a")]
pub(super) struct ActivateArgs {
    /// trip-calculator, usage-tier or sampling-policy.
    #[arg(long)]
    slot: Slot,
    /// The component's digest, or its first digits: `plugin list` shows those there are.
    digest: String,
    #[command(flatten)]
    receiver: Receiver,
}

pub(super) async fn roll_back(args: RollbackArgs) -> anyhow::Result<()> {
    let path = format!("/api/plugins/{}/rollback", args.slot);
    report(&args.receiver.ask(Method::POST, &path).await?)
}

pub(super) async fn activate(args: ActivateArgs) -> anyhow::Result<()> {
    let path = format!("/api/plugins/{}/activate/{}", args.slot, args.digest);
    report(&args.receiver.ask(Method::POST, &path).await?)
}

pub(super) fn report(swapped: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", told(swapped)))
}

fn told(swapped: &Value) -> String {
    let plugin = |side: &str| named(&swapped[side]);
    let slot = swapped["slot"].as_str().unwrap_or_default();
    if swapped["changed"] == false {
        return format!("{slot}: {}, as before", plugin("to"));
    }
    let settings = match &swapped["settings"] {
        Value::Null => String::new(),
        settings => format!("\n  with other settings than before: {settings}"),
    };
    format!("{slot}: {} instead of {}{settings}", plugin("to"), plugin("from"))
}

/// Who a plugin is, in words.
pub(super) fn named(plugin: &Value) -> String {
    let text = |name: &str| plugin[name].as_str().unwrap_or_default().to_owned();
    let digest: String = text("digest").chars().take(12).collect();
    let generation = plugin.get("generation").map(|number| format!(", generation {number}"));
    format!("{} {} ({digest}{})", text("name"), text("version"), generation.unwrap_or_default())
}

impl Receiver {
    /// Asks the receiver; the error is what it refuses it with.
    pub(super) async fn ask(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        self.ask_with(method, path, Vec::new(), None).await
    }

    /// Asks for what needs no more than the right to read, with `read_token`
    /// where there is no admin token.
    pub(super) async fn read(&self, path: &str, read_token: Option<&Secret>) -> anyhow::Result<Value> {
        self.ask_with(Method::GET, path, Vec::new(), read_token).await
    }

    /// Asks with a body.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        read_token: Option<&Secret>,
    ) -> anyhow::Result<Value> {
        let token = self.admin_token.as_ref().or(read_token);
        receiver::ask(&self.url, method, path, body, token).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use serde_json::json;

    #[test]
    fn a_swap_says_which_settings_it_goes_back_to() {
        let side = |generation| json!({"name": "a-policy", "version": "1.0.0", "digest": "1f0c9a3b5d7e1f", "generation": generation});
        let mut swapped = json!({"slot": "sampling-policy", "changed": true, "from": side(2), "to": side(3)});
        assert_snapshot!(told(&swapped), @"sampling-policy: a-policy 1.0.0 (1f0c9a3b5d7e, generation 3) instead of a-policy 1.0.0 (1f0c9a3b5d7e, generation 2)");
        swapped["settings"] = json!({"settings": {"rate": "0.25"}});
        assert_snapshot!(told(&swapped), @r#"
        sampling-policy: a-policy 1.0.0 (1f0c9a3b5d7e, generation 3) instead of a-policy 1.0.0 (1f0c9a3b5d7e, generation 2)
          with other settings than before: {"settings":{"rate":"0.25"}}
        "#);
    }
}
