//! Activations of other hosts that share the database: what one activates or
//! rolls back, all serve.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attempt::prepare;
use super::publication::place;
use super::telling::Report;
use super::{NotSwapped, Way, shadow, survive, telling};
use crate::app::App;
use crate::events::{Failure, PluginSwapDetails, SwappedPlugin};
use crate::plugin_host::{Candidate, Purpose, Refusal, Slot, SlotSettings};
use crate::store::{Activation, Engine, StoreError};

/// How often the library is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Follows the library until the process stops. A SQLite file has one host: it
/// is followed only where it did not say what it has. What is followed is told
/// afterwards, so it may be dropped.
pub(super) async fn run(app: &App) {
    app.until_stop(follow_all(app)).await;
}

async fn follow_all(app: &App) {
    let mut unfit = BTreeSet::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut in_doubt = app.store.engine() != Engine::Sqlite;
    loop {
        if !in_doubt {
            app.activations.doubt.notified().await;
        }
        tick.tick().await;
        in_doubt = app.store.engine() != Engine::Sqlite;
        in_doubt |= survive(app, Way::Shared, follow_each(app, &mut unfit)).await != Some(true);
    }
}

/// Whether each slot could be followed.
async fn follow_each(app: &App, unfit: &mut BTreeSet<(Slot, u64)>) -> bool {
    let mut all = true;
    for slot in Slot::ALL {
        if let Err(error) = follow(app, slot, unfit).await {
            tracing::warn!(%slot, %error, "the plugin library cannot be followed now");
            all = false;
        }
    }
    all
}

/// `unfit` are the activations that this host cannot follow.
async fn follow(app: &App, slot: Slot, unfit: &mut BTreeSet<(Slot, u64)>) -> Result<(), StoreError> {
    let Some(newest) = app.store.activations(slot, 1).await?.pop() else { return Ok(()) };
    let serving = app.plugins.pin().identity(slot).generation;
    if newest.generation <= serving || unfit.contains(&(slot, newest.generation)) {
        return Ok(());
    }
    let bytes = app.store.plugin_component(slot, &newest.digest).await?;
    let mut report = report(app, &newest);
    let followed = publish(app, &newest, bytes, &mut report).await;
    match &followed {
        Ok(false) => return Ok(()),
        Ok(true) => report.details.swap = "activation",
        Err(refusal) => {
            if !refusal.is_for_now() {
                unfit.insert((slot, newest.generation));
            }
            report.details.problems.clone_from(&refusal.problems);
            report.ended = Err(Failure::from(&NotSwapped::Refused(refusal.clone())));
        }
    }
    telling::tell(app, vec![report]);
    Ok(())
}

/// Whether this host serves the activation only now.
async fn publish(
    app: &App,
    newest: &Activation,
    bytes: Option<Vec<u8>>,
    report: &mut Report,
) -> Result<bool, Refusal> {
    let slot = newest.slot;
    let origin = report.details.origin.clone();
    let refused = |problem: String| Refusal::new(slot, origin.clone(), vec![problem]);
    let bytes = bytes.ok_or_else(|| refused("is not kept any more".to_owned()))?;
    let settings = SlotSettings::from_stored(slot, &newest.settings).map_err(refused)?;
    let candidate = Candidate::new(slot, origin, bytes, settings).await;
    let purpose = if leads_back(newest) { Purpose::WayBack } else { Purpose::Ordinary };
    let prepared = prepare(app.plugins.runtime(), candidate, purpose).await?;
    report.details.compiled = Some(prepared.compiled());
    report.times = Some(prepared.times());
    let _turn = app.activations.publishing.lock().await;
    if app.plugins.pin().identity(slot).generation >= newest.generation {
        return Ok(false);
    }
    shadow::publish_beside(app, vec![(Way::Shared, place(prepared, newest, Way::Shared, None))]);
    tracing::info!(%slot, generation = newest.generation, "plugin of another host active");
    Ok(true)
}

/// Whether that host left something that was not to go on.
fn leads_back(newest: &Activation) -> bool {
    [Way::Rollback, Way::AutoRollback].iter().any(|way| way.as_str() == newest.way)
}

fn report(app: &App, newest: &Activation) -> Report {
    let plugins = app.plugins.pin();
    let from = plugins.identity(newest.slot);
    let reset = from.settings_digest != newest.settings_digest;
    let details = PluginSwapDetails {
        slot: Some(newest.slot.as_str()),
        swap: "refusal",
        way: Way::Shared.as_str(),
        origin: match app.store.engine() {
            Engine::Sqlite => format!("generation {} in the library", newest.generation),
            Engine::Postgres => format!("generation {} of another host", newest.generation),
        },
        from: Some(SwappedPlugin::from(from)),
        to: Some(SwappedPlugin::from(&newest.identity())),
        settings: reset.then(|| newest.settings.clone()),
        ..PluginSwapDetails::default()
    };
    Report { began: std::time::Instant::now(), details, times: None, ended: Ok(()) }
}
