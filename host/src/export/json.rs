//! JSON: an object with a list of readings.

use serde_json::{Map, Value};

use super::{Form, time};
use crate::store::StoredReading;

/// Readings as JSON.
#[derive(Default)]
pub struct Json {
    trip_id: String,
    has_readings: bool,
}

impl Json {
    /// Of this trip.
    pub fn new(trip_id: &str) -> Self {
        Self { trip_id: trip_id.to_owned(), has_readings: false }
    }
}

impl Form for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let trip_id = Value::from(self.trip_id.as_str());
        out.extend_from_slice(format!("{{\"trip_id\":{trip_id},\"readings\":[").as_bytes());
    }

    fn add(&mut self, reading: &StoredReading, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_readings, true) {
            out.push(b',');
        }
        let mut object = Map::with_capacity(reading.fields.len() + 2);
        object.insert("time".to_owned(), Value::from(time(reading.time_ms)));
        object.insert("time_ms".to_owned(), Value::from(reading.time_ms));
        for (name, number) in &reading.fields {
            object.insert(name.clone(), Value::from(*number));
        }
        out.extend_from_slice(Value::Object(object).to_string().as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}
