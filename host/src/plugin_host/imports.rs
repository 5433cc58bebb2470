//! The functions that plugins may call, each on the narrowest part of the
//! sandbox that it needs. What they answer depends on the call's input only.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Resource, ResourceTable};

use super::bindings::{progress, readings, wide_events};
use super::readings::TripReadings;

/// The value of one field of an event.
pub use wide_events::Value as FieldValue;

/// A finished event that a policy can read field by field.
pub trait EventFields: Send + Sync {
    /// The value at a dotted path such as `error.code`; nothing where the
    /// event has no such field, or an object or a list there. Numbers are
    /// finite.
    fn get(&self, path: &str) -> Option<FieldValue>;
}

impl EventFields for serde_json::Value {
    fn get(&self, path: &str) -> Option<FieldValue> {
        let value = path.split('.').try_fold(self, |value, name| value.as_object()?.get(name))?;
        match value {
            Self::String(text) => Some(FieldValue::Text(text.clone())),
            Self::Number(number) => number.as_f64().map(FieldValue::Number),
            Self::Bool(flag) => Some(FieldValue::Flag(*flag)),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// The event of one call, as the sandbox holds it.
pub struct EventHandle(pub(super) Arc<dyn EventFields>);

/// The readings of one call, as the sandbox holds them: those from an index on.
pub struct ReadingsHandle {
    readings: Arc<TripReadings>,
    from: usize,
}

impl ReadingsHandle {
    /// The readings from the one with this index on.
    pub(super) fn since(readings: Arc<TripReadings>, from: usize) -> Self {
        Self { readings, from }
    }

    fn part<T: Copy>(&self, column: &[T]) -> Vec<T> {
        column.get(self.from..).unwrap_or_default().to_vec()
    }
}

impl wide_events::Host for ResourceTable {}

impl wide_events::HostWideEvent for ResourceTable {
    fn get(&mut self, event: Resource<EventHandle>, path: String) -> wasmtime::Result<Option<FieldValue>> {
        Ok(ResourceTable::get(self, &event)?.0.get(&path))
    }

    fn drop(&mut self, event: Resource<EventHandle>) -> wasmtime::Result<()> {
        self.delete(event)?;
        Ok(())
    }
}

impl readings::Host for ResourceTable {}

impl readings::HostReadings for ResourceTable {
    fn times(&mut self, readings: Resource<ReadingsHandle>) -> wasmtime::Result<Vec<i64>> {
        let handle = self.get(&readings)?;
        Ok(handle.part(&handle.readings.times_ms))
    }

    fn column(
        &mut self,
        readings: Resource<ReadingsHandle>,
        name: String,
    ) -> wasmtime::Result<Option<Vec<f64>>> {
        let handle = self.get(&readings)?;
        Ok(handle.readings.columns.get(&name).map(|column| handle.part(column)))
    }

    fn drop(&mut self, readings: Resource<ReadingsHandle>) -> wasmtime::Result<()> {
        self.delete(readings)?;
        Ok(())
    }
}

/// The most stages that one call may name.
const MAX_STAGES: usize = 32;

/// How long each stage of a call took.
#[derive(Default)]
pub(super) struct Stages {
    ended: Vec<(String, f64)>,
    running: Option<(String, Instant)>,
    misuse: Option<String>,
}

impl Stages {
    /// Ends the running stage and hands over all of them, in the order in
    /// which they began, with their times in milliseconds.
    pub(super) fn take(&mut self) -> Vec<(String, f64)> {
        self.end_running();
        std::mem::take(&mut self.ended)
    }

    /// What the plugin did that `progress` rules out, if anything.
    pub(super) fn misuse(&mut self) -> Option<String> {
        self.misuse.take()
    }

    fn end_running(&mut self) {
        let Some((name, since)) = self.running.take() else {
            return;
        };
        let ms = since.elapsed().as_secs_f64() * 1000.0;
        // Timers with one name add up.
        match self.ended.iter_mut().find(|(ended, _)| *ended == name) {
            Some((_, total)) => *total += ms,
            None => self.ended.push((name, ms)),
        }
    }
}

impl progress::Host for Stages {
    fn stage(&mut self, name: String) -> wasmtime::Result<()> {
        self.end_running();
        if !super::answers::is_snake_case(&name, 48) {
            let name: String = name.chars().take(48).collect();
            self.misuse = Some(format!("stage `{name}` is not a snake_case name of 1 to 48 characters"));
        } else if self.ended.len() >= MAX_STAGES {
            self.misuse = Some(format!("named more than {MAX_STAGES} stages"));
        } else {
            self.running = Some((name, Instant::now()));
        }
        Ok(())
    }
}
