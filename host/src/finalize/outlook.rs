//! What a trip's end says of trips to come: its route, and how far the battery
//! still reaches. Both only where their flags are on; neither fails a trip that
//! is calculated.

use crate::app::App;
use crate::events::{Business, Failure, FinalizationDetails, WideEvent};
use crate::fixes::{self, Fix};
use crate::plugin_host::{Ends, Place, TripReadings};
use crate::store::{Claim, Route, RouteRow, TripData};

/// Routes of a vehicle that a trip is held against: those used last.
const MOST_ROUTES: i64 = 500;

/// The route that the trip went, as the calculator sees it.
pub(super) async fn route(
    app: &App,
    claim: &Claim,
    event: &mut WideEvent<FinalizationDetails>,
    data: &TripData,
) -> Result<Option<Route>, Failure> {
    let fixes = fixes::fixes(&data.readings);
    let (true, [first, .., last]) = (app.events.flags().enhanced_route_detection, &fixes[..]) else {
        return Ok(None);
    };
    let trip = Ends { start: place(first), end: place(last) };
    let routes = app.store.routes(claim.vehicle.as_str(), MOST_ROUTES).await;
    let routes = routes.map_err(|error| Failure::from(&error))?;
    let known: Vec<Ends> = routes.iter().map(RouteRow::ends).collect();
    match event.plugins().match_route(trip, &known, event.began_ms()).await {
        Ok(index) => {
            let known = index.and_then(|index| routes.into_iter().nth(index));
            Ok(Some(known.map_or(Route::New(trip), |route| Route::Known(route.route_id))))
        }
        Err(error) => {
            event.note(Failure::from(&error));
            Ok(None)
        }
    }
}

fn place(fix: &Fix) -> Place {
    Place { latitude: fix.latitude, longitude: fix.longitude }
}

/// Adds how far the battery still reaches, at the consumption of the last
/// trips, this one included.
pub(super) async fn predict_range(
    app: &App,
    event: &mut WideEvent<FinalizationDetails>,
    readings: &TripReadings,
) {
    let health = event.vehicle.as_ref().and_then(|vehicle| vehicle.battery_health.as_ref());
    let kwh_per_mile = health.and_then(|health| health.kwh_per_mile);
    let charges = readings.columns.get("state_of_charge");
    let charge = charges.and_then(|soc| soc.iter().rev().copied().find(|soc| soc.is_finite()));
    let (true, Some(kwh_per_mile), Some(charge)) =
        (app.events.flags().predictive_range, kwh_per_mile, charge)
    else {
        return;
    };
    match event.plugins().predict_range(charge, kwh_per_mile, event.began_ms()).await {
        Ok(miles) => event.business.set_some(Business::PREDICTED_RANGE_MILES, miles),
        Err(error) => event.note(Failure::from(&error)),
    }
}
