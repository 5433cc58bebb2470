//! Plugins that fail again and again: back to the last good one, and where
//! there is none, a slot that says so. A shadow that does is withdrawn.

use std::time::Duration;

use super::requests::roll_back;
use super::{NotSwapped, Way, shadow, survive, telling};
use crate::app::App;
use crate::events::{Failure, Outcome};
use crate::plugin_host::{Slot, Trouble};

/// Between two attempts: what cannot be done now is tried again as long as the
/// plugin fails, but not for each of its failures.
const PAUSE: Duration = Duration::from_secs(1);

/// Rolls failing plugins back until the process stops.
pub(super) async fn run(app: &App) {
    while app.until_stop(app.plugins.alarm()).await.is_some() {
        survive(app, Way::AutoRollback, contain_all(app)).await;
        app.until_stop(tokio::time::sleep(PAUSE)).await;
    }
}

async fn contain_all(app: &App) {
    let plugins = app.plugins.pin();
    for slot in Slot::ALL {
        if let Some(trouble) = plugins.trouble(slot) {
            contain(app, slot, &trouble).await;
        }
        shadow::withdraw(app, slot).await;
    }
}

async fn contain(app: &App, slot: Slot, trouble: &Trouble) {
    let plugins = app.plugins.pin();
    let failing = plugins.identity(slot).clone();
    let failure = Failure::from(trouble);
    let result = roll_back(app, slot, &failing, Way::AutoRollback, Some(&failure)).await;
    match result {
        Ok(_) => {}
        Err(NotSwapped::Impossible(reason)) => {
            if plugins.tell_trouble_once(slot) {
                let told = Failure { message: reason, ..failure };
                telling::tell_no_way_back(app, slot, Way::AutoRollback, told, Outcome::Failure);
            }
        }
        // The swap told it, and the next failure tries again.
        Err(error) => tracing::warn!(%slot, %error, "a failing plugin cannot be rolled back now"),
    }
}
