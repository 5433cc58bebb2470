//! What a component file is, whether it fits a slot or not.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::super::bindings::identity::{PluginInfo, Setting};
use super::super::questions::Ask;
use super::super::{interfaces, load};
use super::*;

/// What a component file is.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// What the plugin calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it calls its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Size of the file: bytes.
    pub size_bytes: usize,
    /// The slot that it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The slot's world: `volttracker:plugins/usage-tier@0.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// The settings that `configure` accepts.
    pub settings: Vec<Setting>,
    /// For each slot what keeps it out, where it fits none; where it fits one,
    /// why it does not describe itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub problems: BTreeMap<Slot, Vec<String>>,
}

impl Workbench {
    /// Looks at a component, and asks it who it is if it fits any slot.
    ///
    /// # Errors
    /// The file is no component.
    pub async fn inspect(&self, file: &Path) -> Result<Inspection, String> {
        let slots = Slot::ALL.map(|slot| self.settings(slot));
        let largest = slots.iter().max_by_key(|settings| settings.largest_component());
        let bytes = read(file, largest.unwrap_or(&slots[0])).await?;
        let size_bytes = bytes.len();
        let digest = sha256_hex(&bytes);
        let compiled = compile(&self.engine, bytes).await;
        let component = compiled.map_err(|unready| unready.problems.join("; "))?;
        let mut inspection = Inspection {
            name: None,
            version: None,
            description: None,
            digest,
            size_bytes,
            slot: None,
            world: None,
            imports: interfaces::imports(&component),
            exports: interfaces::exports(&component),
            settings: Vec::new(),
            problems: BTreeMap::new(),
        };
        for slot in Slot::ALL {
            let described = in_world_of!(slot, W => {
                let described = self.describe::<W>(&component).await;
                described.map(|info| (info, world_name::<W>()))
            });
            match described {
                Ok((info, world)) => return Ok(inspection.of(slot, world, info)),
                Err(unfit) => inspection.problems.insert(slot, unfit.problems),
            };
        }
        Ok(inspection)
    }

    async fn describe<W: Ask>(&self, component: &Component) -> Result<PluginInfo, Unfit> {
        let template = load::template::<W>(component, self.settings(W::SLOT))?;
        let (_, info) = load::open(&template).await?;
        Ok(info)
    }
}

impl Inspection {
    fn of(self, slot: Slot, world: String, info: PluginInfo) -> Self {
        Self {
            name: Some(info.name),
            version: Some(info.version),
            description: Some(info.description),
            settings: info.settings,
            slot: Some(slot),
            world: Some(world),
            problems: BTreeMap::new(),
            ..self
        }
    }
}
