//! Open groups of an event: named values and named times, both in the order
//! in which they were learnt.

use std::borrow::Cow;
use std::time::Instant;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A coordinate cut to 2 decimals: no event says where somebody lives.
pub fn cut_coordinate(degrees: f64) -> f64 {
    (degrees * 100.0).trunc() / 100.0
}

/// A value in an open group.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A flag.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(Cow<'static, str>),
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// Named values. A name is set once: what the host set first, nobody
/// overwrites.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    /// Adds a value. A number that is not finite is left out, as is a name
    /// that is there already.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        let finite = !matches!(value, Value::Number(number) if !number.is_finite());
        if finite && self.get(&name).is_none() {
            self.0.push((name, value));
        }
    }

    /// Adds a value where there is one.
    pub fn set_some(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The names of the flags that are true.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| *value == Value::Flag(true)).map(|(name, _)| name.as_ref())
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts, to be bounded.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = (&str, &mut Cow<'static, str>)> {
        self.0.iter_mut().filter_map(|(name, value)| match value {
            Value::Text(text) => Some((&**name, text)),
            _ => None,
        })
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Named times in milliseconds, serialized as `<name>_ms`. Times of one name
/// add up.
#[derive(Debug, Clone, Default)]
pub struct Timings(Vec<(Cow<'static, str>, f64)>);

impl Timings {
    /// Adds `ms` milliseconds to the time of `name` (without `_ms`).
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, ms: f64) {
        if !ms.is_finite() {
            return;
        }
        let name = name.into();
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            // A sum may overflow, and stays what it was then.
            Some((_, total)) if (*total + ms).is_finite() => *total += ms,
            Some(_) => {}
            None => self.0.push((name, ms)),
        }
    }
}

impl Timings {
    /// Adds the time since `started` to the time of `name` (without `_ms`).
    pub fn add_since(&mut self, name: &'static str, started: Instant) {
        self.add(name, started.elapsed().as_secs_f64() * 1e3);
    }
}

impl Serialize for Timings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, ms) in &self.0 {
            // Three decimals are microseconds: more would be noise.
            map.serialize_entry(&format_args!("{name}_ms"), &((ms * 1000.0).round() / 1000.0))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_first_value_and_only_finite_numbers_enter() {
        let mut fields = Fields::default();
        fields.set("trip_created", true);
        fields.set("trip_created", false);
        fields.set("ratio", f64::NAN);
        assert_eq!(serde_json::to_string(&fields).expect("serializes"), r#"{"trip_created":true}"#);
        assert_eq!(fields.flags().collect::<Vec<_>>(), ["trip_created"]);
    }

    #[test]
    fn times_of_one_name_add_up_and_only_finite_ones_enter() {
        let mut timings = Timings::default();
        timings.add("db_queue", 1.5);
        timings.add("db_queue", 0.25);
        for ms in [f64::NAN, f64::INFINITY, f64::MAX, f64::MAX] {
            timings.add("odd", ms);
        }
        timings.add("db_queue", f64::NAN);
        assert_eq!(timings.0, [("db_queue".into(), 1.75), ("odd".into(), f64::MAX)]);
        timings.0.truncate(1);
        assert_eq!(serde_json::to_string(&timings).expect("serializes"), r#"{"db_queue_ms":1.75}"#);
    }
}
