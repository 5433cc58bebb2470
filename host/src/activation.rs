//! The story of an activation: candidate → checks → library → publication →
//! event. Who begins one is told in the modules: a start, a file, an operator,
//! another host, or a plugin that fails. A shadow stands the same checks and
//! serves nothing. How a plugin is checked and run is
//! `plugin_host`'s business, where it rests is the store's.

mod attempt;
mod containment;
mod inbox;
mod requests;
mod shadow;
mod shared;
mod start;
mod telling;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;
mod watcher;

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::Mutex;

use crate::app::App;
use crate::events::{Code, Failure};
use crate::plugin_host::{PluginIdentity, Refusal, Slot};
use crate::store::StoreError;
use crate::supervision::{Fault, guarded};

pub use requests::{activate, put, refuse_upload, roll_back_for_operator, upload_limit};
pub use shadow::{Beside, begin_shadow, begin_shadow_from_library, discard, promote};
pub use start::{Started, start};
pub use telling::{Report, tell};

/// What this host knows of its slots beside what is published and kept.
pub struct Activations {
    /// Held by whoever is about to publish.
    publishing: Mutex<()>,
    inbox: Mutex<inbox::Inbox>,
    fault: Fault,
}

impl Activations {
    fn new(inbox: inbox::Inbox) -> Self {
        Self { publishing: Mutex::default(), inbox: Mutex::new(inbox), fault: Fault::default() }
    }

    /// For a test that activates nothing.
    #[cfg(test)]
    pub(crate) fn of(dir: &std::path::Path) -> Self {
        Self::new(inbox::Inbox::open(dir, dir))
    }
}

/// Which way a plugin comes into its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It was found in PLUGIN_DIR when the process started.
    Start,
    /// It was put into PLUGIN_DIR.
    Watch,
    /// It was found in PLUGIN_DIR when SIGHUP asked to look.
    Sighup,
    /// It was uploaded, or activated by its digest.
    Api,
    /// An operator wanted the predecessor back.
    Rollback,
    /// The plugin before it failed too often.
    AutoRollback,
    /// Another host that shares the database activated it.
    Shared,
    /// It ran beside the one before it.
    Promotion,
    /// It is to run beside what serves the slot.
    Shadow,
    /// It ran beside what serves the slot, and failed too often.
    AutoDiscard,
}

impl Way {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Watch => "watch",
            Self::Sighup => "sighup",
            Self::Api => "api",
            Self::Rollback => "rollback",
            Self::AutoRollback => "auto_rollback",
            Self::Shared => "shared",
            Self::Promotion => "promotion",
            Self::Shadow => "shadow",
            Self::AutoDiscard => "auto_discard",
        }
    }
}

/// What serves a slot now.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Swapped {
    /// The slot.
    pub slot: Slot,
    /// Whether that is another plugin, or one with other settings.
    pub changed: bool,
    /// What served it before.
    pub from: PluginIdentity,
    /// What serves it now.
    pub to: PluginIdentity,
}

/// Why a slot is served by what served it before.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotSwapped {
    /// The candidate is unfit.
    #[error("{0}")]
    Refused(Refusal),
    /// The library cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What was asked for is not there.
    #[error("{0}")]
    Impossible(String),
    /// The process ends before it was done.
    #[error("the service is shutting down")]
    Stopping,
}

impl From<&NotSwapped> for Failure {
    fn from(error: &NotSwapped) -> Self {
        match error {
            NotSwapped::Refused(refusal) => {
                let message = format!("the candidate for the slot {} was refused", refusal.slot);
                let code = if refusal.for_now { Code::E501 } else { Code::E412 };
                Failure::new(code, message).caused_by("Refusal", refusal.problems.join("; "))
            }
            NotSwapped::Store(error) => Failure::from(error),
            NotSwapped::Impossible(message) => Failure::new(Code::E412, message),
            NotSwapped::Stopping => Failure::new(Code::E503, error.to_string()),
        }
    }
}

/// Looks after the slots until the process stops. What is under way then is
/// given up and told so.
pub async fn run(app: Arc<App>, hangup: Signal) {
    tokio::join!(watcher::run(&app, hangup), containment::run(&app), shared::run(&app), upkeep::run(&app));
}

/// One round of a loop. A panic in it is told, and the loop goes on.
async fn survive(app: &App, way: Way, round: impl Future<Output = ()>) {
    let round = async {
        app.activations.fault.strike();
        round.await;
    };
    if let Err(panicked) = guarded("the watch over the plugins", round).await {
        telling::tell_panic(app, way, panicked);
    }
}
