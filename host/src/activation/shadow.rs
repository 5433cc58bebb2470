//! Plugins that run beside those that serve: an operator begins, promotes and
//! discards them, and one that fails too often is withdrawn. They live in this
//! process only; the library knows them once they are promoted.

use super::attempt::{Swap, begin, prepared};
use super::requests::{from_library, one, uploaded};
use super::{NotSwapped, Swapped, Way, attempt, telling};
use crate::app::App;
use crate::events::Failure;
use crate::plugin_host::{Candidate, Placed, PluginIdentity, Prepared, Refusal, ShadowStatus, Slot};

/// A shadow, and what serves its slot.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Beside {
    /// The slot.
    pub slot: Slot,
    /// What serves it.
    pub beside: PluginIdentity,
    /// What runs beside that.
    pub shadow: ShadowStatus,
}

/// Lets an uploaded component run beside the plugin that serves its slot, with
/// the settings that `plugins.toml` says now.
///
/// # Errors
/// It is refused, or serves the slot already.
pub async fn begin_shadow(app: &App, slot: Slot, bytes: Vec<u8>) -> Result<Beside, NotSwapped> {
    let candidate = uploaded(app, slot, bytes).await;
    run_beside(app, slot, candidate).await
}

/// The same with a component of the library. The first digits of its digest
/// are enough.
///
/// # Errors
/// There is no such component, it is refused, or it serves the slot already.
pub async fn begin_shadow_from_library(app: &App, slot: Slot, digest: &str) -> Result<Beside, NotSwapped> {
    let candidate = from_library(app, slot, digest).await?;
    run_beside(app, slot, candidate).await
}

/// Lets the shadow of a slot serve it, with the settings that it ran with.
///
/// # Errors
/// There is none, or it cannot be kept.
pub async fn promote(app: &App, slot: Slot) -> Result<Swapped, NotSwapped> {
    let shadow = app.plugins.pin().shadow(slot).cloned().ok_or_else(|| without_shadow(slot))?;
    one(slot, attempt::promote(app, shadow).await)
}

/// Ends the shadow of a slot; comes back with what it was found to be.
///
/// # Errors
/// There is none.
pub async fn discard(app: &App, slot: Slot) -> Result<Beside, NotSwapped> {
    let _turn = app.activations.publishing.lock().await;
    let ended = running(app, slot).ok_or_else(|| without_shadow(slot))?;
    app.plugins.end_shadow(slot);
    telling::tell_of_discard(app, Way::Shadow, &ended, None);
    Ok(ended)
}

/// Ends the shadow of a slot if it failed too often.
pub(super) async fn withdraw(app: &App, slot: Slot) {
    if app.plugins.pin().shadow_trouble(slot).is_none() {
        return;
    }
    let _turn = app.activations.publishing.lock().await;
    // Meanwhile another one may have come.
    if let (Some(ended), Some(trouble)) = (running(app, slot), app.plugins.pin().shadow_trouble(slot)) {
        app.plugins.end_shadow(slot);
        telling::tell_of_discard(app, Way::AutoDiscard, &ended, Some(Failure::from(&trouble)));
    }
}

async fn run_beside(
    app: &App,
    slot: Slot,
    candidate: Result<Candidate, Refusal>,
) -> Result<Beside, NotSwapped> {
    let mut attempt = begin(app, Swap::new(slot, Way::Shadow, candidate));
    let begun = match prepared(app, &mut attempt).await {
        Ok(prepared) => {
            telling::describe(&mut attempt.event, &prepared);
            publish(app, prepared).await
        }
        Err(error) => Err(error),
    };
    match &begun {
        Ok(begun) => telling::end_begun(attempt, &begun.shadow),
        Err(error) => telling::end_badly(attempt, error),
    }
    begun
}

async fn publish(app: &App, plugin: Prepared) -> Result<Beside, NotSwapped> {
    let slot = plugin.slot();
    let _turn = app.activations.publishing.lock().await;
    let plugins = app.plugins.pin();
    let serving = plugins.identity(slot);
    if (serving.digest.as_str(), &serving.settings_digest) == (plugin.digest(), &plugin.settings().digest()) {
        return Err(NotSwapped::Impossible(format!("this plugin serves the slot {slot} already")));
    }
    let before = running(app, slot);
    let no_thread = |error| NotSwapped::Exhausted(format!("there is no thread for a shadow: {error}"));
    app.plugins.begin_shadow(plugin).map_err(no_thread)?;
    if let Some(ended) = before {
        telling::tell_of_discard(app, Way::Shadow, &ended, None);
    }
    running(app, slot)
        .ok_or_else(|| NotSwapped::Impossible(format!("the shadow of the slot {slot} has ended meanwhile")))
}

/// Publishes plugins, each by its way. A shadow that serves from now on runs
/// beside nothing and has ended, which is told unless it was promoted.
pub(super) fn publish_beside(app: &App, placed: Vec<(Way, Placed)>) {
    let shadows: Vec<_> = placed
        .iter()
        .filter(|(way, _)| *way != Way::Promotion)
        .filter_map(|(way, placed)| Some((*way, running(app, placed.plugin.slot())?)))
        .collect();
    app.plugins.publish(placed.into_iter().map(|(_, placed)| placed).collect());
    for (way, ended) in shadows {
        if app.plugins.pin().shadow(ended.slot).is_none() {
            telling::tell_of_discard(app, way, &ended, None);
        }
    }
}

fn running(app: &App, slot: Slot) -> Option<Beside> {
    let plugins = app.plugins.pin();
    let shadow = plugins.status(slot).shadow?;
    Some(Beside { slot, beside: plugins.identity(slot).clone(), shadow })
}

fn without_shadow(slot: Slot) -> NotSwapped {
    NotSwapped::Unknown(format!("nothing runs beside the plugin in the slot {slot}"))
}
