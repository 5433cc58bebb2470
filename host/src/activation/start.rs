//! Which plugins a start begins with: what is new in PLUGIN_DIR, else what the
//! library says, else the last of it that is fit. Only a slot that never had a
//! fit plugin stops the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use super::attempt::{Checks, prepare, remember};
use super::folder::Found;
use super::inbox::{Dealt, Inbox, Offer, Source, Unfit};
use super::publication::{keep, place};
use super::telling::{Report, refused_as_a_whole, report_unfit, target, tell_placed, unusable_settings};
use super::{Activations, NotSwapped, Way};
use crate::events::{Code, Failure, PluginSwapDetails, SwappedPlugin};
use crate::plugin_host::{
    Candidate, Compiling, Placed, PluginHost, PluginIdentity, PluginRuntime, PluginSettings, Prepared,
    Purpose, Refusal, Slot, SlotSettings, StartError,
};
use crate::store::{Activated, Activation, Store, StoreError};

/// Predecessors that a start tries when a slot's own plugin is unfit.
const PREDECESSORS: i64 = 10;

/// What a start came to.
pub struct Started {
    /// The active plugins.
    pub plugins: PluginHost,
    /// What the story of later activations needs.
    pub activations: Activations,
    /// To be told as soon as events can be told.
    pub reports: Vec<Report>,
}

/// Finds a plugin for every slot, unless `stop` comes first, with its reason:
/// then nothing is under its checks any more, and there is nothing to serve with.
///
/// # Errors
/// A slot that never had a fit plugin has none now, either.
pub async fn start(
    compiling: Compiling,
    plugin_dir: &Path,
    data_dir: &Path,
    store: &Store,
    stop: impl Future<Output = &'static str>,
) -> Result<Option<Started>, StartError> {
    let runtime = PluginRuntime::start(&data_dir.join("plugin-cache"), compiling)?;
    let mut inbox = Inbox::open(plugin_dir, data_dir);
    let found = tokio::select! {
        // What is found is served, if only to be told.
        biased;
        found = find(&runtime, &mut inbox, store) => found,
        reason = stop => {
            tracing::info!(reason, "stopping before all plugins are checked");
            // None of them is to blame for it.
            inbox.trials.end().await;
            return Ok(None);
        }
    };
    let (plugins, reports) = found?;
    Ok(Some(Started { plugins, activations: Activations::new(inbox), reports }))
}

async fn find(
    runtime: &PluginRuntime,
    inbox: &mut Inbox,
    store: &Store,
) -> Result<(PluginHost, Vec<Report>), StartError> {
    for rejection in inbox.trials.deadly() {
        store.reject_plugin(&rejection).await.map_err(unreadable)?;
    }
    loop {
        let mut start = Start::read(runtime.clone(), store).await.map_err(unreadable)?;
        let found = loop {
            // Nothing is found where a file changed while it was read.
            if let Some(found) = inbox.look(&BTreeSet::new(), None).await {
                break found;
            }
        };
        let mut dealt = BTreeMap::new();
        match &found.settings {
            Ok(settings) => dealt = start.try_offers(inbox, &found, settings).await.map_err(unreadable)?,
            Err(problem) => start.do_without_settings(inbox, problem)?,
        }
        start.fill_from_library().await.map_err(unreadable)?;
        match start.finish().await? {
            Some(started) => {
                inbox.note(found, &dealt).await;
                return Ok(started);
            }
            // The settings were for what served a slot before: once more, for
            // what another host has put there.
            None => tracing::info!("another host activated a plugin meanwhile; the start begins again"),
        }
    }
}

fn unreadable(error: impl Display) -> StartError {
    StartError::Library(error.to_string())
}

/// A start under way.
struct Start<'a> {
    runtime: PluginRuntime,
    store: &'a Store,
    /// What the library says of each slot.
    current: BTreeMap<Slot, Activation>,
    /// New in PLUGIN_DIR, and fit.
    new: Vec<New>,
    /// From the library, and fit.
    kept: Vec<(Prepared, Activation)>,
    /// Why a slot is not served as it should be.
    degraded: BTreeMap<Slot, String>,
    refusals: Vec<Refusal>,
    reports: Vec<Report>,
}

/// A candidate under its checks.
struct Trial {
    report: Report,
    from: Source,
    /// Whether its part of `plugins.toml` has changed.
    resets: bool,
    checks: Checks,
}

/// A plugin that a start begins with instead of what served before.
struct New {
    prepared: Prepared,
    report: Report,
    from: Source,
    /// Whether its part of `plugins.toml` has changed.
    resets: bool,
}

impl<'a> Start<'a> {
    async fn read(runtime: PluginRuntime, store: &'a Store) -> Result<Self, StoreError> {
        let mut current = BTreeMap::new();
        for slot in Slot::ALL {
            current.extend(store.activations(slot, 1).await?.pop().map(|newest| (slot, newest)));
        }
        let (new, kept, refusals, reports) = Default::default();
        Ok(Self { runtime, store, current, new, kept, degraded: BTreeMap::new(), refusals, reports })
    }

    fn identities(&self) -> BTreeMap<Slot, PluginIdentity> {
        self.current.iter().map(|(slot, activation)| (*slot, activation.identity())).collect()
    }

    async fn try_offers(
        &mut self,
        inbox: &Inbox,
        found: &Found,
        settings: &PluginSettings,
    ) -> Result<BTreeMap<Slot, (Dealt, bool)>, StoreError> {
        let mut dealt = BTreeMap::new();
        let mut refused_part = None;
        for (slot, trial) in self.begin_trials(inbox, found, settings, &mut dealt).await? {
            let Trial { report, from, resets, checks } = trial;
            let file = from == Source::File;
            match finished(slot, checks).await {
                Ok(prepared) => {
                    dealt.insert(slot, (Dealt::Taken, file));
                    self.new.push(New { prepared, report, from, resets });
                }
                Err(refusal) => {
                    let became = match resets {
                        _ if refusal.is_for_now() => Dealt::Open,
                        true => Dealt::Held,
                        false => Dealt::Refused,
                    };
                    dealt.insert(slot, (became, file));
                    if resets && refused_part.is_none() {
                        refused_part = Some(refused_as_a_whole(slot, &refusal.problems.join("; ")));
                    }
                    self.refuse(refusal, report, Remembers::Yes).await;
                }
            }
        }
        inbox.trials.end().await;
        if let Some(reason) = refused_part {
            self.refuse_as_a_whole(&reason, &mut dealt).await;
        }
        Ok(dealt)
    }

    /// Begins with the checks of what is new, and tells of what is not tried.
    async fn begin_trials(
        &mut self,
        inbox: &Inbox,
        found: &Found,
        settings: &PluginSettings,
        dealt: &mut BTreeMap<Slot, (Dealt, bool)>,
    ) -> Result<Vec<(Slot, Trial)>, StoreError> {
        let current = self.identities();
        let mut unfit = inbox.unfit(found, settings, &current, self.store).await?;
        let mut trials = Vec::new();
        let offers = inbox.offers(found, settings, &current, self.store).await?;
        inbox.trials.begin(offers.iter().filter_map(|(_, offer)| offer.candidate())).await;
        for (slot, offer) in offers {
            match offer {
                Offer::New { candidate, from, resets } => {
                    unfit.remove(&slot);
                    let report = self.report(slot, &candidate);
                    let checks = checks_of(self.runtime.clone(), candidate);
                    trials.push((slot, Trial { report, from, resets, checks }));
                }
                Offer::Tried { rejection, resets } => {
                    if rejection.verdict == "refused" {
                        dealt.insert(slot, (if resets { Dealt::Held } else { Dealt::Refused }, true));
                    }
                }
                Offer::Held(reason) => {
                    unfit.insert(slot, Unfit { reason, code: Code::E412 });
                    dealt.insert(slot, (Dealt::Held, false));
                }
            }
        }
        for (slot, unfit) in unfit {
            self.do_without(slot, settings, unfit);
        }
        Ok(trials)
    }

    /// A `plugins.toml` is taken as a whole, also by a start.
    async fn refuse_as_a_whole(&mut self, reason: &str, dealt: &mut BTreeMap<Slot, (Dealt, bool)>) {
        for new in std::mem::take(&mut self.new) {
            if !new.resets {
                self.new.push(new);
                continue;
            }
            let slot = new.prepared.slot();
            let refusal = Refusal::new(slot, new.report.details.origin.clone(), vec![reason.to_owned()]);
            dealt.entry(slot).and_modify(|(dealt, _)| *dealt = Dealt::Held);
            self.refuse(refusal, new.report, Remembers::No).await;
        }
    }

    /// Tells of what the inbox holds for a slot and was refused before.
    fn do_without(&mut self, slot: Slot, settings: &PluginSettings, unfit: Unfit) {
        let Unfit { reason, code } = unfit;
        tracing::warn!(%slot, reason, "a slot is served by its last good plugin");
        let from = self.current.get(&slot).map(Activation::identity);
        self.reports.push(report_unfit(slot, from.as_ref(), settings.of(slot).digest(), code, &reason));
        self.degraded.insert(slot, reason);
    }

    fn report(&self, slot: Slot, candidate: &Result<Candidate, Refusal>) -> Report {
        let origin = match candidate {
            Ok(candidate) => candidate.origin.clone(),
            Err(refusal) => refusal.origin.clone(),
        };
        let target = target(candidate);
        let details = PluginSwapDetails {
            slot: Some(slot.as_str()),
            swap: "refusal",
            way: Way::Start.as_str(),
            origin,
            from: self.current.get(&slot).map(|current| SwappedPlugin::from(&current.identity())),
            to: target.digest.is_some().then_some(target),
            ..PluginSwapDetails::default()
        };
        Report { began: Instant::now(), details, times: None, ended: Ok(()) }
    }

    /// A slot that never had a plugin has nothing to fall back to: its file is
    /// tried again at the next start.
    async fn refuse(&mut self, refusal: Refusal, mut report: Report, remembers: Remembers) {
        tracing::warn!("plugin refused (start): {refusal}");
        let reason = refusal.problems.join("; ");
        if self.current.contains_key(&refusal.slot) {
            if let (Remembers::Yes, Some(target)) = (remembers, &report.details.to) {
                remember(self.store, target, &refusal).await;
            }
            self.degraded.insert(refusal.slot, format!("{} was refused: {reason}", refusal.origin));
        }
        report.details.problems.clone_from(&refusal.problems);
        report.ended = Err(Failure::from(&NotSwapped::Refused(refusal.clone())));
        self.reports.push(report);
        self.refusals.push(refusal);
    }

    fn do_without_settings(&mut self, inbox: &Inbox, problem: &str) -> Result<(), StartError> {
        let file = inbox.settings_file();
        if self.current.len() < Slot::ALL.len() {
            return Err(StartError::Settings { file, problem: problem.to_owned() });
        }
        tracing::warn!("plugin settings refused (start): {}: {problem}", file.display());
        let details = PluginSwapDetails {
            swap: "refusal",
            way: Way::Start.as_str(),
            origin: file.display().to_string(),
            problems: vec![problem.to_owned()],
            ..PluginSwapDetails::default()
        };
        let ended = Err(unusable_settings(problem));
        self.reports.push(Report { began: Instant::now(), details, times: None, ended });
        let reason = format!("{} cannot be used: {problem}", file.display());
        self.degraded = Slot::ALL.into_iter().map(|slot| (slot, reason.clone())).collect();
        Ok(())
    }

    /// Serves what nothing new serves from the library.
    async fn fill_from_library(&mut self) -> Result<(), StoreError> {
        for (slot, newest) in self.current.clone() {
            if self.new.iter().any(|new| new.prepared.slot() == slot) {
                continue;
            }
            if self.try_kept(&newest).await? {
                continue;
            }
            for earlier in self.store.predecessors(slot, &newest.identity(), PREDECESSORS).await? {
                if self.try_kept(&earlier).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn try_kept(&mut self, activation: &Activation) -> Result<bool, StoreError> {
        let slot = activation.slot;
        let origin = format!("generation {} in the library", activation.generation);
        let refused = |problem: &str| Refusal::new(slot, origin.clone(), vec![problem.to_owned()]);
        let candidate = match self.store.plugin_component(slot, &activation.digest).await? {
            None => Err(refused("is not kept any more")),
            Some(bytes) => match SlotSettings::from_stored(slot, &activation.settings) {
                Ok(settings) => Candidate::new(slot, origin.clone(), bytes, settings).await,
                Err(problem) => Err(refused(&problem)),
            },
        };
        let report = self.report(slot, &candidate);
        match finished(slot, checks_of(self.runtime.clone(), candidate)).await {
            Ok(prepared) => {
                self.kept.push((prepared, activation.clone()));
                Ok(true)
            }
            Err(refusal) => {
                // Not remembered: it served before, so it is this host that is
                // new, and another one may be right for it.
                self.degraded.insert(slot, format!("{origin}: {}", refusal.problems.join("; ")));
                tracing::warn!("plugin refused (start): {refusal}");
                self.refusals.push(refusal.clone());
                let ended = Err(Failure::from(&NotSwapped::Refused(refusal.clone())));
                let mut report = Report { ended, ..report };
                report.details.problems = refusal.problems;
                self.reports.push(report);
                Ok(false)
            }
        }
    }

    /// Nothing where what served a slot has changed meanwhile.
    async fn finish(mut self) -> Result<Option<(PluginHost, Vec<Report>)>, StartError> {
        if self.new.len() + self.kept.len() < Slot::ALL.len() {
            return Err(StartError::Unfit(self.refusals));
        }
        let fit = self.new.iter().map(|new| (Way::Start, &new.prepared, new.from.follows()));
        let activations = match keep(self.store, fit, None).await.map_err(unreadable)? {
            Activated::All(activations) => activations,
            Activated::Overtaken(_) => return Ok(None),
            Activated::Unconfirmed(error) => return Err(unreadable(error)),
        };
        let mut placed = Vec::new();
        for (New { prepared, mut report, .. }, activation) in self.new.into_iter().zip(activations) {
            let before = self.current.get(&prepared.slot());
            let reset = before.is_some_and(|before| before.settings_digest != activation.settings_digest);
            report.details.swap = "activation";
            report.details.settings = reset.then(|| activation.settings.clone());
            report.details.to = Some(SwappedPlugin::from(&activation.identity()));
            report.details.compiled = Some(prepared.compiled());
            report.times = Some(prepared.times());
            self.reports.push(report);
            placed.push(place(prepared, &activation, Way::Start, None));
        }
        for (prepared, activation) in self.kept {
            let degraded = self.degraded.remove(&prepared.slot());
            placed.push(Placed {
                generation: activation.generation,
                since_ms: activation.activated_ms,
                way: activation.way,
                plugin: prepared,
                degraded,
            });
        }
        placed.iter().for_each(tell_placed);
        match PluginHost::new(self.runtime, placed) {
            Some(plugins) => Ok(Some((plugins, self.reports))),
            None => Err(StartError::Unfit(self.refusals)),
        }
    }
}

/// Whether a refusal is remembered, so that the same is not tried again.
#[derive(Clone, Copy)]
enum Remembers {
    Yes,
    No,
}

pub(super) fn checks_of(runtime: PluginRuntime, candidate: Result<Candidate, Refusal>) -> Checks {
    Checks::begin(async move { prepare(&runtime, candidate, Purpose::Ordinary).await })
}

async fn finished(slot: Slot, mut checks: Checks) -> Result<Prepared, Refusal> {
    checks.end().await.unwrap_or_else(|panic| {
        let problems = vec![format!("cannot be checked: {panic}")];
        Err(Refusal::new(slot, "the candidate", problems))
    })
}
