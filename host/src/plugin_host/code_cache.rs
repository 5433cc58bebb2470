//! Compiled code on disk, by digest: a component is compiled once on a
//! machine. Only this module writes here, and nothing else is ever loaded as
//! machine code.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedMutexGuard, watch};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::Compiled;
use crate::durable;

/// Components whose code is kept: those that were used last,
const KEPT: usize = 64;
/// as far as there is room for them: bytes. What is in use stays anyway.
const ROOM: u64 = 1 << 30;
/// Length of the checksum in front of the code.
const CHECKSUM: usize = 32;

/// A folder of compiled code for one engine.
pub(super) struct CodeCache {
    engine: Engine,
    dir: PathBuf,
    /// Stands for the engine's version and settings, and for what this
    /// machine's processor can do.
    compatibility: u64,
    /// Digests in use.
    held: Mutex<Vec<Weak<Digested>>>,
}

/// A digest in use: its code stays where it is as long as this is held.
#[derive(Clone)]
pub(super) struct Held(Arc<Digested>);

struct Digested {
    digest: String,
    /// Taken by who brings its code.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether somebody goes back to it.
    wanted_back: watch::Sender<bool>,
}

impl Held {
    pub(super) fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Waits until nobody else compiles this one: it is compiled once, however
    /// many want it.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0.turn).lock_owned().await
    }

    /// Says that somebody goes back to this one, which is so for as long as
    /// anybody holds it.
    pub(super) fn want_back(&self) {
        self.0.wanted_back.send_replace(true);
    }

    /// Waits until somebody goes back to this one.
    pub(super) async fn wanted_back(&self) {
        // The sender is this one's own.
        self.0.wanted_back.subscribe().wait_for(|wanted| *wanted).await.ok();
    }
}

/// Where a component's code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Cache,
    Compiler,
}

impl CodeCache {
    /// Opens the folder, making it where it is missing.
    pub(super) fn open(engine: &Engine, dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        // Who can write here can run machine code: the owner, and nobody else,
        // also where the folder was there before.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let (compatibility, held) = (hasher.finish(), Mutex::default());
        let cache = Self { engine: engine.clone(), dir: dir.to_owned(), compatibility, held };
        for entry in cache.entries("new")? {
            // What a process that died left half-written.
            fs::remove_file(entry.path)?;
        }
        Ok(cache)
    }

    /// Keeps the code of this digest in the cache as long as what comes back
    /// is held.
    pub(super) fn hold(&self, digest: &str) -> Held {
        let mut held = self.held();
        held.retain(|one| one.strong_count() > 0);
        if let Some(known) = held.iter().filter_map(Weak::upgrade).find(|one| one.digest == digest) {
            return Held(known);
        }
        let new = Arc::new(Digested {
            digest: digest.to_owned(),
            turn: Arc::default(),
            wanted_back: watch::Sender::default(),
        });
        held.push(Arc::downgrade(&new));
        Held(new)
    }

    /// Removes the code of a component that turned out to be unfit, unless
    /// somebody else holds it.
    pub(super) fn forget(&self, unfit: &Held) {
        // Under the lock, so that nobody begins to hold it meanwhile.
        let _held = self.held();
        if Arc::strong_count(&unfit.0) > 1 {
            return;
        }
        let path = self.path(unfit.digest());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "code of no use cannot be removed");
            }
            _ => {}
        }
    }

    /// The code of the component with this digest, if it is there.
    pub(super) fn find(&self, digest: &str) -> Option<Component> {
        self.read(&self.path(digest))
    }

    /// Loads and keeps the code of the component with this digest, which was
    /// compiled just now.
    ///
    /// # Errors
    /// The engine does not take it: it is made of more than a plugin may be.
    pub(super) fn adopt(&self, digest: &str, compiled: &Compiled) -> wasmtime::Result<Component> {
        let component = machine_code(&self.engine, compiled)?;
        let path = self.path(digest);
        if let Err(error) = self.keep(&path, compiled.code()) {
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be kept");
        }
        Ok(component)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{:016x}.cwasm", self.compatibility))
    }

    fn held(&self) -> MutexGuard<'_, Vec<Weak<Digested>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, path: &Path) -> Option<Component> {
        let file = fs::read(path).ok()?;
        let (checksum, code) = file.split_at_checked(CHECKSUM)?;
        if Sha256::digest(code)[..] != *checksum {
            tracing::warn!(path = %path.display(), "damaged code is compiled again");
            return None;
        }
        #[expect(unsafe_code, reason = "loading machine code trusts what wrote it")]
        // SAFETY: the folder is this program's own, `keep` alone writes to it
        // what this program's compiler made, and the checksum says that it is
        // whole. The engine itself refuses code of another version or
        // configuration.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        match component {
            Ok(component) => {
                // Used just now: the others go first.
                let now = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
                if let Err(error) = now {
                    tracing::warn!(path = %path.display(), %error, "compiled code cannot be marked as used");
                }
                Some(component)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "foreign code is compiled again");
                None
            }
        }
    }

    fn keep(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        durable::write(path, &[&Sha256::digest(code)[..], code])?;
        self.make_room(ROOM)
    }

    /// Removes what was used longest ago, and is not in use, until the rest
    /// takes no more than so many bytes.
    fn make_room(&self, room: u64) -> io::Result<()> {
        let mut entries = self.entries("cwasm")?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let held = self.held();
        let (mut kept, mut bytes) = (0, 0);
        for entry in &entries {
            let in_use = held.iter().filter_map(Weak::upgrade).any(|one| entry.is_of(&one.digest));
            if in_use || (kept < KEPT && bytes + entry.bytes <= room) {
                (kept, bytes) = (kept + 1, bytes + entry.bytes);
            } else {
                fs::remove_file(&entry.path)?;
            }
        }
        Ok(())
    }

    fn entries(&self, extension: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|other| other == extension) {
                let metadata = entry.metadata()?;
                entries.push(Entry { path, used: metadata.modified()?, bytes: metadata.len() });
            }
        }
        Ok(entries)
    }
}

/// A component of the code that was made of it just now.
///
/// # Errors
/// The engine does not take it.
pub(super) fn machine_code(engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "loading machine code trusts what wrote it")]
    // SAFETY: only the compiler of this program makes a `Compiled`, in this
    // process or in one that it started of the same executable, over a pipe that
    // no third process has. The engine itself refuses code of another version or
    // configuration.
    unsafe {
        Component::deserialize(engine, compiled.code())
    }
}

struct Entry {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

impl Entry {
    fn is_of(&self, digest: &str) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.split_once('-')).is_some_and(|(of, _)| of == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin_host::compiler::Compiling;
    use crate::plugin_host::engine;

    /// The smallest component: nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn cache() -> (tempfile::TempDir, CodeCache) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let engine = engine::start(engine::Fuel::NotCounted).expect("engine");
        let cache = CodeCache::open(&engine, &dir.path().join("cache")).expect("a folder");
        (dir, cache)
    }

    /// Where its code came from; what is not there is compiled.
    async fn origin(cache: &CodeCache, digest: &str) -> Origin {
        if cache.find(digest).is_some() {
            return Origin::Cache;
        }
        let compiled = Compiling::InPlace.compile(&cache.engine, EMPTY.into()).await.expect("a component");
        cache.adopt(digest, &compiled).expect("code of this engine");
        Origin::Compiler
    }

    fn files(cache: &CodeCache) -> Vec<PathBuf> {
        cache.entries("cwasm").expect("list").into_iter().map(|entry| entry.path).collect()
    }

    #[tokio::test]
    async fn a_component_is_compiled_once_also_after_a_restart() {
        let (_dir, cache) = cache();
        assert_eq!(origin(&cache, "a").await, Origin::Compiler);
        assert_eq!(origin(&cache, "a").await, Origin::Cache);
        let engine = engine::start(engine::Fuel::NotCounted).expect("engine");
        let next = CodeCache::open(&engine, &cache.dir).expect("a folder");
        assert_eq!(origin(&next, "a").await, Origin::Cache);
    }

    #[tokio::test]
    async fn damaged_or_foreign_code_is_not_loaded_but_compiled_again() {
        let (_dir, cache) = cache();
        origin(&cache, "a").await;
        let file = files(&cache).pop().expect("one file");
        let whole = fs::read(&file).expect("read");
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        let foreign = [&Sha256::digest(b"no code")[..], b"no code"].concat();
        for bad in [&whole[..whole.len() / 2], &whole[..7], b"", &flipped, &foreign] {
            fs::write(&file, bad).expect("write");
            assert_eq!(origin(&cache, "a").await, Origin::Compiler);
            assert_eq!(origin(&cache, "a").await, Origin::Cache);
        }
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_goes_first() {
        let (_dir, cache) = cache();
        let long_ago = SystemTime::now() - std::time::Duration::from_secs(3600);
        for number in 0..KEPT {
            origin(&cache, &number.to_string()).await;
        }
        for file in files(&cache) {
            fs::File::open(file).and_then(|file| file.set_modified(long_ago)).expect("set");
        }
        assert_eq!(origin(&cache, "7").await, Origin::Cache);
        for number in 0..KEPT - 1 {
            origin(&cache, &format!("new {number}")).await;
        }
        assert_eq!(files(&cache).len(), KEPT);
        assert_eq!(origin(&cache, "7").await, Origin::Cache);
    }

    #[tokio::test]
    async fn what_is_in_use_stays_whatever_it_takes() {
        let (_dir, cache) = cache();
        for digest in ["in use", "not", "neither"] {
            origin(&cache, digest).await;
        }
        let held = (cache.hold("in use"), cache.hold("in use"));
        cache.make_room(0).expect("room");
        assert!(cache.find("in use").is_some());
        assert_eq!(files(&cache).len(), 1);
        drop(held);
        cache.make_room(0).expect("room");
        assert_eq!(files(&cache).len(), 0);
    }

    #[tokio::test]
    async fn code_of_an_unfit_component_goes_unless_somebody_else_uses_it() {
        let (_dir, cache) = cache();
        origin(&cache, "a").await;
        let (one, other) = (cache.hold("a"), cache.hold("a"));
        cache.forget(&one);
        assert!(cache.find("a").is_some());
        drop(other);
        cache.forget(&one);
        assert!(cache.find("a").is_none());
        cache.forget(&cache.hold("a"));
    }

    #[test]
    fn nobody_else_may_write_into_the_folder_even_if_it_was_there_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("set");
        let engine = engine::start(engine::Fuel::NotCounted).expect("engine");
        CodeCache::open(&engine, dir.path()).expect("a folder");
        let mode = fs::metadata(dir.path()).expect("a folder").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_a_dead_process_left_half_written_is_removed() {
        let (_dir, cache) = cache();
        fs::write(cache.dir.join("a-0.new"), "half").expect("write");
        let engine = engine::start(engine::Fuel::NotCounted).expect("engine");
        CodeCache::open(&engine, &cache.dir).expect("a folder");
        assert_eq!(cache.entries("new").expect("list").len(), 0);
    }
}
