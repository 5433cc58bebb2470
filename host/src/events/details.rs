//! The fields that belong to one operation only.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::shadow::ShadowTrip;
use super::sink::SinkTotals;
use crate::identity::{TripId, VehicleId};

/// The fields of the operation, beside the envelope.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Details {
    /// Of `telemetry_upload`.
    Upload(Box<UploadDetails>),
    /// Of `trip_finalization` and `trip_recalculation`.
    Finalization(Box<FinalizationDetails>),
    /// Of `charging_session`.
    Charging(Box<ChargingDetails>),
    /// Of `external_api_weather`.
    Weather(Box<WeatherDetails>),
    /// Of `api_request`.
    ApiRequest(Box<ApiRequestDetails>),
    /// Of `csv_import`.
    Import(Box<ImportDetails>),
    /// Of `plugin_swap`.
    PluginSwap(Box<PluginSwapDetails>),
    /// Of `service_start`.
    ServiceStart(Box<ServiceStartDetails>),
    /// Of `service_stop`.
    ServiceStop(Box<ServiceStopDetails>),
}

/// What is known of an upload. Absent is what the request does not say.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct UploadDetails {
    /// Request method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    /// Template of the route, never the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'static str>,
    /// Status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub remote_addr: Option<IpAddr>,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether a token came along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_token: Option<bool>,
    /// Whether the client was gone before the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_gone: Option<bool>,
    /// What kind of request it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["telemetry", "profile", "default_units", "user_units", "notice"]))]
    pub upload_kind: Option<&'static str>,
    /// Number of parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_params_count: Option<u32>,
    /// Number of PIDs that the catalogue does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_params_count: Option<u32>,
    /// Number of values that were not finite or not plausible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_values_count: Option<u32>,
    /// Length of query and body: bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// Version of the app that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The vehicle: a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub vehicle_id: Option<VehicleId>,
    /// The app's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub trip_id: Option<TripId>,
    /// Name of the vehicle profile, where the request carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// What the notice says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// PIDs whose reported unit disagrees with the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_conflicts: Option<Vec<String>>,
    /// When the reading was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading_time: Option<jiff::Timestamp>,
    /// From the reading to its receipt: milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading_lag_ms: Option<i64>,
    /// Number of values in the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields_count: Option<u32>,
    /// Odometer: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odometer_miles: Option<f64>,
    /// Distance of the trip by the phone: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip_distance_miles: Option<f64>,
    /// State of charge: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_of_charge: Option<f64>,
    /// Fuel level: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_level_percent: Option<f64>,
    /// Fuel in the tank: US gallons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_remaining_gallons: Option<f64>,
    /// Power of the high-voltage battery: kW, positive discharges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hv_battery_power_kw: Option<f64>,
    /// Voltage of the high-voltage battery: V.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hv_battery_voltage_v: Option<f64>,
    /// Speed: mph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mph: Option<f64>,
    /// Engine speed: revolutions per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_rpm: Option<f64>,
    /// Whether the car says that its engine runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_running: Option<bool>,
    /// Whether a charger is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charger_connected: Option<bool>,
    /// Power of the charger: kW.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charger_power_kw: Option<f64>,
    /// Ambient temperature: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambient_temp_f: Option<f64>,
    /// Coolant temperature: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coolant_temp_f: Option<f64>,
    /// Temperature of the high-voltage battery: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_temp_f: Option<f64>,
    /// Module voltage: V.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_voltage: Option<f64>,
    /// Whether the reading has a position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_gps: Option<bool>,
    /// Latitude, cut to 2 decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Longitude, cut to 2 decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

/// What is known of an import of a track log.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ImportDetails {
    /// Request method.
    pub method: &'static str,
    /// Path of the request.
    pub route: &'static str,
    /// Status of the answer. One that told of its progress began with 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Address of the client.
    pub remote_addr: String,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether a token came along.
    pub has_token: bool,
    /// Whether the client was gone before the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_gone: Option<bool>,
    /// The vehicle: a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle_id: Option<String>,
    /// Length of the file, or of what arrived of it: bytes.
    pub request_bytes: u64,
    /// Rows of the file, headers left out.
    pub file_rows: u64,
    /// Rows that are readings now.
    pub imported_rows: u64,
    /// Rows whose trip has a reading of that time already.
    pub duplicate_rows: u64,
    /// Duplicate rows that say something else than that reading.
    pub conflicting_rows: u64,
    /// Rows whose trip was closed too long ago.
    pub late_rows: u64,
    /// Rows that say nothing that can be kept.
    pub bad_rows: u64,
    /// The first rows that are late or bad, with their lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bad_row_examples: Vec<String>,
    /// Number of values that were no number or not plausible.
    pub dropped_values_count: u64,
    /// Columns that the catalogue knows, but not in that unit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub odd_unit_columns: Vec<String>,
    /// Trips that the rows belong to.
    pub trips: u64,
    /// Trips that the import opened.
    pub trips_created: u64,
    /// The earliest reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_reading_time: Option<jiff::Timestamp>,
    /// The latest reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reading_time: Option<jiff::Timestamp>,
}

/// What is known of a trip's end.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct FinalizationDetails {
    /// Whether somebody asked for it: then it is a recalculation.
    #[serde(skip)]
    pub asked_for: bool,
    /// The trip.
    pub trip_id: String,
    /// The app's session.
    pub session_id: String,
    /// The vehicle: a keyed hash.
    pub vehicle_id: String,
    /// Name of the vehicle profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// The how-many-th finalization of this trip this is, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalization_number: Option<i64>,
    /// The how-many-th attempt at it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// First reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<jiff::Timestamp>,
    /// Last reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<jiff::Timestamp>,
    /// From the first to the last reading: minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip_duration_minutes: Option<f64>,
    /// First known odometer: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_odometer: Option<f64>,
    /// Last known odometer: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_odometer: Option<f64>,
    /// First known state of charge: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_soc: Option<f64>,
    /// Distance: miles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_miles: Option<f64>,
    /// What the distance comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_source: Option<String>,
    /// Miles on the battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub electric_miles: Option<f64>,
    /// Miles on the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_miles: Option<f64>,
    /// Whether the engine took over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_mode_entered: Option<bool>,
    /// When the engine took over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_mode_entry_time: Option<jiff::Timestamp>,
    /// Mean ambient temperature by the car: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_temp_f: Option<f64>,
    /// Fuel level when the engine took over: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_level_at_gas_entry: Option<f64>,
    /// Last known fuel level: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_level_at_end: Option<f64>,
    /// The route that it is on, where routes are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_id: Option<String>,
    /// What the calculator beside this one says of the trip; it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowTrip>,
    /// Mean temperature along the trip by the weather service: °F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weather_temp_f: Option<f64>,
    /// The commonest condition along the trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weather_conditions: Option<String>,
    /// By how much the weather raised consumption: 1 is no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weather_impact_factor: Option<f64>,
    /// Whether the weather was extreme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extreme_weather: Option<bool>,
}

/// What is known of a charging session within a trip that ended.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ChargingDetails {
    /// The trip.
    pub trip_id: String,
    /// The app's session.
    pub session_id: String,
    /// The vehicle: a keyed hash.
    pub vehicle_id: String,
    /// The how-many-th finalization of the trip found it so, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalization_number: Option<i64>,
    /// Whether it takes the place of what was told of the session before.
    pub revised: bool,
    /// First reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<jiff::Timestamp>,
    /// Last reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<jiff::Timestamp>,
    /// From the first to the last reading: minutes.
    pub charging_minutes: f64,
    /// Whether the readings show its end; it ended with its trip otherwise.
    pub complete: bool,
    /// `L1`, `L1-high`, `L2` or `DCFC`.
    pub charge_type: String,
    /// First known state of charge: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_soc: Option<f64>,
    /// Last known state of charge: percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_soc: Option<f64>,
    /// Highest power: kW.
    pub peak_power_kw: f64,
    /// Mean power: kW.
    pub avg_power_kw: f64,
    /// Latitude, cut to 2 decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Longitude, cut to 2 decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

/// One request to the weather service, with its attempts.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct WeatherDetails {
    /// Who is asked.
    #[schemars(extend("enum" = ["open_meteo"]))]
    pub peer_service: &'static str,
    /// What is asked, without a key.
    pub url: String,
    /// Latitude of the place, 2 decimals.
    pub latitude: f64,
    /// Longitude of the place, 2 decimals.
    pub longitude: f64,
    /// How long one attempt may take.
    pub timeout_seconds: f64,
    /// Attempts that were made.
    pub attempts: u32,
    /// Status of the last attempt's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Length of the body of that answer: bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_size_bytes: Option<u64>,
}

/// One request of the API, uploads not among them.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ApiRequestDetails {
    /// Request method.
    pub method: &'static str,
    /// Template of the route.
    pub route: String,
    /// Status of the answer; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Address of the client.
    pub remote_addr: String,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether a token came along.
    pub has_token: bool,
    /// Whether the client was gone before the end of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_gone: Option<bool>,
    /// Length of the answer's body as far as it went: bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_size_bytes: Option<u64>,
    /// The trip that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip_id: Option<String>,
    /// The vehicle that it was about: a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle_id: Option<String>,
}

/// One try to put another plugin into a slot.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct PluginSwapDetails {
    /// The slot; absent where `plugins.toml` itself cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["trip-calculator", "usage-tier", "sampling-policy"]))]
    pub slot: Option<&'static str>,
    /// What it came to: `activation`, `refusal` or `rollback`; `unchanged` where
    /// it served already, and `renewal` where it then began anew since it served
    /// badly; `given_up` where a stop came before, and `undecided` where the
    /// library did not say whether it has it; or `shadow` and `discard`, where
    /// what serves the slot stays.
    #[schemars(extend("enum" = ["activation", "refusal", "rollback", "unchanged", "renewal", "given_up", "undecided", "shadow", "discard"]))]
    pub swap: &'static str,
    /// Which way it came: `start`, `watch`, `sighup`, `api`, `rollback`,
    /// `auto_rollback`, `shared` from another host or a library that did not say
    /// in time what it has, `promotion` of a shadow;
    /// `shadow` and `auto_discard` where it is about a shadow; a shadow that
    /// serves after another way than its promotion is discarded by that way.
    #[schemars(extend("enum" = ["start", "watch", "sighup", "api", "rollback", "auto_rollback", "shared", "promotion", "shadow", "auto_discard"]))]
    pub way: &'static str,
    /// Where the component or the settings come from: a file, or words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// What served the slot before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<SwappedPlugin>,
    /// What serves it now, or was to serve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<SwappedPlugin>,
    /// What is set for it, as JSON, where that is something else than before: a
    /// rollback goes back to the settings of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Whether its code had to be compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled: Option<bool>,
    /// Why it was refused: all that is wrong with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One side of a swap; what is not known of a refused plugin is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SwappedPlugin {
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it calls its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of the component, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// SHA-256 of the settings, in hex.
    pub settings_digest: String,
    /// The number of its activation of the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// What a start finds.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ServiceStartDetails {
    /// Address it listens on.
    pub bind_addr: String,
    /// The engine of the store.
    #[schemars(extend("enum" = ["sqlite", "postgres"]))]
    pub database: &'static str,
    /// Name of the PID catalogue.
    pub pid_catalogue: String,
    /// How the process before it ended; `none` is the first one.
    #[schemars(extend("enum" = ["clean", "unclean", "none"]))]
    pub previous_shutdown: &'static str,
}

/// What a stop leaves.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ServiceStopDetails {
    /// What ended it.
    pub stop_reason: String,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Events finished before this one.
    pub events_received: u64,
    /// Events handed to the sinks.
    pub events_kept: u64,
    /// Events that the coin let go.
    pub events_sampled_out: u64,
    /// Events that a sink lost, one or several.
    pub events_lost_by_sink: u64,
    /// What became of the kept events in each sink, by its name.
    pub sinks: BTreeMap<&'static str, SinkTotals>,
}
