//! The decoder seen from outside: one rule a test, on requests as the app writes
//! them. Larger bodies of evidence are in the files beside.

mod drive;
mod fuzz;
mod properties;
mod units;

use super::hiding::by_shape;
use super::*;

/// When the requests of these tests are received.
const RECEIVED_MS: i64 = 1_767_312_400_000;
const HEADER: &str = "eml=a@b.c&v=8&session=1767312000000&id=d1&time=1767312345678";

/// A request of the default vehicle, with these parameters after the header.
fn uploaded(parameters: &str) -> Upload {
    let query = format!("{HEADER}&{parameters}");
    decode(Catalogue::volt_gen2(), query.as_bytes(), b"", RECEIVED_MS).expect("an upload")
}

fn read(parameters: &str) -> Reading {
    match uploaded(parameters).content {
        Content::Reading(reading) => reading,
        other => panic!("not a reading: {other:?}"),
    }
}

fn refused(query: &str) -> Refusal {
    decode(Catalogue::volt_gen2(), query.as_bytes(), b"", RECEIVED_MS).expect_err("a refusal")
}

#[test]
fn values_are_converted_from_the_unit_of_the_pid() {
    let reading = read("kff1001=100&k5=90&kff1204=16.09344&kff1271=3.785411784&k224373=3300");
    assert_eq!(reading.get("speed_mph"), Some(100.0 / 1.609_344));
    assert_eq!(reading.get("coolant_temp_f"), Some(194.0));
    assert_eq!(reading.get("trip_distance_miles"), Some(10.0));
    assert_eq!(reading.get("trip_fuel_used_gallons"), Some(1.0));
    assert_eq!(reading.get("charger_power_kw"), Some(3.3));
}

#[test]
fn keys_match_in_any_case_and_with_leading_zeros() {
    let reading = read("K0C=700&kFF1010=12&k005B=44");
    assert_eq!(reading.get("engine_rpm"), Some(700.0));
    assert_eq!(reading.get("altitude_m"), Some(12.0));
    assert_eq!(reading.get("state_of_charge"), Some(44.0));
}

#[test]
fn of_a_repeated_key_or_alias_the_last_finite_value_wins() {
    assert_eq!(read("kc=1&kc=2&kc=NaN").get("engine_rpm"), Some(2.0));
    assert_eq!(read("k2f=20&k22002f=30").get("fuel_level_percent"), Some(30.0));
    assert_eq!(read("k22002f=30&k2f=20").get("fuel_level_percent"), Some(20.0));
}

#[test]
fn the_volts_own_coolant_wins_over_the_standard_one_in_any_order() {
    assert_eq!(read("k220049=190&k5=20").get("coolant_temp_f"), Some(190.0));
    assert_eq!(read("k5=20&k220049=190").get("coolant_temp_f"), Some(190.0));
    assert_eq!(read("k220049=-&k5=20").get("coolant_temp_f"), Some(68.0));
}

#[test]
fn the_hottest_motor_is_kept() {
    let reading = read("k221570=150&k221571=NaN&k221572=170&k221573=160");
    assert_eq!(reading.get("motor_temp_max_f"), Some(170.0));
}

#[test]
fn a_value_that_is_no_number_is_dropped_and_counted_and_the_rest_kept() {
    for text in [
        "Infinity",
        "-Infinity",
        "NaN",
        "%E2%88%9E",
        "-",
        "",
        "+",
        "3.4028234663852886E38",
        "-3.4028235E38",
        "1e999",
        "0x10",
        "1%2C5",
        "12_3",
        "99999",
    ] {
        let upload = uploaded(&format!("kc={text}&k42=14.1"));
        let Content::Reading(reading) = &upload.content else { panic!("not a reading") };
        assert_eq!(reading.fields, [("battery_voltage", 14.1)], "{text}");
        assert_eq!(upload.header.dropped_values_count, 1, "{text}");
    }
}

#[test]
fn numbers_are_read_as_the_app_writes_them() {
    for (text, value) in [("7.07E-4", 7.07e-4), ("+12", 12.0), (" 5 ", 5.0), ("%2B5", 5.0), (".5", 0.5)] {
        assert_eq!(read(&format!("k42={text}")).get("battery_voltage"), Some(value), "{text}");
    }
}

#[test]
fn no_fix_is_no_position_and_no_error() {
    let upload = uploaded("kff1005=0.0&kff1006=-0&kc=1");
    let Content::Reading(reading) = &upload.content else { panic!("not a reading") };
    assert_eq!(reading.fields, [("engine_rpm", 1.0)]);
    assert!(!reading.position_dropped);
    assert_eq!(upload.header.dropped_values_count, 2);
}

#[test]
fn a_position_on_the_equator_or_on_the_meridian_is_one() {
    assert_eq!(read("kff1005=0&kff1006=51.5").get("longitude"), Some(0.0));
    assert_eq!(read("kff1005=32.5&kff1006=0").get("latitude"), Some(0.0));
}

#[test]
fn an_impossible_position_is_left_out_as_a_pair_and_reported() {
    let reading = read("kff1005=-121.3&kff1006=91&kc=1");
    assert_eq!(reading.fields, [("engine_rpm", 1.0)]);
    assert!(reading.position_dropped);
}

#[test]
fn a_position_repeated_rightly_is_not_impossible() {
    let reading = read("kff1005=999&kff1006=38.5&kff1006=38.5&kff1005=-121.3");
    assert_eq!((reading.get("longitude"), reading.position_dropped), (Some(-121.3), false));
}

#[test]
fn the_odometer_is_the_cars_own_or_else_both_lifetime_counters() {
    assert_eq!(read("k224322=25000&k224323=15000").get("odometer_miles"), Some(40000.0));
    assert_eq!(read("ka6=1.609344&k224322=25000&k224323=15000").get("odometer_miles"), Some(1.0));
    assert_eq!(read("k224322=25000").get("odometer_miles"), None);
    assert_eq!(read("k21=1609.344").get("odometer_miles"), None);
}

#[test]
fn fuel_remaining_and_charger_connected_are_derived() {
    let reading = read("k2f=50&k220057=4");
    assert_eq!(reading.get("fuel_remaining_gallons"), Some(4.6561));
    assert_eq!(reading.get("charger_connected"), Some(1.0));
    assert_eq!(read("k220057=0").get("charger_connected"), Some(0.0));
    assert_eq!(read("kc=0").get("charger_connected"), None);
}

#[test]
fn unknown_pids_are_kept_as_text_and_counted_once_each() {
    let upload = uploaded("kABC=1.50&k0999=-&kabc=NaN&kff=a%00%26&kc=1");
    let Content::Reading(reading) = &upload.content else { panic!("not a reading") };
    let kept = [("999", "-"), ("abc", "1.50"), ("ff", "a&")];
    assert_eq!(reading.unknown, kept.map(|(pid, text)| (pid.to_owned(), text.to_owned())));
    assert_eq!(upload.header.unknown_params_count, 3);
    assert_eq!(upload.header.raw_params_count, 10);
    assert_eq!(upload.header.dropped_values_count, 0);
}

#[test]
fn the_same_content_gives_the_same_reading() {
    let (one, other) = (read("kc=-0&k42=14.10&kab=\"&k9=1"), read("k9=1&k42=14.1&kab=\"&kc=0"));
    assert_eq!(one.fields, [("battery_voltage", 14.1), ("engine_rpm", 0.0)]);
    assert!(one.fields[1].1.is_sign_positive(), "-0 rests as 0");
    assert_eq!(one.unknown_to_json(), r#"{"9":"1","ab":"\""}"#);
    assert_eq!(one, other);
    assert_eq!(one.unknown_to_json(), other.unknown_to_json());
    assert_eq!(read("kc=-").fields, []);
}

#[test]
fn the_body_is_read_after_the_query() {
    let query = format!("{HEADER}&kc=1&kd=0");
    let upload = decode(Catalogue::volt_gen2(), query.as_bytes(), b"kc=2", RECEIVED_MS);
    let Ok(Upload { content: Content::Reading(reading), .. }) = upload else { panic!("no reading") };
    assert_eq!(reading.get("engine_rpm"), Some(2.0));
    assert_eq!(reading.get("vehicle_speed_mph"), Some(0.0));
}

#[test]
fn the_kind_is_told_by_the_parameters_and_telemetry_wins() {
    for (parameters, kind) in [
        ("notice=Trip%20started&noticeClass=x", UploadKind::Notice),
        ("profileName=Van&notice=x", UploadKind::Profile),
        ("defaultUnit05=°C&userUnit05=°F", UploadKind::DefaultUnits),
        ("userShortName05=Coolant", UploadKind::UserUnits),
        ("notice=x&profileName=Van&k5=1", UploadKind::Telemetry),
    ] {
        assert_eq!(uploaded(parameters).kind(), kind, "{parameters}");
    }
}

#[test]
fn what_comes_with_an_upload_of_another_kind_is_counted() {
    let ignored = |parameters: &str| uploaded(parameters).header.ignored_params_count;
    assert_eq!(ignored("k5=1&kc=2&colour=red"), 0);
    assert_eq!(ignored("k5=1&notice=x&noticeClass=y&profileName=Van&defaultUnit05=C&userUnit05=F"), 5);
    assert_eq!(ignored("profileName=Van&profileFuelType=1&notice=x"), 1);
    assert_eq!(ignored("defaultUnit05=C&defaultUnit0c=rpm&userUnit05=F"), 1);
    assert_eq!(ignored("userUnit05=F&notice=x"), 1);
    assert_eq!(ignored("notice=x&noticeClass=y"), 0);
}

#[test]
fn an_upload_knows_when_it_was_sent_where_it_says_so_believably() {
    assert_eq!(uploaded("profileName=Van").time_ms, Some(1_767_312_345_678));
    let sent = |time: &str| {
        let query = format!("session=1&id=d1&time={time}&profileName=Van");
        decode(Catalogue::volt_gen2(), query.as_bytes(), b"", RECEIVED_MS).expect("an upload").time_ms
    };
    assert_eq!((sent("0"), sent("4102444800000"), sent("")), (None, None, None));
}

#[test]
fn who_drives_is_told_by_no_text_of_any_kind_of_upload() {
    let (mail, id) = ("driver%40b.example", "00c0ffeedeadbeefdeadbeef00c0ffee");
    for parameters in [
        format!("k5=1&v={mail}&kfe12={mail}&kfe13=by+{id}&k{id}=1"),
        format!("profileName={mail}&profileNote=car+of+{id}&profile{id}=1&profile{mail}=2"),
        format!("defaultUnit05={mail}&defaultUnit0c={id}&defaultUnit{id}=x"),
        format!("userUnit05={mail}&userFullName0c=device:{id}&userShortName{id}=x"),
        format!("notice=Trip+by+{id}&noticeClass={mail}"),
    ] {
        let mut upload = uploaded(&parameters);
        assert!(format!("{upload:?}").contains(id), "{upload:?}");
        upload.redact(&by_shape(|identity| format!("[{}]", identity.len())));
        let shown = format!("{upload:?}");
        assert!(!shown.contains(id) && !shown.contains("driver@b"), "{shown}");
        assert!(shown.contains("[32]") && shown.contains("[16]"), "{shown}");
    }
    let mut refusal = refused(&format!("id=d1&v={id}&kc=1"));
    refusal.redact(&by_shape(|_| "hidden".to_owned()));
    assert_eq!(refusal.header.app_version.as_deref(), Some("hidden"));
}

#[test]
fn a_profile_has_a_name_and_its_other_values() {
    let Content::Profile(profile) = uploaded("profileName=My%20Volt&profileFuelType=2").content else {
        panic!("not a profile")
    };
    assert_eq!(profile.name.as_deref(), Some("My Volt"));
    assert_eq!(profile.values, BTreeMap::from([("FuelType".to_owned(), "2".to_owned())]));
}

#[test]
fn only_telemetry_needs_a_time() {
    let header = "session=1&id=d1";
    for time in ["", "&time=0", "&time=tomorrow"] {
        let notice = format!("{header}{time}&notice=x");
        assert!(decode(Catalogue::volt_gen2(), notice.as_bytes(), b"", RECEIVED_MS).is_ok());
    }
    assert_eq!(refused(&format!("{header}&kc=1")).code, RefusalCode::NoTelemetry);
    assert_eq!(refused(&format!("{header}&time=0&kc=1")).code, RefusalCode::BadTime);
}

#[test]
fn a_refusal_names_the_first_thing_missing() {
    for (query, code) in [
        ("", RefusalCode::Unreadable),
        ("{\"kc\":1}", RefusalCode::Unreadable),
        ("kc=1", RefusalCode::MissingIdentity),
        ("id=+&eml=&session=1&time=1767312345678&kc=1", RefusalCode::MissingIdentity),
        ("id=d1&kc=1", RefusalCode::BadSession),
        ("id=d1&session=+%00&kc=1", RefusalCode::BadSession),
        ("id=d1&session=1&time=1767312345678", RefusalCode::NoTelemetry),
        ("id=d1&session=1&foo=bar", RefusalCode::NoTelemetry),
        ("id=d1&session=1&time=1767312345&kc=1", RefusalCode::BadTime),
    ] {
        assert_eq!(refused(query).code, code, "{query}");
    }
}

#[test]
fn a_refusal_says_what_is_known_and_not_who_it_was() {
    let refusal = refused("id=secret&eml=who@b.c&session=1&v=9&time=0&kc=-&kabc=1");
    assert_eq!(refusal.identity.as_ref().map(Identity::key), Some("secret"));
    assert_eq!(refusal.kind, Some(UploadKind::Telemetry));
    assert!(refusal.session_id.is_some());
    let expected = Header {
        app_version: Some("9".to_owned()),
        raw_params_count: 7,
        unknown_params_count: 1,
        dropped_values_count: 1,
        ignored_params_count: 0,
    };
    assert_eq!(refusal.header, expected);
    assert_eq!(refusal.to_string(), "time is zero");
    let shown = format!("{refusal:?} {refusal}");
    assert!(!shown.contains("secret") && !shown.contains("who@b.c"), "{shown}");
}

#[test]
fn broken_escapes_are_replaced_and_nul_is_removed_from_all_text() {
    let Content::Notice { text, class } = uploaded("notice=a%FF%00b%zz&noticeClass=%00").content else {
        panic!("not a notice")
    };
    assert_eq!((text.as_str(), class.as_deref()), ("a\u{fffd}b%zz", Some("")));
}

#[test]
fn a_request_of_64_kilobytes_is_read_in_no_time() {
    let started = std::time::Instant::now();
    for parameters in ["k1=&", "userUnitff1=%C2%B0&", "kff1005=1&", "=&", "&", "kffffffffffffffffff=1&"] {
        let _ = uploaded(&(parameters.repeat(65_536 / parameters.len()) + "kc=1"));
    }
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}
