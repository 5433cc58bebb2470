//! A car's life: what one session leaves, the next one has.

use super::super::readout::Readout;
use super::*;

fn week(seed: u64, loses_network: bool) -> Vec<Session> {
    let spec = DaysSpec { seed, number: 1, days: 7, start_ms: 0, interval_ms: 5_000, loses_network };
    Days::new(spec).collect()
}

#[test]
fn a_week_has_ten_drives_nights_at_the_charger_and_a_fill() {
    for seed in 1..=4 {
        let week = week(seed, false);
        let charges = week.iter().filter(|session| session.charge.is_some()).count();
        assert_eq!(week.len() - charges, 10, "seed {seed}");
        assert!((5..=7).contains(&charges), "seed {seed}: {charges} charges");
        assert!(week.iter().any(|session| session.fill.is_some()), "seed {seed}: no fill");
        assert!(week.iter().any(|session| session.drive.truth.gas_entered), "seed {seed}: no gas");
    }
}

#[test]
fn sessions_follow_each_other_and_carry_on_where_the_one_before_ended() {
    for pair in week(2, false).windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let ended_ms = before.identity.start_ms + before.drive.truth.duration_ms.cast_signed();
        assert!(after.identity.start_ms > ended_ms, "sessions overlap");
        assert_eq!(before.identity.device, after.identity.device);
        assert!((before.drive.truth.end_soc - after.drive.truth.start_soc).abs() < 1e-9);
        let left = before.drive.history_after();
        assert_eq!(left.odometer_km, after.drive.history.odometer_km);
        let filled = after.fill.as_ref().map_or(0.0, |fill| fill.after_percent - fill.before_percent);
        assert!((left.fuel_percent + filled - after.drive.history.fuel_percent).abs() < 1e-9);
        assert!(after.drive.history_after().fuel_percent > 2.0, "out of petrol");
    }
}

#[test]
fn lifetime_counters_go_on_from_session_to_session() {
    for pair in week(3, false).windows(2) {
        let mut readout = Readout::new(&pair[0].drive);
        let last = pair[0].drive.samples.iter().map(|sample| readout.read(sample)).last().unwrap();
        let first = Readout::new(&pair[1].drive).read(&pair[1].drive.samples[0]);
        for pid in ["224322", "224323", "a6"] {
            let of = |values: &[super::super::Value]| values.iter().find(|v| v.pid == pid).unwrap().value;
            assert!((of(&first) - of(&last)).abs() < 0.11, "{pid}: {} then {}", of(&last), of(&first));
        }
    }
}

#[test]
fn one_drive_arrives_an_hour_late_and_out_of_order() {
    let week = week(1, true);
    let late: Vec<&Session> = week.iter().filter(|session| session.offline_minutes() > 0).collect();
    let [late] = late[..] else { panic!("{} drives are late", late.len()) };
    let uploads = late.uploads();
    assert!(!uploads.is_sorted_by_key(|upload| upload.time_ms));
    assert_eq!(late.offline_minutes(), 60);
    let readings = uploads.iter().filter(|upload| upload.is_reading).count();
    assert_eq!(readings as u64, late.drive.truth.readings);
}

#[test]
fn one_seed_is_one_life() {
    let texts = |week: &[Session]| -> Vec<Upload> { week.iter().flat_map(Session::uploads).collect() };
    assert_eq!(texts(&week(9, true)), texts(&week(9, true)));
    assert_ne!(texts(&week(9, true)).len(), texts(&week(8, true)).len());
}
