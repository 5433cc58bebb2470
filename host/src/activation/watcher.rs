//! Waits until something changed in PLUGIN_DIR and has settled, then looks at
//! it. A file that somebody still writes is not looked at; one that is written
//! for long does not keep the others waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use super::attempt::{Swap, swap};
use super::folder::Found;
use super::inbox::{Dealt, Inbox, Offer, Source};
use super::trials::Trials;
use super::{NotSwapped, Way, folder, survive, telling};
use crate::app::App;
use crate::plugin_host::{PluginSettings, Slot};
use crate::store::{Rejection, StoreError};

/// How long it must be quiet in the folder: files that change together are
/// looked at together.
const QUIET: Duration = Duration::from_millis(15);
/// In a folder that is never quiet, it is looked at after this time.
const NEVER_QUIET: Duration = Duration::from_secs(1);
/// A file that somebody writes is waited for as long as there was a sign of it
/// within this time.
const ABANDONED: Duration = Duration::from_secs(2);
/// A file that is written for longer is waited for by no other.
const OVERDUE: Duration = Duration::from_secs(10);
/// How often the folder is looked at without a sign: not every file system
/// gives one.
const TICK: Duration = Duration::from_secs(5);

/// Looks whenever there is a reason to, until the process stops.
pub(super) async fn run(app: &App, mut hangup: Signal) {
    let activity = Arc::new(Activity::default());
    let mut watcher = new_watcher(&activity);
    watch(watcher.as_mut(), &app.plugin_dir);
    activity.suspect(&app.plugin_dir);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let way = tokio::select! {
            () = app.stopped() => return,
            () = activity.sign.notified() => Way::Watch,
            Some(()) = hangup.recv() => Way::Sighup,
            _ = tick.tick() => {
                // Again each time: the folder may be a new one of the old name.
                watch(watcher.as_mut(), &app.plugin_dir);
                Way::Watch
            }
        };
        if app.until_stop(activity.calm()).await.is_some() {
            let written = activity.overdue(telling::tell_overdue);
            survive(app, way, look(app, way, &written)).await;
        }
    }
}

fn new_watcher(activity: &Arc<Activity>) -> Option<RecommendedWatcher> {
    let activity = Arc::clone(activity);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| activity.see(event.ok()));
    watcher.inspect_err(|error| tracing::warn!(%error, "PLUGIN_DIR is looked at every {TICK:?} only")).ok()
}

fn watch(watcher: Option<&mut RecommendedWatcher>, dir: &Path) {
    if let Some(Err(error)) = watcher.map(|watcher| watcher.watch(dir, RecursiveMode::NonRecursive)) {
        tracing::debug!(%error, dir = %dir.display(), "PLUGIN_DIR cannot be watched now");
    }
}

/// What goes on in the folder.
#[derive(Default)]
struct Activity {
    state: Mutex<State>,
    sign: Notify,
}

#[derive(Default)]
struct State {
    /// The first and the last sign since the folder was calm.
    signs: Option<(Instant, Instant)>,
    /// Files that somebody writes.
    written: HashMap<String, Writing>,
}

/// A file that somebody writes.
struct Writing {
    /// The last sign of it.
    last: Instant,
    /// Whether the others wait for it no longer.
    overdue: bool,
    told: bool,
}

impl Writing {
    fn since(last: Instant) -> Self {
        Self { last, overdue: false, told: false }
    }
}

impl Activity {
    /// Takes note of an event; without one, of anything.
    fn see(&self, event: Option<Event>) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Event { kind, paths, .. }) = event {
            let written = match kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
                // Such as this program's own reading.
                EventKind::Access(_) => return,
                EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) => true,
                _ => false,
            };
            let files = paths.iter().filter_map(|path| path.file_name());
            for file in files.filter_map(|file| folder::file_names().find(|name| *file == **name)) {
                if written {
                    state.written.entry(file).or_insert_with(|| Writing::since(now)).last = now;
                } else {
                    state.written.remove(&file);
                }
            }
        }
        let first = state.signs.map_or(now, |(first, _)| first);
        state.signs = Some((first, now));
        self.sign.notify_one();
    }

    /// Takes files that were written just now, before anybody watched, for
    /// files that are still written.
    fn suspect(&self, dir: &Path) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for file in folder::file_names() {
            let age = || std::fs::metadata(dir.join(&file)).ok()?.modified().ok()?.elapsed().ok();
            if let Some(written) = age().and_then(|age| now.checked_sub(age)) {
                state.written.insert(file, Writing::since(written));
            }
        }
        state.signs = Some((now, now));
        self.sign.notify_one();
    }

    /// Waits until what goes on in the folder is over.
    async fn calm(&self) {
        while let Some(time) = self.restless(Instant::now()) {
            tokio::time::sleep(time).await;
        }
    }

    /// When to ask again, or nothing if it is calm.
    fn restless(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.written.retain(|_, writing| now.duration_since(writing.last) < ABANDONED);
        let (first, last) = state.signs?;
        let quiet = now.duration_since(last);
        if quiet < QUIET && now.duration_since(first) < NEVER_QUIET {
            return Some(QUIET - quiet);
        }
        if now.duration_since(first) >= OVERDUE {
            state.written.values_mut().for_each(|writing| writing.overdue = true);
        }
        if state.written.values().any(|writing| !writing.overdue) {
            return Some(QUIET);
        }
        state.signs = None;
        None
    }

    /// The files that are written for too long to wait for; each is told once.
    fn overdue(&self, tell: impl Fn(&str)) -> BTreeSet<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, writing) in &mut state.written {
            if writing.overdue && !std::mem::replace(&mut writing.told, true) {
                tell(file);
            }
        }
        state.written.keys().cloned().collect()
    }
}

/// Looks at the folder, but for the files that somebody writes, and tries what
/// is new in it.
pub(super) async fn look(app: &App, way: Way, written: &BTreeSet<String>) {
    let mut inbox = app.activations.inbox.lock().await;
    let in_force = PluginSettings::in_force(&app.plugins.pin());
    let Some(found) = inbox.look(written, Some(in_force)).await else { return };
    let dealt = match &found.settings {
        Err(problem) => {
            telling::tell_unusable_settings(app, way, &inbox.settings_file(), problem);
            BTreeMap::new()
        }
        Ok(settings) => match new_swaps(app, &inbox, &found, settings, way).await {
            Ok(new) => {
                inbox.trials.begin(new.swaps.iter().filter_map(|swap| swap.candidate.as_ref().ok())).await;
                try_swaps(app, new, &inbox.trials).await
            }
            // Nothing is noted, so the next look finds the same.
            Err(error) => return tracing::warn!(%error, "what PLUGIN_DIR holds cannot be compared now"),
        },
    };
    inbox.note(found, &dealt).await;
}

/// What is to be tried, and what is dealt with without that.
pub(super) struct New {
    pub(super) swaps: Vec<Swap>,
    dealt: BTreeMap<Slot, (Dealt, bool)>,
}

pub(super) async fn new_swaps(
    app: &App,
    inbox: &Inbox,
    found: &Found,
    settings: &PluginSettings,
    way: Way,
) -> Result<New, StoreError> {
    let plugins = app.plugins.pin();
    let current: BTreeMap<_, _> = Slot::ALL.map(|slot| (slot, plugins.identity(slot).clone())).into();
    let mut new = New { swaps: Vec::new(), dealt: BTreeMap::new() };
    for (slot, offer) in inbox.offers(found, settings, &current, &app.store).await? {
        match offer {
            Offer::New { candidate, from, resets } => {
                let follows = from.follows();
                new.swaps.push(Swap { follows, resets, ..Swap::new(slot, way, candidate) });
                new.dealt.insert(slot, (Dealt::Open, from == Source::File));
            }
            Offer::Tried { rejection, resets } => {
                warn_of(&rejection);
                if rejection.verdict == "refused" {
                    new.dealt.insert(slot, (if resets { Dealt::Held } else { Dealt::Refused }, true));
                }
            }
            Offer::Held(reason) => {
                tracing::warn!(%slot, reason, "what PLUGIN_DIR holds waits for another plugins.toml");
                new.dealt.insert(slot, (Dealt::Held, false));
            }
        }
    }
    Ok(new)
}

async fn try_swaps(app: &App, new: New, trials: &Trials) -> BTreeMap<Slot, (Dealt, bool)> {
    let New { swaps, mut dealt } = new;
    let resets: BTreeSet<_> = swaps.iter().filter(|swap| swap.resets).map(|swap| swap.slot).collect();
    let ended = swap(app, swaps).await;
    trials.end().await;
    for (slot, result) in ended {
        let became = match result {
            Ok(_) => Dealt::Taken,
            Err(NotSwapped::Refused(refusal)) if refusal.is_for_now() => Dealt::Open,
            Err(NotSwapped::Refused(_)) if resets.contains(&slot) => Dealt::Held,
            Err(NotSwapped::Refused(_)) => Dealt::Refused,
            Err(_) => Dealt::Open,
        };
        dealt.entry(slot).and_modify(|(dealt, _)| *dealt = became);
    }
    dealt
}

fn warn_of(rejection: &Rejection) {
    let Rejection { slot, digest, verdict, reason, .. } = rejection;
    tracing::warn!(
        %slot, digest, verdict, reason,
        "what PLUGIN_DIR holds was tried before; `volttracker plugin activate` tries it again"
    );
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;

    fn event(kind: EventKind, file: &str) -> Option<Event> {
        Some(Event::new(kind).add_path(Path::new("plugins").join(file)))
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    #[test]
    fn a_file_is_waited_for_until_it_is_closed() {
        let activity = Activity::default();
        activity.see(event(EventKind::Create(CreateKind::File), "usage-tier.wasm"));
        activity.see(event(WRITTEN, "usage-tier.wasm"));
        let later = Instant::now() + Duration::from_millis(1500);
        assert!(activity.restless(later).is_some());
        activity.see(event(CLOSED, "usage-tier.wasm"));
        let later = Instant::now() + QUIET;
        assert_eq!(activity.restless(later), None);
    }

    #[test]
    fn a_renamed_file_is_whole() {
        let activity = Activity::default();
        activity.see(event(WRITTEN, ".usage-tier.wasm.new"));
        activity.see(event(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "usage-tier.wasm"));
        assert!(activity.restless(Instant::now()).is_some_and(|wait| wait <= QUIET));
        assert_eq!(activity.restless(Instant::now() + QUIET), None);
    }

    #[test]
    fn a_file_that_is_written_no_more_is_not_waited_for_for_ever() {
        let activity = Activity::default();
        activity.see(event(WRITTEN, "plugins.toml"));
        assert_eq!(activity.restless(Instant::now() + ABANDONED), None);
    }

    #[test]
    fn a_file_that_is_written_for_ever_keeps_no_other_waiting_and_is_told_once() {
        let activity = Activity::default();
        let start = Instant::now();
        activity.see(event(WRITTEN, "usage-tier.wasm"));
        assert!(activity.restless(start + ABANDONED - QUIET).is_some(), "it may be whole soon");
        // As if it had gone on all the time.
        let later = Instant::now() + OVERDUE;
        let goes_on = || {
            let mut state = activity.state.lock().expect("nobody panicked");
            state.written.values_mut().for_each(|writing| writing.last = later);
        };
        goes_on();
        assert_eq!(activity.restless(later), None);
        let told = Mutex::new(Vec::new());
        let tell = |file: &str| told.lock().expect("nobody panicked").push(file.to_owned());
        assert_eq!(activity.overdue(tell), ["usage-tier.wasm".to_owned()].into());
        // Another file comes, and is waited for; that one still is not.
        activity.see(event(WRITTEN, "sampling-policy.wasm"));
        assert!(activity.restless(Instant::now() + QUIET).is_some());
        activity.see(event(CLOSED, "sampling-policy.wasm"));
        goes_on();
        assert_eq!(activity.restless(Instant::now() + NEVER_QUIET), None);
        assert_eq!(activity.overdue(tell), ["usage-tier.wasm".to_owned()].into());
        assert_eq!(*told.lock().expect("nobody panicked"), ["usage-tier.wasm"]);
        activity.see(event(CLOSED, "usage-tier.wasm"));
        assert_eq!(activity.overdue(tell), BTreeSet::new());
    }

    #[test]
    fn other_files_do_not_keep_it_from_looking() {
        let activity = Activity::default();
        let start = Instant::now();
        activity.see(event(WRITTEN, "server.log"));
        assert!(activity.restless(start).is_some());
        std::thread::sleep(Duration::from_millis(1));
        activity.see(event(WRITTEN, "server.log"));
        assert_eq!(activity.restless(start + NEVER_QUIET + QUIET), None);
    }

    #[test]
    fn a_file_that_was_written_just_before_is_waited_for() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::write(dir.path().join("usage-tier.wasm"), "half a").expect("write");
        let activity = Activity::default();
        activity.suspect(dir.path());
        assert!(activity.restless(Instant::now() + QUIET).is_some());
        assert_eq!(activity.restless(Instant::now() + ABANDONED), None);
    }

    #[test]
    fn reading_the_folder_is_no_sign() {
        let activity = Activity::default();
        activity.see(event(EventKind::Access(AccessKind::Close(AccessMode::Read)), "usage-tier.wasm"));
        assert_eq!(activity.restless(Instant::now()), None);
    }
}
