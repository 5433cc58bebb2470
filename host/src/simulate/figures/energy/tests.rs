//! What passes and what does not, of charges and fills.

use super::*;

fn charge() -> (ChargeTruth, ServerCharge) {
    let truth = ChargeTruth {
        charging_ms: 100 * 60_000,
        start_soc: 20.0,
        end_soc: 50.0,
        kwh_added: 5.52,
        peak_kw: 3.3,
        charge_type: "L2",
    };
    let server = ServerCharge {
        trip_id: "a".to_owned(),
        start_time_ms: 0,
        end_time_ms: 99 * 60_000,
        complete: true,
        charge_type: "L2".to_owned(),
        start_soc_percent: Some(20.0),
        end_soc_percent: Some(49.8),
        peak_power_kw: Some(3.3),
        kwh_added: Some(5.48),
    };
    (truth, server)
}

fn differing(rows: &[Comparison]) -> Vec<&'static str> {
    rows.iter().filter(|row| !row.ok).map(|row| row.figure).collect()
}

#[test]
fn a_charge_may_lack_its_last_reading_and_no_more() {
    let (truth, server) = charge();
    let compared = |server: &ServerCharge| compare_energy(Some(&truth), None, &[server], &[]);
    assert!(differing(&compared(&server)).is_empty());
    let short = ServerCharge { end_time_ms: 98 * 60_000, end_soc_percent: Some(49.6), ..server.clone() };
    assert_eq!(differing(&compared(&short)), ["charge_end_soc", "charge_minutes"]);
    let open = ServerCharge { complete: false, charge_type: "L1".to_owned(), kwh_added: None, ..server };
    assert_eq!(differing(&compared(&open)), ["charge_complete", "charge_type_is_right", "charge_kwh_added"]);
}

#[test]
fn what_is_missing_split_or_doubled_differs() {
    let (truth, server) = charge();
    let fill = FillTruth { before_percent: 20.0, after_percent: 90.0, gallons: 6.52 };
    let refuel = ServerRefuel {
        trip_id: "a".to_owned(),
        level_before_percent: Some(21.0),
        level_after_percent: Some(89.0),
        gallons: Some(6.4),
    };
    assert_eq!(differing(&compare_energy(Some(&truth), None, &[], &[])), ["charging_sessions"]);
    assert_eq!(
        differing(&compare_energy(Some(&truth), None, &[&server, &server], &[])),
        ["charging_sessions"]
    );
    assert!(differing(&compare_energy(None, Some(&fill), &[], &[&refuel])).is_empty());
    assert_eq!(differing(&compare_energy(None, Some(&fill), &[], &[])), ["refuels"]);
    assert_eq!(differing(&compare_energy(None, None, &[], &[&refuel])), ["refuels"]);
}
