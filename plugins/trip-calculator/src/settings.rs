//! The settings of this plugin, with defaults and ranges. No rule lives here.

plugin_settings::settings! {
    /// The vehicle, the prices and every threshold of the rules.
    pub struct Settings {
        tank_gallons: f64 = "9.3122", 0.1..=1000.0, "Size of the fuel tank in US gallons.";
        battery_kwh: f64 = "18.4", 0.1..=1000.0, "Energy of the full battery in kWh.";
        electricity_cost_per_kwh: f64 = "0.12", 0.0..=1000.0, "Price of electricity in $ per kWh.";
        gas_cost_per_gallon: f64 = "3.5", 0.0..=1000.0, "Price of fuel in $ per US gallon.";

        engine_running_rpm: f64 = "500", 0.0..=20_000.0, "Above how many revolutions per minute the engine drives the car; below half of it the engine stands.";
        gas_soc_percent: f64 = "25", 0.0..=100.0, "Below which state of charge in percent the battery is empty.";
        gas_confirm_readings: u32 = "2", 0..=100, "How many readings after a gas mode entry must not show a standing engine.";
        gas_min_readings: u32 = "3", 1..=10_000, "From how many readings on a trip can have a gas mode entry.";

        max_gap_seconds: f64 = "120", 1.0..=604_800.0, "Longest time between two readings of HV power, in seconds, that counts as data.";
        min_kwh_miles: f64 = "0.5", 0.0..=1000.0, "Electric miles that a trip must exceed to have a figure in kWh.";
        min_kwh_per_mile_miles: f64 = "0.5", 0.0..=1000.0, "Electric miles from which on a trip has a figure in kWh per mile.";
        min_kwh_per_mile: f64 = "0.1", 0.0..=100.0, "Least kWh per mile that is plausible.";
        max_kwh_per_mile: f64 = "1", 0.0..=100.0, "Most kWh per mile that is plausible.";

        min_mpg_miles: f64 = "1", 0.0..=1000.0, "Gas miles from which on a trip has a figure in miles per gallon.";
        min_mpg_gallons: f64 = "0.01", 0.0001..=1000.0, "US gallons from which on fuel used is a basis for miles per gallon.";
        min_mpg: f64 = "15", 0.0..=1000.0, "Least miles per gallon that is plausible.";
        max_mpg: f64 = "60", 0.0..=1000.0, "Most miles per gallon that is plausible.";

        max_fuel_samples: u32 = "10", 1..=1000, "How many readings of the fuel gauge make one settled level at most.";
        min_fuel_samples: u32 = "3", 1..=1000, "How many readings of the fuel gauge make one settled level at least.";
        fuel_settled_points: f64 = "3", 0.1..=50.0, "How far from their median, in points of percent, four in five readings of a settled level are at most.";
        fuel_window_seconds: f64 = "300", 1.0..=86_400.0, "How long before and after a fill, in seconds, settled levels are compared.";
        fuel_hold_seconds: f64 = "60", 0.0..=86_400.0, "How long a new level must be seen, in seconds, unless the level before it was seen no longer.";
        refuel_min_points: f64 = "10", 0.1..=100.0, "Rise of the settled fuel level, in points of percent, that is a fill.";

        gps_min_step_miles: f64 = "0.005", 0.0..=1.0, "Shortest step of the GPS track in miles; shorter ones are the noise of a car that stands.";
        gps_max_speed_mph: f64 = "200", 1.0..=1000.0, "Speed in mph above which a step of the GPS track is a wrong fix.";

        live_min_fuel_points: f64 = "0.5", 0.0..=100.0, "Fall of the fuel level, in points of percent, that a running trip must exceed to have used fuel.";

        charging_min_kw: f64 = "0.5", 0.0..=1000.0, "Power in kW from which on a connected charger charges.";
        charging_l1_high_kw: f64 = "1.2", 0.0..=1000.0, "Peak power in kW above which charging is of type `L1-high`.";
        charging_l2_kw: f64 = "3", 0.0..=1000.0, "Peak power in kW above which charging is of type `L2`.";
        charging_dcfc_kw: f64 = "20", 0.0..=1000.0, "Peak power in kW above which charging is of type `DCFC`.";

        soc_floor_cold_f: f64 = "50", -100.0..=200.0, "Temperature in °F below which an entry into gas mode is one in the cold.";
        soc_floor_min_pairs: u32 = "5", 1..=1000, "How many entries with a state of charge and a temperature it takes to compare the cold with the rest.";

        route_max_meters: f64 = "500", 0.0..=100_000.0, "How far apart, in metres, starts as well as ends of trips on one route are at most.";

        weather_freezing_f: f64 = "32", -100.0..=200.0, "Temperature in °F below which weather is extreme and costs most.";
        weather_cold_f: f64 = "45", -100.0..=200.0, "Temperature in °F below which cold costs a fair amount.";
        weather_cool_f: f64 = "55", -100.0..=200.0, "Temperature in °F below which cold costs a little.";
        weather_warm_f: f64 = "85", -100.0..=200.0, "Temperature in °F above which heat costs a little.";
        weather_hot_f: f64 = "95", -100.0..=200.0, "Temperature in °F above which weather is extreme and heat costs more.";
        weather_heavy_rain_in: f64 = "0.25", 0.0..=100.0, "Precipitation in inches per hour above which weather is extreme and rain costs more.";
        weather_wind_mph: f64 = "15", 0.0..=500.0, "Wind speed in mph above which wind costs a little.";
        weather_storm_mph: f64 = "25", 0.0..=500.0, "Wind speed in mph above which weather is extreme and wind costs more.";
        weather_freezing_factor: f64 = "0.2", 0.0..=10.0, "What freezing adds to the weather factor, as a share of consumption.";
        weather_cold_factor: f64 = "0.1", 0.0..=10.0, "What cold adds to the weather factor, as a share of consumption.";
        weather_cool_factor: f64 = "0.05", 0.0..=10.0, "What cool air adds to the weather factor, as a share of consumption.";
        weather_warm_factor: f64 = "0.05", 0.0..=10.0, "What warm air adds to the weather factor, as a share of consumption.";
        weather_hot_factor: f64 = "0.1", 0.0..=10.0, "What heat adds to the weather factor, as a share of consumption.";
        weather_rain_factor: f64 = "0.05", 0.0..=10.0, "What any rain adds to the weather factor, as a share of consumption.";
        weather_heavy_rain_factor: f64 = "0.1", 0.0..=10.0, "What heavy rain adds to the weather factor, as a share of consumption.";
        weather_wind_factor: f64 = "0.05", 0.0..=10.0, "What wind adds to the weather factor, as a share of consumption.";
        weather_storm_factor: f64 = "0.1", 0.0..=10.0, "What strong wind adds to the weather factor, as a share of consumption.";
    }
    check = consistent;
}

/// Pairs of settings of which the first must not be above the second.
macro_rules! in_order {
    ($settings:ident: $($low:ident <= $high:ident,)+) => {
        $(if $settings.$low > $settings.$high {
            return Err(format!(
                "setting `{}` is {}, but takes at most `{}`, which is {}",
                stringify!($low), $settings.$low, stringify!($high), $settings.$high,
            ));
        })+
    };
}

/// Limits must be in order, else a rule could never find anything.
fn consistent(settings: &Settings) -> Result<(), String> {
    in_order! { settings:
        min_mpg <= max_mpg,
        min_kwh_per_mile <= max_kwh_per_mile,
        min_fuel_samples <= max_fuel_samples,
        charging_l1_high_kw <= charging_l2_kw,
        charging_l2_kw <= charging_dcfc_kw,
        weather_freezing_f <= weather_cold_f,
        weather_cold_f <= weather_cool_f,
        weather_cool_f <= weather_warm_f,
        weather_warm_f <= weather_hot_f,
        weather_wind_mph <= weather_storm_mph,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_out_of_order_are_refused() {
        let given = [("min_mpg".to_owned(), "70".to_owned())];

        assert_eq!(
            plugin_settings::configure::<Settings>(&given),
            Err("setting `min_mpg` is 70, but takes at most `max_mpg`, which is 60".into())
        );
    }

    #[test]
    fn the_defaults_are_consistent() {
        assert_eq!(consistent(&Settings::default()), Ok(()));
    }
}
