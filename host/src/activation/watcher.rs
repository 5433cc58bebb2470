//! Waits until something changed in PLUGIN_DIR and has settled, then looks at
//! it. A file that somebody still writes is not looked at.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use super::attempt::{Swap, swap};
use super::inbox::{self, Dealt, Found, Offer};
use super::{NotSwapped, Way, survive, telling};
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
            survive(app, way, look(app, way)).await;
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
    /// Files that somebody writes, and the last sign of it.
    written: HashMap<OsString, Instant>,
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
            for file in files.filter(|file| inbox::file_names().any(|name| **file == *name)) {
                match written {
                    true => state.written.insert(file.to_owned(), now),
                    false => state.written.remove(file),
                };
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
        for file in inbox::file_names() {
            let age = || std::fs::metadata(dir.join(&file)).ok()?.modified().ok()?.elapsed().ok();
            if let Some(written) = age().and_then(|age| now.checked_sub(age)) {
                state.written.insert(file.into(), written);
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
        state.written.retain(|_, last| now.duration_since(*last) < ABANDONED);
        let (first, last) = state.signs?;
        let quiet = now.duration_since(last);
        if quiet < QUIET && now.duration_since(first) < NEVER_QUIET {
            return Some(QUIET - quiet);
        }
        if !state.written.is_empty() {
            return Some(QUIET);
        }
        state.signs = None;
        None
    }
}

/// Looks at the folder, and tries what is new in it.
pub(super) async fn look(app: &App, way: Way) {
    let mut inbox = app.activations.inbox.lock().await;
    let Some(found) = inbox.look().await else { return };
    let dealt = match &found.settings {
        Err(problem) => {
            telling::tell_unusable_settings(app, way, &inbox.settings_file(), problem);
            BTreeMap::new()
        }
        Ok(settings) => match try_offers(app, &inbox, &found, settings, way).await {
            Ok(dealt) => dealt,
            // Nothing is noted, so the next look finds the same.
            Err(error) => return tracing::warn!(%error, "what PLUGIN_DIR holds cannot be compared now"),
        },
    };
    inbox.note(found, &dealt).await;
}

async fn try_offers(
    app: &App,
    inbox: &inbox::Inbox,
    found: &Found,
    settings: &PluginSettings,
    way: Way,
) -> Result<BTreeMap<Slot, (Dealt, bool)>, StoreError> {
    let plugins = app.plugins.pin();
    let current = Slot::ALL.map(|slot| (slot, plugins.identity(slot).clone())).into();
    let (mut swaps, mut files, mut dealt) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (slot, offer) in inbox.offers(found, settings, &current, &app.store).await? {
        match offer {
            Offer::New { candidate, file } => {
                files.insert(slot, file);
                swaps.push(Swap { slot, way, candidate, back_from: None });
            }
            Offer::Tried(rejection) => {
                warn_of(&rejection);
                if rejection.verdict == "refused" {
                    dealt.insert(slot, (Dealt::Refused, true));
                }
            }
        }
    }
    for (slot, result) in swap(app, swaps).await {
        let became = match result {
            Ok(_) => Dealt::Taken,
            Err(NotSwapped::Refused(refusal)) if !refusal.for_now => Dealt::Refused,
            Err(
                NotSwapped::Refused(_)
                | NotSwapped::Store(_)
                | NotSwapped::Impossible(_)
                | NotSwapped::Stopping,
            ) => Dealt::Open,
        };
        dealt.insert(slot, (became, files[&slot]));
    }
    Ok(dealt)
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
