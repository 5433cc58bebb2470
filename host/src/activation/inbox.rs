//! PLUGIN_DIR: what lies in it, and what of that is an offer. An inbox offers
//! what changed since it was looked at last, also across restarts; what becomes
//! of an offer is not its business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::{Content, Found, SETTINGS, Stamps, file_name, look};
use super::telling;
use super::trials::Trials;
use crate::durable;
use crate::events::Code;
use crate::plugin_host::{Candidate, PluginIdentity, PluginSettings, Refusal, Slot, SlotSettings};
use crate::store::{Rejection, Store, StoreError};

/// Where a host notes what it has seen.
const NOTE: &str = "plugin-inbox.json";

/// PLUGIN_DIR, and what was seen there.
pub(super) struct Inbox {
    dir: PathBuf,
    note: PathBuf,
    /// Absent where this host has never looked.
    seen: Option<BTreeMap<Slot, Seen>>,
    /// The files of the last look, if all that it found is dealt with.
    dealt_with: Option<Stamps>,
    /// What of it is under its checks.
    pub(super) trials: Trials,
}

/// What was last seen for one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The file: its digest, or what it is instead.
    content: String,
    settings_digest: String,
    /// Whether the file was refused; other settings may help it.
    refused: bool,
}

/// Something that wants to serve a slot.
pub(super) enum Offer {
    /// It is to be tried.
    New {
        /// The candidate, or why there is none.
        candidate: Result<Candidate, Refusal>,
        /// What of the inbox it is.
        from: Source,
        /// Whether the slot's part of `plugins.toml` has changed.
        resets: bool,
    },
    /// It was tried before, and is not tried again.
    Tried {
        /// Why.
        rejection: Rejection,
        /// Whether the slot's part of `plugins.toml` has changed.
        resets: bool,
    },
    /// Its part of `plugins.toml` has changed, and another part is refused.
    Held(String),
}

impl Offer {
    /// What is to be checked.
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::New { candidate, .. } => candidate.as_ref().ok(),
            Self::Tried { .. } | Self::Held(_) => None,
        }
    }
}

/// What of the inbox an offer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The slot's file.
    File,
    /// The settings alone, for what serves the slot in this generation.
    Settings(u64),
}

impl Source {
    /// The generation that the offer is for, if it is for one.
    pub(super) fn follows(self) -> Option<u64> {
        match self {
            Self::File => None,
            Self::Settings(generation) => Some(generation),
        }
    }
}

/// Why a slot is not served by what the folder holds.
pub(super) struct Unfit {
    pub(super) reason: String,
    pub(super) code: Code,
}

/// What became of a slot's offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dealt {
    /// It serves the slot.
    Taken,
    /// It is unfit.
    Refused,
    /// It waits for another `plugins.toml`.
    Held,
    /// It could not be dealt with: it is to be offered again.
    Open,
}

impl Inbox {
    /// The inbox `dir` of the host that keeps its own files in `data_dir`.
    pub(super) fn open(dir: &Path, data_dir: &Path) -> Self {
        let note = data_dir.join(NOTE);
        // What cannot be read was never noted; the library knows the rest.
        let seen = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { dir: dir.to_owned(), note, seen, dealt_with: None, trials: Trials::open(data_dir) }
    }

    /// The file with the settings.
    pub(super) fn settings_file(&self) -> PathBuf {
        self.dir.join(SETTINGS)
    }

    /// Looks, unless nothing has changed since what was found is dealt with, at
    /// all but the files that somebody writes, which are not whole: for settings
    /// it takes those `in_force` then.
    pub(super) async fn look(
        &self,
        written: &BTreeSet<String>,
        in_force: Option<PluginSettings>,
    ) -> Option<Found> {
        let (dir, before, written) = (self.dir.clone(), self.dealt_with.clone(), written.clone());
        let settings = in_force.filter(|_| written.contains(SETTINGS));
        let looked =
            tokio::task::spawn_blocking(move || look(&dir, &written, settings, before.as_ref())).await;
        looked.unwrap_or_else(|panic| {
            tracing::error!(%panic, "PLUGIN_DIR cannot be looked at");
            None
        })
    }

    /// What of that is new to slots that are served by `current`, or by
    /// nothing. A host that has never looked before takes its files for news
    /// only if no host of the library ever tried them.
    pub(super) async fn offers(
        &self,
        found: &Found,
        settings: &PluginSettings,
        current: &BTreeMap<Slot, PluginIdentity>,
        store: &Store,
    ) -> Result<Vec<(Slot, Offer)>, StoreError> {
        let mut offers = Vec::new();
        for slot in Slot::ALL {
            let settings = settings.of(slot);
            let Some(content) = found.files.get(&slot) else { continue };
            let offer = match current.get(&slot) {
                None => Some(self.offer_file(slot, content, settings, false)),
                Some(_) if found.absent => None,
                Some(current) => self.offer(slot, content, settings, current, store).await?,
            };
            offers.extend(offer.map(|offer| (slot, offer)));
        }
        hold(&mut offers);
        Ok(offers)
    }

    /// Whether a slot's part of `plugins.toml` has changed since it was taken.
    fn resets(&self, slot: Slot, settings: &SlotSettings, current: &PluginIdentity) -> bool {
        let seen = self.seen.as_ref().and_then(|seen| seen.get(&slot));
        settings.digest() != *seen.map_or(&current.settings_digest, |seen| &seen.settings_digest)
    }

    async fn offer(
        &self,
        slot: Slot,
        content: &Content,
        settings: &SlotSettings,
        current: &PluginIdentity,
        store: &Store,
    ) -> Result<Option<Offer>, StoreError> {
        let settings_digest = settings.digest();
        let seen = self.seen.as_ref().and_then(|seen| seen.get(&slot));
        let (changed, reset) = match seen {
            None => (true, false),
            Some(seen) => (seen.content != content.name(), seen.settings_digest != settings_digest),
        };
        let again = reset && seen.is_some_and(|seen| seen.refused);
        let file = !matches!(content, Content::Missing) && (changed || again);
        let resets = self.resets(slot, settings, current);
        let digest = match content {
            Content::Component { digest, .. } if file => digest,
            Content::Unusable(_) if file => {
                return Ok(Some(self.offer_file(slot, content, settings, resets)));
            }
            _ if reset => &current.digest,
            _ => return Ok(None),
        };
        if *digest == current.digest && settings_digest == current.settings_digest {
            return Ok(None);
        }
        if let Some(rejection) = store.plugin_rejection(slot, digest, &settings_digest).await? {
            return Ok(Some(Offer::Tried { rejection, resets }));
        }
        if seen.is_none() && store.was_active(slot, digest, &settings_digest).await? {
            return Ok(None);
        }
        if file {
            return Ok(Some(self.offer_file(slot, content, settings, resets)));
        }
        self.offer_settings(slot, settings, current, store, resets).await
    }

    /// Offers settings that change alone to the plugin that serves.
    async fn offer_settings(
        &self,
        slot: Slot,
        settings: &SlotSettings,
        current: &PluginIdentity,
        store: &Store,
        resets: bool,
    ) -> Result<Option<Offer>, StoreError> {
        let bytes = store.plugin_component(slot, &current.digest).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        let origin = self.settings_file().display().to_string();
        let candidate = Candidate::new(slot, origin, bytes, settings.clone()).await;
        Ok(Some(Offer::New { candidate, from: Source::Settings(current.generation), resets }))
    }

    fn offer_file(&self, slot: Slot, content: &Content, settings: &SlotSettings, resets: bool) -> Offer {
        let origin = self.dir.join(file_name(slot)).display().to_string();
        let refused = |problem: &str| Err(Refusal::new(slot, origin.clone(), vec![problem.to_owned()]));
        let candidate = match content {
            Content::Missing => refused("is missing"),
            Content::Unusable(problem) => refused(problem),
            Content::Component { bytes, digest } => Ok(Candidate {
                slot,
                origin: origin.clone(),
                bytes: Arc::clone(bytes),
                digest: digest.clone(),
                settings: settings.clone(),
            }),
        };
        Offer::New { candidate, from: Source::File, resets }
    }

    /// What keeps the slots from being served by what the folder holds, whether
    /// it is new or not.
    pub(super) async fn unfit(
        &self,
        found: &Found,
        settings: &PluginSettings,
        current: &BTreeMap<Slot, PluginIdentity>,
        store: &Store,
    ) -> Result<BTreeMap<Slot, Unfit>, StoreError> {
        let mut unfit = BTreeMap::new();
        for (slot, current) in current.iter().filter(|_| !found.absent) {
            let settings_digest = settings.of(*slot).digest();
            let Some(content) = found.files.get(slot) else { continue };
            let digest = match content {
                Content::Unusable(problem) => {
                    let reason = format!("the file in PLUGIN_DIR {problem}");
                    unfit.insert(*slot, Unfit { reason, code: Code::E412 });
                    continue;
                }
                Content::Component { digest, .. } => digest,
                Content::Missing => &current.digest,
            };
            for digest in [digest, &current.digest] {
                let rejection = store.plugin_rejection(*slot, digest, &settings_digest).await?;
                if let Some(rejection) = rejection.filter(|rejection| rejection.verdict == "refused") {
                    let reason = format!("what PLUGIN_DIR holds was refused: {}", rejection.reason);
                    let code = Code::named(&rejection.code).unwrap_or(Code::E412);
                    unfit.insert(*slot, Unfit { reason, code });
                }
            }
        }
        Ok(unfit)
    }

    /// Notes what was found, and what became of the offers among it: of each
    /// slot's file, or of its settings. With settings that cannot be used, all
    /// waits for other ones; with a part that is refused, what else is changed.
    pub(super) async fn note(&mut self, found: Found, dealt: &BTreeMap<Slot, (Dealt, bool)>) {
        let all = dealt.values().all(|(dealt, _)| *dealt != Dealt::Open);
        self.dealt_with = all.then_some(found.stamps);
        let Ok(settings) = found.settings.as_ref() else { return };
        if found.absent {
            return;
        }
        let mut seen = self.seen.clone().unwrap_or_default();
        for (slot, content) in &found.files {
            let before = seen.get(slot).filter(|before| before.content == content.name());
            let refused = match dealt.get(slot) {
                Some((Dealt::Open | Dealt::Held, _)) => continue,
                Some((Dealt::Refused, true)) => true,
                Some((Dealt::Taken, _)) => false,
                _ => before.is_some_and(|before| before.refused),
            };
            let settings_digest = settings.of(*slot).digest();
            seen.insert(*slot, Seen { content: content.name().to_owned(), settings_digest, refused });
        }
        if self.seen.as_ref() != Some(&seen) {
            self.write(&seen).await;
            self.seen = Some(seen);
        }
    }
}

impl Inbox {
    /// Writes the note, off the async threads: it waits for the disk.
    async fn write(&self, seen: &BTreeMap<Slot, Seen>) {
        let (note, text) = (self.note.clone(), serde_json::to_vec(seen).unwrap_or_default());
        let written = tokio::task::spawn_blocking(move || durable::write(&note, &[&text])).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::warn!(path = %self.note.display(), %error, "what PLUGIN_DIR holds cannot be noted");
        }
    }
}

/// A `plugins.toml` is taken as a whole: with a part that was refused the
/// others wait for another one.
fn hold(offers: &mut [(Slot, Offer)]) {
    let refused = offers.iter().find_map(|(slot, offer)| match offer {
        Offer::Tried { rejection, resets: true } if rejection.verdict == "refused" => {
            Some(telling::refused_as_a_whole(*slot, &rejection.reason))
        }
        _ => None,
    });
    let Some(reason) = refused else { return };
    for (_, offer) in offers {
        if matches!(offer, Offer::New { resets: true, .. }) {
            *offer = Offer::Held(reason.clone());
        }
    }
}
