//! All settings: one struct for each area, read from the environment or the
//! command line by `clap`. Nothing here acts on a setting.

mod events;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

pub use events::{EventConfig, EventStoreConfig, FileConfig, OtlpConfig, SinkName};

/// Everything that `volttracker serve` can be told.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// What every event says of this process.
    #[command(flatten)]
    pub service: ServiceConfig,
    /// What is received, from whom.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Where it is kept.
    #[command(flatten)]
    pub store: StoreConfig,
    /// When a trip ends.
    #[command(flatten)]
    pub trips: TripConfig,
    /// Which events are kept.
    #[command(flatten)]
    pub sampling: SamplingConfig,
    /// Where they go.
    #[command(flatten)]
    pub events: EventConfig,
    /// How long they are kept for queries.
    #[command(flatten)]
    pub event_store: EventStoreConfig,
    /// How they are kept in files.
    #[command(flatten)]
    pub event_files: FileConfig,
    /// How they are sent to a collector.
    #[command(flatten)]
    pub otlp: OtlpConfig,
    /// Where the business rules are.
    #[command(flatten)]
    pub plugins: PluginConfig,
    /// What is switched on.
    #[command(flatten)]
    pub features: FeatureConfig,
    /// Where weather comes from.
    #[command(flatten)]
    pub weather: WeatherConfig,
}

/// Service metadata of every event.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceConfig {
    /// Version that events name.
    #[arg(long, env, default_value = env!("CARGO_PKG_VERSION"))]
    pub app_version: String,
    /// Where this runs; sets the default sampling rate of uploads.
    #[arg(long, env, value_enum, default_value_t = Environment::Development)]
    pub environment: Environment,
    /// Which deployment this is [default: local-HOSTNAME].
    #[arg(long, env)]
    pub deployment_id: Option<String>,
    /// When it was deployed, RFC 3339 [default: start of the process].
    #[arg(long, env)]
    pub deployment_timestamp: Option<jiff::Timestamp>,
    /// Region it runs in.
    #[arg(long, env, default_value = "local")]
    pub region: String,
}

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine: every event is kept.
    Development,
    /// A rehearsal: a quarter of the ordinary upload events is kept.
    Staging,
    /// The real thing: 5 % of the ordinary upload events are kept.
    Production,
}

impl Environment {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// The receiver's address and its doors.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Receiver")]
pub struct HttpConfig {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env, default_value = "127.0.0.1:8080")]
    pub bind_addr: SocketAddr,
    /// Token that uploads and reads must carry: in the path or as Bearer [default: open].
    #[arg(long, env, hide_env_values = true)]
    pub torque_api_token: Option<Secret>,
    /// Token of admin requests, such as replacing a plugin, as Bearer [default: they are refused].
    #[arg(long, env, hide_env_values = true)]
    pub admin_token: Option<Secret>,
    /// Uploads a minute that one address, and one vehicle, may send; 0 is no limit. What is over it is told to
    /// come back. Behind a proxy every phone has the proxy's address.
    #[arg(long, env, default_value_t = 0)]
    pub rate_limit_per_minute: u32,
    /// PID catalogue to use instead of the built-in `volt-gen2`: a TOML file, or `volttracker-legacy`.
    #[arg(long, env)]
    pub pid_catalogue: Option<String>,
}

impl HttpConfig {
    /// The tokens that are set.
    pub fn tokens(&self) -> impl Iterator<Item = &Secret> {
        self.torque_api_token.iter().chain(&self.admin_token)
    }
}

/// A secret: it has no form in which it could be logged.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The secret, to compare with.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::str::FromStr for Secret {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("must not be empty: unset it to leave it out".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StoreConfig {
    /// Folder of everything that this process keeps.
    #[arg(long, env, default_value = "./data")]
    pub data_dir: PathBuf,
    /// `sqlite:` or `postgres://…` [default: a SQLite file in DATA_DIR].
    #[arg(long, env, hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// Key of the hashes that stand for devices, at least 16 characters [default: made once, kept in the database].
    #[arg(long, env, hide_env_values = true)]
    pub id_key: Option<Secret>,
}

/// The trip lifecycle.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trips")]
pub struct TripConfig {
    /// A trip ends when nothing was received for it for this long.
    #[arg(long, env, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub trip_timeout_seconds: u64,
    /// A reading for a trip that was closed longer ago than this is quarantined.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub late_reading_days: u64,
}

impl TripConfig {
    /// How long a trip stays open without anything received.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.trip_timeout_seconds)
    }

    /// How long a closed trip still takes readings.
    pub fn late_readings(&self) -> Duration {
        Duration::from_secs(self.late_reading_days * 86_400)
    }
}

/// Base rates of sampling; the policy plugin decides on top of them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingConfig {
    /// Share of ordinary upload events to keep, 0 to 1 [default: production 0.05, staging 0.25, development 1].
    #[arg(long, env, value_parser = share)]
    pub log_sample_telemetry: Option<f64>,
    /// Share of ordinary finalization events to keep, 0 to 1.
    #[arg(long, env, default_value_t = 1.0, value_parser = share)]
    pub log_sample_trip: f64,
    /// From this duration on an operation is slow: milliseconds.
    #[arg(long, env, default_value_t = 1000.0, value_parser = milliseconds)]
    pub log_slow_threshold_ms: f64,
    /// What stays or goes together.
    #[arg(long, env, value_enum, default_value_t = SamplingUnit::Trace)]
    pub sampling_unit: SamplingUnit,
}

/// What stays or goes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SamplingUnit {
    /// All ordinary events of a trip.
    Trace,
    /// Each event for itself.
    Request,
}

/// The plugins' folder.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Plugins")]
pub struct PluginConfig {
    /// Folder with one component for each slot, and `plugins.toml`.
    #[arg(long, env, default_value = "./plugins/dist")]
    pub plugin_dir: PathBuf,
    /// What compiling one of them may take.
    #[command(flatten)]
    pub compile_limits: CompileLimits,
}

/// What the process that compiles a component may take; one that takes more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct CompileLimits {
    /// Memory that compiling one component may take: MB.
    #[arg(long, env, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(256..=65_536))]
    pub plugin_compile_memory_mb: u64,
    /// Time of a processor that compiling one component may take: seconds.
    #[arg(long, env, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub plugin_compile_seconds: u64,
}

/// Feature flags; every event names them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Features")]
pub struct FeatureConfig {
    /// Weather along the trip.
    #[arg(long, env, default_value_t = true, action = ArgAction::Set)]
    pub feature_weather: bool,
    /// Trips that share a route.
    #[arg(long, env, default_value_t = false, action = ArgAction::Set)]
    pub feature_route_detection: bool,
    /// Range left, predicted from recent trips.
    #[arg(long, env, default_value_t = false, action = ArgAction::Set)]
    pub feature_predictive_range: bool,
}

/// The weather service; asked only with FEATURE_WEATHER.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Weather")]
pub struct WeatherConfig {
    /// Open-Meteo's forecast, or what answers like it; a query in it, such as a key, is sent along.
    #[arg(long, env, hide_env_values = true, default_value = "https://api.open-meteo.com/v1/forecast")]
    pub weather_api_url: Secret,
    /// Open-Meteo's archive, for what is older than five days.
    #[arg(
        long,
        env,
        hide_env_values = true,
        default_value = "https://archive-api.open-meteo.com/v1/archive"
    )]
    pub weather_archive_url: Secret,
    /// Seconds that one try may take.
    #[arg(long, env, default_value_t = 3.0, value_parser = timeout_seconds)]
    pub weather_api_timeout: f64,
    /// Tries of one request.
    #[arg(long, env, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub weather_api_max_retries: u32,
    /// Seconds before the second try; they double with each further one.
    #[arg(long, env, default_value_t = 0.5, value_parser = delay_seconds)]
    pub weather_api_retry_delay: f64,
    /// Minutes from one look at the weather along a trip to the next.
    #[arg(long, env, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub weather_sample_interval: u64,
}

impl SamplingConfig {
    /// Share of ordinary upload events to keep in `environment`.
    pub fn telemetry_rate(&self, environment: Environment) -> f64 {
        self.log_sample_telemetry.unwrap_or(match environment {
            Environment::Production => 0.05,
            Environment::Staging => 0.25,
            Environment::Development => 1.0,
        })
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("takes a number from 0 to 1".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ms) if ms.is_finite() && ms >= 0.0 => Ok(ms),
        _ => Err("takes milliseconds, 0 or more".to_owned()),
    }
}

fn timeout_seconds(text: &str) -> Result<f64, String> {
    seconds(text, 0.05..=10.0)
}

fn delay_seconds(text: &str) -> Result<f64, String> {
    seconds(text, 0.0..=10.0)
}

fn seconds(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if range.contains(&seconds) => Ok(seconds),
        _ => Err(format!("takes seconds, {} to {}", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn a_malformed_value_is_refused_by_the_name_of_its_variable() {
        for (flag, value, variable) in [
            ("--trip-timeout-seconds", "soon", "TRIP_TIMEOUT_SECONDS"),
            ("--log-sample-telemetry", "5", "LOG_SAMPLE_TELEMETRY"),
            ("--feature-weather", "perhaps", "FEATURE_WEATHER"),
            ("--environment", "moon", "ENVIRONMENT"),
            ("--bind-addr", "here", "BIND_ADDR"),
            ("--event-sinks", "stdout,moon", "EVENT_SINKS"),
            ("--event-sinks", "", "EVENT_SINKS"),
            ("--event-buffer-mb", "0", "EVENT_BUFFER_MB"),
            ("--event-store-max-age-days", "0", "EVENT_STORE_MAX_AGE_DAYS"),
            ("--event-store-max-mb", "0", "EVENT_STORE_MAX_MB"),
            ("--event-file-max-mb", "0", "EVENT_FILE_MAX_MB"),
            ("--event-file-max-hours", "0", "EVENT_FILE_MAX_HOURS"),
            ("--event-file-keep", "0", "EVENT_FILE_KEEP"),
            ("--otel-exporter-otlp-timeout", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--rate-limit-per-minute", "often", "RATE_LIMIT_PER_MINUTE"),
            ("--plugin-compile-memory-mb", "1", "PLUGIN_COMPILE_MEMORY_MB"),
            ("--plugin-compile-seconds", "0", "PLUGIN_COMPILE_SECONDS"),
            ("--weather-api-timeout", "NaN", "WEATHER_API_TIMEOUT"),
            ("--weather-api-timeout", "60", "WEATHER_API_TIMEOUT"),
            ("--weather-api-max-retries", "0", "WEATHER_API_MAX_RETRIES"),
            ("--weather-api-retry-delay", "11", "WEATHER_API_RETRY_DELAY"),
            ("--weather-sample-interval", "0", "WEATHER_SAMPLE_INTERVAL"),
        ] {
            let refusal = Cli::try_parse_from(["volttracker", flag, value]).err().map(|e| e.to_string());
            assert!(refusal.as_deref().is_some_and(|text| text.contains(variable)), "{flag}: {refusal:?}");
        }
    }

    #[test]
    fn the_default_rate_of_uploads_depends_on_the_environment() {
        let cli = Cli::try_parse_from(["volttracker"]).expect("defaults are complete");
        let rate = |environment| cli.config.sampling.telemetry_rate(environment);
        assert_eq!(rate(Environment::Production), 0.05);
        assert_eq!(rate(Environment::Staging), 0.25);
        assert_eq!(rate(Environment::Development), 1.0);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret: Secret = "hunter2".parse().expect("not empty");
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
