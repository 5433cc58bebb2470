//! Physics of a night at the charger.

use super::*;

fn night(seed: u64, initial: f64) -> (Drive, ChargeTruth) {
    let driven =
        Drive::simulate(DriveSpec { seed, minutes: 5, initial_soc_percent: initial, interval_ms: 1_000 });
    let spec = ChargeSpec::overnight(seed, initial, 90.0, 60_000);
    Drive::charge(spec, driven.history_after(), &driven.samples.last().unwrap().motion)
}

#[test]
fn what_the_battery_gains_is_what_the_outlet_gave_less_the_losses() {
    for (seed, initial) in [(1, 17.0), (2, 50.0), (3, 84.0)] {
        let (drive, truth) = night(seed, initial);
        let plug_kwh: f64 = drive
            .samples
            .windows(2)
            .map(|pair| (pair[0].charger.plug_kw + pair[1].charger.plug_kw) / 2.0 / 60.0)
            .sum();
        assert!((plug_kwh * CHARGER_EFFICIENCY - truth.kwh_added).abs() < 0.05, "{plug_kwh} kWh, {truth:?}");
        assert!((truth.end_soc - 90.0).abs() < 0.01 && truth.start_soc == initial);
    }
}

#[test]
fn a_charge_rises_stands_still_and_ends_with_a_charger_that_is_off() {
    let (drive, truth) = night(4, 30.0);
    let (on, off) = drive.samples.split_at(drive.samples.len() - 3);
    assert!(on.iter().all(|sample| sample.charger.connected && sample.battery.power_kw < 0.0));
    assert!(off.iter().all(|sample| !sample.charger.connected && sample.battery.power_kw == 0.0));
    assert!(on.is_sorted_by(|a, b| a.battery.soc_percent < b.battery.soc_percent));
    assert!(drive.samples.iter().all(|sample| sample.motion.distance_m == 0.0));
    assert_eq!((drive.truth.distance_miles, drive.truth.electric_kwh), (0.0, 0.0));
    let last_on_ms = on.last().unwrap().elapsed_ms;
    assert!((last_on_ms..=last_on_ms + 60_000).contains(&truth.charging_ms));
}
