//! Which of the server's figures pass beside a known truth.

use super::*;

fn truth() -> Truth {
    Truth {
        readings: 1_201,
        duration_ms: 2_400_000,
        distance_miles: 34.0,
        electric_miles: 26.0,
        gas_miles: 8.0,
        electric_kwh: 7.8,
        net_electric_kwh: 7.6,
        kwh_per_mile: Some(0.3),
        gas_entered: true,
        gas_entry_after_ms: Some(1_800_000),
        soc_at_gas_transition: Some(18.0),
        fuel_used_gallons: Some(0.2),
        gas_mpg: Some(40.0),
        ambient_avg_f: 55.0,
        start_soc: 60.0,
        end_soc: 18.2,
    }
}

fn trip() -> ServerTrip {
    ServerTrip {
        trip_id: "t".to_owned(),
        vehicle_id: "v".to_owned(),
        session_id: "s".to_owned(),
        profile_name: None,
        status: "closed".to_owned(),
        readings: 1_201,
        start_time_ms: 1_000_000,
        summary: Some(ServerSummary {
            distance_miles: Some(33.98),
            ambient_temp_avg_f: Some(54.6),
            gas_mode_entered: Some(true),
            gas_mode_entry_time_ms: Some(2_800_000),
            soc_at_gas_transition: Some(17.9),
            electric_miles: Some(25.97),
            gas_miles: Some(8.01),
            gas_mpg: Some(36.4),
            fuel_used_gallons: Some(0.22),
            electric_kwh_used: Some(7.75),
            kwh_per_mile: Some(0.298),
        }),
    }
}

fn failed(truth: &Truth, trip: &ServerTrip) -> Vec<&'static str> {
    let rows = compare(truth, trip);
    rows.iter().filter(|r| !r.ok).map(|r| r.figure).collect()
}

fn with(change: impl FnOnce(&mut ServerSummary)) -> ServerTrip {
    let mut trip = trip();
    change(trip.summary.as_mut().unwrap());
    trip
}

#[test]
fn close_figures_pass_and_say_how_close() {
    assert!(failed(&truth(), &trip()).is_empty());
    let rows = compare(&truth(), &trip());
    let kwh = rows.iter().find(|r| r.figure == "electric_kwh").unwrap();
    assert!((kwh.difference_percent.unwrap() + 0.641).abs() < 0.001);
    assert_eq!(kwh.allowed, "5 % or 0.05 kWh");
}

#[test]
fn each_figure_outside_its_tolerance_is_named() {
    assert_eq!(failed(&truth(), &with(|s| s.distance_miles = Some(34.4))), ["distance_miles"]);
    assert_eq!(failed(&truth(), &with(|s| s.electric_miles = Some(26.9))), ["electric_miles"]);
    assert_eq!(failed(&truth(), &with(|s| s.gas_miles = Some(8.3))), ["gas_miles"]);
    assert_eq!(failed(&truth(), &with(|s| s.electric_kwh_used = Some(8.3))), ["electric_kwh"]);
    assert_eq!(failed(&truth(), &with(|s| s.kwh_per_mile = Some(0.34))), ["kwh_per_mile"]);
    assert_eq!(failed(&truth(), &with(|s| s.fuel_used_gallons = Some(0.4))), ["fuel_used_gallons"]);
    assert_eq!(failed(&truth(), &with(|s| s.gas_mpg = Some(18.0))), ["gas_mpg"]);
    assert_eq!(failed(&truth(), &with(|s| s.ambient_temp_avg_f = Some(60.0))), ["ambient_avg_f"]);
    assert_eq!(failed(&truth(), &with(|s| s.soc_at_gas_transition = Some(20.0))), ["soc_at_gas_transition"]);
    assert_eq!(
        failed(&truth(), &with(|s| s.gas_mode_entry_time_ms = Some(2_802_000))),
        ["gas_entry_after_s"]
    );
}

#[test]
fn a_lost_or_doubled_reading_fails() {
    let mut lost = trip();
    lost.readings -= 1;
    assert_eq!(failed(&truth(), &lost), ["readings"]);
}

#[test]
fn a_trip_without_figures_fails() {
    let mut trip = trip();
    trip.summary = None;
    let failed = failed(&truth(), &trip);
    assert!(failed.contains(&"distance_miles") && failed.contains(&"gas_entered"));
}

#[test]
fn mpg_may_be_absent_only_where_the_gauge_cannot_tell() {
    let absent = with(|s| s.gas_mpg = None);
    assert!(failed(&truth(), &absent).is_empty(), "0.2 gal is within the gauge's noise");
    let long = Truth { distance_miles: 126.0, gas_miles: 100.0, fuel_used_gallons: Some(2.5), ..truth() };
    assert!(failed(&long, &absent).contains(&"gas_mpg"));
}

#[test]
fn an_electric_drive_has_no_gas_figures() {
    let truth = Truth {
        electric_miles: 34.0,
        gas_miles: 0.0,
        electric_kwh: 10.2,
        gas_entered: false,
        gas_entry_after_ms: None,
        soc_at_gas_transition: None,
        fuel_used_gallons: None,
        gas_mpg: None,
        ..truth()
    };
    let electric = with(|s| {
        s.gas_mode_entered = Some(false);
        s.gas_mode_entry_time_ms = None;
        s.soc_at_gas_transition = None;
        s.electric_miles = Some(34.0);
        s.gas_miles = Some(0.0);
        s.gas_mpg = None;
        s.fuel_used_gallons = None;
        s.electric_kwh_used = Some(10.1);
    });
    assert!(failed(&truth, &electric).is_empty());
    assert_eq!(
        failed(&truth, &with(|s| *s = ServerSummary { gas_mpg: Some(40.0), ..electric.summary.unwrap() })),
        ["gas_mpg"]
    );
}

#[test]
fn an_api_answer_reads_as_a_trip() {
    let text = r#"{"trip_id":"t","vehicle_id":"v","session_id":"s","profile_name":"Volt 1",
        "status":"open","start_time_ms":5,"end_time_ms":6,"readings":3,"duplicates":0,
        "start_odometer_miles":1.5,"start_soc":60.0,"finalization_number":0,"summary":null}"#;
    let trip: ServerTrip = serde_json::from_str(text).unwrap();
    assert_eq!((trip.status.as_str(), trip.readings), ("open", 3));
    assert!(trip.summary.is_none());
}
