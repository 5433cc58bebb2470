//! How prepared plugins come into the library and into their slots, all or
//! none. What they have to stand before is `attempt`'s business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::attempt::{Attempt, Ended};
use super::{NotSwapped, Swapped, Way, shadow, telling};
use crate::app::App;
use crate::events::Timing;
use crate::plugin_host::{Placed, PluginSet, Prepared, Slot};
use crate::store::{Activated, Activation, NewActivation, Rejection, Store, StoreError};

/// A stop does not wait longer for the library.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Swaps whose plugins have stood the checks.
pub(super) type Ready = Vec<(Attempt, Prepared)>;

/// What became of prepared plugins.
pub(super) enum Published {
    /// All are told.
    Ended(Ended),
    /// None is done: the one for this slot was made for a plugin that serves it
    /// no longer.
    Overtaken(Slot, Ready),
}

/// Keeps prepared plugins in the library and publishes them, all or none.
pub(super) async fn publish(app: &App, ready: Ready) -> Published {
    let _turn = app.activations.publishing.lock().await;
    let before = app.plugins.pin();
    let started = Instant::now();
    let kept = tokio::select! {
        kept = keep_ready(app, &before, &ready) => kept,
        () = stop_is_due(app) => Err(NotSwapped::StoppingInDoubt),
    };
    match kept {
        Ok(activations) => Published::Ended(serve(app, &before, ready, activations, started)),
        Err(NotSwapped::Overtaken(slot)) if follows_in(&ready, slot) => Published::Overtaken(slot, ready),
        Err(error) => Published::Ended(
            ready
                .into_iter()
                .map(|(attempt, _)| (attempt.slot, telling::end(attempt, Err(error.clone()))))
                .collect(),
        ),
    }
}

fn follows_in(ready: &Ready, slot: Slot) -> bool {
    ready.iter().any(|(attempt, _)| attempt.slot == slot && attempt.follows.is_some())
}

/// Waits until a stop has waited for long enough.
pub(super) async fn stop_is_due(app: &App) {
    app.stopped().await;
    tokio::time::sleep(LAST_WRITE).await;
}

fn serve(
    app: &App,
    before: &Arc<PluginSet>,
    ready: Ready,
    activations: Vec<Activation>,
    started: Instant,
) -> Ended {
    let (mut placed, mut swapped) = (Vec::new(), Vec::new());
    for ((mut attempt, prepared), activation) in ready.into_iter().zip(activations) {
        attempt.event.timings.add_since(Timing::LIBRARY, started);
        telling::describe(&mut attempt.event, &prepared);
        let (slot, from, to) = (attempt.slot, before.identity(attempt.slot).clone(), activation.identity());
        let changed = from.generation != to.generation;
        // One that serves badly begins anew.
        let renewed = !changed && before.is_degraded(slot);
        let reset = from.settings_digest != to.settings_digest;
        let settings = reset.then(|| prepared.settings().as_json());
        if changed || renewed {
            placed.push((attempt.way, place(prepared, &activation, attempt.way, None)));
        }
        swapped.push((attempt, Swapped { slot, changed, from, to, settings, renewed }));
    }
    shadow::publish_beside(app, placed);
    let ended = swapped.into_iter();
    ended.map(|(attempt, swapped)| (attempt.slot, telling::end(attempt, Ok(swapped)))).collect()
}

async fn keep_ready(app: &App, before: &PluginSet, ready: &Ready) -> Result<Vec<Activation>, NotSwapped> {
    let back_from = ready.iter().find_map(|(attempt, _)| Some((attempt.slot, attempt.back_from.as_ref()?)));
    if let Some((slot, back_from)) = back_from
        && before.identity(slot).generation != back_from.generation
    {
        return Err(NotSwapped::Overtaken(slot));
    }
    for (Attempt { slot, way, .. }, prepared) in ready {
        let is_shadow = || {
            let shadow = before.shadow(*slot).filter(|_| before.shadow_trouble(*slot).is_none());
            shadow.is_some_and(|shadow| shadow.is_clone_of(prepared))
        };
        if *way == Way::Promotion && !is_shadow() {
            return Err(NotSwapped::Impossible(format!("the shadow of the slot {slot} has ended meanwhile")));
        }
    }
    let plugins = ready.iter().map(|(attempt, prepared)| (attempt.way, prepared, attempt.follows));
    let rejection = back_from.map(|(_, back_from)| &back_from.rejection);
    match keep(&app.store, plugins, rejection).await? {
        Activated::All(activations) => Ok(activations),
        Activated::Overtaken(slot) => Err(NotSwapped::Overtaken(slot)),
        Activated::Unconfirmed(error) => confirm(app, ready, error).await,
    }
}

/// Writes activations into the library; `follows` are those that they are
/// meant to follow.
pub(super) async fn keep<'a>(
    store: &Store,
    plugins: impl Iterator<Item = (Way, &'a Prepared, Option<u64>)>,
    instead_of: Option<&Rejection>,
) -> Result<Activated, StoreError> {
    let activated_ms = Timestamp::now().as_millisecond();
    let digested: Vec<_> = plugins
        .map(|(way, prepared, follows)| (way, prepared, follows, prepared.settings().digest()))
        .collect();
    let plugins: Vec<_> = digested
        .iter()
        .map(|(way, prepared, follows, settings_digest)| NewActivation {
            slot: prepared.slot(),
            bytes: prepared.bytes(),
            digest: prepared.digest(),
            settings_digest,
            settings: prepared.settings().as_stored(),
            name: prepared.name(),
            version: prepared.version(),
            way: way.as_str(),
            activated_ms,
            follows: *follows,
        })
        .collect();
    match (instead_of, plugins.as_slice()) {
        (Some(rejection), [plugin]) => {
            // What a rollback leaves is rejected when the other one comes.
            let rejection = Rejection { rejected_ms: activated_ms, ..rejection.clone() };
            store.activate_instead(plugin, &rejection).await
        }
        _ => store.activate_plugins(&plugins).await,
    }
}

/// Asks the library for what it did not confirm.
pub(super) async fn confirm(
    app: &App,
    ready: &Ready,
    unconfirmed: StoreError,
) -> Result<Vec<Activation>, NotSwapped> {
    match newest_of(&app.store, ready).await {
        Ok(newest) => {
            let has_all = newest.len() == ready.len()
                && newest.iter().zip(ready).all(|(newest, (_, prepared))| {
                    (newest.digest.as_str(), &newest.settings_digest)
                        == (prepared.digest(), &prepared.settings().digest())
                });
            if !has_all {
                return Err(NotSwapped::Store(unconfirmed));
            }
            tracing::warn!(error = %unconfirmed, "the library has what it did not confirm");
            Ok(newest)
        }
        Err(error) => {
            tracing::warn!(%error, "the library cannot say whether it has what it did not confirm");
            app.activations.doubt.notify_one();
            Err(NotSwapped::InDoubt(unconfirmed))
        }
    }
}

async fn newest_of(store: &Store, ready: &Ready) -> Result<Vec<Activation>, StoreError> {
    let mut activations = Vec::new();
    for (attempt, _) in ready {
        activations.extend(store.activations(attempt.slot, 1).await?);
    }
    Ok(activations)
}

/// A prepared plugin with its place in the slot's history.
pub(super) fn place(plugin: Prepared, activation: &Activation, way: Way, degraded: Option<String>) -> Placed {
    Placed {
        plugin,
        generation: activation.generation,
        since_ms: activation.activated_ms,
        way: way.as_str().to_owned(),
        degraded,
    }
}
