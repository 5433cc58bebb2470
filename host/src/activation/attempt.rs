//! One try to put plugins into their slots: checked side by side, kept in the
//! library and published together, each with its event.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::{NotSwapped, Swapped, Way, telling};
use crate::app::App;
use crate::events::{Failure, PluginSwapDetails, SwappedPlugin, WideEvent};
use crate::plugin_host::{Candidate, Placed, PluginRuntime, PluginSet, Prepared, Refusal, Slot};
use crate::store::{Activation, NewActivation, Rejection, Store};

/// A stop does not wait longer for the library.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// What somebody wants to serve a slot.
pub(super) struct Swap {
    pub(super) slot: Slot,
    pub(super) way: Way,
    /// The candidate, or why there is none.
    pub(super) candidate: Result<Candidate, Refusal>,
    /// What a rollback leaves.
    pub(super) back_from: Option<BackFrom>,
}

/// What a rollback leaves.
pub(super) struct BackFrom {
    pub(super) generation: u64,
    pub(super) rejection: Rejection,
    /// How it failed, where nobody asked for the rollback.
    pub(super) trouble: Option<Failure>,
}

/// A swap under way.
pub(super) struct Attempt {
    pub(super) slot: Slot,
    pub(super) way: Way,
    pub(super) back_from: Option<BackFrom>,
    pub(super) target: SwappedPlugin,
    pub(super) event: WideEvent<PluginSwapDetails>,
    preparing: JoinHandle<Result<Prepared, Refusal>>,
}

/// What became of each slot.
pub(super) type Ended = Vec<(Slot, Result<Swapped, NotSwapped>)>;

/// Takes candidates through every check, and publishes those that are fit
/// together. A refusal leaves its slot as it was.
pub(super) async fn swap(app: &App, swaps: Vec<Swap>) -> Ended {
    go_on(app, swaps.into_iter().map(|swap| begin(app, swap)).collect()).await
}

/// Publishes a shadow, which has stood the checks, like any other plugin.
pub(super) async fn promote(app: &App, plugin: Prepared) -> Ended {
    let candidate = Ok(plugin.as_candidate("the shadow"));
    let swap = Swap { slot: plugin.slot(), way: Way::Promotion, candidate, back_from: None };
    go_on(app, vec![begin_with(app, swap, async { Ok(plugin) })]).await
}

async fn go_on(app: &App, attempts: Vec<Attempt>) -> Ended {
    let (mut ready, mut ended) = (Vec::new(), Ended::new());
    for mut attempt in attempts {
        match prepared(app, &mut attempt).await {
            Ok(prepared) => ready.push((attempt, prepared)),
            Err(error) => ended.push((attempt.slot, telling::end(attempt, Err(error)))),
        }
    }
    if !ready.is_empty() {
        ended.extend(publish(app, ready).await);
    }
    ended
}

/// Opens the event of a swap, and begins with the checks.
pub(super) fn begin(app: &App, swap: Swap) -> Attempt {
    let runtime = app.plugins.runtime().clone();
    let candidate = swap.candidate.clone();
    begin_with(app, swap, async move { prepare(&runtime, candidate).await })
}

fn begin_with(
    app: &App,
    swap: Swap,
    preparing: impl Future<Output = Result<Prepared, Refusal>> + Send + 'static,
) -> Attempt {
    let Swap { slot, way, candidate, back_from } = swap;
    let target = telling::target(&candidate);
    let event = telling::open(app, slot, way, &candidate, &target);
    // A task of its own: a panic ends this attempt only.
    let preparing = tokio::spawn(preparing);
    Attempt { slot, way, back_from, target, event, preparing }
}

pub(super) async fn prepare(
    runtime: &PluginRuntime,
    candidate: Result<Candidate, Refusal>,
) -> Result<Prepared, Refusal> {
    runtime.prepare(candidate?).await
}

/// Waits for the checks, and remembers a refusal. A stop waits for none.
pub(super) async fn prepared(app: &App, attempt: &mut Attempt) -> Result<Prepared, NotSwapped> {
    let refusal = match app.until_stop(&mut attempt.preparing).await {
        None => {
            attempt.preparing.abort();
            return Err(NotSwapped::Stopping);
        }
        Some(Ok(Ok(prepared))) => return Ok(prepared),
        Some(Ok(Err(refusal))) => refusal,
        Some(Err(panic)) => {
            let problems = vec![format!("cannot be checked: {panic}")];
            Refusal::new(attempt.slot, attempt.event.details.origin.clone(), problems)
        }
    };
    tokio::select! {
        () = remember(&app.store, &attempt.target, &refusal) => {}
        () = stop_is_due(app) => tracing::warn!("a refusal is not remembered: the store does not answer"),
    }
    Err(NotSwapped::Refused(refusal))
}

/// Waits until a stop has waited for long enough.
async fn stop_is_due(app: &App) {
    app.stopped().await;
    tokio::time::sleep(LAST_WRITE).await;
}

/// Remembers a refusal: the same component with the same settings is not tried
/// again by itself. What was never read has no digest, and is looked at again;
/// so is what nobody could look at now.
pub(super) async fn remember(store: &Store, target: &SwappedPlugin, refusal: &Refusal) {
    let Some(digest) = target.digest.as_ref().filter(|_| !refusal.for_now) else { return };
    let rejection = Rejection {
        slot: refusal.slot,
        digest: digest.clone(),
        settings_digest: target.settings_digest.clone(),
        verdict: "refused".to_owned(),
        code: "E412".to_owned(),
        reason: refusal.problems.join("; "),
        rejected_ms: Timestamp::now().as_millisecond(),
    };
    if let Err(error) = store.reject_plugin(&rejection).await {
        tracing::warn!(slot = %refusal.slot, %error, "a refusal cannot be remembered");
    }
}

/// Keeps prepared plugins in the library and publishes them, all or none.
async fn publish(app: &App, ready: Vec<(Attempt, Prepared)>) -> Ended {
    let _turn = app.activations.publishing.lock().await;
    let before = app.plugins.pin();
    let started = Instant::now();
    let kept = tokio::select! {
        kept = keep_ready(&app.store, &before, &ready) => kept,
        () = stop_is_due(app) => Err(NotSwapped::Stopping),
    };
    let activations = match kept {
        Ok(activations) => activations,
        Err(error) => {
            let ended = ready.into_iter();
            return ended
                .map(|(attempt, _)| (attempt.slot, telling::end(attempt, Err(error.clone()))))
                .collect();
        }
    };
    let (mut placed, mut swapped) = (Vec::new(), Vec::new());
    for ((mut attempt, prepared), activation) in ready.into_iter().zip(activations) {
        attempt.event.timings.add_since("library", started);
        telling::describe(&mut attempt.event, &prepared);
        let (slot, from, to) = (attempt.slot, before.identity(attempt.slot).clone(), activation.identity());
        let changed = from.generation != to.generation;
        // One that serves badly begins anew.
        if changed || before.is_degraded(slot) {
            placed.push(place(prepared, &activation, attempt.way, None));
        }
        swapped.push((attempt, Swapped { slot, changed, from, to }));
    }
    app.plugins.publish(placed);
    let ended = swapped.into_iter();
    ended.map(|(attempt, swapped)| (attempt.slot, telling::end(attempt, Ok(swapped)))).collect()
}

async fn keep_ready(
    store: &Store,
    before: &PluginSet,
    ready: &[(Attempt, Prepared)],
) -> Result<Vec<Activation>, NotSwapped> {
    let back_from = ready.iter().find_map(|(attempt, _)| Some((attempt.slot, attempt.back_from.as_ref()?)));
    if let Some((slot, back_from)) = back_from
        && before.identity(slot).generation != back_from.generation
    {
        return Err(overtaken(slot));
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
    let plugins = ready.iter().map(|(attempt, prepared)| (attempt.way, prepared));
    let rejection = back_from.map(|(_, back_from)| &back_from.rejection);
    keep(store, plugins, rejection).await
}

/// Writes activations into the library.
pub(super) async fn keep<'a>(
    store: &Store,
    plugins: impl Iterator<Item = (Way, &'a Prepared)>,
    instead_of: Option<&Rejection>,
) -> Result<Vec<Activation>, NotSwapped> {
    let activated_ms = Timestamp::now().as_millisecond();
    let digested: Vec<_> =
        plugins.map(|(way, prepared)| (way, prepared, prepared.settings().digest())).collect();
    let plugins: Vec<_> = digested
        .iter()
        .map(|(way, prepared, settings_digest)| NewActivation {
            slot: prepared.slot(),
            bytes: prepared.bytes(),
            digest: prepared.digest(),
            settings_digest,
            settings: prepared.settings().as_stored(),
            name: prepared.name(),
            version: prepared.version(),
            way: way.as_str(),
            activated_ms,
        })
        .collect();
    match (instead_of, plugins.as_slice()) {
        (Some(rejection), [plugin]) => {
            let activated = store.activate_instead(plugin, rejection).await?;
            activated.map(|activated| vec![activated]).ok_or_else(|| overtaken(plugin.slot))
        }
        _ => Ok(store.activate_plugins(&plugins).await?),
    }
}

fn overtaken(slot: Slot) -> NotSwapped {
    NotSwapped::Impossible(format!("another plugin came into the slot {slot} meanwhile"))
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
