//! What an operator asks of a running receiver: this component, that digest,
//! the predecessor. A rollback that nobody asked for takes the same way back.

use jiff::Timestamp;

use super::attempt::{BackFrom, Swap, swap};
use super::{NotSwapped, Swapped, Way, folder, telling};
use crate::app::App;
use crate::events::{Failure, Outcome};
use crate::plugin_host::{
    Candidate, Fault, PluginIdentity, PluginSettings, Purpose, Refusal, Slot, SlotSettings,
};
use crate::store::{Activation, Rejection};

/// Predecessors that a rollback tries, one after the other.
const PREDECESSORS: i64 = 5;
/// Changes of `plugins.toml` that a request follows, one after the other.
const CHANGES: usize = 5;
/// Fewest digits that stand for a digest.
const FEWEST_DIGITS: usize = 6;
/// What an upload is called in refusals.
const UPLOAD: &str = "the upload";

/// The largest component that may be uploaded for a slot now: bytes.
///
/// # Errors
/// `plugins.toml` cannot be used.
pub async fn upload_limit(app: &App, slot: Slot) -> Result<u64, NotSwapped> {
    Ok(settings(app, slot, UPLOAD).await?.largest_component())
}

/// Puts an uploaded component into its slot, with the settings that
/// `plugins.toml` says now.
///
/// # Errors
/// It is refused, or cannot be kept.
pub async fn put(app: &App, slot: Slot, bytes: Vec<u8>) -> Result<Swapped, NotSwapped> {
    let candidate = uploaded(app, slot, bytes).await;
    by_operator(app, slot, candidate, Purpose::Ordinary).await
}

pub(super) async fn uploaded(app: &App, slot: Slot, bytes: Vec<u8>) -> Result<Candidate, Refusal> {
    candidate(app, slot, UPLOAD.to_owned(), bytes).await
}

/// Refuses an upload that is too large for anybody to read it to its end.
pub async fn refuse_upload(app: &App, slot: Slot, way: Way, problem: String) -> NotSwapped {
    let refusal = Refusal::new(slot, UPLOAD, vec![problem]).because(Fault::UploadTooLarge);
    let swap = Swap::new(slot, way, Err(refusal.clone()));
    match one(slot, super::attempt::swap(app, vec![swap]).await) {
        Err(error) => error,
        Ok(_) => NotSwapped::Refused(refusal),
    }
}

/// Puts a component of the library into its slot, with the settings that
/// `plugins.toml` says now. The first digits of its digest are enough.
///
/// # Errors
/// There is no such component, it is refused, or the library cannot be used.
pub async fn activate(app: &App, slot: Slot, digest: &str) -> Result<Swapped, NotSwapped> {
    let candidate = from_library(app, slot, digest).await?;
    by_operator(app, slot, candidate, Purpose::WayBack).await
}

pub(super) async fn from_library(
    app: &App,
    slot: Slot,
    digest: &str,
) -> Result<Result<Candidate, Refusal>, NotSwapped> {
    let hex = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !hex || !(FEWEST_DIGITS..=64).contains(&digest.len()) {
        let message = format!("a digest is {FEWEST_DIGITS} to 64 digits of 0 to 9 and a to f");
        return Err(NotSwapped::Unknown(message));
    }
    let digests = app.store.plugin_digests(slot, digest).await?;
    let [digest] = digests.as_slice() else {
        let how_many = if digests.is_empty() { "no component" } else { "more than one component" };
        let message = format!("the library of the slot {slot} has {how_many} with a digest {digest}…");
        return Err(NotSwapped::Unknown(message));
    };
    let bytes = app.store.plugin_component(slot, digest).await?.unwrap_or_default();
    Ok(candidate(app, slot, format!("{digest} in the library"), bytes).await)
}

/// Puts the predecessor of what serves a slot back into it.
///
/// # Errors
/// There is none, none is fit, or the library cannot be used.
pub async fn roll_back_for_operator(app: &App, slot: Slot) -> Result<Swapped, NotSwapped> {
    let from = app.plugins.pin().identity(slot).clone();
    let result = roll_back(app, slot, &from, Way::Rollback, None).await;
    if let Err(error @ NotSwapped::Impossible(_)) = &result {
        telling::tell_no_way_back(app, slot, Way::Rollback, Failure::from(error), Outcome::Rejected);
    }
    result
}

/// Puts the predecessor of `from` into its slot. `trouble` is why, where
/// nobody asked for it.
pub(super) async fn roll_back(
    app: &App,
    slot: Slot,
    from: &PluginIdentity,
    way: Way,
    trouble: Option<&Failure>,
) -> Result<Swapped, NotSwapped> {
    let mut why = String::new();
    for predecessor in app.store.predecessors(slot, from, PREDECESSORS).await? {
        let candidate = predecessor_candidate(app, &predecessor).await?;
        let back_from = BackFrom {
            generation: from.generation,
            rejection: rejection(slot, from, trouble),
            trouble: trouble.cloned(),
        };
        let swapped =
            Swap { purpose: Purpose::WayBack, back_from: Some(back_from), ..Swap::new(slot, way, candidate) };
        match one(slot, swap(app, vec![swapped]).await) {
            // It told its own refusal; the one before it may do.
            Err(NotSwapped::Refused(refusal)) if !refusal.is_for_now() => {
                why = format!(": {} {}", refusal.origin, refusal.problems.join("; "));
            }
            ended => return ended,
        }
    }
    Err(NotSwapped::Impossible(format!("the slot {slot} has no good predecessor to go back to{why}")))
}

async fn predecessor_candidate(
    app: &App,
    predecessor: &Activation,
) -> Result<Result<Candidate, Refusal>, NotSwapped> {
    let slot = predecessor.slot;
    let origin = format!("generation {} in the library", predecessor.generation);
    let bytes = app.store.plugin_component(slot, &predecessor.digest).await?.unwrap_or_default();
    Ok(match SlotSettings::from_stored(slot, &predecessor.settings) {
        Ok(settings) => Candidate::new(slot, origin, bytes, settings).await,
        Err(problem) => Err(Refusal::new(slot, origin, vec![problem])),
    })
}

fn rejection(slot: Slot, from: &PluginIdentity, trouble: Option<&Failure>) -> Rejection {
    Rejection {
        slot,
        digest: from.digest.clone(),
        settings_digest: from.settings_digest.clone(),
        verdict: "rolled_back".to_owned(),
        code: trouble.map_or("", |trouble| trouble.code.as_str()).to_owned(),
        reason: trouble.map_or_else(|| "an operator rolled it back".to_owned(), told_in_full),
        rejected_ms: Timestamp::now().as_millisecond(),
    }
}

fn told_in_full(trouble: &Failure) -> String {
    match &trouble.exception_message {
        Some(cause) => format!("{}: {cause}", trouble.message),
        None => trouble.message.clone(),
    }
}

/// What an operator asks for is tried also if it was refused before.
pub(super) async fn by_operator(
    app: &App,
    slot: Slot,
    candidate: Result<Candidate, Refusal>,
    purpose: Purpose,
) -> Result<Swapped, NotSwapped> {
    let plugins = app.plugins.pin();
    let active = plugins.identity(slot).clone();
    // Another host may have put something else there, which this one will follow.
    let newest = app.store.activations(slot, 1).await?.pop();
    match candidate {
        Ok(candidate)
            if !plugins.is_degraded(slot)
                && newest.is_some_and(|newest| newest.generation == active.generation)
                && candidate.digest == active.digest
                && candidate.settings.digest() == active.settings_digest =>
        {
            telling::tell_unchanged(app, slot, Way::Api, candidate);
            let (from, to) = (active.clone(), active);
            Ok(Swapped { slot, changed: false, from, to, settings: None, renewed: false })
        }
        candidate => {
            let wanted = Swap { purpose, ..Swap::new(slot, Way::Api, candidate) };
            let swapped = one(slot, swap(app, vec![wanted]).await)?;
            Ok(with_settings_of_now(app, swapped).await)
        }
    }
}

/// Gives what serves now the settings that `plugins.toml` says now, where it
/// changed while the candidate was checked: the watch over the folder gave them
/// to what served before. What comes of it has an event of its own.
async fn with_settings_of_now(app: &App, mut swapped: Swapped) -> Swapped {
    let slot = swapped.slot;
    for _ in 0..CHANGES {
        // With a file that cannot be used the settings in force stay.
        let Ok(settings) = file_settings(app).await else { break };
        let settings = settings.of(slot).clone();
        if settings.digest() == swapped.to.settings_digest {
            break;
        }
        let Ok(Some(bytes)) = app.store.plugin_component(slot, &swapped.to.digest).await else { break };
        let origin = app.plugin_dir.join(folder::SETTINGS).display().to_string();
        let candidate = Candidate::new(slot, origin, bytes, settings).await;
        let follows = Some(swapped.to.generation);
        let next = Swap { follows, ..Swap::new(slot, Way::Api, candidate) };
        match one(slot, swap(app, vec![next]).await) {
            Ok(next) => swapped = Swapped { from: swapped.from, ..next },
            Err(_) => break,
        }
    }
    swapped
}

pub(super) fn one(slot: Slot, mut swapped: super::attempt::Ended) -> Result<Swapped, NotSwapped> {
    let lost = || Err(NotSwapped::Impossible(format!("the slot {slot} was left alone")));
    swapped.pop().map_or_else(lost, |(_, result)| result)
}

async fn candidate(app: &App, slot: Slot, origin: String, bytes: Vec<u8>) -> Result<Candidate, Refusal> {
    let settings = slot_settings(app, slot, &origin).await?;
    Candidate::new(slot, origin, bytes, settings).await
}

async fn settings(app: &App, slot: Slot, origin: &str) -> Result<SlotSettings, NotSwapped> {
    slot_settings(app, slot, origin).await.map_err(NotSwapped::Refused)
}

/// What `plugins.toml` says now.
///
/// # Errors
/// What is wrong with it.
pub async fn file_settings(app: &App) -> Result<PluginSettings, String> {
    let dir = app.plugin_dir.clone();
    let read = tokio::task::spawn_blocking(move || folder::read_settings(&dir)).await;
    read.unwrap_or_else(|panic| Err(panic.to_string()))
}

async fn slot_settings(app: &App, slot: Slot, origin: &str) -> Result<SlotSettings, Refusal> {
    file_settings(app).await.map(|settings| settings.of(slot).clone()).map_err(|problem| {
        Refusal::new(slot, origin, vec![format!("plugins.toml cannot be used: {problem}")])
    })
}
