//! Which plugins a start begins with: what is new in PLUGIN_DIR, else what the
//! library says, else the last of it that is fit. Only a slot that never had a
//! fit plugin stops the start.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::attempt::{keep, place, prepare, remember};
use super::inbox::{Dealt, Found, Inbox, Offer};
use super::telling::{Report, target, unusable_settings};
use super::{Activations, NotSwapped, Way};
use crate::events::{Failure, PluginSwapDetails, SwappedPlugin};
use crate::plugin_host::{
    Candidate, Placed, PluginHost, PluginIdentity, PluginRuntime, PluginSettings, Prepared, Refusal, Slot,
    SlotSettings, StartError,
};
use crate::store::{Activation, Store, StoreError};

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

/// Finds a plugin for every slot.
///
/// # Errors
/// A slot that never had a fit plugin has none now, either.
pub async fn start(plugin_dir: &Path, data_dir: &Path, store: &Store) -> Result<Started, StartError> {
    let runtime = PluginRuntime::start(&data_dir.join("plugin-cache"))?;
    let mut inbox = Inbox::open(plugin_dir, data_dir);
    let mut start = Start::read(runtime, store).await.map_err(unreadable)?;
    let found = loop {
        // Nothing is found where a file changed while it was read.
        if let Some(found) = inbox.look().await {
            break found;
        }
    };
    let mut dealt = BTreeMap::new();
    match &found.settings {
        Ok(settings) => dealt = start.try_offers(&inbox, &found, settings).await.map_err(unreadable)?,
        Err(problem) => start.do_without_settings(&inbox, problem)?,
    }
    start.fill_from_library().await.map_err(unreadable)?;
    let (plugins, reports) = start.finish().await?;
    inbox.note(found, &dealt).await;
    Ok(Started { plugins, activations: Activations::new(inbox), reports })
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
    new: Vec<(Prepared, Report)>,
    /// From the library, and fit.
    kept: Vec<(Prepared, Activation)>,
    /// Why a slot is not served as it should be.
    degraded: BTreeMap<Slot, String>,
    refusals: Vec<Refusal>,
    reports: Vec<Report>,
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
        let current = self.identities();
        self.degraded = inbox.unfit(found, settings, &current, self.store).await?;
        let mut under_way = Vec::new();
        for (slot, offer) in inbox.offers(found, settings, &current, self.store).await? {
            if let Offer::New { candidate, file } = offer {
                let report = self.report(slot, &candidate);
                under_way.push((slot, file, report, self.prepare(candidate)));
            }
        }
        let mut dealt = BTreeMap::new();
        for (slot, file, report, preparing) in under_way {
            let prepared = finished(slot, preparing).await;
            let became = match &prepared {
                Ok(_) => Dealt::Taken,
                Err(refusal) if refusal.for_now => Dealt::Open,
                Err(_) => Dealt::Refused,
            };
            dealt.insert(slot, (became, file));
            match prepared {
                Ok(prepared) => {
                    self.degraded.remove(&slot);
                    self.new.push((prepared, report));
                }
                Err(refusal) => self.refuse(refusal, report).await,
            }
        }
        Ok(dealt)
    }

    fn prepare(&self, candidate: Result<Candidate, Refusal>) -> JoinHandle<Result<Prepared, Refusal>> {
        let runtime = self.runtime.clone();
        tokio::spawn(async move { prepare(&runtime, candidate).await })
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
        Report { began: Instant::now(), details, timings: Vec::new(), ended: Ok(()) }
    }

    /// A slot that never had a plugin has nothing to fall back to: its file is
    /// tried again at the next start.
    async fn refuse(&mut self, refusal: Refusal, mut report: Report) {
        tracing::warn!("plugin refused (start): {refusal}");
        let reason = refusal.problems.join("; ");
        if self.current.contains_key(&refusal.slot) {
            if let Some(target) = &report.details.to {
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
        self.reports.push(Report { began: Instant::now(), details, timings: Vec::new(), ended });
        let reason = format!("{} cannot be used: {problem}", file.display());
        self.degraded = Slot::ALL.into_iter().map(|slot| (slot, reason.clone())).collect();
        Ok(())
    }

    /// Serves what nothing new serves from the library.
    async fn fill_from_library(&mut self) -> Result<(), StoreError> {
        for (slot, newest) in self.current.clone() {
            if self.new.iter().any(|(prepared, _)| prepared.slot() == slot) {
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
        match finished(slot, self.prepare(candidate)).await {
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

    async fn finish(mut self) -> Result<(PluginHost, Vec<Report>), StartError> {
        if self.new.len() + self.kept.len() < Slot::ALL.len() {
            return Err(StartError::Unfit(self.refusals));
        }
        let fit = self.new.iter().map(|(prepared, _)| (Way::Start, prepared));
        let activations = keep(self.store, fit, None).await.map_err(unreadable)?;
        let mut placed = Vec::new();
        for ((prepared, mut report), activation) in self.new.into_iter().zip(activations) {
            report.details.swap = "activation";
            report.details.to = Some(SwappedPlugin::from(&activation.identity()));
            report.details.compiled = Some(prepared.compiled());
            report.timings = prepared.timings().to_vec();
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
        for Placed { plugin, generation, degraded, .. } in &placed {
            let (slot, name, version, digest) =
                (plugin.slot(), plugin.name(), plugin.version(), plugin.digest());
            tracing::info!(%slot, name, version, digest, generation, degraded, "plugin active");
        }
        match PluginHost::new(self.runtime, placed) {
            Some(plugins) => Ok((plugins, self.reports)),
            None => Err(StartError::Unfit(self.refusals)),
        }
    }
}

async fn finished(slot: Slot, preparing: JoinHandle<Result<Prepared, Refusal>>) -> Result<Prepared, Refusal> {
    preparing.await.unwrap_or_else(|panic| {
        let problems = vec![format!("cannot be checked: {panic}")];
        Err(Refusal::new(slot, "the candidate", problems))
    })
}
