//! What logs say, by the quirks that they have been seen with.

mod fuzz;
mod properties;

use super::*;
use crate::torque::hiding::by_shape;

pub(super) const RECEIVED_MS: i64 = 1_780_000_000_000;

/// The readings of a log, and its bad rows.
type Read = (Vec<Logged>, Vec<(u64, &'static str)>);

fn read(text: impl AsRef<[u8]>) -> Result<Read, TrackLogError> {
    let (catalogue, text) = (Catalogue::volt_gen2(), text.as_ref());
    let survey = survey(catalogue, text)?;
    let mut rows = Rows::begin(catalogue, &survey, text, RECEIVED_MS)?;
    let (mut logged, mut bad) = (Vec::new(), Vec::new());
    while let Some(row) = rows.advance()? {
        match row.read() {
            Ok(one) => logged.push(one),
            Err(reason) => bad.push((row.line, reason)),
        }
    }
    assert_eq!(survey.rows, (logged.len() + bad.len()) as u64);
    Ok((logged, bad))
}

fn readings(text: impl AsRef<[u8]>) -> Vec<Reading> {
    let (logged, bad) = read(text).expect("a track log");
    assert_eq!(bad, []);
    logged.into_iter().map(|logged| logged.reading).collect()
}

/// The times of rows in UTC, up to the second unless there are milliseconds.
fn times(text: &str) -> Vec<String> {
    readings(text).iter().map(|reading| iso(reading.time_ms)).collect()
}

fn iso(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).expect("a time").to_string()
}

#[test]
fn a_column_is_converted_from_the_unit_of_its_header() {
    let log = " GPS Time, Speed (OBD)(mph),Trip Distance(miles), Engine Coolant Temperature(°C),\
               Ambient air temp(°F),Charger Power(W),GPS Altitude(ft),Fuel used (trip)(gal)\n\
               2026-01-07 10:15:00,62.5,3.25,90,59.9,3300,1000,1.5\n";
    let fields = &readings(log)[0].fields;
    assert_eq!(
        fields,
        &[
            ("altitude_m", 304.8),
            ("ambient_temp_f", 59.9),
            ("charger_power_kw", 3.3),
            ("coolant_temp_f", 194.0),
            ("trip_distance_miles", 3.25),
            ("trip_fuel_used_gallons", 1.5),
            ("vehicle_speed_mph", 62.5),
        ]
    );
}

#[test]
fn a_value_in_the_units_of_the_pid_is_what_an_upload_makes_of_it() {
    let log = "GPS Time,Speed (GPS)(km/h),Engine Coolant Temperature(\u{fffd}C),Trip Distance(km),!Fuel Level(%)\n\
               2026-01-07 10:15:00,50.2,88.5,12.34,40.5\n";
    let query = "session=1&id=d1&time=1767780900000&kff1001=50.2&k5=88.5&kff1204=12.34&k2f=40.5";
    let upload = crate::torque::decode(Catalogue::volt_gen2(), query.as_bytes(), b"", RECEIVED_MS);
    let crate::torque::Content::Reading(uploaded) = upload.expect("an upload").content else {
        panic!("a reading")
    };
    assert_eq!(readings(log), [uploaded]);
}

#[test]
fn what_the_catalogue_does_not_know_is_kept_as_it_is_written() {
    let log =
        "GPS Time,Engine RPM(rpm),G(x),Torque(Nm),Speed (OBD)(furlongs)\n2026-01-07 10:15:00,900,-0.5,-,3\n";
    let (logged, _) = read(log).expect("a track log");
    let unknown = [("G(x)", "-0.5"), ("Speed (OBD)(furlongs)", "3")];
    assert_eq!(logged[0].reading.unknown, unknown.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let survey = survey(Catalogue::volt_gen2(), log.as_bytes()).expect("a track log");
    assert_eq!(survey.odd_units, ["Speed (OBD)(furlongs)"]);
}

#[test]
fn what_stands_for_no_value_is_missing_and_what_cannot_be_is_dropped() {
    let log = "GPS Time,Engine RPM(rpm),Engine Load(%),Fuel Level(%),Altitude\n\
               2026-01-07 10:15:00,-,∞,-∞,5\n2026-01-07 10:15:01,NaN,,Infinity,6\n\
               2026-01-07 10:15:02,many,101,140,3.4028235E38\n2026-01-07 10:15:03,800,,,\n";
    let (logged, bad) = read(log).expect("a track log");
    let counts: Vec<_> =
        logged.iter().map(|one| (one.reading.fields.len(), one.dropped_values_count)).collect();
    assert_eq!((counts, bad), (vec![(1, 0), (1, 0), (1, 3), (1, 0)], vec![]));
}

#[test]
fn a_zone_is_an_offset_and_the_phones_time_is_in_the_zone_of_the_satellites() {
    let log = "GPS Time,Device Time,Engine RPM(rpm)\n\
               -,03-Jan-2026 15:55:16.250,900\n\
               Sat Jan 03 15:55:17 PST 2026,03-Jan-2026 15:55:17.889,900\n\
               Sat Jan 03 15:55:17 PST 2026,03-Jan-2026 15:55:18.891,900\n\
               Sat Jan 03 15:55:17 PST 2026,03-Jan-2026 15:55:19.890,900\n\
               Sat Jan 03 15:55:20 PST 2026,03-Jan-2026 15:55:20.889,900\n";
    let expected = ["16.25Z", "17Z", "18.891Z", "19.89Z", "20Z"].map(|end| format!("2026-01-03T23:55:{end}"));
    assert_eq!(times(log), expected, "where the time of the satellites stands still, the phone's goes on");
}

#[test]
fn a_zone_that_is_not_known_is_not_guessed() {
    let log =
        "GPS Time,Device Time,Engine RPM(rpm)\nSat Jan 03 15:55:17 XYZ 2026,03-Jan-2026 15:55:17.889,900\n";
    assert_eq!(read(log).expect("a track log").1, [(2, "its time is in a zone that is not known")]);
}

#[test]
fn the_order_of_day_and_month_is_that_of_the_whole_file() {
    let log = |dates: &[&str]| {
        let rows: String = dates.iter().map(|date| format!("{date} 10:00:00,900\n")).collect();
        times(&format!("Device Time,Engine RPM(rpm)\n{rows}"))
    };
    let day = |day: &str| format!("2026-{day}T10:00:00Z");
    assert_eq!(log(&["01/02/2026", "13/02/2026"]), [day("02-01"), day("02-13")]);
    assert_eq!(log(&["01/02/2026", "02/13/2026"]), [day("01-02"), day("02-13")]);
    assert_eq!(log(&["01/02/2026"]), [day("01-02")]);
    assert_eq!(log(&["01.02.2026"]), [day("02-01")]);
    assert_eq!(log(&["01.02.2026", "02.13.2026"]), [day("01-02"), day("02-13")]);
}

#[test]
fn a_header_in_the_middle_is_no_row_and_may_have_other_columns() {
    let log = "GPS Time, Engine RPM(rpm)\n2026-01-07 10:15:00,900\n\n\
               GPS Time, Speed (OBD)(mph), Engine RPM(rpm),\n2026-01-07 10:15:01,30,901,\n";
    let readings = readings(log);
    assert_eq!(readings[0].fields, [("engine_rpm", 900.0)]);
    assert_eq!(readings[1].fields, [("engine_rpm", 901.0), ("vehicle_speed_mph", 30.0)]);
}

#[test]
fn a_bad_row_is_told_by_its_line_and_the_rest_is_read() {
    let log = "GPS Time,Engine RPM(rpm),Altitude\n2026-01-07 10:15:00,900,1\n2026-01-07 10:15:01,9\n-,900,1\n\
               2026-02-30 10:15:00,900,1\n1970-01-02 00:00:00,900,1\n2033-01-01 00:00:00,900,1\n\
               2026-01-07 10:15:02,-,-\n2026-01-07 10:15:03,900,1,7\n2026-01-07 10:15:04,901,1\n";
    let (logged, bad) = read(log).expect("a track log");
    assert_eq!(logged.len(), 2);
    insta::assert_debug_snapshot!(bad, @r#"
    [
        (
            3,
            "it has fewer cells than the header",
        ),
        (
            4,
            "it has no time",
        ),
        (
            5,
            "its time cannot be read",
        ),
        (
            6,
            "its time is before any phone's",
        ),
        (
            7,
            "its time is more than 24 hours ahead",
        ),
        (
            8,
            "it has a time and no value",
        ),
        (
            9,
            "it has more cells than the header",
        ),
    ]
    "#);
}

#[test]
fn what_is_no_track_log_is_refused_with_the_reason() {
    let refused = |text: &[u8]| read(text).expect_err("no track log").to_string();
    let long = [b"GPS Time,Altitude\n".as_slice(), &[b'1'; 70_000], b"\n"].concat();
    let refusals = [
        refused(b""),
        refused(b"GPS Time,Latitude\n"),
        refused(b"Foo,Bar\n1,2\n"),
        refused(b"PK\x03\x04\0\0\0"),
        refused(&long),
    ];
    insta::assert_debug_snapshot!(refusals, @r#"
    [
        "the file has no row of values",
        "the file has no row of values",
        "the first line names neither GPS Time nor Device Time",
        "the first line names neither GPS Time nor Device Time",
        "a line is longer than any of a track log",
    ]
    "#);
}

#[test]
fn a_column_of_an_endless_name_is_left_out() {
    let log = format!("GPS Time,Altitude,{}\n2026-01-07 10:15:00,1,2\n", "x".repeat(1000));
    assert_eq!(readings(log)[0].unknown, []);
}

#[test]
fn who_drives_is_told_by_no_text_of_a_log() {
    let id = "00c0ffeedeadbeefdeadbeef00c0ffee";
    let odd = format!("GPS Time,Altitude({id}),Speed (OBD)(driver@b.example)\n2026-01-07 10:15:00,1,2\n");
    let mut survey = survey(Catalogue::volt_gen2(), odd.as_bytes()).expect("a track log");
    survey.redact(&by_shape(|_| "hidden".to_owned()));
    assert_eq!(survey.odd_units, ["Altitude(hidden)", "Speed (OBD)(hidden)"]);
    let log =
        format!("GPS Time,Speed of {id},mail@b.example,Odd\n2026-01-07 10:15:00,1,2,1234567890123456\n");
    let mut reading = readings(log).remove(0);
    reading.redact(&by_shape(|_| "hidden".to_owned()));
    let shown = format!("{reading:?}");
    assert!(
        !shown.contains(id) && !shown.contains("mail@") && !shown.contains("1234567890123456"),
        "{shown}"
    );
}
