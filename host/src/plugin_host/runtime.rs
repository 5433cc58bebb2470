//! What plugins are made ready with: the engine and the compiled code. Which
//! plugin serves a slot is not known here.

use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;

use super::code_cache::CodeCache;
use super::engine::Fuel;
use super::error::{Refusal, StartError};
use super::pool::Pool;
use super::prepared::{Candidate, Prepared, Ready};
use super::questions::Ask;
use super::{Slot, engine, load};

/// Makes plugins ready. Clones share engine and cache.
#[derive(Clone)]
pub struct PluginRuntime {
    code: Arc<CodeCache>,
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
        Ok(Self { code: Arc::new(code) })
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
        let code = Arc::clone(&self.code);
        let compiler = {
            let digest = digest.clone();
            move |bytes: &[u8]| code.load(&digest, bytes)
        };
        let loaded = load::load::<W>(Arc::clone(&bytes), settings.clone(), compiler).await;
        let loaded = loaded.map_err(|unfit| Refusal::unfit(slot, origin, unfit))?;
        Ok(Prepared {
            about: loaded.info,
            bytes,
            digest,
            settings,
            compiled: loaded.compiled,
            timings: loaded.timings,
            ready: ready(Arc::new(loaded.pool)),
        })
    }
}
