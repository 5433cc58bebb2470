//! How a swap is told: its event, and a line of the log. Nothing is decided
//! here.

use std::path::Path;
use std::time::Instant;

use super::attempt::Attempt;
use super::{Beside, NotSwapped, Swapped, Way};
use crate::app::App;
use crate::events::{Code, Failure, Outcome, PluginSwapDetails, SwappedPlugin, Technical, Timing, WideEvent};
use crate::plugin_host::{
    Candidate, CheckTimes, Placed, PluginIdentity, Prepared, Refusal, ShadowStatus, Slot,
};
use crate::supervision::Panicked;

/// What a swap aims at, as far as it is known.
pub(super) fn target(candidate: &Result<Candidate, Refusal>) -> SwappedPlugin {
    candidate.as_ref().map_or_else(
        |_| SwappedPlugin::default(),
        |candidate| SwappedPlugin {
            digest: Some(candidate.digest.clone()),
            settings_digest: candidate.settings.digest(),
            ..SwappedPlugin::default()
        },
    )
}

/// Opens the event of a swap.
pub(super) fn open(
    app: &App,
    slot: Slot,
    way: Way,
    candidate: &Result<Candidate, Refusal>,
    target: &SwappedPlugin,
) -> WideEvent<PluginSwapDetails> {
    let plugins = app.plugins.pin();
    let origin = match candidate {
        Ok(candidate) => &candidate.origin,
        Err(refusal) => &refusal.origin,
    };
    let details = PluginSwapDetails {
        slot: Some(slot.as_str()),
        // Until it has come to something else.
        swap: "refusal",
        way: way.as_str(),
        origin: origin.clone(),
        from: Some(plugins.identity(slot).into()),
        to: target.digest.is_some().then(|| target.clone()),
        ..PluginSwapDetails::default()
    };
    app.events.open(plugins, details)
}

/// Adds what the checks found out.
pub(super) fn describe(event: &mut WideEvent<PluginSwapDetails>, prepared: &Prepared) {
    event.details.compiled = Some(prepared.compiled());
    add_times(event, prepared.times());
}

fn add_times(event: &mut WideEvent<PluginSwapDetails>, times: CheckTimes) {
    event.timings.add(Timing::COMPILE, times.compile_ms);
    event.timings.add(Timing::TRIAL, times.trial_ms);
}

/// Ends a swap's event; the result goes on to whoever asked.
pub(super) fn end(attempt: Attempt, result: Result<Swapped, NotSwapped>) -> Result<Swapped, NotSwapped> {
    match &result {
        Ok(swapped) => end_well(attempt, swapped),
        Err(error) => end_badly(attempt, error),
    }
    result
}

fn end_well(attempt: Attempt, swapped: &Swapped) {
    let Attempt { slot, way, back_from, mut event, .. } = attempt;
    let Swapped { from, to, changed, renewed, settings, .. } = swapped;
    event.details.swap = match (changed, renewed) {
        (true, _) if back_from.is_some() => "rollback",
        (true, _) => "activation",
        (false, true) => "renewal",
        (false, false) => "unchanged",
    };
    event.details.from = Some(from.into());
    event.details.to = Some(to.into());
    event.details.settings = settings.as_ref().map(ToString::to_string);
    let PluginIdentity { name, version, digest, generation, .. } = to;
    // What is set for it, where that is something else than before.
    let settings = settings.as_ref().map(tracing::field::display);
    match back_from.map(|back_from| back_from.trouble) {
        Some(Some(trouble)) => {
            tracing::error!(%slot, from = from.generation, name, version, digest, generation, settings, %trouble,
                "plugin rolled back");
            event.note(trouble);
        }
        Some(None) => {
            tracing::info!(%slot, from = from.generation, name, version, digest, generation, settings,
                "plugin rolled back");
        }
        None if *changed || *renewed => {
            tracing::info!(%slot, way = way.as_str(), name, version, digest, generation, settings,
                "plugin active");
        }
        None => tracing::info!(%slot, way = way.as_str(), digest, generation, "plugin active already"),
    }
    event.finish(Outcome::Success);
}

/// Tells what a start begins with.
pub(super) fn tell_placed(placed: &Placed) {
    let Placed { plugin, generation, degraded, .. } = placed;
    let (slot, name, version, digest) = (plugin.slot(), plugin.name(), plugin.version(), plugin.digest());
    tracing::info!(%slot, name, version, digest, generation, degraded, "plugin active");
}

/// Tells that what somebody asked for serves already.
pub(super) fn tell_unchanged(app: &App, slot: Slot, way: Way, candidate: Candidate) {
    let candidate = Ok(candidate);
    let mut event = open(app, slot, way, &candidate, &target(&candidate));
    event.details.swap = "unchanged";
    event.details.to = event.details.from.clone();
    event.finish(Outcome::Success);
}

/// Ends the event of what is not done.
pub(super) fn end_badly(attempt: Attempt, error: &NotSwapped) {
    let Attempt { slot, way, mut event, .. } = attempt;
    let failure = Failure::from(error);
    match error {
        NotSwapped::Refused(refusal) => {
            event.details.problems.clone_from(&refusal.problems);
            tracing::warn!("plugin refused ({}): {refusal}", way.as_str());
            event.finish(Outcome::Rejected(failure));
        }
        // Somebody wanted the stop: nothing failed, and nobody is to be called.
        NotSwapped::Stopping | NotSwapped::StoppingInDoubt => {
            event.details.swap = if matches!(error, NotSwapped::Stopping) { "given_up" } else { "undecided" };
            tracing::info!(%slot, way = way.as_str(), %error, "plugin not activated");
            event.finish(Outcome::Success);
        }
        NotSwapped::Overtaken(_) => {
            tracing::warn!(%slot, way = way.as_str(), %error, "plugin not activated");
            event.finish(Outcome::Rejected(failure));
        }
        NotSwapped::InDoubt(_) => {
            event.details.swap = "undecided";
            tracing::error!(%slot, way = way.as_str(), %error, "plugin not known to be activated");
            event.finish(Outcome::Failure(failure));
        }
        NotSwapped::Store(_)
        | NotSwapped::Unknown(_)
        | NotSwapped::Impossible(_)
        | NotSwapped::Exhausted(_) => {
            tracing::error!(%slot, way = way.as_str(), %error, "plugin not activated");
            event.finish(Outcome::Failure(failure));
        }
    }
}

/// Why a part of `plugins.toml` is not taken that may be fit.
pub(super) fn refused_as_a_whole(part: Slot, problems: &str) -> String {
    format!("plugins.toml is refused as a whole, since its part [{part}] is: {problems}")
}

/// Tells of a file that is written for so long that the others are not kept
/// waiting for it.
pub(super) fn tell_overdue(file: &str) {
    tracing::warn!(
        file,
        "somebody has been writing this file in PLUGIN_DIR for long; it is taken when it is whole, and the \
         others before it"
    );
}

/// Ends the event of a shadow that begins.
pub(super) fn end_begun(attempt: Attempt, shadow: &ShadowStatus) {
    let Attempt { slot, mut event, .. } = attempt;
    event.details.swap = "shadow";
    event.details.to = Some(shadow.into());
    let ShadowStatus { name, version, digest, .. } = shadow;
    tracing::info!(%slot, name, version, digest, "shadow begun");
    event.finish(Outcome::Success);
}

/// Tells of a shadow that has ended without being promoted, with what it was
/// found to be; `trouble` is why, where nobody asked for it.
pub(super) fn tell_of_discard(app: &App, way: Way, ended: &Beside, trouble: Option<Failure>) {
    let Beside { slot, beside, shadow } = ended;
    let details = PluginSwapDetails {
        slot: Some(slot.as_str()),
        swap: "discard",
        way: way.as_str(),
        from: Some(beside.into()),
        to: Some(shadow.into()),
        ..PluginSwapDetails::default()
    };
    let mut event = app.events.open(app.plugins.pin(), details);
    for (name, count) in [
        (Technical::AGREEMENTS, shadow.compared.agreements),
        (Technical::DISAGREEMENTS, shadow.compared.disagreements),
        (Technical::KEEPS_GAINED, shadow.compared.keeps_gained),
        (Technical::KEEPS_LOST, shadow.compared.keeps_lost),
        (Technical::SKIPPED, shadow.compared.skipped),
        (Technical::LATE, shadow.compared.late),
    ] {
        event.technical.set(name, count);
    }
    let ShadowStatus { name, version, digest, .. } = shadow;
    match trouble {
        Some(trouble) => {
            tracing::warn!(%slot, name, version, digest, %trouble, "shadow withdrawn");
            event.note(trouble);
        }
        None => tracing::info!(%slot, name, version, digest, "shadow discarded"),
    }
    event.finish(Outcome::Success);
}

/// Tells of a rollback that has nothing to go back to.
pub(super) fn tell_no_way_back(
    app: &App,
    slot: Slot,
    way: Way,
    failure: Failure,
    outcome: fn(Failure) -> Outcome,
) {
    let plugins = app.plugins.pin();
    let details = PluginSwapDetails {
        slot: Some(slot.as_str()),
        swap: "refusal",
        way: way.as_str(),
        from: Some(plugins.identity(slot).into()),
        problems: vec![failure.message.clone()],
        ..PluginSwapDetails::default()
    };
    tracing::error!(%slot, way = way.as_str(), %failure, "no rollback");
    app.events.open(plugins, details).finish(outcome(failure));
}

/// Tells of a `plugins.toml` that cannot be used.
pub(super) fn tell_unusable_settings(app: &App, way: Way, file: &Path, problem: &str) {
    let details = PluginSwapDetails {
        swap: "refusal",
        way: way.as_str(),
        origin: file.display().to_string(),
        problems: vec![problem.to_owned()],
        ..PluginSwapDetails::default()
    };
    tracing::warn!("plugin settings refused ({}): {}: {problem}", way.as_str(), file.display());
    app.events.open(app.plugins.pin(), details).finish(Outcome::Rejected(unusable_settings(problem)));
}

/// Tells of a look at the plugins that panicked. What was under way by then
/// tells of itself.
pub(super) fn tell_panic(app: &App, way: Way, panicked: Panicked) {
    let details = PluginSwapDetails {
        swap: "refusal",
        way: way.as_str(),
        problems: vec![panicked.to_string()],
        ..PluginSwapDetails::default()
    };
    app.events.open(app.plugins.pin(), details).finish(Outcome::Failure(panicked.into()));
}

pub(super) fn unusable_settings(problem: &str) -> Failure {
    Failure::new(Code::E412, "plugins.toml cannot be used").caused_by("Settings", problem)
}

/// A swap that is told after it has ended: no event could be opened before.
pub struct Report {
    pub(super) began: Instant,
    pub(super) details: PluginSwapDetails,
    pub(super) times: Option<CheckTimes>,
    pub(super) ended: Result<(), Failure>,
}

/// What a start tells of what PLUGIN_DIR holds for a slot and was refused before.
pub(super) fn report_unfit(
    slot: Slot,
    from: Option<&PluginIdentity>,
    settings_digest: String,
    code: Code,
    reason: &str,
) -> Report {
    let details = PluginSwapDetails {
        slot: Some(slot.as_str()),
        swap: "refusal",
        way: Way::Start.as_str(),
        origin: "PLUGIN_DIR".to_owned(),
        from: from.map(SwappedPlugin::from),
        to: Some(SwappedPlugin { settings_digest, ..SwappedPlugin::default() }),
        problems: vec![reason.to_owned()],
        ..PluginSwapDetails::default()
    };
    let message = format!("the slot {slot} is degraded: what PLUGIN_DIR holds for it is not tried again");
    let ended = Err(Failure::new(code, message).caused_by("Refusal", reason));
    Report { began: Instant::now(), details, times: None, ended }
}

/// Tells of swaps that have ended, such as those of a start.
pub fn tell(app: &App, reports: Vec<Report>) {
    for Report { began, details, times, ended } in reports {
        let mut event = app.events.open(app.plugins.pin(), details);
        event.began_before(began);
        if let Some(times) = times {
            add_times(&mut event, times);
        }
        event.finish(match ended {
            Ok(()) => Outcome::Success,
            Err(failure) => Outcome::Rejected(failure),
        });
    }
}

impl From<&ShadowStatus> for SwappedPlugin {
    fn from(shadow: &ShadowStatus) -> Self {
        Self {
            name: Some(shadow.name.clone()),
            version: Some(shadow.version.clone()),
            digest: Some(shadow.digest.clone()),
            settings_digest: shadow.settings_digest.clone(),
            generation: None,
        }
    }
}

impl From<&PluginIdentity> for SwappedPlugin {
    fn from(plugin: &PluginIdentity) -> Self {
        Self {
            name: Some(plugin.name.clone()),
            version: Some(plugin.version.clone()),
            digest: Some(plugin.digest.clone()),
            settings_digest: plugin.settings_digest.clone(),
            generation: Some(plugin.generation),
        }
    }
}
