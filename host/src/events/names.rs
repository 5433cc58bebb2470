//! The names in an event's open groups (figures, flags and times): each is
//! declared here, once, with what it means and whose events have it. What has no
//! name here gets into no event, but for what a plugin names itself.

use std::marker::PhantomData;

use super::fields::Value;
use super::record::Operation;

/// A name in a group, for values of one kind.
pub struct Name<G, V> {
    text: &'static str,
    of: PhantomData<fn() -> (G, V)>,
}

impl<G, V> Clone for Name<G, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<G, V> Copy for Name<G, V> {}

impl<G, V> Name<G, V> {
    const fn new(text: &'static str) -> Self {
        Self { text, of: PhantomData }
    }

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        self.text
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A whole number from 0 up.
    Count,
    /// A finite number.
    Number,
    /// A word of few.
    Word,
}

/// A value of a kind.
pub trait Worth: Into<Value> {
    /// The kind.
    const KIND: Kind;
}

impl Worth for bool {
    const KIND: Kind = Kind::Flag;
}
impl Worth for Count {
    const KIND: Kind = Kind::Count;
}
impl Worth for f64 {
    const KIND: Kind = Kind::Number;
}
impl Worth for &'static str {
    const KIND: Kind = Kind::Word;
}

/// So many of something.
pub struct Count(pub(super) i64);

macro_rules! counts {
    ($($number:ty)*) => {$(
        impl From<$number> for Count {
            fn from(number: $number) -> Self {
                Self(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
    )*};
}

counts! { u32 i64 u64 usize }

/// A name as it is published.
pub struct Declared {
    /// The name as written.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whose events may have it.
    pub operations: &'static [Operation],
    /// What it means, and in which unit it is.
    pub meaning: &'static str,
}

/// Names of one group.
pub trait Group: 'static {
    /// All that the host gives.
    const DECLARED: &'static [Declared];
    /// How many an upload has.
    const USUAL: usize;
}

/// What an operation means for the business: names in `business_metrics`.
#[derive(Debug, Clone, Default)]
pub struct Business;

/// What it means for the operator: names in `technical_metrics`.
#[derive(Debug, Clone, Default)]
pub struct Technical;

/// Where the time went: names in `performance_breakdown`.
#[derive(Debug, Clone, Default)]
pub struct Timing;

const UPLOAD: &[Operation] = &[Operation::TelemetryUpload];
const TRIP: &[Operation] = &[Operation::TripFinalization, Operation::TripRecalculation];
const CHARGING: &[Operation] = &[Operation::ChargingSession];
const WEATHER: &[Operation] = &[Operation::ExternalApiWeather];
const IMPORT: &[Operation] = &[Operation::CsvImport];
const SWAP: &[Operation] = &[Operation::PluginSwap];
const UPLOAD_AND_IMPORT: &[Operation] = &[Operation::TelemetryUpload, Operation::CsvImport];
const UPLOAD_AND_TRIP: &[Operation] =
    &[Operation::TelemetryUpload, Operation::TripFinalization, Operation::TripRecalculation];
/// Those that the policy is asked about.
const SAMPLED: &[Operation] = &[
    Operation::TelemetryUpload,
    Operation::TripFinalization,
    Operation::TripRecalculation,
    Operation::ChargingSession,
    Operation::ApiRequest,
    Operation::CsvImport,
];
const OF_VEHICLES: &[Operation] = &[
    Operation::TelemetryUpload,
    Operation::TripFinalization,
    Operation::TripRecalculation,
    Operation::ChargingSession,
    Operation::CsvImport,
];

macro_rules! names {
    ($group:ident, usually $usual:literal: $($constant:ident $name:literal $value:ty, $operations:expr, $meaning:literal;)*) => {
        impl $group {
            $(
                #[doc = $meaning]
                pub const $constant: Name<Self, $value> = Name::new($name);
            )*
        }

        impl Group for $group {
            const USUAL: usize = $usual;
            const DECLARED: &'static [Declared] = &[$(Declared {
                name: $name,
                kind: <$value as Worth>::KIND,
                operations: $operations,
                meaning: $meaning,
            },)*];
        }
    };
}

names! { Business, usually 5:
    TRIP_CREATED "trip_created" bool, UPLOAD_AND_IMPORT, "Whether a trip began with it.";
    TRIP_REOPENED "trip_reopened" bool, UPLOAD, "Whether it came late and opened a closed trip again.";
    DUPLICATE_READING "duplicate_reading" bool, UPLOAD, "Whether the trip had a reading of that time.";
    CONFLICTING_READING "conflicting_reading" bool, UPLOAD, "Whether the trip had a reading of that time that says something else; the first stays.";
    CHARGING_STARTED "charging_started" bool, UPLOAD, "Whether charging started with it.";
    TELEMETRY_POINTS "telemetry_points" Count, TRIP, "Readings of the trip.";
    GAS_MODE_ENTERED "gas_mode_entered" bool, TRIP, "Whether the engine took over.";
    REFUEL_DETECTED "refuel_detected" bool, TRIP, "Whether the tank was filled.";
    REFUELED_GALLONS "refueled_gallons" f64, TRIP, "Fuel filled in: US gallons.";
    ELECTRIC_KWH_USED "electric_kwh_used" f64, TRIP, "Energy taken from the battery: kWh.";
    KWH_PER_MILE "kwh_per_mile" f64, TRIP, "Energy for a mile on the battery: kWh.";
    SOC_AT_GAS_TRANSITION "soc_at_gas_transition" f64, TRIP, "State of charge when the engine took over: percent.";
    GAS_MPG "gas_mpg" f64, TRIP, "Miles on the engine for a US gallon.";
    FUEL_USED_GALLONS "fuel_used_gallons" f64, TRIP, "Fuel burnt: US gallons.";
    CHARGING_SESSIONS "charging_sessions" Count, TRIP, "Charging sessions within the trip.";
    ELECTRIC_COST "electric_cost" f64, TRIP, "What the energy cost: $.";
    GAS_COST "gas_cost" f64, TRIP, "What the fuel cost: $.";
    TOTAL_COST "total_cost" f64, TRIP, "What energy and fuel cost: $.";
    COST_PER_MILE "cost_per_mile" f64, TRIP, "What a mile cost: $.";
    ROUTE_TRIPS "route_trips" Count, TRIP, "Trips on the trip's route, this one among them.";
    PREDICTED_RANGE_MILES "predicted_range_miles" f64, TRIP, "How far the battery still reaches: miles.";
    KWH_ADDED "kwh_added" f64, CHARGING, "Energy charged: kWh.";
    CHARGING_COST "charging_cost" f64, CHARGING, "What the energy charged cost: $.";
}

names! { Technical, usually 3:
    BATCH_SIZE "batch_size" Count, UPLOAD, "Uploads of the batch that it was committed with.";
    BATCH_RETRIED "batch_retried" bool, UPLOAD, "Whether the batch was rolled back and it was retried alone.";
    IGNORED_PARAMS_COUNT "ignored_params_count" Count, UPLOAD, "Parameters of another kind of upload, which are not looked at.";
    READING_COLUMNS "reading_columns" Count, TRIP, "Fields that the trip's readings have.";
    WEATHER_POINTS "weather_points" Count, TRIP, "Places and hours whose weather was wanted.";
    WEATHER_REQUESTS "weather_requests" Count, TRIP, "Requests made for the weather; each has its event.";
    WEATHER_MISSED "weather_missed" &'static str, TRIP, "Why weather is missing: `failed`, `out_of_time` or `paused`.";
    GAVE_UP "gave_up" bool, TRIP, "Whether the trip is not tried again before another calculator serves.";
    WEATHER_SOURCE "weather_source" &'static str, WEATHER, "Which service is asked: `forecast` or `archive`.";
    HOURS_ASKED "hours_asked" Count, WEATHER, "Hours whose weather was wanted.";
    HOURS_FOUND "hours_found" Count, WEATHER, "Hours whose weather was told.";
    RETRY_AFTER_SECONDS "retry_after_seconds" Count, WEATHER, "How long the service wants to be left alone: seconds.";
    PAUSED_FOR_SECONDS "paused_for_seconds" Count, WEATHER, "How long the service is left alone: seconds.";
    AGREEMENTS "agreements" Count, SWAP, "Answers of a discarded shadow that were those of the plugin that serves.";
    DISAGREEMENTS "disagreements" Count, SWAP, "Answers of a discarded shadow that were others than those of the plugin that serves.";
    KEEPS_GAINED "keeps_gained" Count, SWAP, "Events that a discarded shadow would have kept and that were let go.";
    KEEPS_LOST "keeps_lost" Count, SWAP, "Events that a discarded shadow would have let go and that were kept.";
    SKIPPED "skipped" Count, SWAP, "Questions that a discarded shadow had no time for.";
    LATE "late" Count, SWAP, "Answers of a discarded shadow that came when their event had gone.";
}

names! { Timing, usually 9:
    PARSE_TELEMETRY "parse_telemetry_ms" f64, UPLOAD, "Decoding the request.";
    DB_QUEUE "db_queue_ms" f64, UPLOAD, "Waiting for the batch to begin.";
    DB_TRIP_QUERY "db_trip_query_ms" f64, UPLOAD, "Looking up the trips of the batch.";
    DB_TELEMETRY_INSERT "db_telemetry_insert_ms" f64, UPLOAD, "Writing the readings of the batch.";
    DB_COMMIT "db_commit_ms" f64, UPLOAD, "Committing the batch.";
    CONTEXT_ENRICHMENT "context_enrichment_ms" f64, UPLOAD_AND_TRIP, "Reading what is known of the vehicle; of a trip, with the storing of its end.";
    CHARGING_STARTED "charging_started_ms" f64, UPLOAD, "Asking whether charging started with it.";
    DB_QUERY_TELEMETRY "db_query_telemetry_ms" f64, TRIP, "Reading the trip from the store.";
    TRIP_CALCULATOR "trip_calculator_ms" f64, TRIP, "Asking the calculator for the trip, its charging sessions and costs.";
    CHARGING_SESSIONS "charging_sessions_ms" f64, TRIP, "Asking the calculator for charging sessions, within `trip_calculator_ms`.";
    FETCH_WEATHER "fetch_weather_ms" f64, TRIP, "Fetching the weather, and asking the calculator what it did.";
    RECEIVE_FILE "receive_file_ms" f64, IMPORT, "Receiving the file.";
    IMPORT_ROWS "import_rows_ms" f64, IMPORT, "Importing its rows.";
    COMPILE "compile_ms" f64, SWAP, "Compiling the component, or loading its compiled code.";
    TRIAL "trial_ms" f64, SWAP, "Starting and trying the plugin.";
    LIBRARY "library_ms" f64, SWAP, "Writing to the library.";
    USAGE_TIER "usage_tier_ms" f64, OF_VEHICLES, "Asking for the owner's tier.";
    SAMPLING_POLICY "sampling_policy_ms" f64, SAMPLED, "Asking whether the event is kept.";
}

/// Why the host keeps an event by itself: a `sampling.reason`.
#[derive(Debug, Clone, Copy)]
pub struct Reason {
    /// The reason as written.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl Reason {
    pub(super) const ALWAYS_KEPT: Self =
        Self { name: "always_kept", meaning: "Events of this operation are kept without asking the policy." };
    pub(super) const POLICY_OVERLOAD: Self =
        Self { name: "policy_overload", meaning: "There was no time to ask the policy." };
    pub(super) const POLICY_ERROR: Self =
        Self { name: "policy_error", meaning: "The policy, or asking it, failed." };

    /// Every reason of the host's.
    pub const ALL: [Self; 3] = [Self::ALWAYS_KEPT, Self::POLICY_OVERLOAD, Self::POLICY_ERROR];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a group: that its names are words, each declared once.
    fn check<G: Group>(ending: &str) {
        for (index, declared) in G::DECLARED.iter().enumerate() {
            let name = declared.name;
            let is_word = name.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_'));
            assert!(is_word && name.ends_with(ending), "{name}");
            assert!(G::DECLARED[..index].iter().all(|other| other.name != name), "{name} is there twice");
            assert!(!declared.operations.is_empty(), "{name} is nowhere");
        }
    }

    #[test]
    fn names_are_words_and_declared_once() {
        check::<Business>("");
        check::<Technical>("");
        check::<Timing>("_ms");
    }

    #[test]
    fn of_what_is_always_kept_the_policy_is_not_asked() {
        for operation in Operation::ALL {
            assert_eq!(SAMPLED.contains(&operation), !operation.always_kept(), "{operation:?}");
        }
    }
}
