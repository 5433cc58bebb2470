//! Every metric: its name, its kind, its meaning, and what its labels can say.
//! The alerts, the dashboard and what is written are held to this list.

#[cfg(test)]
use crate::events::{Code, DURATION_EDGES_US, Operation, OutcomeName};
#[cfg(test)]
use crate::plugin_host::{PluginErrorKind, Slot};

/// What kind of number it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// It only goes up, from zero at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values are no larger than each edge.
    Histogram {
        /// How many of what is counted make one base unit.
        parts: f64,
    },
}

/// A metric and its meaning.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) labels: &'static [&'static str],
}

macro_rules! families {
    ($($family:ident $name:literal $kind:expr, [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) static $family: Family =
            Family { name: $name, kind: $kind, help: $help, labels: &[$($label),*] };)*

        /// Every metric.
        #[cfg(test)]
        pub(crate) static ALL: &[&Family] = &[$(&$family),*];
    };
}

families! {
    BUILD_INFO "volttracker_build_info" Kind::Gauge, ["version", "environment", "deployment_id", "region", "wasmtime_version"]
        "Always 1; what is deployed, to join other metrics with on instance.";
    START_TIME "process_start_time_seconds" Kind::Gauge, []
        "When the process started: seconds since the epoch.";
    EVENTS "volttracker_events_total" Kind::Counter, ["operation", "outcome", "code", "usage_tier"]
        "Finished operations, whatever is sampled, by the code of their error (none: empty) and the vehicle's tier (none: empty; further ones: other).";
    EVENT_DURATION "volttracker_event_duration_seconds" Kind::Histogram { parts: 1e6 }, ["operation", "outcome"]
        "How long finished operations took, whatever is sampled.";
    ERRORS "volttracker_errors_total" Kind::Counter, ["code", "category"]
        "Failures by code, also those that did not decide the outcome of their operation.";
    RECEIVED "volttracker_events_received_total" Kind::Counter, []
        "Finished events. Once none is on its way: received = kept + sampled_out + lost_by_sink.";
    KEPT "volttracker_events_kept" Kind::Gauge, []
        "Events handed to the sinks and not lost there: it falls when a sink loses what it had taken.";
    SAMPLED_OUT "volttracker_events_sampled_out_total" Kind::Counter, []
        "Events let go by the coin.";
    LOST_BY_SINK "volttracker_events_lost_by_sink_total" Kind::Counter, []
        "Events lost because a sink was full or gone, by one sink or by several.";
    SINK_EVENTS "volttracker_sink_events_total" Kind::Counter, ["sink", "result"]
        "Kept events that each sink delivered, or lost.";
    SINK_QUEUE "volttracker_sink_queue_length" Kind::Gauge, ["sink"]
        "Kept events that wait for each sink.";
    EVENT_QUEUE "volttracker_event_queue_length" Kind::Gauge, ["task"]
        "Finished events that wait for an event task.";
    UPLOADS_UNDER_WAY "volttracker_uploads_under_way" Kind::Gauge, []
        "Uploads under way.";
    WRITE_QUEUE "volttracker_write_queue_length" Kind::Gauge, []
        "Uploads that wait for the writer.";
    BATCH_SIZE "volttracker_write_batch_size" Kind::Histogram { parts: 1.0 }, []
        "Uploads in the batches that the writer took at once.";
    UNFINISHED_TRIPS "volttracker_unfinished_trips" Kind::Gauge, ["status"]
        "Trips in the store that are open or failed, at most ten seconds old; absent while the store does not answer.";
    PLUGIN_INFO "volttracker_plugin_info" Kind::Gauge, ["slot", "digest", "name", "version", "generation"]
        "Always 1; the plugin that serves the slot.";
    PLUGIN_DEGRADED "volttracker_plugin_degraded" Kind::Gauge, ["slot"]
        "Whether the slot is served, but not as it should be.";
    PLUGIN_CALLS "volttracker_plugin_calls_total" Kind::Counter, ["slot", "digest"]
        "Calls of the plugin, failed ones included, since its activation.";
    PLUGIN_FAILURES "volttracker_plugin_call_failures_total" Kind::Counter, ["slot", "digest", "code"]
        "Calls of the plugin that failed, since its activation.";
    PLUGIN_DURATION "volttracker_plugin_call_duration_seconds" Kind::Histogram { parts: 1e9 }, ["slot", "digest"]
        "How long calls of the plugin took, since its activation.";
    WEATHER_PAUSE "volttracker_weather_pause_seconds" Kind::Gauge, []
        "How long the weather service is left alone from now on.";
    WEATHER_CACHE "volttracker_weather_cache_entries" Kind::Gauge, []
        "Hours at places whose weather is remembered, about.";
}

impl Family {
    /// A value of a histogram, in seconds or whatever its base unit is.
    pub(super) fn in_base_unit(&self, counted: u64) -> f64 {
        match self.kind {
            Kind::Histogram { parts } => counted as f64 / parts,
            Kind::Counter | Kind::Gauge => counted as f64,
        }
    }

    /// All that a label can say; nothing where that is anybody's choice.
    #[cfg(test)]
    pub(crate) fn values(&self, label: &str) -> Option<Vec<String>> {
        let codes: Vec<&str> = if self.name == PLUGIN_FAILURES.name {
            PluginErrorKind::ALL.map(PluginErrorKind::code).into()
        } else {
            // An operation without an error has none.
            Code::ALL.iter().map(|code| code.as_str()).chain([""]).collect()
        };
        let known: Vec<&str> = match label {
            "operation" => Operation::ALL.map(Operation::as_str).into(),
            "outcome" => OutcomeName::ALL.map(OutcomeName::as_str).into(),
            "code" => codes,
            "category" => Code::ALL.iter().map(|code| code.category().as_str()).collect(),
            "slot" => Slot::ALL.map(Slot::as_str).into(),
            "result" => vec!["delivered", "lost"],
            "status" => vec!["open", "failed"],
            "le" if self.name == EVENT_DURATION.name => {
                return Some(
                    DURATION_EDGES_US.iter().map(|edge| self.in_base_unit(*edge).to_string()).collect(),
                );
            }
            _ => return None,
        };
        Some(known.into_iter().map(str::to_owned).collect())
    }
}
