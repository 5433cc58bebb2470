//! What plugins are made ready with: the engine and the compiled code. Which
//! plugin serves a slot is not known here.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_cache::{CodeCache, Held, Origin};
use super::compiler::{self, Compiling};
use super::engine::Fuel;
use super::error::{Refusal, StartError, Unfit};
use super::pool::Pool;
use super::prepared::{Candidate, Prepared, Ready};
use super::questions::Ask;
use super::{Slot, engine, load};

/// Components that are compiled at one time: one need not wait for another that
/// takes long, and the memory that compiling takes is bounded.
const COMPILERS: usize = 2;
/// Compilers beside them, for what somebody goes back to: it is not to wait for
/// others, however long they take.
const COMPILERS_FOR_WAYS_BACK: usize = 1;

/// What a plugin is made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To take the place of another one, or to run beside it.
    Ordinary,
    /// To serve once more, where what came after it is not to go on.
    WayBack,
}

/// Makes plugins ready. Clones share engine, cache and compilers.
#[derive(Clone)]
pub struct PluginRuntime {
    code: Arc<CodeCache>,
    compiling: Compiling,
    compilers: Arc<Semaphore>,
    ways_back: Arc<Semaphore>,
}

impl PluginRuntime {
    /// Starts the engine; compiled code is kept in `cache_dir`.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly, or the folder cannot be used.
    pub fn start(cache_dir: &Path, compiling: Compiling) -> Result<Self, StartError> {
        let engine: Engine =
            engine::start(Fuel::NotCounted).map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let code = CodeCache::open(&engine, cache_dir)
            .map_err(|error| StartError::Cache { dir: cache_dir.to_owned(), problem: error.to_string() })?;
        let compilers = Arc::new(Semaphore::new(COMPILERS));
        let ways_back = Arc::new(Semaphore::new(COMPILERS_FOR_WAYS_BACK));
        Ok(Self { code: Arc::new(code), compiling, compilers, ways_back })
    }

    /// Takes a candidate through every check, up to a trial on two instances.
    /// Nothing is published.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn prepare(&self, candidate: Candidate, purpose: Purpose) -> Result<Prepared, Refusal> {
        match candidate.slot {
            Slot::SamplingPolicy => self.load(candidate, purpose, Ready::SamplingPolicy).await,
            Slot::UsageTier => self.load(candidate, purpose, Ready::UsageTier).await,
            Slot::TripCalculator => self.load(candidate, purpose, Ready::TripCalculator).await,
        }
    }

    async fn load<W: Ask>(
        &self,
        candidate: Candidate,
        purpose: Purpose,
        ready: impl FnOnce(Arc<Pool<W>>) -> Ready,
    ) -> Result<Prepared, Refusal> {
        let Candidate { slot, origin, bytes, digest, settings } = candidate;
        let held = self.code.hold(&digest);
        if purpose == Purpose::WayBack {
            held.want_back();
        }
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
            times: loaded.times,
            code: held,
            ready: ready(Arc::new(loaded.pool)),
        })
    }

    /// The code of a component: from the cache, or compiled in turn. What is in
    /// the cache waits for nobody, and what is compiled already for that.
    async fn code(&self, held: &Held, bytes: Arc<[u8]>) -> Result<(Component, Origin), Unfit> {
        let _turn = held.turn().await;
        let found = self.with_cache(held, CodeCache::find).await?;
        if let Some(component) = found {
            return Ok((component, Origin::Cache));
        }
        // Nobody closes them; who has no place compiles in none.
        let _place = self.place(held).await.map_err(|error| Unfit::for_now(error.to_string()))?;
        let compiled = self.compiling.compile(self.code.engine(), bytes).await?;
        let adopted = self.with_cache(held, move |code, digest| code.adopt(digest, &compiled)).await?;
        let component = adopted.map_err(|error| Unfit::rejected(compiler::uncompiled(&error)))?;
        Ok((component, Origin::Compiler))
    }

    /// A place among the compilers, whichever comes free. Who has the turn takes
    /// it for all who want the component: also if only one behind it goes back.
    async fn place(&self, held: &Held) -> Result<SemaphorePermit<'_>, AcquireError> {
        let way_back = async {
            held.wanted_back().await;
            self.ways_back.acquire().await
        };
        tokio::select! {
            // Of two that are free the one that anybody may take.
            biased;
            place = self.compilers.acquire() => place,
            place = way_back => place,
        }
    }

    /// Works on the cache off the async threads: it reads and writes files.
    async fn with_cache<T: Send + 'static>(
        &self,
        held: &Held,
        work: impl FnOnce(&CodeCache, &str) -> T + Send + 'static,
    ) -> Result<T, Unfit> {
        let (code, held) = (Arc::clone(&self.code), held.clone());
        let worked = tokio::task::spawn_blocking(move || work(&code, held.digest())).await;
        worked.map_err(|panic| Unfit::rejected(format!("cannot be compiled: {panic}")))
    }

    #[cfg(test)]
    pub(crate) fn compilers(&self) -> &Arc<Semaphore> {
        &self.compilers
    }
}
