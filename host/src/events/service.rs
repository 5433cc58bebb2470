//! What an event says of the process that it is of, and of the plugins that its
//! operation pinned.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use crate::plugin_host::{PluginIdentity, PluginSet, Slot, WASMTIME_VERSION};

/// Service metadata that the process keeps.
#[derive(Debug, Clone)]
pub(super) struct ServiceInfo {
    pub(super) version: String,
    pub(super) environment: &'static str,
    pub(super) deployment_id: String,
    pub(super) deployed_at: jiff::Timestamp,
    pub(super) region: String,
    pub(super) instance_id: Uuid,
}

/// Service metadata of one event: the process, and the plugins it pinned.
#[derive(Clone)]
pub(super) struct ServiceRecord {
    pub(super) info: Arc<ServiceInfo>,
    pub(super) plugins: Arc<PluginSet>,
}

impl Serialize for ServiceRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ServiceInfo { version, environment, deployment_id, deployed_at, region, instance_id } =
            &*self.info;
        let service = Service {
            name: "volttracker",
            version,
            environment,
            deployment_id,
            deployed_at: *deployed_at,
            region,
            instance_id: *instance_id,
            wasmtime_version: WASMTIME_VERSION,
            plugins: Plugins(&self.plugins),
        };
        service.serialize(serializer)
    }
}

/// The process, and the plugins that the operation used.
#[derive(serde::Serialize, JsonSchema)]
pub(super) struct Service<'a> {
    /// What it is.
    #[schemars(extend("const" = "volttracker"))]
    name: &'static str,
    /// The version of it (`APP_VERSION`).
    version: &'a str,
    /// `ENVIRONMENT`.
    #[schemars(extend("enum" = ["development", "staging", "production"]))]
    environment: &'static str,
    /// Which deployment it is of (`DEPLOYMENT_ID`).
    deployment_id: &'a str,
    /// When that was (`DEPLOYMENT_TIMESTAMP`), else when the process started.
    deployed_at: jiff::Timestamp,
    /// `REGION`.
    region: &'a str,
    /// The process: another one after each start.
    instance_id: Uuid,
    /// Version of the runtime of plugins.
    wasmtime_version: &'static str,
    /// The plugin of each slot.
    plugins: Plugins<'a>,
}

struct Plugins<'a>(&'a PluginSet);

impl Serialize for Plugins<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Slot::ALL.len()))?;
        for slot in Slot::ALL {
            let PluginIdentity { name, version, digest, generation, settings_digest } = self.0.identity(slot);
            let (generation, degraded) = (*generation, self.0.is_degraded(slot));
            map.serialize_entry(
                slot.as_str(),
                &Plugin { name, version, digest, generation, settings_digest, degraded },
            )?;
        }
        map.end()
    }
}

impl JsonSchema for Plugins<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Plugins".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let plugin = generator.subschema_for::<Plugin<'static>>();
        let slots = Slot::ALL.map(Slot::as_str);
        let properties: serde_json::Map<_, _> =
            slots.map(|slot| (slot.to_owned(), plugin.clone().into())).into_iter().collect();
        json_schema!({
        "type": "object",
        "description": "The plugin of each slot.",
        "properties": properties,
        "required": slots,
        })
    }
}

/// The plugin that serves a slot.
#[derive(serde::Serialize, JsonSchema)]
struct Plugin<'a> {
    /// What it calls itself.
    name: &'a str,
    /// What it calls its version.
    version: &'a str,
    /// SHA-256 of the component, in hex.
    digest: &'a str,
    /// The number of its activation of the slot, from 1.
    generation: u64,
    /// SHA-256 of its settings, in hex.
    settings_digest: &'a str,
    /// Whether it serves in the place of one that does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}
