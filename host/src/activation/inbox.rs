//! PLUGIN_DIR: what lies in it, and what of that is an offer. An inbox offers
//! what changed since it was looked at last, also across restarts; what becomes
//! of an offer is not its business.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::plugin_host::{
    Candidate, PluginIdentity, PluginSettings, Refusal, Slot, SlotSettings, sha256_hex,
};
use crate::store::{Rejection, Store, StoreError};

/// Where the operator sets limits and settings, beside the components.
const SETTINGS: &str = "plugins.toml";
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

/// What one look found.
pub(super) struct Found {
    /// What the operator set, or what is wrong with it.
    pub(super) settings: Result<PluginSettings, String>,
    files: BTreeMap<Slot, Content>,
    /// Whether there is no folder at all, which says nothing about settings.
    absent: bool,
    stamps: Stamps,
}

/// What lies in a slot's place.
enum Content {
    Missing,
    Unusable(String),
    Component { bytes: Arc<[u8]>, digest: String },
}

/// Something that wants to serve a slot.
pub(super) enum Offer {
    /// It is to be tried.
    New {
        /// The candidate, or why there is none.
        candidate: Result<Candidate, Refusal>,
        /// Whether it is the slot's file, and not what serves it already.
        file: bool,
    },
    /// It was tried before, and is not tried again.
    Tried(Rejection),
}

/// What became of a slot's offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dealt {
    /// It serves the slot.
    Taken,
    /// It is unfit.
    Refused,
    /// It could not be dealt with: it is to be offered again.
    Open,
}

impl Inbox {
    /// The inbox `dir` of the host that keeps its own files in `data_dir`.
    pub(super) fn open(dir: &Path, data_dir: &Path) -> Self {
        let note = data_dir.join(NOTE);
        // What cannot be read was never noted; the library knows the rest.
        let seen = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { dir: dir.to_owned(), note, seen, dealt_with: None }
    }

    /// The file with the settings.
    pub(super) fn settings_file(&self) -> PathBuf {
        self.dir.join(SETTINGS)
    }

    /// Looks, unless nothing has changed since what was found is dealt with.
    pub(super) async fn look(&self) -> Option<Found> {
        let (dir, before) = (self.dir.clone(), self.dealt_with.clone());
        let looked = tokio::task::spawn_blocking(move || look(&dir, before.as_ref())).await;
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
            let offer = match current.get(&slot) {
                None => Some(self.offer_file(slot, &found.files[&slot], settings)),
                Some(_) if found.absent => None,
                Some(current) => self.offer(slot, &found.files[&slot], settings, current, store).await?,
            };
            offers.extend(offer.map(|offer| (slot, offer)));
        }
        Ok(offers)
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
        let digest = match content {
            Content::Component { digest, .. } if file => digest,
            Content::Unusable(_) if file => {
                return Ok(Some(self.offer_file(slot, content, settings)));
            }
            _ if reset => &current.digest,
            _ => return Ok(None),
        };
        if *digest == current.digest && settings_digest == current.settings_digest {
            return Ok(None);
        }
        if let Some(rejection) = store.plugin_rejection(slot, digest, &settings_digest).await? {
            return Ok(Some(Offer::Tried(rejection)));
        }
        if seen.is_none() && store.was_active(slot, digest, &settings_digest).await? {
            return Ok(None);
        }
        if file {
            return Ok(Some(self.offer_file(slot, content, settings)));
        }
        let Some(bytes) = store.plugin_component(slot, digest).await? else { return Ok(None) };
        let origin = self.settings_file().display().to_string();
        let candidate = Candidate::new(slot, origin, bytes, settings.clone()).await;
        Ok(Some(Offer::New { candidate, file: false }))
    }

    fn offer_file(&self, slot: Slot, content: &Content, settings: &SlotSettings) -> Offer {
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
        Offer::New { candidate, file: true }
    }

    /// What keeps the slots from being served by what the folder holds, whether
    /// it is new or not.
    pub(super) async fn unfit(
        &self,
        found: &Found,
        settings: &PluginSettings,
        current: &BTreeMap<Slot, PluginIdentity>,
        store: &Store,
    ) -> Result<BTreeMap<Slot, String>, StoreError> {
        let mut unfit = BTreeMap::new();
        for (slot, current) in current.iter().filter(|_| !found.absent) {
            let settings_digest = settings.of(*slot).digest();
            let digest = match &found.files[slot] {
                Content::Unusable(problem) => {
                    unfit.insert(*slot, format!("the file in PLUGIN_DIR {problem}"));
                    continue;
                }
                Content::Component { digest, .. } => digest,
                Content::Missing => &current.digest,
            };
            for digest in [digest, &current.digest] {
                let rejection = store.plugin_rejection(*slot, digest, &settings_digest).await?;
                if let Some(rejection) = rejection.filter(|rejection| rejection.verdict == "refused") {
                    unfit.insert(*slot, format!("what PLUGIN_DIR holds was refused: {}", rejection.reason));
                }
            }
        }
        Ok(unfit)
    }

    /// Notes what was found, and what became of the offers among it: of each
    /// slot's file, or of its settings. With settings that cannot be used, all
    /// waits for other ones.
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
                Some((Dealt::Open, _)) => continue,
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

impl Content {
    fn name(&self) -> &str {
        match self {
            Self::Missing => "missing",
            Self::Unusable(problem) => problem,
            Self::Component { digest, .. } => digest,
        }
    }
}

/// Size, time and inode of each file that counts; absent where there is none.
type Stamps = Vec<Option<(u64, Option<std::time::SystemTime>, u64)>>;

fn stamps(dir: &Path) -> Stamps {
    use std::os::unix::fs::MetadataExt as _;
    file_names()
        .map(|file| {
            let metadata = fs::metadata(dir.join(file)).ok()?;
            Some((metadata.len(), metadata.modified().ok(), metadata.ino()))
        })
        .collect()
}

fn look(dir: &Path, dealt_with: Option<&Stamps>) -> Option<Found> {
    let before = stamps(dir);
    if dealt_with == Some(&before) {
        return None;
    }
    let (settings, absent) = (read_settings(dir), !dir.is_dir());
    let files = match &settings {
        Ok(settings) => Slot::ALL.map(|slot| (slot, read(&dir.join(file_name(slot)), settings.of(slot)))),
        // Nobody knows how large they may be; and they must wait anyway.
        Err(_) => Slot::ALL.map(|slot| (slot, Content::Missing)),
    };
    // A file that changed while it was read is looked at when it is whole.
    (stamps(dir) == before).then(|| Found { settings, files: files.into(), absent, stamps: before })
}

/// Reads `plugins.toml` of this folder; without one all is default.
pub(super) fn read_settings(dir: &Path) -> Result<PluginSettings, String> {
    let text = match fs::read_to_string(dir.join(SETTINGS)) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| error.to_string())?,
    };
    PluginSettings::parse(&text)
}

fn read(path: &Path, settings: &SlotSettings) -> Content {
    let read = || {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if let Err(problem) = settings.check_size(length) {
            return Ok(Content::Unusable(problem));
        }
        let mut bytes = Vec::new();
        file.take(settings.largest_component() + 1).read_to_end(&mut bytes)?;
        let digest = sha256_hex(&bytes);
        Ok(Content::Component { bytes: bytes.into(), digest })
    };
    read().unwrap_or_else(|error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Content::Missing,
        _ => Content::Unusable(format!("cannot be read: {error}")),
    })
}

/// The names of the files that count.
pub(super) fn file_names() -> impl Iterator<Item = String> {
    Slot::ALL.map(file_name).into_iter().chain([SETTINGS.to_owned()])
}

fn file_name(slot: Slot) -> String {
    format!("{slot}.wasm")
}
