//! Every PID of the receiver's table, in the PID's own unit.

use super::super::drive::DriveSpec;
use super::super::volt::{BATTERY_KWH, TANK_GALLONS, fahrenheit, miles};
use super::*;

/// The receiver's Volt catalogue.
const CATALOGUE: &str = "ff1005 ff1006 ff1001 ff1010 ff1007 ff1239 ff123a ff1204 ff1271 c d 11 4 42 \
     5 f 46 a6 21 2f 22002f 5b 22005b 220009 222429 22000a 22000b 222414 22434f 220038 220057 22006e \
     224373 224368 224369 22436b 22436c 22437d 220051 220052 220053 221570 221571 221572 221573 \
     221154 22203f 221930 220049 220047 2241a3 224322 224323 224324 224325 22430a 22430c";

fn drive() -> Drive {
    Drive::simulate(DriveSpec { seed: 5, minutes: 20, initial_soc_percent: 25.0, interval_ms: 1_000 })
}

fn value(values: &[Value], pid: &str) -> f64 {
    let found = values.iter().find(|v| v.pid == pid);
    found.unwrap_or_else(|| panic!("no PID {pid}")).value
}

#[test]
fn a_reading_has_every_pid_of_the_catalogue_and_some_unknown_ones() {
    let drive = drive();
    let values = Readout::new(&drive).read(&drive.samples[0]);
    for pid in CATALOGUE.split_whitespace() {
        value(&values, pid);
    }
    let known: Vec<&str> = CATALOGUE.split_whitespace().collect();
    assert_eq!(known.len(), 57);
    assert_eq!(values.iter().filter(|v| !known.contains(&v.pid)).count(), 6);
}

#[test]
fn values_come_in_the_unit_of_the_pid() {
    let drive = drive();
    let mut readout = Readout::new(&drive);
    let mut gas_seen = false;
    for sample in &drive.samples {
        let values = readout.read(sample);
        let near = |pid: &str, truth: f64, tolerance: f64| {
            let got = value(&values, pid);
            assert!((got - truth).abs() <= tolerance, "{pid}: {got}, truth {truth}");
        };
        let (motion, battery, thermal) = (&sample.motion, &sample.battery, &sample.thermal);
        near("5", thermal.coolant_c, 0.5);
        near("220049", fahrenheit(thermal.coolant_c), 0.1);
        near("f", thermal.intake_c, 0.5);
        near("46", thermal.ambient_c, 0.5);
        near("221154", fahrenheit(thermal.oil_c), 0.1);
        near("22434f", fahrenheit(thermal.battery_c), 0.1);
        near("a6", drive.history.odometer_km + motion.distance_m / 1_000.0, 0.1);
        near("ff1204", motion.distance_m / 1_000.0, 0.2);
        near("ff1001", motion.speed_mps * 3.6, 3.0);
        near("d", motion.speed_mps * 3.6, 0.5);
        near("ff1010", motion.altitude_m, 25.0);
        near("22005b", battery.soc_percent, 0.01);
        near("5b", battery.soc_percent, 0.2);
        near("22000b", battery.power_kw, 1.0);
        near("220009", battery.volts, 1.0);
        near("22000a", battery.amperes, 1.0);
        near("c", sample.engine.rpm, 50.0);
        near("ff1271", sample.engine.fuel_used_gallons * 3.785, 0.01);
        let fuel = drive.history.fuel_percent - sample.engine.fuel_used_gallons / TANK_GALLONS * 100.0;
        near("2f", fuel, 1.2);
        near("220057", 0.0, 0.0);
        near("2241a3", BATTERY_KWH, 0.0);
        let life = value(&values, "224322") + value(&values, "224323");
        let odometer_m = drive.history.odometer_km * 1_000.0 + motion.distance_m;
        assert!((life - miles(odometer_m)).abs() < 0.02);
        assert!(values.iter().all(|v| v.value.is_finite()));
        gas_seen |= value(&values, "221930") == 1.0;
    }
    assert!(gas_seen, "the drive must reach gas mode to show its units");
}

#[test]
fn the_distance_of_the_gps_track_is_that_of_the_odometer() {
    for interval_ms in [1_000, 2_000, 5_000] {
        let drive =
            Drive::simulate(DriveSpec { seed: 9, minutes: 30, initial_soc_percent: 60.0, interval_ms });
        let mut readout = Readout::new(&drive);
        let fixes: Vec<(f64, f64)> = drive
            .samples
            .iter()
            .map(|sample| readout.read(sample))
            .map(|values| (value(&values, "ff1006"), value(&values, "ff1005")))
            .collect();
        let track_m: f64 = fixes.windows(2).map(|pair| metres(pair[0], pair[1])).sum();
        let driven_m = miles_to_metres(drive.truth.distance_miles);
        assert!(
            (track_m / driven_m - 1.0).abs() < 0.03,
            "{interval_ms} ms: track {track_m:.0} m, driven {driven_m:.0} m"
        );
    }
}

fn miles_to_metres(miles: f64) -> f64 {
    miles * 1_609.344
}

/// Flat-earth distance, exact enough for neighbouring fixes.
fn metres(from: (f64, f64), to: (f64, f64)) -> f64 {
    let north = (to.0 - from.0) * METRES_PER_DEGREE;
    let east = (to.1 - from.1) * METRES_PER_DEGREE * from.0.to_radians().cos();
    north.hypot(east)
}
