//! A field of an event by its name with dots, as `vehicle_context.usage_tier`.

use serde_json::Value;

use super::QueryError;

/// The longest name: bytes.
const LONGEST: usize = 128;

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(String);

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A time, RFC 3339.
    Time,
    /// That is not known beforehand.
    Any,
}

impl Field {
    /// When the operation began.
    pub const TIMESTAMP: &str = "timestamp";
    /// How long it took.
    pub const DURATION: &str = "duration_ms";
    /// How many events an event stands for.
    pub const RATE: &str = "sampling.rate";

    /// Reads a name that stands at `at`.
    ///
    /// # Errors
    /// No event has a field of such a name.
    pub fn parse(name: &str, at: &str) -> Result<Self, QueryError> {
        let is_part = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if name.len() <= LONGEST && name.split('.').all(is_part) {
            return Ok(Self(name.to_owned()));
        }
        let shown: String = name.chars().take(40).collect();
        let message = format!("{shown:?} is no name of a field: take one such as vehicle_context.usage_tier");
        Err(QueryError::wrong_type(at, message))
    }

    /// One that is known to be a name.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The parts of its name.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// What it holds in all events.
    pub fn kind(&self) -> Kind {
        match self.name() {
            Self::TIMESTAMP => Kind::Time,
            Self::DURATION | Self::RATE => Kind::Number,
            "success" => Kind::Bool,
            "operation"
            | "outcome"
            | "request_id"
            | "trace_id"
            | "parent_request_id"
            | "service.environment"
            | "service.deployment_id"
            | "service.name"
            | "vehicle_context.usage_tier"
            | "error.code" => Kind::Text,
            _ => Kind::Any,
        }
    }

    /// Its value in an event. A list has items and no fields.
    pub fn of<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.parts().try_fold(event, |value, part| value.as_object()?.get(part))
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
