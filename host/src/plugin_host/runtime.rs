//! What plugins are made ready with: the engine and the compiled code. Which
//! plugin serves a slot is not known here.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_cache::{CodeCache, Held, Origin};
use super::engine::Fuel;
use super::error::{Refusal, StartError, Unfit};
use super::pool::Pool;
use super::prepared::{Candidate, Prepared, Ready};
use super::questions::Ask;
use super::{Slot, engine, load};

/// Components that are compiled at one time. Each has all processors; a second
/// one need not wait for one that takes long.
const COMPILERS: usize = 2;
/// How long a candidate waits for its code beside plugins that serve, its turn
/// included: some ten times what an interpreted plugin takes. What takes longer
/// is compiled to its end all the same, in its place, and found in the cache by
/// who tries it again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes plugins ready. Clones share engine, cache and compilers.
#[derive(Clone)]
pub struct PluginRuntime {
    code: Arc<CodeCache>,
    compilers: Arc<Semaphore>,
    patience: Duration,
}

impl PluginRuntime {
    /// Starts the engine; compiled code is kept in `cache_dir`.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly, or the folder cannot be used.
    pub fn start(cache_dir: &Path) -> Result<Self, StartError> {
        let engine: Engine =
            engine::start(Fuel::NotCounted).map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let code = CodeCache::open(&engine, cache_dir)
            .map_err(|error| StartError::Cache { dir: cache_dir.to_owned(), problem: error.to_string() })?;
        let compilers = Arc::new(Semaphore::new(COMPILERS));
        Ok(Self { code: Arc::new(code), compilers, patience: PATIENCE })
    }

    /// Takes a candidate through every check, up to a trial on two instances.
    /// Nothing is published.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn prepare(&self, candidate: Candidate) -> Result<Prepared, Refusal> {
        match candidate.slot {
            Slot::SamplingPolicy => self.load(candidate, Ready::SamplingPolicy).await,
            Slot::UsageTier => self.load(candidate, Ready::UsageTier).await,
            Slot::TripCalculator => self.load(candidate, Ready::TripCalculator).await,
        }
    }

    async fn load<W: Ask>(
        &self,
        candidate: Candidate,
        ready: impl FnOnce(Arc<Pool<W>>) -> Ready,
    ) -> Result<Prepared, Refusal> {
        let Candidate { slot, origin, bytes, digest, settings } = candidate;
        let held = self.code.hold(&digest);
        let code = self.code(&held, Arc::clone(&bytes));
        let loaded = match load::load::<W>(&bytes, settings.clone(), code).await {
            Ok(loaded) => loaded,
            Err(unready) => {
                if unready.compiled {
                    self.code.forget(&held);
                }
                return Err(Refusal::unfit(slot, origin, unready.unfit));
            }
        };
        Ok(Prepared {
            about: loaded.info,
            bytes,
            digest,
            settings,
            compiled: loaded.compiled,
            timings: loaded.timings,
            code: held,
            ready: ready(Arc::new(loaded.pool)),
        })
    }

    /// The code of a component: from the cache, or compiled in turn. What is in
    /// the cache waits for nobody, and what is compiled already for that.
    async fn code(&self, held: &Held, bytes: Arc<[u8]>) -> Result<(Component, Origin), Unfit> {
        let brought = async {
            let turn = held.turn().await;
            let (code, digest) = (Arc::clone(&self.code), held.digest().to_owned());
            let found = tokio::task::spawn_blocking(move || code.find(&digest)).await;
            if let Ok(Some(component)) = found {
                return Ok((component, Origin::Cache));
            }
            let place = Arc::clone(&self.compilers).acquire_owned().await;
            let (code, held) = (Arc::clone(&self.code), held.clone());
            // Kept by the thread, which nothing can end: not by who waits for it.
            let compiler = move |bytes: &[u8]| {
                let _kept = (turn, place);
                code.load(held.digest(), bytes)
            };
            load::compile(bytes, compiler).await
        };
        tokio::time::timeout(self.patience, brought).await.unwrap_or_else(|_| {
            let problem = format!("is not compiled within {:?}: try it again later", self.patience);
            Err(Unfit::for_now(problem))
        })
    }

    /// The same for where nothing serves meanwhile: it waits for as long as it
    /// takes.
    pub(crate) fn without_hurry(self) -> Self {
        Self { patience: Duration::MAX, ..self }
    }

    /// The same, where a candidate waits no longer than this for its code.
    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    #[cfg(test)]
    pub(crate) fn compilers(&self) -> &Arc<Semaphore> {
        &self.compilers
    }
}
