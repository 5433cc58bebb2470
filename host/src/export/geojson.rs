//! GeoJSON (RFC 7946): a point a reading that has a fix, with its numbers.

use serde_json::{Map, Value, json};

use super::{Form, position, time};
use crate::store::StoredReading;

/// Readings as a collection of GeoJSON points.
#[derive(Default)]
pub struct GeoJson {
    has_points: bool,
}

impl Form for GeoJson {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[");
    }

    fn add(&mut self, reading: &StoredReading, out: &mut Vec<u8>) {
        let Some((longitude, latitude)) = position(reading) else { return };
        if std::mem::replace(&mut self.has_points, true) {
            out.push(b',');
        }
        let mut coordinates = vec![longitude, latitude];
        coordinates.extend(reading.get("altitude_m"));
        let mut properties = Map::with_capacity(reading.fields.len());
        properties.insert("time".to_owned(), Value::from(time(reading.time_ms)));
        let is_place = |name: &str| matches!(name, "longitude" | "latitude" | "altitude_m");
        for (name, number) in reading.fields.iter().filter(|(name, _)| !is_place(name)) {
            properties.insert(name.clone(), Value::from(*number));
        }
        let feature = json!({
            "type": "Feature",
            "geometry": { "type": "Point", "coordinates": coordinates },
            "properties": properties,
        });
        out.extend_from_slice(feature.to_string().as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}
