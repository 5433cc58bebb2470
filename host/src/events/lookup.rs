//! Reads a finished event field by field, for the policy plugin.

use std::sync::{Arc, OnceLock};

use super::record::Record;
use crate::identity::IdentityKey;
use crate::plugin_host::{EventFields, FieldValue};

/// A finished event, turned into JSON only when somebody asks for a field: as it
/// would be written, with nothing in it that no event says.
pub(super) struct Lookup {
    record: Box<Record>,
    key: IdentityKey,
    json: OnceLock<serde_json::Value>,
}

impl Lookup {
    pub(super) fn new(record: Box<Record>, key: IdentityKey) -> Arc<Self> {
        Arc::new(Self { record, key, json: OnceLock::new() })
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The event again; a copy where the plugin host still holds it.
    pub(super) fn into_record(self: Arc<Self>) -> Box<Record> {
        Arc::try_unwrap(self).map_or_else(|shared| shared.record.clone(), |own| own.record)
    }
}

impl EventFields for Lookup {
    fn get(&self, path: &str) -> Option<FieldValue> {
        let json = self.json.get_or_init(|| {
            let mut shown = self.record.clone();
            shown.clean(&self.key);
            serde_json::to_value(&shown).unwrap_or_default()
        });
        EventFields::get(json, path)
    }
}
