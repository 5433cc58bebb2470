//! Comma-separated values: a line a reading, a column a field.

use super::{Form, time};
use crate::store::StoredReading;

/// Readings as CSV, with a header.
pub struct Csv {
    columns: Vec<String>,
}

impl Csv {
    /// With these fields as columns, behind the time.
    pub fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self { columns: columns.into_iter().collect() }
    }
}

impl Form for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"time");
        for column in &self.columns {
            out.push(b',');
            write_name(column, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn add(&mut self, reading: &StoredReading, out: &mut Vec<u8>) {
        out.extend_from_slice(time(reading.time_ms).as_bytes());
        for column in &self.columns {
            out.push(b',');
            if let Some(number) = reading.get(column) {
                out.extend_from_slice(number.to_string().as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// A catalogue's author may call a field what he likes.
fn write_name(name: &str, out: &mut Vec<u8>) {
    if name.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(format!("\"{}\"", name.replace('"', "\"\"")).as_bytes());
    } else {
        out.extend_from_slice(name.as_bytes());
    }
}
