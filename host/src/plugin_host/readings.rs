//! A trip's readings as columns: what a calculation reads. No database and no
//! rule lives here.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The readings of one trip in time order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TripReadings {
    /// Time of each reading: epoch milliseconds, ascending.
    pub times_ms: Vec<i64>,
    /// One entry a reading for each field that any reading has, by the name
    /// in the PID catalogue; NaN where that reading has none.
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl TripReadings {
    /// Readings at these times, without a value yet.
    pub fn at(times_ms: Vec<i64>) -> Self {
        Self { times_ms, columns: BTreeMap::new() }
    }

    /// Index of the first reading whose charger status is above 0, where there
    /// is one: what charges is looked for from there on.
    pub fn first_at_charger(&self) -> Option<usize> {
        self.columns.get("charger_status")?.iter().position(|status| *status > 0.0)
    }

    /// Sets the field of the reading with this index, which must be there.
    pub fn set(&mut self, index: usize, field: &str, value: f64) {
        let column = match self.columns.get_mut(field) {
            Some(column) => column,
            None => {
                let empty = vec![f64::NAN; self.times_ms.len()];
                self.columns.entry(field.to_owned()).or_insert(empty)
            }
        };
        column[index] = value;
    }
}

/// From a list of objects, one a reading: `time_ms` and the fields that the
/// reading has a value for, by name.
impl<'de> Deserialize<'de> for TripReadings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed = Vec::<Reading>::deserialize(deserializer)?;
        if let Some(index) = listed.windows(2).position(|pair| pair[0].time_ms > pair[1].time_ms) {
            let later = index + 1;
            return Err(D::Error::custom(format!("reading {later} is earlier than the one before it")));
        }
        let mut readings = Self::at(listed.iter().map(|reading| reading.time_ms).collect());
        for (index, reading) in listed.into_iter().enumerate() {
            for (field, value) in reading.fields {
                readings.set(index, &field, value.unwrap_or(f64::NAN));
            }
        }
        Ok(readings)
    }
}

struct Reading {
    time_ms: i64,
    fields: BTreeMap<String, Option<f64>>,
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadingVisitor)
    }
}

struct ReadingVisitor;

impl<'de> Visitor<'de> for ReadingVisitor {
    type Value = Reading;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reading: an object with time_ms and numbers by field name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Reading, M::Error> {
        let (mut time_ms, mut fields) = (None, BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == "time_ms" {
                time_ms = Some(map.next_value()?);
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        let time_ms = time_ms.ok_or_else(|| M::Error::missing_field("time_ms"))?;
        Ok(Reading { time_ms, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<TripReadings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn readings_are_a_list_of_objects() {
        let json = r#"[{"time_ms": 1, "soc": 50}, {"time_ms": 2}, {"time_ms": 3, "soc": null, "rpm": 0.5}]"#;
        let readings = read(json).expect("readings");
        assert_eq!(readings.times_ms, [1, 2, 3]);
        let known = |field: &str| readings.columns[field].iter().map(|value| value.is_finite()).collect();
        let (soc, rpm): (Vec<bool>, Vec<bool>) = (known("soc"), known("rpm"));
        assert_eq!((soc, rpm), (vec![true, false, false], vec![false, false, true]));
        assert_eq!(readings.columns["rpm"][2], 0.5);
    }

    #[test]
    fn readings_have_a_time_and_ascend() {
        assert!(read(r#"[{"soc": 1}]"#).is_err_and(|error| error.starts_with("missing field `time_ms`")));
        let error = read(r#"[{"time_ms": 2}, {"time_ms": 1}]"#).expect_err("descending");
        assert_eq!(error, "reading 1 is earlier than the one before it");
        assert!(read(r#"[{"time_ms": 1, "soc": "50"}]"#).is_err());
    }
}
