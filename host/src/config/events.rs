//! Where kept events go.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Secret;

/// The sinks of kept events, and how much may wait for each.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events")]
pub struct EventConfig {
    /// Where kept events go: a list, separated by commas.
    #[arg(long, env, value_enum, value_delimiter = ',', num_args = 1.., default_value = "stdout,store")]
    pub event_sinks: Vec<SinkName>,
    /// Megabytes of events that wait for a sink that is slow or down; what finds no room is lost and counted.
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub event_buffer_mb: u64,
}

/// A place for kept events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SinkName {
    /// Standard output, a line an event.
    Stdout,
    /// The built-in store, which answers queries.
    Store,
    /// Files in EVENT_FILE_DIR, a line an event.
    File,
    /// A collector that speaks OpenTelemetry, as log records.
    Otlp,
}

impl SinkName {
    /// The name in settings, counts and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Store => "store",
            Self::File => "file",
            Self::Otlp => "otlp",
        }
    }
}

/// The built-in store of events; kept with `store` in EVENT_SINKS.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events in the store")]
pub struct EventStoreConfig {
    /// Days that events are kept there.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    pub event_store_max_age_days: u64,
    /// Megabytes of events that are kept there; the oldest go first.
    #[arg(long, env, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub event_store_max_mb: u64,
}

/// Files of events; written with `file` in EVENT_SINKS.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events in files")]
pub struct FileConfig {
    /// Folder of the files [default: `events` in DATA_DIR].
    #[arg(long, env)]
    pub event_file_dir: Option<PathBuf>,
    /// Megabytes of the largest file: then another one is begun.
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub event_file_max_mb: u64,
    /// Hours after which another file is begun.
    #[arg(long, env, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub event_file_max_hours: u32,
    /// Files that are kept: the oldest go.
    #[arg(long, env, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub event_file_keep: u32,
}

impl EventConfig {
    /// Whether events go there.
    pub fn has(&self, sink: SinkName) -> bool {
        self.event_sinks.contains(&sink)
    }

    /// Bytes of events that wait for a sink at most.
    pub fn buffer_bytes(&self) -> usize {
        usize::try_from(self.event_buffer_mb << 20).unwrap_or(usize::MAX)
    }
}

/// Where OpenTelemetry's logs go, over HTTP; sent with `otlp` in EVENT_SINKS.
/// The names are OpenTelemetry's own, for which an empty value is none.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events to a collector (OTLP over HTTP)")]
pub struct OtlpConfig {
    /// The collector; logs go to `/v1/logs` there [default: http://localhost:4318].
    #[arg(long, env, hide_env_values = true, value_parser = secret_or_none)]
    pub otel_exporter_otlp_endpoint: Option<Secret>,
    /// The address of logs, as it is [default: made of OTEL_EXPORTER_OTLP_ENDPOINT].
    #[arg(long, env, hide_env_values = true, value_parser = secret_or_none)]
    pub otel_exporter_otlp_logs_endpoint: Option<Secret>,
    /// Headers of each request, such as a key: NAME=VALUE, separated by commas, values percent-encoded.
    #[arg(long, env, hide_env_values = true, value_parser = secret_or_none)]
    pub otel_exporter_otlp_headers: Option<Secret>,
    /// Milliseconds that one request may take.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub otel_exporter_otlp_timeout: u64,
}

fn secret_or_none(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

impl OtlpConfig {
    /// The collector.
    pub fn endpoint(&self) -> Option<&str> {
        said(self.otel_exporter_otlp_endpoint.as_ref())
    }

    /// The address of logs.
    pub fn logs_endpoint(&self) -> Option<&str> {
        said(self.otel_exporter_otlp_logs_endpoint.as_ref())
    }

    /// Headers of each request.
    pub fn headers(&self) -> &str {
        said(self.otel_exporter_otlp_headers.as_ref()).unwrap_or_default()
    }
}

fn said(setting: Option<&Secret>) -> Option<&str> {
    setting.map(|setting| setting.expose().trim()).filter(|text| !text.is_empty())
}
