//! What an author asks of one component file, without a server: what it is,
//! whether it fits a slot, what it answers and what it costs. It runs in the
//! receiver's own sandbox and stands the receiver's own checks; nothing is
//! published here.

mod arguments;
mod call;
mod inspect;
mod measure;

use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_cache::{self, Origin};
use super::compiler::{self, Compiling};
use super::engine::Fuel;
use super::error::{Refusal, StartError, Unfit};
use super::load;
use super::settings::{Limits, PluginSettings, SlotSettings};
use super::world::{SamplingPolicy, TripCalculator, UsageTier, World};
use super::{Slot, engine, sha256_hex};

pub use call::{CallError, Called};
pub use inspect::Inspection;
pub use measure::{Instances, Measured, Measurement};

/// Something for each slot, by its world.
macro_rules! in_world_of {
    ($slot:expr, $World:ident => $body:expr) => {
        match $slot {
            Slot::SamplingPolicy => {
                type $World = SamplingPolicy;
                $body
            }
            Slot::UsageTier => {
                type $World = UsageTier;
                $body
            }
            Slot::TripCalculator => {
                type $World = TripCalculator;
                $body
            }
        }
    };
}
use in_world_of;

/// A sandbox for components that serve no slot.
pub struct Workbench {
    engine: Engine,
    settings: PluginSettings,
    overrides: Vec<(String, String)>,
}

/// A component that may serve its slot.
#[derive(Debug)]
pub struct Fit {
    /// What it calls itself.
    pub name: String,
    /// What it calls its version.
    pub version: String,
    /// Size of the file: bytes.
    pub size_bytes: usize,
    /// The most linear memory that an instance had in the trial: bytes.
    pub memory_bytes: usize,
}

impl Workbench {
    /// A workbench with the settings of a `plugins.toml`, or the defaults, and
    /// these settings of the plugin in their place.
    ///
    /// # Errors
    /// The file is unreadable or says what the host does not know.
    pub async fn open(
        settings_file: Option<&Path>,
        overrides: Vec<(String, String)>,
    ) -> Result<Self, StartError> {
        let file = settings_file.unwrap_or(Path::new("plugins.toml"));
        let text = match settings_file {
            Some(file) => tokio::fs::read_to_string(file).await.map_err(|error| error.to_string()),
            None => Ok(String::new()),
        };
        let settings = text.and_then(|text| PluginSettings::parse(&text));
        let settings = settings.map_err(|problem| StartError::Settings { file: file.to_owned(), problem })?;
        Ok(Self { engine: start_engine(Fuel::NotCounted)?, settings, overrides })
    }

    /// All the checks of an activation, and so, where it is compiled as a
    /// receiver does, what that may take.
    ///
    /// # Errors
    /// All that keeps the component out of the slot.
    pub async fn check(&self, compiling: Compiling, slot: Slot, file: &Path) -> Result<Fit, Refusal> {
        let settings = self.settings(slot);
        let checked = async {
            let bytes = self.read(slot, file).await?;
            let size_bytes = bytes.len();
            in_world_of!(slot, W => {
                let code = compile_by(compiling, &self.engine, Arc::clone(&bytes));
                let loaded = load::load::<W>(&bytes, settings, code).await;
                let loaded = loaded.map_err(|unready| unready.unfit)?;
                let memory_bytes = loaded.pool.template().usage().peak_memory_bytes();
                let (name, version) = (loaded.info.name, loaded.info.version);
                Ok(Fit { name, version, size_bytes, memory_bytes })
            })
        };
        let checked = checked.await;
        checked.map_err(refused(slot, file))
    }

    /// What the host grants the slot's plugin, as an operator sets it.
    pub fn limits(&self, slot: Slot) -> Limits {
        self.settings(slot).limits
    }

    fn settings(&self, slot: Slot) -> SlotSettings {
        let mut settings = self.settings.of(slot).clone();
        settings.values.extend(self.overrides.iter().cloned());
        settings
    }

    async fn read(&self, slot: Slot, file: &Path) -> Result<Arc<[u8]>, Unfit> {
        read(file, &self.settings(slot)).await.map_err(Unfit::rejected)
    }
}

/// Reads a component's file, unless it is too large to be one.
async fn read(file: &Path, settings: &SlotSettings) -> Result<Arc<[u8]>, String> {
    let read = async {
        let metadata = tokio::fs::metadata(file).await?;
        if let Err(problem) = settings.check_size(metadata.len()) {
            return Ok(Err(problem));
        }
        Ok(Ok(tokio::fs::read(file).await?.into()))
    };
    read.await.unwrap_or_else(|error: std::io::Error| {
        Err(match error.kind() {
            std::io::ErrorKind::NotFound => "is missing".to_owned(),
            _ => format!("cannot be read: {error}"),
        })
    })
}

fn start_engine(fuel: Fuel) -> Result<Engine, StartError> {
    engine::start(fuel).map_err(|error| StartError::Engine(format!("{error:#}")))
}

fn refused(slot: Slot, file: &Path) -> impl Fn(Unfit) -> Refusal {
    move |unfit| Refusal::unfit(slot, file.display().to_string(), unfit)
}

/// Compiles, and keeps nothing of it.
async fn compile_by(
    compiling: Compiling,
    engine: &Engine,
    bytes: Arc<[u8]>,
) -> Result<(Component, Origin), Unfit> {
    let compiled = compiling.compile(engine, bytes).await?;
    let component = code_cache::machine_code(engine, &compiled);
    let component = component.map_err(|error| Unfit::rejected(compiler::uncompiled(&error)))?;
    Ok((component, Origin::Compiler))
}

/// Compiles in place: an author's own process serves nobody else, and what it
/// measures it may have to compile in another way than a receiver.
async fn compile(engine: &Engine, bytes: Arc<[u8]>) -> Result<Component, Unfit> {
    Ok(compile_by(Compiling::InPlace, engine, bytes).await?.0)
}

/// The world in full: `volttracker:plugins/usage-tier@0.1.0`.
fn world_name<W: World>() -> String {
    super::world::full_name(W::SLOT.as_str())
}
