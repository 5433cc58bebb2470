//! What the tests of this crate make up: settings and readings. No group is
//! asked here.

use std::collections::BTreeMap;

use trip_calculator::{rules::readings::Source, settings::Settings};

/// Settings with some of them set.
pub fn settings(set: &[(&str, String)]) -> Settings {
    let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    plugin_settings::configure(&set).expect("settings of the vectors are within range")
}

/// Readings that a test makes up: times and columns.
#[derive(Default)]
pub struct Table {
    /// Epoch milliseconds.
    pub times: Vec<i64>,
    /// Columns by name.
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl Source for Table {
    fn times(&self) -> Vec<i64> {
        self.times.clone()
    }

    fn column(&self, name: &str) -> Option<Vec<f64>> {
        self.columns.get(name).cloned()
    }
}
