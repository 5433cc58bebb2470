//! Physics of the simulated drive: energy, charge, fuel, speed.

use super::super::volt::BATTERY_KWH;
use super::*;

fn spec(seed: u64) -> DriveSpec {
    DriveSpec { seed, minutes: 40, initial_soc_percent: 60.0, interval_ms: 2_000 }
}

#[test]
fn the_charge_that_went_is_the_energy_that_came() {
    for seed in 1..=5 {
        let drive = Drive::simulate(DriveSpec { interval_ms: 100, ..spec(seed) });
        let kwh: f64 = drive
            .samples
            .windows(2)
            .map(|pair| (pair[0].battery.power_kw + pair[1].battery.power_kw) / 2.0 / 36_000.0)
            .sum();
        let lost = (drive.truth.start_soc - drive.truth.end_soc) / 100.0 * BATTERY_KWH;
        assert!((kwh - lost).abs() < 0.001, "seed {seed}: {kwh} kWh, SOC says {lost}");
    }
}

#[test]
fn the_battery_falls_to_gas_entry_and_is_sustained_from_there() {
    for seed in 1..=8 {
        let drive = Drive::simulate(spec(seed));
        let entry_soc = drive.truth.soc_at_gas_transition.expect("the drive is long enough");
        assert!((15.0..20.0).contains(&entry_soc), "seed {seed}: {entry_soc}");
        let entry = drive.samples.iter().position(|s| s.engine.is_running()).unwrap();
        let (electric, gas) = drive.samples.split_at(entry);
        let mut lowest = 100.0_f64;
        for sample in electric {
            lowest = lowest.min(sample.battery.soc_percent);
            assert!(sample.battery.soc_percent < lowest + 1.5, "regeneration gives back little");
            assert_eq!(sample.engine.fuel_used_gallons, 0.0);
        }
        for sample in gas {
            let off = (sample.battery.soc_percent - entry_soc).abs();
            assert!(off < 3.0, "seed {seed}: {off} points off at {} ms", sample.elapsed_ms);
        }
        assert!(gas.iter().take(60).all(|s| s.engine.is_running()), "the first run lasts");
    }
}

#[test]
fn figures_are_those_of_a_volt() {
    for seed in 1..=8 {
        let truth = Drive::simulate(spec(seed)).truth;
        assert!((25.0..40.0).contains(&truth.distance_miles), "{truth:?}");
        assert!((0.22..0.40).contains(&truth.kwh_per_mile.unwrap()), "{truth:?}");
        assert!(truth.gas_miles > 1.0, "{truth:?}");
        assert!((32.0..48.0).contains(&truth.gas_mpg.unwrap()), "{truth:?}");
        assert!((truth.electric_miles + truth.gas_miles - truth.distance_miles).abs() < 1e-9);
    }
}

#[test]
fn the_car_moves_smoothly_and_ends_at_rest() {
    for minutes in [1, 3, 9, 40, 120] {
        let drive = Drive::simulate(DriveSpec { minutes, ..spec(3) });
        for pair in drive.samples.windows(2) {
            let change = pair[1].motion.speed_mps - pair[0].motion.speed_mps;
            assert!(change.abs() <= 2.0 * 2.3, "{change} m/s in 2 s");
            assert!(pair[1].motion.distance_m >= pair[0].motion.distance_m);
            assert!(pair[1].motion.speed_mps < 36.0);
        }
        let last = drive.samples.last().unwrap();
        assert_eq!(last.motion.speed_mps, 0.0, "{minutes} minutes");
        assert_eq!(last.elapsed_ms, u64::from(minutes) * 60_000);
        assert!(last.motion.distance_m > 100.0);
    }
}

#[test]
fn a_full_battery_needs_no_petrol_and_an_empty_one_starts_on_it() {
    let full = Drive::simulate(DriveSpec { initial_soc_percent: 100.0, minutes: 20, ..spec(2) });
    assert!(!full.truth.gas_entered);
    assert_eq!(full.truth.electric_miles, full.truth.distance_miles);
    assert!(full.truth.fuel_used_gallons.is_none() && full.truth.gas_mpg.is_none());

    let empty = Drive::simulate(DriveSpec { initial_soc_percent: 10.0, minutes: 20, ..spec(2) });
    assert!(empty.truth.gas_entry_after_ms.is_some_and(|ms| ms <= 2_000));
    assert!(empty.truth.electric_miles < 0.01);
}

#[test]
fn the_interval_changes_what_is_seen_and_not_the_drive() {
    let every_second = Drive::simulate(DriveSpec { interval_ms: 1_000, ..spec(4) });
    let every_five = Drive::simulate(DriveSpec { interval_ms: 5_000, ..spec(4) });
    assert_eq!(every_second.truth.distance_miles, every_five.truth.distance_miles);
    assert_eq!(every_second.truth.end_soc, every_five.truth.end_soc);
    assert_eq!((every_second.truth.readings, every_five.truth.readings), (2_401, 481));
}
