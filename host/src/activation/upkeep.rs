//! What the library needs no more goes, now and then. What that is, the store
//! says.

use std::time::Duration;

use jiff::Timestamp;

use super::{Way, survive};
use crate::app::App;

/// How often it is looked for.
const TICK: Duration = Duration::from_secs(600);

/// Looks after the library until the process stops. What is under way then is
/// dropped: it goes on after the next start.
pub(super) async fn run(app: &App) {
    let mut tick = tokio::time::interval(TICK);
    while app.until_stop(tick.tick()).await.is_some() {
        app.until_stop(survive(app, Way::Shared, prune(app))).await;
    }
}

async fn prune(app: &App) {
    if let Err(error) = app.store.prune_plugin_parts(Timestamp::now()).await {
        tracing::warn!(%error, "what the plugin library needs no more cannot be removed now");
    }
}
