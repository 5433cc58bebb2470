//! Reads a finished event field by field, for the policy plugin.

use std::sync::{Arc, OnceLock};

use super::record::Record;
use crate::plugin_host::{EventFields, FieldValue};

/// A finished event, turned into JSON only when somebody asks for a field.
pub(super) struct Lookup {
    record: Record,
    json: OnceLock<serde_json::Value>,
}

impl Lookup {
    pub(super) fn new(record: Record) -> Arc<Self> {
        Arc::new(Self { record, json: OnceLock::new() })
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The event again; a copy where the plugin host still holds it.
    pub(super) fn into_record(self: Arc<Self>) -> Record {
        Arc::try_unwrap(self).map_or_else(|shared| shared.record.clone(), |own| own.record)
    }
}

impl EventFields for Lookup {
    fn get(&self, path: &str) -> Option<FieldValue> {
        let json = self.json.get_or_init(|| serde_json::to_value(&self.record).unwrap_or_default());
        EventFields::get(json, path)
    }
}
