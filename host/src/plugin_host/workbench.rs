//! What an author asks of one component file, without a server: what it is,
//! whether it fits a slot, what it answers and what it costs. It runs in the
//! receiver's own sandbox and stands the receiver's own checks; nothing is
//! published here.

mod arguments;
mod call;
mod inspect;
mod measure;

use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::Fuel;
use super::error::{Refusal, StartError};
use super::load::{self, Problems};
use super::settings::{Limits, PluginSettings, SlotSettings, parse};
use super::world::{SamplingPolicy, TripCalculator, UsageTier, World};
use super::{PluginIdentity, Slot, engine, sha256_hex};

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
    /// Who it is.
    pub identity: PluginIdentity,
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
        let settings = text.and_then(|text| parse(&text));
        let settings = settings.map_err(|problem| StartError::Settings { file: file.to_owned(), problem })?;
        Ok(Self { engine: start_engine(Fuel::NotCounted)?, settings, overrides })
    }

    /// All the checks of an activation.
    ///
    /// # Errors
    /// All that keeps the component out of the slot.
    pub async fn check(&self, slot: Slot, file: &Path) -> Result<Fit, Refusal> {
        let settings = self.settings(slot);
        let checked = async {
            let bytes = self.read(slot, file).await?;
            let size_bytes = bytes.len();
            in_world_of!(slot, W => {
                let active = load::activate::<W>(&self.engine, bytes, settings).await?;
                let memory_bytes = active.pool.template().usage().peak_memory_bytes();
                Ok(Fit { identity: active.identity, size_bytes, memory_bytes })
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

    async fn read(&self, slot: Slot, file: &Path) -> Result<Vec<u8>, Problems> {
        let limits = self.settings(slot).limits;
        load::read(file, limits).await.map_err(|problem| vec![problem])
    }
}

fn start_engine(fuel: Fuel) -> Result<Engine, StartError> {
    engine::start(fuel).map_err(|error| StartError::Engine(format!("{error:#}")))
}

fn refused(slot: Slot, file: &Path) -> impl Fn(Problems) -> Refusal {
    move |problems| Refusal { slot, file: PathBuf::from(file), problems }
}

/// A component's bytes, compiled, and their digest.
async fn compile(engine: &Engine, bytes: Vec<u8>) -> Result<(Component, String), Problems> {
    let digest = sha256_hex(&bytes);
    let component = load::compile(engine, bytes).await.map_err(|problem| vec![problem])?;
    Ok((component, digest))
}

/// The world in full: `volttracker:plugins/usage-tier@0.1.0`.
fn world_name<W: World>() -> String {
    super::world::full_name(W::SLOT.as_str())
}
