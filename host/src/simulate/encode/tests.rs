//! The wire: order, keys, escapes, sizes, and that a seed fixes every byte.

use std::collections::BTreeSet;

use super::super::drive::DriveSpec;
use super::*;

const START_MS: i64 = 1_700_000_000_000;

fn drive(seed: u64) -> Drive {
    Drive::simulate(DriveSpec { seed, minutes: 3, initial_soc_percent: 60.0, interval_ms: 2_000 })
}

fn queries(seed: u64, start_ms: i64) -> Vec<String> {
    let drive = drive(seed);
    let identity = Identity::new(seed, 1, start_ms);
    uploads(&drive, &identity).map(|u| u.query).collect()
}

#[test]
fn a_seed_fixes_every_byte() {
    assert_eq!(queries(7, START_MS), queries(7, START_MS));
    assert_ne!(queries(7, START_MS), queries(8, START_MS));
}

#[test]
fn another_start_time_changes_only_session_and_time() {
    let values = |query: &String| {
        let kept = query.split('&').filter(|p| !p.starts_with("session=") && !p.starts_with("time="));
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    let first: Vec<_> = queries(7, START_MS).iter().map(values).collect();
    let second: Vec<_> = queries(7, START_MS + 86_400_000).iter().map(values).collect();
    assert_eq!(first, second);
}

#[test]
fn uploads_come_in_the_order_of_the_app_with_rising_times() {
    let drive = drive(1);
    let identity = Identity::new(1, 1, START_MS);
    let all: Vec<Upload> = uploads(&drive, &identity).collect();
    assert!(all[0].query.contains("&notice=Trip%20started&noticeClass="));
    assert!(all[1].query.contains("&profileName=Volt%201&"));
    assert!(all[2].query.contains("&defaultUnit05=°C&"));
    assert!(all[2].query.contains("&defaultUnitff1001=km%20h&"));
    assert!(all[3].query.contains("&userUnitff1001=mph&userShortNameff1001=GPS%20Spd&"));
    assert!(all.last().is_some_and(|u| u.query.contains("&notice=Trip%20ended&")));
    assert!(all.windows(2).all(|pair| pair[0].time_ms < pair[1].time_ms));
    let readings = all.iter().filter(|u| u.is_reading).count() as u64;
    assert_eq!(readings, drive.truth.readings);
    assert_eq!(readings, 91);
}

#[test]
fn a_reading_has_the_header_and_short_lower_case_keys() {
    let query = &queries(1, START_MS)[4];
    let start = format!(
        "eml=driver1@example.com&v=9&session={}&id={}&time={START_MS}&kff1005=-84.",
        START_MS - 1_000,
        Identity::new(1, 1, START_MS).device
    );
    assert!(query.starts_with(&start), "{query}");
    assert!(query.contains("&k5=") && query.contains("&kc=") && !query.contains("&k05="));
    assert_eq!(query.matches("&kff1001=").count(), 2);
    let distinct: BTreeSet<&str> = query.split("&k").skip(1).filter_map(|p| p.split('=').next()).collect();
    assert_eq!(distinct.len(), parameters().count());
}

#[test]
fn every_request_fits_a_request_line() {
    for query in queries(1, START_MS) {
        assert!(query.len() < 15_000, "{} bytes", query.len());
        assert!(!query.contains([' ', '<', '>', '"', '#', '\'']), "{query}");
    }
}

#[test]
fn every_value_on_the_wire_is_finite() {
    for query in queries(3, START_MS).iter().filter(|q| q.contains("&kff1005=")) {
        for pair in query.split("&k").skip(1) {
            let (_, text) = pair.split_once('=').unwrap();
            assert!(text.parse::<f64>().unwrap().is_finite(), "{pair}");
        }
    }
}

#[test]
fn every_value_read_has_a_name_and_a_unit() {
    let drive = drive(1);
    let values = Readout::new(&drive).read(&drive.samples[0]);
    let read: BTreeSet<&str> = values.iter().map(|v| v.pid).collect();
    let named: BTreeSet<&str> = parameters().map(|p| p.pid).collect();
    assert_eq!(read, named);
    assert_eq!(values.len(), named.len());
}

#[test]
fn the_session_id_is_the_uuid_of_the_text() {
    let identity = Identity::new(1, 1, 1_459_259_899_185);
    assert_eq!(identity.session(), "1459259898185");
    // python3 -c 'import uuid; print(uuid.uuid5(uuid.NAMESPACE_OID, "1459259898185"))'
    assert_eq!(identity.session_id().to_string(), "eaa95a3d-ecb3-5fe9-80ca-2dd60b00e280");
}

#[test]
fn vehicles_have_devices_of_their_own() {
    let devices: BTreeSet<String> = (1..=50).map(|n| Identity::new(n, 1, 0).device).collect();
    assert_eq!(devices.len(), 50);
    assert!(devices.iter().all(|d| d.len() == 32));
}
