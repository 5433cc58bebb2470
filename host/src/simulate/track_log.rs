//! The log that the simulated phone writes of a drive (`trackLog-….csv`), with what makes
//! such logs hard to read: see each constant. No file is written here.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::drive::Drive;
use super::encode::Identity;
use super::parameters::{Parameter, parameters};
use super::readout::{Readout, Value};

/// Columns of a log; those that the car does not answer have a dash, or less.
const COLUMNS: usize = 117;
/// The columns that every log begins with, before those of the parameters.
const FIRST: &str = "GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Altitude, Bearing";
/// How many these are.
const FIRST_COUNT: usize = 7;
/// Their parameters; that of the speed comes again.
const IN_FIRST: [&str; 4] = ["ff1005", "ff1006", "ff1010", "ff1007"];
/// The header stands again after this many rows.
const ROWS_A_HEADER: usize = 500;
/// Of this many rows, the satellites' time stands still in the last ones.
const ROWS_A_FREEZE: usize = 120;
/// So many of them.
const FROZEN_ROWS: usize = 15;
/// The phone is where this is the time, and says so.
const ZONE: (&str, Offset) = ("PST", Offset::constant(-8));
/// What stands where there is no value.
const MISSING: [&str; 4] = ["-", "∞", "-∞", "NaN"];

/// The whole log of a drive.
pub fn track_log(drive: &Drive, identity: &Identity) -> String {
    let columns: Vec<_> = parameters().filter(|parameter| !IN_FIRST.contains(&parameter.pid)).collect();
    let header = header(&columns);
    let mut readout = Readout::new(drive);
    let mut log = String::new();
    let mut gps_ms = identity.start_ms;
    for (row, sample) in drive.samples.iter().enumerate() {
        if row % ROWS_A_HEADER == 0 {
            log.push_str(&header);
        }
        let time_ms = identity.start_ms + sample.elapsed_ms.cast_signed();
        if row % ROWS_A_FREEZE < ROWS_A_FREEZE - FROZEN_ROWS {
            gps_ms = time_ms;
        }
        write_times(&mut log, gps_ms, time_ms);
        write_values(&mut log, row, &readout.read(sample), &columns);
    }
    log
}

fn header(columns: &[Parameter]) -> String {
    let mut header = FIRST.to_owned();
    for column in columns {
        let (name, unit) = (column.full_name, shown_unit(column));
        let unit = if unit.is_empty() { String::new() } else { format!("({unit})") };
        let _ = write!(header, ",{name}{unit}");
    }
    for number in FIRST_COUNT + columns.len()..COLUMNS {
        let _ = write!(header, ", Spare sensor {number}(V)");
    }
    header.push('\n');
    header
}

/// The driver's unit, but for lengths, which would lose digits on the way.
fn shown_unit(column: &Parameter) -> &'static str {
    match (column.unit, column.display_unit) {
        ("m", _) => "m",
        (_, " ") => "%",
        (_, unit) => unit,
    }
}

fn write_times(log: &mut String, gps_ms: i64, time_ms: i64) {
    let (name, offset) = ZONE;
    let local = |ms| offset.to_datetime(Timestamp::from_millisecond(ms).unwrap_or_default());
    let gps = local(gps_ms).strftime("%a %b %d %H:%M:%S");
    let year = local(gps_ms).year();
    let device = local(time_ms).strftime("%d-%b-%Y %H:%M:%S.%3f");
    let _ = write!(log, "{gps} {name} {year},{device}");
}

fn write_values(log: &mut String, row: usize, values: &[Value], columns: &[Parameter]) {
    let text = |pid: &str| {
        let value = values.iter().find(|value| value.pid == pid);
        value.map_or_else(|| "-".to_owned(), |value| format!("{:.1$}", value.value, value.decimals))
    };
    let mps = text("ff1001").parse().map_or(0.0, |kmh: f64| kmh / 3.6);
    let (longitude, latitude) = (text("ff1005"), text("ff1006"));
    let (altitude, bearing) = (text("ff1010"), text("ff1007"));
    let _ = write!(log, ",{longitude},{latitude},{mps:.2},{altitude},{bearing}");
    for column in columns {
        let sent = text(column.pid);
        match (shown(column), sent.parse()) {
            (Some(shown), Ok(value)) => {
                let _ = write!(log, ",{}", shown(value));
            }
            _ => {
                let _ = write!(log, ",{sent}");
            }
        }
    }
    for number in FIRST_COUNT + columns.len()..COLUMNS {
        let _ = write!(log, ",{}", MISSING[(row + number) % MISSING.len()]);
    }
    log.push('\n');
}

/// How the app turns a value that it sends into what the driver sees.
fn shown(column: &Parameter) -> Option<fn(f64) -> f64> {
    match (column.unit, column.display_unit) {
        ("km h", "mph") | ("km", "miles") => Some(|value| value / 1.609_344),
        ("l", "gal") => Some(|value| value / 3.785_411_784),
        ("°C", "°F") => Some(|value| value * 9.0 / 5.0 + 32.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::DriveSpec;

    #[test]
    fn a_log_has_the_quirks_of_a_real_one() {
        let drive = Drive::simulate(DriveSpec {
            seed: 3,
            minutes: 10,
            initial_soc_percent: 60.0,
            interval_ms: 1_000,
        });
        let identity = Identity::new(3, 1, 1_767_484_517_000);
        let log = track_log(&drive, &identity);
        let lines: Vec<_> = log.lines().collect();
        assert!(lines.iter().all(|line| line.split(',').count() == COLUMNS));
        assert_eq!(lines.iter().filter(|line| **line == lines[0]).count(), 2);
        assert!(
            lines[1].starts_with("Sat Jan 03 15:55:17 PST 2026,03-Jan-2026 15:55:17.000,"),
            "{}",
            lines[1]
        );
        let gps: Vec<_> = lines.iter().map(|line| line.split(',').next()).collect();
        assert_eq!(gps.windows(2).filter(|pair| pair[0] == pair[1]).count(), 5 * FROZEN_ROWS);
        for missing in MISSING {
            assert!(log.contains(&format!(",{missing},")), "{missing}");
        }
    }
}
