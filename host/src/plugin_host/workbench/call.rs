//! One call of one function: its answer, and what it used.

use std::path::Path;

use serde_json::{Value, json};

use super::super::engine::Fuel;
use super::super::error::{PluginError, PluginErrorKind, Refusal, StartError};
use super::super::load;
use super::super::pool::Pool;
use super::super::questions::Ask;
use super::super::usage::Spent;
use super::arguments::{Request, read};
use super::*;

/// An answer, and what it took.
#[derive(Debug)]
pub struct Called {
    /// The answer, as JSON with the contract's names in snake case.
    pub answer: Value,
    /// What it took: time as on a receiver, fuel from a second call.
    pub spent: Spent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// This machine cannot run WebAssembly.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The component does not come as far as a call.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no such function, or it takes other arguments.
    #[error("{0}")]
    Arguments(String),
    /// The call failed, as it would on a receiver.
    #[error("{} {error}", error.code())]
    Failed {
        /// How it failed.
        error: PluginError,
        /// What it used until then.
        spent: Spent,
    },
    /// Two instances answered differently.
    #[error("answers differently when asked again, first {first}, then {then}: plugins must be pure")]
    Impure {
        /// The first answer.
        first: Value,
        /// The second one.
        then: Value,
    },
}

impl Workbench {
    /// Calls a function with the JSON object of its arguments at a time (epoch
    /// milliseconds). The component stands every check but the trial.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn call(
        &self,
        slot: Slot,
        file: &Path,
        function: &str,
        arguments: &str,
        at_ms: i64,
    ) -> Result<Called, CallError> {
        in_world_of!(slot, W => self.call_in::<W>(file, function, arguments, at_ms).await)
    }

    async fn call_in<W: Ask>(
        &self,
        file: &Path,
        function: &str,
        arguments: &str,
        at_ms: i64,
    ) -> Result<Called, CallError> {
        let bytes =
            self.read(W::SLOT, file).await.map_err(refused(W::SLOT, file)).map_err(CallError::Refused)?;
        let request = || read::<W>(function, arguments).map_err(CallError::Arguments);
        let first = self.pool::<W>(&self.engine, file, bytes.clone()).await?;
        let called = one_call(&first, request()?, at_ms).await?;
        // Counting fuel slows a call down, so it is done in a call of its own.
        let counting = start_engine(Fuel::Counted)?;
        let second = self.pool::<W>(&counting, file, bytes).await?;
        let counted = one_call(&second, request()?, at_ms).await?;
        if called.answer != counted.answer {
            return Err(CallError::Impure { first: called.answer, then: counted.answer });
        }
        Ok(Called { spent: Spent { fuel: counted.spent.fuel, ..called.spent }, ..called })
    }

    async fn pool<W: Ask>(
        &self,
        engine: &Engine,
        file: &Path,
        bytes: Arc<[u8]>,
    ) -> Result<Pool<W>, CallError> {
        let started = async {
            let component = compile(engine, bytes).await?;
            load::start::<W>(&component, self.settings(W::SLOT)).await
        };
        let (_, pool) = started.await.map_err(refused(W::SLOT, file)).map_err(CallError::Refused)?;
        Ok(pool)
    }
}

async fn one_call<W: Ask>(
    pool: &Pool<W>,
    request: Request<W::Question>,
    at_ms: i64,
) -> Result<Called, CallError> {
    let answer = answer(pool, request, at_ms).await;
    let spent = pool.template().usage().last();
    match answer {
        Ok(answer) => Ok(Called { answer, spent }),
        Err(error) => Err(CallError::Failed { error, spent }),
    }
}

async fn answer<W: Ask>(
    pool: &Pool<W>,
    request: Request<W::Question>,
    at_ms: i64,
) -> Result<Value, PluginError> {
    let template = pool.template();
    match request {
        Request::Describe => {
            let mut instance = template.open().await?;
            json_of::<W>(template.describe(&mut instance).await?)
        }
        Request::Configure(settings) => {
            let mut instance = template.open().await?;
            match template.configure_with(&mut instance, &settings).await {
                Ok(()) => Ok(json!({ "ok": null })),
                Err(error) if error.kind == PluginErrorKind::Rejected => Ok(json!({ "err": error.message })),
                Err(error) => Err(error),
            }
        }
        Request::Ask(question) => json_of::<W>(W::ask(pool, question, at_ms).await?),
    }
}

fn json_of<W: World>(answer: impl serde::Serialize) -> Result<Value, PluginError> {
    serde_json::to_value(answer).map_err(|error| Pool::<W>::nonsense(error.to_string()))
}
