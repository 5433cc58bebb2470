//! GPX 1.1: the track, for maps. Readings without a fix are left out.

use super::{Form, position, time};
use crate::store::StoredReading;

/// Readings as one track of GPX.
pub struct Gpx;

impl Form for Gpx {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
              <gpx version=\"1.1\" creator=\"VoltTracker\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n\
              <trk><trkseg>\n",
        );
    }

    fn add(&mut self, reading: &StoredReading, out: &mut Vec<u8>) {
        let Some((longitude, latitude)) = position(reading) else { return };
        let elevation =
            reading.get("altitude_m").map(|metres| format!("<ele>{metres}</ele>")).unwrap_or_default();
        let time = time(reading.time_ms);
        let point =
            format!("<trkpt lat=\"{latitude}\" lon=\"{longitude}\">{elevation}<time>{time}</time></trkpt>\n");
        out.extend_from_slice(point.as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</trkseg></trk>\n</gpx>\n");
    }
}
