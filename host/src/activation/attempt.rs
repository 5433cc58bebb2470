//! One try to put plugins into their slots: checked side by side and published
//! together, each with its event.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::{JoinError, JoinHandle};

use super::publication::{Published, Ready, publish, stop_is_due};
use super::{NotSwapped, Swapped, Way, telling};
use crate::app::App;
use crate::events::{Code, Failure, PluginSwapDetails, SwappedPlugin, WideEvent};
use crate::plugin_host::{Candidate, PluginRuntime, Prepared, Purpose, Refusal, Slot};
use crate::store::{Rejection, Store};

/// How often settings are held against another plugin than the one that they
/// were read for, while others come into the slot.
const FOLLOWED: u32 = 5;

/// What somebody wants to serve a slot.
pub(super) struct Swap {
    pub(super) slot: Slot,
    pub(super) way: Way,
    /// The candidate, or why there is none.
    pub(super) candidate: Result<Candidate, Refusal>,
    /// What it is made ready for.
    pub(super) purpose: Purpose,
    /// What a rollback leaves.
    pub(super) back_from: Option<BackFrom>,
    /// The generation that served when it was decided that its component is to
    /// go on, with other settings.
    pub(super) follows: Option<u64>,
    /// Whether its part of `plugins.toml` has changed.
    pub(super) resets: bool,
}

impl Swap {
    /// One that takes the place of whatever serves.
    pub(super) fn new(slot: Slot, way: Way, candidate: Result<Candidate, Refusal>) -> Self {
        let purpose = Purpose::Ordinary;
        Self { slot, way, candidate, purpose, back_from: None, follows: None, resets: false }
    }
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
    pub(super) follows: Option<u64>,
    resets: bool,
    pub(super) target: SwappedPlugin,
    pub(super) event: WideEvent<PluginSwapDetails>,
    checks: Checks,
}

/// Checks in a task of their own: a panic ends no more than them. They end when
/// nobody waits for them any more.
pub(super) struct Checks(JoinHandle<Result<Prepared, Refusal>>);

impl Checks {
    pub(super) fn begin(checks: impl Future<Output = Result<Prepared, Refusal>> + Send + 'static) -> Self {
        Self(tokio::spawn(checks))
    }

    pub(super) async fn end(&mut self) -> Result<Result<Prepared, Refusal>, JoinError> {
        (&mut self.0).await
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
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
    let swap = Swap::new(plugin.slot(), Way::Promotion, candidate);
    go_on(app, vec![begin_with(app, swap, async { Ok(plugin) })]).await
}

async fn go_on(app: &App, attempts: Vec<Attempt>) -> Ended {
    let mut batch = Batch::new(app);
    for mut attempt in attempts {
        let prepared = prepared(app, &mut attempt).await;
        batch.add(attempt, prepared);
    }
    batch.publish().await
}

/// Swaps that go together.
pub(super) struct Batch<'a> {
    app: &'a App,
    ready: Ready,
    /// Why a part of the `plugins.toml` that they come from was refused.
    refused_part: Option<Refusal>,
    /// Whether the process ended before all were checked.
    given_up: bool,
    ended: Ended,
}

impl<'a> Batch<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self { app, ready: Vec::new(), refused_part: None, given_up: false, ended: Ended::new() }
    }

    /// Publishes what is fit, unless it is not to be without the others.
    pub(super) async fn publish(mut self) -> Ended {
        let mut followed = 0;
        loop {
            self.refuse_as_a_whole();
            self.give_up_as_a_whole();
            if self.ready.is_empty() {
                return self.ended;
            }
            match publish(self.app, std::mem::take(&mut self.ready)).await {
                Published::Ended(ended) => self.ended.extend(ended),
                Published::Overtaken(slot, ready) => {
                    followed += 1;
                    self.follow(slot, ready, followed > FOLLOWED).await;
                }
            }
        }
    }

    pub(super) fn add(&mut self, attempt: Attempt, prepared: Result<Prepared, NotSwapped>) {
        match prepared {
            Ok(prepared) => self.ready.push((attempt, prepared)),
            Err(error) => {
                self.given_up |= matches!(error, NotSwapped::Stopping);
                if let (NotSwapped::Refused(refusal), true) = (&error, attempt.resets) {
                    self.refused_part.get_or_insert_with(|| refusal.clone());
                }
                self.ended.push((attempt.slot, telling::end(attempt, Err(error))));
            }
        }
    }

    /// A `plugins.toml` is taken as a whole: with a part that is refused the
    /// others are not taken either. They are not remembered as refused, since
    /// they may be fit.
    fn refuse_as_a_whole(&mut self) {
        let Some(part) = &self.refused_part else { return };
        for (attempt, prepared) in std::mem::take(&mut self.ready) {
            if attempt.resets {
                let problem = vec![telling::refused_as_a_whole(part.slot, &part.problems.join("; "))];
                let refusal = Refusal::new(attempt.slot, attempt.event.details.origin.clone(), problem);
                self.ended.push((attempt.slot, telling::end(attempt, Err(NotSwapped::Refused(refusal)))));
            } else {
                self.ready.push((attempt, prepared));
            }
        }
    }

    /// Whether what a stop left unchecked is fit nobody knows: what changed
    /// together with it waits for the next start, too.
    fn give_up_as_a_whole(&mut self) {
        if self.given_up {
            let ready = std::mem::take(&mut self.ready);
            let given_up = ready
                .into_iter()
                .map(|(attempt, _)| (attempt.slot, telling::end(attempt, Err(NotSwapped::Stopping))));
            self.ended.extend(given_up);
        }
    }

    /// Holds the settings for a slot against the plugin that serves it by now.
    async fn follow(&mut self, slot: Slot, ready: Ready, gives_up: bool) {
        for (mut attempt, prepared) in ready {
            if attempt.slot != slot {
                self.ready.push((attempt, prepared));
            } else if gives_up {
                self.add(attempt, Err(NotSwapped::Overtaken(slot)));
            } else {
                let prepared = follow(self.app, &mut attempt, prepared).await;
                self.add(attempt, prepared);
            }
        }
    }
}

/// Prepares the component that serves by now with the settings of `overtaken`.
async fn follow(app: &App, attempt: &mut Attempt, overtaken: Prepared) -> Result<Prepared, NotSwapped> {
    let slot = attempt.slot;
    let newest = app.store.activations(slot, 1).await?.pop().ok_or(NotSwapped::Overtaken(slot))?;
    let bytes = app.store.plugin_component(slot, &newest.digest).await?.ok_or(NotSwapped::Overtaken(slot))?;
    let candidate = Ok(Candidate {
        slot,
        origin: attempt.event.details.origin.clone(),
        bytes: Arc::from(bytes),
        digest: newest.digest,
        settings: overtaken.settings().clone(),
    });
    attempt.follows = Some(newest.generation);
    attempt.target = telling::target(&candidate);
    attempt.event.details.to = Some(attempt.target.clone());
    let runtime = app.plugins.runtime().clone();
    attempt.checks = Checks::begin(async move { prepare(&runtime, candidate, Purpose::Ordinary).await });
    prepared(app, attempt).await
}

/// Opens the event of a swap, and begins with the checks.
pub(super) fn begin(app: &App, swap: Swap) -> Attempt {
    let runtime = app.plugins.runtime().clone();
    let (candidate, purpose) = (swap.candidate.clone(), swap.purpose);
    begin_with(app, swap, async move { prepare(&runtime, candidate, purpose).await })
}

fn begin_with(
    app: &App,
    swap: Swap,
    checks: impl Future<Output = Result<Prepared, Refusal>> + Send + 'static,
) -> Attempt {
    let Swap { slot, way, candidate, back_from, follows, resets, .. } = swap;
    let target = telling::target(&candidate);
    let event = telling::open(app, slot, way, &candidate, &target);
    Attempt { slot, way, back_from, follows, resets, target, event, checks: Checks::begin(checks) }
}

pub(super) async fn prepare(
    runtime: &PluginRuntime,
    candidate: Result<Candidate, Refusal>,
    purpose: Purpose,
) -> Result<Prepared, Refusal> {
    runtime.prepare(candidate?, purpose).await
}

/// Waits for the checks, and remembers a refusal. A stop waits for none.
pub(super) async fn prepared(app: &App, attempt: &mut Attempt) -> Result<Prepared, NotSwapped> {
    let refusal = match app.until_stop(attempt.checks.end()).await {
        None => return Err(NotSwapped::Stopping),
        Some(Ok(Ok(prepared))) => return Ok(prepared),
        Some(Ok(Err(refusal))) => refusal,
        Some(Err(panic)) => {
            let problems = vec![format!("cannot be checked: {panic}")];
            Refusal::new(attempt.slot, attempt.event.details.origin.clone(), problems)
        }
    };
    // What served before is not to be lost to a machine that is busy now.
    if attempt.back_from.is_some() && refusal.is_late() {
        return Err(NotSwapped::Refused(refusal));
    }
    tokio::select! {
        () = remember(&app.store, &attempt.target, &refusal) => {}
        () = stop_is_due(app) => tracing::warn!("a refusal is not remembered: the store does not answer"),
    }
    Err(NotSwapped::Refused(refusal))
}

/// Remembers a refusal: the same component with the same settings is not tried
/// again by itself. What was never read has no digest, and is looked at again;
/// so is what nobody could look at now.
pub(super) async fn remember(store: &Store, target: &SwappedPlugin, refusal: &Refusal) {
    let Some(digest) = target.digest.as_ref().filter(|_| !refusal.is_for_now()) else { return };
    let rejection = Rejection {
        slot: refusal.slot,
        digest: digest.clone(),
        settings_digest: target.settings_digest.clone(),
        verdict: "refused".to_owned(),
        code: Code::from(refusal.fault).as_str().to_owned(),
        reason: refusal.problems.join("; "),
        rejected_ms: Timestamp::now().as_millisecond(),
    };
    if let Err(error) = store.reject_plugin(&rejection).await {
        tracing::warn!(slot = %refusal.slot, %error, "a refusal cannot be remembered");
    }
}
