//! Where kept events go.

use clap::{Args, ValueEnum};

/// The sinks of kept events, and how much may wait for each.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events")]
pub struct EventConfig {
    /// Where kept events go: a list, separated by commas.
    #[arg(long, env, value_enum, value_delimiter = ',', num_args = 1.., default_value = "stdout")]
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
