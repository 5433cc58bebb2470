//! Figures over many trips.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::admission::Reader;
use super::api::{Answer, store_problem};
use super::params::{self, Query};
use super::problem::{Problem, Problems};
use crate::app::App;
use crate::store::{Efficiency, TripFilter, WeatherPoint};

/// Trips that a correlation looks at: the newest.
const MOST_POINTS: i64 = 10_000;
/// Width of a band of temperatures: °F.
const BAND_F: f64 = 10.0;

/// Which closed trips.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FiguresQuery {
    /// Only of this vehicle.
    #[param(max_length = 200)]
    vehicle_id: Option<String>,
    /// Only those that start at this time or later: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those that start before this time: RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

impl FiguresQuery {
    fn filter(self) -> Result<TripFilter, Problem> {
        Ok(TripFilter {
            vehicle_id: params::short("vehicle_id", self.vehicle_id)?,
            from_ms: self.from.map(Timestamp::as_millisecond),
            before_ms: self.to.map(Timestamp::as_millisecond),
            ..TripFilter::default()
        })
    }
}

/// What closed trips did together.
#[utoipa::path(get, operation_id = "get_efficiency", path = "/api/efficiency", tag = "figures", params(FiguresQuery),
    responses((status = 200, body = Efficiency), Problems))]
pub(super) async fn efficiency(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<FiguresQuery>,
) -> Answer {
    let filter = query.filter()?;
    let efficiency = app.store.efficiency(&filter).await.map_err(|error| store_problem(&error))?;
    Ok(axum::Json(efficiency).into_response())
}

/// How consumption goes with the temperature, over the newest trips that know
/// both, at most 10,000.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct WeatherCorrelation {
    /// Trips that it looks at.
    trips: usize,
    /// Pearson's coefficient of temperature and kWh a mile, -1 to 1; absent
    /// below 3 trips, and where one of both never changes.
    correlation: Option<f64>,
    /// Bands of 10 °F, from the coldest.
    bands: Vec<TemperatureBand>,
}

/// Trips of about one temperature.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct TemperatureBand {
    /// From this temperature, included: °F.
    from_f: f64,
    /// To this temperature, excluded: °F.
    to_f: f64,
    /// Trips.
    trips: usize,
    /// Mean of their kWh a mile.
    avg_kwh_per_mile: f64,
}

/// How consumption goes with the weather.
#[utoipa::path(get, operation_id = "get_weather_correlation", path = "/api/weather-correlation", tag = "figures", params(FiguresQuery),
    responses((status = 200, body = WeatherCorrelation), Problems))]
pub(super) async fn weather_correlation(
    _: Reader,
    State(app): State<Arc<App>>,
    Query(query): Query<FiguresQuery>,
) -> Answer {
    let filter = query.filter()?;
    let points =
        app.store.weather_points(&filter, MOST_POINTS).await.map_err(|error| store_problem(&error))?;
    Ok(axum::Json(correlate(&points)).into_response())
}

fn correlate(points: &[WeatherPoint]) -> WeatherCorrelation {
    let mut bands: std::collections::BTreeMap<i64, (usize, f64)> = std::collections::BTreeMap::new();
    for point in points {
        let band = bands.entry((point.temperature_f / BAND_F).floor() as i64).or_default();
        *band = (band.0 + 1, band.1 + point.kwh_per_mile);
    }
    let bands = bands.into_iter().map(|(band, (trips, sum))| TemperatureBand {
        from_f: band as f64 * BAND_F,
        to_f: (band + 1) as f64 * BAND_F,
        trips,
        avg_kwh_per_mile: sum / trips as f64,
    });
    WeatherCorrelation { trips: points.len(), correlation: pearson(points), bands: bands.collect() }
}

/// Pearson's correlation coefficient.
fn pearson(points: &[WeatherPoint]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let mean = |of: fn(&WeatherPoint) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (temperature, use_) = (mean(|point| point.temperature_f), mean(|point| point.kwh_per_mile));
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for point in points {
        let (x, y) = (point.temperature_f - temperature, point.kwh_per_mile - use_);
        both += x * y;
        one += x * x;
        other += y * y;
    }
    let coefficient = both / (one * other).sqrt();
    coefficient.is_finite().then(|| coefficient.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(of: &[(f64, f64)]) -> Vec<WeatherPoint> {
        of.iter().map(|&(temperature_f, kwh_per_mile)| WeatherPoint { temperature_f, kwh_per_mile }).collect()
    }

    #[test]
    fn less_heating_is_a_negative_correlation() {
        let found = correlate(&points(&[(20.0, 0.45), (30.0, 0.40), (40.0, 0.35)]));
        assert!(found.correlation.is_some_and(|r| (r + 1.0).abs() < 1e-9), "{found:?}");
        assert_eq!(found.bands.len(), 3);
        assert_eq!((found.bands[0].from_f, found.bands[0].to_f, found.bands[0].trips), (20.0, 30.0, 1));
    }

    #[test]
    fn a_temperature_below_zero_is_in_the_band_below_zero() {
        let found = correlate(&points(&[(-0.5, 0.4), (0.5, 0.3)]));
        assert_eq!(found.bands.iter().map(|band| band.from_f).collect::<Vec<_>>(), [-10.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_computed_is_absent() {
        assert_eq!(correlate(&[]).correlation, None);
        assert_eq!(correlate(&points(&[(20.0, 0.4), (30.0, 0.3)])).correlation, None);
        assert_eq!(correlate(&points(&[(20.0, 0.4), (20.0, 0.3), (20.0, 0.2)])).correlation, None);
    }
}
