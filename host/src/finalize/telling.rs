//! What the events of a trip's end say. Nothing is decided here.

use std::time::Instant;

use jiff::Timestamp;

use crate::app::App;
use crate::events::{
    Business, ChargingDetails, FinalizationDetails, Outcome, Technical, VehicleContext, WideEvent,
    cut_coordinate,
};
use crate::fixes;
use crate::plugin_host::{Calculation, Impact, Summary, TripReadings};
use crate::store::{Change, Charge, OnRoute, TripData};

/// Adds what the trip did.
pub(super) fn describe(
    event: &mut WideEvent<FinalizationDetails>,
    data: &TripData,
    calculation: &Calculation,
) {
    let summary = &calculation.summary;
    describe_trip(event, data, summary);
    let business = &mut event.business;
    business.set(Business::GAS_MODE_ENTERED, summary.gas_mode_entered);
    business.set(Business::REFUEL_DETECTED, !summary.refuels.is_empty());
    business.set_some(Business::ELECTRIC_KWH_USED, summary.electric_kwh_used);
    business.set_some(Business::KWH_PER_MILE, summary.kwh_per_mile);
    business.set_some(Business::SOC_AT_GAS_TRANSITION, summary.soc_at_gas_transition);
    business.set_some(Business::GAS_MPG, summary.gas_mpg);
    business.set_some(Business::FUEL_USED_GALLONS, summary.fuel_used_gallons);
    let gallons: f64 = summary.refuels.iter().map(|refuel| refuel.gallons).sum();
    business.set_some(Business::REFUELED_GALLONS, (!summary.refuels.is_empty()).then_some(gallons));
    business.set(Business::CHARGING_SESSIONS, calculation.charging.len());
    business.set_some(Business::ELECTRIC_COST, calculation.cost.map(|cost| cost.electric_cost));
    business.set_some(Business::GAS_COST, calculation.cost.map(|cost| cost.gas_cost));
    business.set_some(Business::TOTAL_COST, calculation.cost.map(|cost| cost.total_cost));
    business.set_some(Business::COST_PER_MILE, calculation.cost.and_then(|cost| cost.cost_per_mile));
    for (name, figure) in &summary.metrics {
        business.set_own(name, *figure);
    }
    event.technical.set(Technical::READING_COLUMNS, data.readings.columns.len());
}

fn describe_trip(event: &mut WideEvent<FinalizationDetails>, data: &TripData, summary: &Summary) {
    let start_ms = Some(data.start_time_ms);
    let end_ms = data.readings.times_ms.last().copied();
    let details = &mut event.details;
    details.profile_name.clone_from(&data.profile_name);
    details.start_time = start_ms.and_then(time_at);
    details.end_time = end_ms.and_then(time_at);
    details.trip_duration_minutes =
        start_ms.zip(end_ms).map(|(start_ms, end_ms)| minutes_between(start_ms, end_ms));
    details.start_odometer = data.start_odometer_miles;
    details.end_odometer = summary.end_odometer_miles;
    details.start_soc = data.start_soc;
    details.distance_miles = summary.distance_miles;
    details.distance_source.clone_from(&summary.distance_source);
    details.electric_miles = summary.electric_miles;
    details.gas_miles = summary.gas_miles;
    details.gas_mode_entered = Some(summary.gas_mode_entered);
    details.gas_mode_entry_time = summary.gas_mode_entry_time_ms.and_then(time_at);
    details.avg_temp_f = summary.ambient_temp_avg_f;
    details.fuel_level_at_gas_entry = summary.fuel_level_at_gas_entry;
    details.fuel_level_at_end = summary.fuel_level_at_end;
}

/// Adds the weather along it.
pub(super) fn describe_weather(event: &mut WideEvent<FinalizationDetails>, weather: Option<Impact>) {
    let Some(weather) = weather else { return };
    let details = &mut event.details;
    details.weather_temp_f = weather.temperature_f;
    details.weather_conditions = Some(weather.conditions);
    details.weather_impact_factor = Some(weather.factor);
    details.extreme_weather = Some(weather.extreme);
}

/// Adds the route that it is on.
pub(super) fn describe_route(event: &mut WideEvent<FinalizationDetails>, route: Option<OnRoute>) {
    let Some(OnRoute { route_id, trips }) = route else { return };
    event.details.route_id = Some(route_id);
    event.business.set(Business::ROUTE_TRIPS, trips);
}

/// Tells of a charging session within the trip, unless it was told as it is.
/// It began when the calculator was asked.
pub(super) fn tell_of_charging(
    app: &App,
    trip: &WideEvent<FinalizationDetails>,
    readings: &TripReadings,
    Charge { session, .. }: &Charge,
    (change, asked): (Change, Instant),
) {
    if change == Change::Same {
        return;
    }
    let fix = fixes::nearest(&fixes::fixes(readings), session.start_time_ms);
    let details = ChargingDetails {
        trip_id: trip.details.trip_id.clone(),
        session_id: trip.details.session_id.clone(),
        vehicle_id: trip.details.vehicle_id.clone(),
        finalization_number: trip.details.finalization_number,
        revised: change == Change::Revised,
        start_time: time_at(session.start_time_ms),
        end_time: time_at(session.end_time_ms),
        charging_minutes: minutes_between(session.start_time_ms, session.end_time_ms),
        complete: session.complete,
        charge_type: session.charge_type.clone(),
        start_soc: session.start_soc,
        end_soc: session.end_soc,
        peak_power_kw: session.peak_power_kw,
        avg_power_kw: session.avg_power_kw,
        latitude: fix.map(|fix| cut_coordinate(fix.latitude)),
        longitude: fix.map(|fix| cut_coordinate(fix.longitude)),
    };
    let mut event = app.events.open(trip.plugins().clone(), details);
    event.began_before(asked);
    event.trace_id = trip.trace_id;
    event.parent_request_id = Some(trip.request_id);
    event.vehicle = trip
        .vehicle
        .as_ref()
        .map(|vehicle| VehicleContext { stats: vehicle.stats, ..VehicleContext::default() });
    event.business.set_some(Business::KWH_ADDED, session.kwh_added);
    event.business.set_some(Business::CHARGING_COST, session.cost);
    event.finish(Outcome::Success);
}

fn time_at(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}

/// 2 decimals.
fn minutes_between(start_ms: i64, end_ms: i64) -> f64 {
    (end_ms.saturating_sub(start_ms) as f64 / 600.0).round() / 100.0
}
