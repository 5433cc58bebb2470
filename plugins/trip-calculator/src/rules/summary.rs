//! What a finished trip did, put together from the other rules, stage by
//! stage. Columns are fetched when a stage needs them and dropped after it: a
//! day of readings must fit into a plugin's memory.

use super::{
    distance::{self, Origin},
    energy, fuel, gas_mode,
    number::{mean, round},
    readings::{Column, Misshapen, Readings, Source},
    refuel::{self, Refuel},
    split::{self, Basis, Split},
};
use crate::settings::Settings;

/// What is known of a trip beside its readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trip {
    /// First known odometer: miles.
    pub start_odometer: Option<f64>,
    /// First known state of charge: percent.
    pub start_soc: Option<f64>,
    /// Fuel level at the end of the trip before: percent.
    pub previous_fuel_percent: Option<f64>,
}

/// The moment at which the engine took over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transition {
    /// Epoch milliseconds.
    pub time_ms: i64,
    /// State of charge: percent.
    pub soc_percent: Option<f64>,
    /// Ambient temperature: °F.
    pub ambient_f: Option<f64>,
    /// Odometer: miles.
    pub odometer: Option<f64>,
}

/// A fill with its time and place.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// When the new level was first seen: epoch milliseconds.
    pub time_ms: i64,
    /// Odometer at that time: miles.
    pub odometer: Option<f64>,
    /// Levels and gallons.
    pub refuel: Refuel,
}

/// A trip's figures; what cannot be computed is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Time of the last reading: epoch milliseconds.
    pub end_time_ms: Option<i64>,
    /// Last known odometer: miles.
    pub end_odometer: Option<f64>,
    /// Distance in miles and where it comes from.
    pub distance: Option<(f64, Origin)>,
    /// Mean ambient temperature: °F, 1 decimal.
    pub ambient_f: Option<f64>,
    /// The moment at which the engine took over, if it did.
    pub transition: Option<Transition>,
    /// Fuel level when it did: percent.
    pub fuel_at_entry: Option<f64>,
    /// Last known fuel level of a trip in which it did: percent.
    pub fuel_at_end: Option<f64>,
    /// Miles on the battery and on the engine.
    pub split: Split,
    /// Miles per US gallon on the engine, 1 decimal.
    pub gas_mpg: Option<f64>,
    /// US gallons used on the engine.
    pub fuel_used_gallons: Option<f64>,
    /// kWh used on the battery, 2 decimals.
    pub electric_kwh: Option<f64>,
    /// kWh per electric mile, 3 decimals.
    pub kwh_per_mile: Option<f64>,
    /// Fills in time order.
    pub fills: Vec<Fill>,
    /// Last settled fuel level: percent. Steadier than the last reading.
    pub settled_fuel: Option<f64>,
}

/// A stage that failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Name of the stage.
    pub stage: &'static str,
    /// What went wrong, in one sentence.
    pub message: String,
}

/// Summarizes a finished trip. `begin` is told each stage as it begins.
///
/// # Errors
/// The readings contradict themselves: a column has not one value for each.
pub fn summarize(
    trip: &Trip,
    source: &dyn Source,
    settings: &Settings,
    begin: &dyn Fn(&str),
) -> Result<Summary, Failure> {
    let readings = Readings::new(source);
    let calculation = Calculation { trip, readings: &readings, settings };
    let mut summary = Summary::default();
    type Stage = fn(&Calculation<'_>, &mut Summary) -> Result<(), Misshapen>;
    let stages: [(&'static str, Stage); 3] = [
        ("calculate_basics", |c, summary| c.basics(summary)),
        ("process_gas_mode", |c, summary| c.gas_mode(summary)),
        ("calculate_efficiency", |c, summary| c.efficiency(summary)),
    ];
    for (name, stage) in stages {
        begin(name);
        stage(&calculation, &mut summary)
            .map_err(|misshapen| Failure { stage: name, message: misshapen.to_string() })?;
    }
    Ok(summary)
}

struct Calculation<'a> {
    trip: &'a Trip,
    readings: &'a Readings<'a>,
    settings: &'a Settings,
}

impl Calculation<'_> {
    fn basics(&self, summary: &mut Summary) -> Result<(), Misshapen> {
        summary.end_time_ms = self.readings.times().last().copied();
        let ambient = self.readings.column("ambient_temp_f")?;
        summary.ambient_f = mean(ambient.0).map(|f| round(f, 1));
        let odometer = self.readings.column("odometer_miles")?;
        summary.end_odometer = odometer.last();
        summary.distance = self.distance(&odometer)?;
        Ok(())
    }

    /// The first source that says something. A single odometer reading is no
    /// distance as long as another source has one.
    fn distance(&self, odometer: &Column) -> Result<Option<(f64, Origin)>, Misshapen> {
        let miles = distance::by_odometer(self.start_odometer(odometer), odometer.last());
        let by_odometer = miles.map(|miles| (miles, Origin::Odometer));
        if by_odometer.is_some() && odometer.values().nth(1).is_some() {
            return Ok(by_odometer);
        }
        let counter = self.readings.column("trip_distance_miles")?;
        if let Some(miles) = distance::by_rises(&counter).filter(|miles| *miles > 0.0) {
            return Ok(Some((miles, Origin::TripDistance)));
        }
        let by_counter = distance::by_rises(&counter).map(|miles| (miles, Origin::TripDistance));
        drop(counter);
        let by_gps = distance::by_gps(
            self.readings.times(),
            &self.readings.column("latitude")?,
            &self.readings.column("longitude")?,
            self.settings.gps_min_step_miles,
            self.settings.gps_max_speed_mph,
        );
        // A counter that never rose says less than a track.
        Ok(by_gps.map(|miles| (miles, Origin::Gps)).or(by_counter).or(by_odometer))
    }

    fn start_odometer(&self, odometer: &Column) -> Option<f64> {
        self.trip.start_odometer.or_else(|| odometer.first())
    }

    fn gas_mode(&self, summary: &mut Summary) -> Result<(), Misshapen> {
        let odometer = self.readings.column("odometer_miles")?;
        let entry = {
            let rpm = self.readings.column("engine_rpm")?;
            let soc = self.readings.column("state_of_charge")?;
            let entry = gas_mode::entry(&rpm, &soc, self.settings);
            summary.split = self.split(entry, &odometer, &soc, summary)?;
            entry.map(|index| (index, soc.at(index)))
        };
        if let Some((index, soc_percent)) = entry {
            summary.transition = Some(Transition {
                time_ms: self.time(index),
                soc_percent,
                ambient_f: self.readings.column("ambient_temp_f")?.at(index),
                odometer: odometer.at(index),
            });
        }
        self.fuel(summary, entry.map(|(index, _)| index), &odometer)
    }

    fn split(
        &self,
        entry: Option<usize>,
        odometer: &Column,
        soc: &Column,
        summary: &Summary,
    ) -> Result<Split, Misshapen> {
        let is_by_odometer = |origin| origin == Origin::Odometer;
        let (start, end) = (self.start_odometer(odometer), odometer.last());
        let has_soc = soc.first().is_some() || self.trip.start_soc.is_some();
        Ok(split::split(&Basis {
            distance_miles: summary.distance.map(|(miles, _)| miles),
            odometers: start
                .zip(end)
                .filter(|_| summary.distance.is_some_and(|(_, origin)| is_by_odometer(origin))),
            gas_mode_entered: entry.is_some(),
            entry_odometer: entry.and_then(|index| odometer.at(index)),
            has_battery: has_soc || self.power()?.first().is_some(),
        }))
    }

    fn fuel(&self, summary: &mut Summary, entry: Option<usize>, odometer: &Column) -> Result<(), Misshapen> {
        let fuel = self.readings.column("fuel_level_percent")?;
        if let Some(index) = entry {
            summary.fuel_at_entry = fuel.near(index);
            summary.fuel_at_end = fuel.last();
            summary.fuel_used_gallons =
                fuel::used_gallons(summary.fuel_at_entry, summary.fuel_at_end, self.settings);
        }
        let levels = refuel::settled_levels(self.readings.times(), &fuel, self.settings);
        summary.settled_fuel = levels.last().map(|level| level.percent);
        let refuels = refuel::refuels(&levels, self.trip.previous_fuel_percent, self.settings);
        let fill = |refuel: Refuel| Fill {
            time_ms: self.time(refuel.index),
            odometer: odometer.near(refuel.index),
            refuel,
        };
        summary.fills = refuels.into_iter().map(fill).collect();
        Ok(())
    }

    fn efficiency(&self, summary: &mut Summary) -> Result<(), Misshapen> {
        summary.gas_mpg =
            fuel::mpg(summary.split.gas_miles, summary.fuel_at_entry, summary.fuel_at_end, self.settings);
        let electric_miles = summary.split.electric_miles;
        let entry = summary.transition.map(|transition| transition.time_ms);
        let count = self.electric_readings(entry);
        let mut power = self.power()?;
        let mut soc = self.readings.column("state_of_charge")?;
        power.0.truncate(count);
        soc.0.truncate(count);
        let times = self.readings.times();
        summary.electric_kwh = energy::used(electric_miles, times, &power, &soc, self.settings);
        summary.kwh_per_mile = energy::per_mile(summary.electric_kwh, electric_miles, self.settings);
        Ok(())
    }

    /// How many readings there are up to the entry of gas mode, it included.
    fn electric_readings(&self, entry_ms: Option<i64>) -> usize {
        let times = self.readings.times();
        entry_ms.map_or(times.len(), |entry| times.partition_point(|time| *time <= entry))
    }

    fn power(&self) -> Result<Column, Misshapen> {
        self.readings.column("hv_battery_power_kw")
    }

    fn time(&self, index: usize) -> i64 {
        self.readings.times().get(index).copied().unwrap_or_default()
    }
}
