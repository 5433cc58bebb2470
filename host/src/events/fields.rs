//! Groups of an event: values and times by their names, both in the order in
//! which they were learnt. Which names there are is `names`' business.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Instant;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::names::{Business, Count, Group, Name, Timing, Worth};

/// A coordinate cut to 2 decimals: no event says where somebody lives.
pub fn cut_coordinate(degrees: f64) -> f64 {
    (degrees * 100.0).trunc() / 100.0
}

/// As much as most events need, so that a group grows once.
fn make_room<T>(group: &mut Vec<T>, usual: usize) {
    if group.is_empty() {
        group.reserve_exact(usual);
    }
}

/// A value in a group.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A flag.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A word of few.
    Word(&'static str),
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<Count> for Value {
    fn from(Count(number): Count) -> Self {
        Self::Integer(number)
    }
}
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

/// Values of a group, by its names. A name is set once: what was set first,
/// nobody overwrites.
#[derive(Debug, Clone)]
pub struct Fields<G> {
    values: Vec<(Cow<'static, str>, Value)>,
    group: PhantomData<fn() -> G>,
}

impl<G> Default for Fields<G> {
    fn default() -> Self {
        Self { values: Vec::new(), group: PhantomData }
    }
}

impl<G: Group> Fields<G> {
    /// Adds a value. A number that is not finite is left out, as is a name
    /// that is there already.
    pub fn set<V: Worth>(&mut self, name: Name<G, V>, value: impl Into<V>) {
        self.add(name.as_str().into(), value.into().into());
    }

    /// Adds a value where there is one.
    pub fn set_some<V: Worth>(&mut self, name: Name<G, V>, value: Option<impl Into<V>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Whether this flag is set, and true.
    pub fn is_set(&self, flag: Name<G, bool>) -> bool {
        self.get(flag.as_str()) == Some(Value::Flag(true))
    }

    /// The names of the flags that are true.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|(_, value)| *value == Value::Flag(true)).map(|(name, _)| name.as_ref())
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.values.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }

    fn add(&mut self, name: Cow<'static, str>, value: Value) {
        let finite = !matches!(value, Value::Number(number) if !number.is_finite());
        if finite && self.get(&name).is_none() {
            make_room(&mut self.values, G::USUAL);
            self.values.push((name, value));
        }
    }
}

impl Fields<Business> {
    /// Adds a plugin's own figure, whose name is the plugin's choice. The host's
    /// names are not for it.
    pub fn set_own(&mut self, name: &str, figure: f64) {
        if Business::DECLARED.iter().all(|declared| declared.name != name) {
            self.add(name.to_owned().into(), figure.into());
        }
    }

    /// Adds a flag of any name.
    #[cfg(test)]
    pub fn set_flag(&mut self, name: String) {
        self.add(name.into(), true.into());
    }
}

impl<G> Serialize for Fields<G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in &self.values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<G> JsonSchema for Fields<G> {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// Which names there are, each operation says for itself.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}

/// Named times in milliseconds. Times of one name add up.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(inline, with = "Fields<Timing>")]
pub struct Timings(Vec<(Cow<'static, str>, f64)>);

impl Timings {
    /// Adds so many milliseconds to a time.
    pub fn add(&mut self, name: Name<Timing, f64>, ms: f64) {
        self.sum(name.as_str().into(), ms);
    }

    /// Adds the time since `started` to a time.
    pub fn add_since(&mut self, name: Name<Timing, f64>, started: Instant) {
        self.add(name, started.elapsed().as_secs_f64() * 1e3);
    }

    /// Adds a stage of a calculation, whose name is the plugin's choice.
    pub fn add_stage(&mut self, stage: &str, ms: f64) {
        self.sum(format!("{stage}_ms").into(), ms);
    }

    /// Adds an attempt at a request, the how-many-th it is.
    pub fn add_attempt(&mut self, number: u32, ms: f64) {
        self.sum(format!("request_attempt_{number}_ms").into(), ms);
    }

    fn sum(&mut self, name: Cow<'static, str>, ms: f64) {
        if !ms.is_finite() {
            return;
        }
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            // A sum may overflow, and stays what it was then.
            Some((_, total)) if (*total + ms).is_finite() => *total += ms,
            Some(_) => {}
            None => {
                make_room(&mut self.0, Timing::USUAL);
                self.0.push((name, ms));
            }
        }
    }
}

impl Serialize for Timings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, ms) in &self.0 {
            // Three decimals are microseconds: more would be noise.
            map.serialize_entry(name, &((ms * 1000.0).round() / 1000.0))?;
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
        fields.set(Business::TRIP_CREATED, true);
        fields.set(Business::TRIP_CREATED, false);
        fields.set(Business::GAS_MPG, f64::NAN);
        assert_eq!(serde_json::to_string(&fields).expect("serializes"), r#"{"trip_created":true}"#);
        assert_eq!(fields.flags().collect::<Vec<_>>(), ["trip_created"]);
    }

    #[test]
    fn a_plugin_names_figures_of_its_own_but_none_of_the_hosts() {
        let mut fields = Fields::default();
        fields.set_own("route_trips", 0.5);
        fields.set_own("hills", 3.0);
        fields.set(Business::ROUTE_TRIPS, 7_u32);
        assert_eq!(serde_json::to_string(&fields).expect("serializes"), r#"{"hills":3.0,"route_trips":7}"#);
    }

    #[test]
    fn times_of_one_name_add_up_and_only_finite_ones_enter() {
        let mut timings = Timings::default();
        timings.add(Timing::DB_QUEUE, 1.5);
        timings.add(Timing::DB_QUEUE, 0.25);
        for ms in [f64::NAN, f64::INFINITY, f64::MAX, f64::MAX] {
            timings.add_stage("odd", ms);
        }
        timings.add(Timing::DB_QUEUE, f64::NAN);
        assert_eq!(timings.0, [("db_queue_ms".into(), 1.75), ("odd_ms".into(), f64::MAX)]);
        timings.0.truncate(1);
        assert_eq!(serde_json::to_string(&timings).expect("serializes"), r#"{"db_queue_ms":1.75}"#);
    }
}
