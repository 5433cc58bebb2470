//! The story of an activation: candidate → checks → library → publication →
//! event. Who begins one is told in the modules: a start, a file, an operator,
//! another host, or a plugin that fails. A shadow stands the same checks and
//! serves nothing. How a plugin is checked and run is
//! `plugin_host`'s business, where it rests is the store's.

mod attempt;
mod containment;
mod folder;
mod inbox;
mod publication;
mod requests;
mod shadow;
mod shared;
mod start;
mod telling;
#[cfg(test)]
pub(crate) mod tests;
mod trials;
mod upkeep;
mod watcher;

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, Notify};

use crate::app::App;
use crate::events::{Code, Failure};
use crate::plugin_host::{Fault, PluginIdentity, Refusal, Slot};
use crate::store::StoreError;
use crate::supervision::{PanicPoint, guarded};

pub use requests::{activate, file_settings, put, refuse_upload, roll_back_for_operator, upload_limit};
pub use shadow::{Beside, begin_shadow, begin_shadow_from_library, discard, promote};
pub use start::{Started, start};
pub use telling::{Report, tell};

/// What this host knows of its slots beside what is published and kept.
pub struct Activations {
    /// Held by whoever is about to publish.
    publishing: Mutex<()>,
    inbox: Mutex<inbox::Inbox>,
    fault: PanicPoint,
    /// Told when the library did not say whether it has an activation.
    doubt: Notify,
}

impl Activations {
    fn new(inbox: inbox::Inbox) -> Self {
        Self {
            publishing: Mutex::default(),
            inbox: Mutex::new(inbox),
            fault: PanicPoint::default(),
            doubt: Notify::new(),
        }
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
    /// Another host that shares the database activated it, or the library has
    /// it without having said so in time.
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
    /// What is set for it, where that is something else than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
    /// Whether it served already, but badly, and began anew.
    #[serde(skip)]
    pub renewed: bool,
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
    /// The library did not say whether it has it.
    #[error("whether the library has it is not known, since {0}; what it says is followed")]
    InDoubt(StoreError),
    /// No such component is known.
    #[error("{0}")]
    Unknown(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Impossible(String),
    /// It was meant for what served the slot before.
    #[error("another plugin came into the slot {0} meanwhile")]
    Overtaken(Slot),
    /// The machine has nothing left to run it on.
    #[error("{0}")]
    Exhausted(String),
    /// The process ends before it was done.
    #[error("the service is shutting down")]
    Stopping,
    /// The process ends before the library has said whether it has it.
    #[error(
        "the service is shutting down, and whether the library has it is not known: \
         the next start serves what it says"
    )]
    StoppingInDoubt,
}

impl From<&NotSwapped> for Failure {
    fn from(error: &NotSwapped) -> Self {
        match error {
            NotSwapped::Refused(refusal) => {
                let message = format!("the candidate for the slot {} was refused", refusal.slot);
                Failure::new(refusal.fault.into(), message).caused_by("Refusal", refusal.problems.join("; "))
            }
            NotSwapped::Store(error) => Failure::from(error),
            NotSwapped::InDoubt(cause) => Failure { message: error.to_string(), ..Failure::from(cause) },
            NotSwapped::Unknown(message) => Failure::new(Code::E004, message),
            NotSwapped::Impossible(_) | NotSwapped::Overtaken(_) => {
                Failure::new(Code::E412, error.to_string())
            }
            NotSwapped::Exhausted(message) => Failure::new(Code::E501, message),
            NotSwapped::Stopping | NotSwapped::StoppingInDoubt => Failure::new(Code::E503, error.to_string()),
        }
    }
}

impl From<Fault> for Code {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::UploadTooLarge => Self::E006,
            Fault::Busy => Self::E501,
            Fault::Plugin(kind) => kind.into(),
        }
    }
}

/// Looks after the slots until the process stops. What is under way then is
/// given up and told so.
pub async fn run(app: Arc<App>, hangup: Signal) {
    tokio::join!(watcher::run(&app, hangup), containment::run(&app), shared::run(&app), upkeep::run(&app));
}

/// One round of a loop. A panic in it is told, and the loop goes on.
async fn survive<T>(app: &App, way: Way, round: impl Future<Output = T>) -> Option<T> {
    let round = async {
        app.activations.fault.strike();
        round.await
    };
    let survived = guarded("the watch over the plugins", round).await;
    survived.map_err(|panicked| telling::tell_panic(app, way, panicked)).ok()
}
