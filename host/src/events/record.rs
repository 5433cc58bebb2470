//! The envelope of every event, as it is written out.

use std::borrow::Cow;

use schemars::JsonSchema;
use uuid::Uuid;

use super::details::Details;
use super::fields::{Fields, Timings};
use super::names::{Business, Technical};
use super::service::{Service, ServiceRecord};
use super::shadow::{ShadowTrip, ShadowVerdict};
use super::taxonomy::{Category, Code, Failure, Severity};
use super::vehicle::VehicleContext;
use crate::identity::IdentityKey;
use crate::plugin_host::{Said, Summary};
use crate::torque::Known;

/// Version of the event schema; it grows when a field changes its meaning.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A phone's upload, refused ones included.
    TelemetryUpload,
    /// The end of a trip.
    TripFinalization,
    /// A charging session within a trip that ended.
    ChargingSession,
    /// A request to the weather service.
    ExternalApiWeather,
    /// A trip that somebody wants to be calculated again.
    TripRecalculation,
    /// A read, or a change of what is kept, through the API.
    ApiRequest,
    /// A track log that is imported.
    CsvImport,
    /// Another plugin in a slot, or the refusal of one.
    PluginSwap,
    /// The process is ready.
    ServiceStart,
    /// The process ends.
    ServiceStop,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::TelemetryUpload,
        Self::TripFinalization,
        Self::ChargingSession,
        Self::ExternalApiWeather,
        Self::TripRecalculation,
        Self::ApiRequest,
        Self::CsvImport,
        Self::PluginSwap,
        Self::ServiceStart,
        Self::ServiceStop,
    ];

    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TelemetryUpload => "telemetry_upload",
            Self::TripFinalization => "trip_finalization",
            Self::ChargingSession => "charging_session",
            Self::ExternalApiWeather => "external_api_weather",
            Self::TripRecalculation => "trip_recalculation",
            Self::ApiRequest => "api_request",
            Self::CsvImport => "csv_import",
            Self::PluginSwap => "plugin_swap",
            Self::ServiceStart => "service_start",
            Self::ServiceStop => "service_stop",
        }
    }

    /// Whether its events are kept whatever a policy says.
    pub(super) fn always_kept(self) -> bool {
        match self {
            Self::ExternalApiWeather | Self::PluginSwap | Self::ServiceStart | Self::ServiceStop => true,
            Self::TelemetryUpload
            | Self::TripFinalization
            | Self::TripRecalculation
            | Self::ChargingSession
            | Self::ApiRequest
            | Self::CsvImport => false,
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It did what it was asked to.
    Success,
    /// It could not.
    Failure(Failure),
    /// It would not, because what was sent is unfit.
    Rejected(Failure),
}

/// `outcome` as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeName {
    /// It did what it was asked to.
    Success,
    /// It could not.
    Failure,
    /// It would not.
    Rejected,
    /// Nobody finished it.
    Abandoned,
}

impl OutcomeName {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Rejected, Self::Abandoned];

    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Rejected => "rejected",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Which features are on.
#[derive(Debug, Clone, Copy, serde::Serialize, JsonSchema)]
pub struct FeatureFlags {
    /// The weather along trips.
    pub weather_integration: bool,
    /// Which trips go the same way.
    pub enhanced_route_detection: bool,
    /// How far batteries still reach.
    pub predictive_range: bool,
}

/// A failure as written.
#[derive(Debug, Clone, serde::Serialize, JsonSchema)]
pub(super) struct ErrorRecord {
    /// The code.
    pub(super) code: Code,
    /// Where the failure comes from.
    category: Category,
    /// What went wrong, in one sentence.
    message: Cow<'static, str>,
    /// How grave it is.
    severity: Severity,
    /// Whether somebody should be told at once.
    alert: bool,
    /// Type of the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_type: Option<&'static str>,
    /// The cause in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_message: Option<Cow<'static, str>>,
}

impl From<Failure> for ErrorRecord {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            category: failure.code.category(),
            message: failure.message.into(),
            severity: failure.code.severity(),
            alert: failure.code.alert(),
            exception_type: failure.exception_type,
            exception_message: failure.exception_message.map(Cow::from),
        }
    }
}

/// The verdict, and what the coin made of it.
#[derive(Debug, Clone, serde::Serialize, JsonSchema)]
pub(super) struct SamplingRecord {
    /// With what probability an event like it is kept.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) probability: f64,
    /// This event stands for that many.
    #[schemars(range(min = 1.0))]
    pub(super) rate: f64,
    /// Why.
    pub(super) reason: Cow<'static, str>,
    /// The policy that said so; absent where the host did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    /// The version of that policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy_version: Option<String>,
    /// What the policy beside it wanted: it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shadow: Option<ShadowVerdict>,
}

/// One finished event.
#[derive(Clone, serde::Serialize, JsonSchema)]
pub(super) struct Record {
    /// What no text of it may repeat; nothing once that is hidden.
    #[serde(skip)]
    pub(super) known: Option<Known>,
    /// Version of the schema: it grows when a field changes its meaning.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub(super) schema_version: u32,
    /// What was done.
    pub(super) operation: Operation,
    /// When it began.
    pub(super) timestamp: jiff::Timestamp,
    /// Identity of the operation.
    pub(super) request_id: Uuid,
    /// The client's own identity of the request: its `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_request_id: Option<String>,
    /// The session of the trip, of all that belongs to a trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<Uuid>,
    /// The operation that this one is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_request_id: Option<Uuid>,
    /// How long it took: milliseconds.
    #[schemars(range(min = 0.0))]
    pub(super) duration_ms: f64,
    /// Whether it did what it was asked to.
    pub(super) success: bool,
    /// How it ended.
    pub(super) outcome: OutcomeName,
    /// Why it failed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_reason: Option<Cow<'static, str>>,
    /// The fields of the operation.
    #[serde(flatten)]
    #[schemars(skip)]
    pub(super) details: Details,
    /// The process, and the plugins that the operation used.
    #[schemars(with = "Service<'static>")]
    pub(super) service: ServiceRecord,
    /// Which features are on.
    pub(super) feature_flags: FeatureFlags,
    /// Where the time went: milliseconds.
    pub(super) performance_breakdown: Timings,
    /// What it means for the business.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub(super) business_metrics: Fields<Business>,
    /// What it means for the operator.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub(super) technical_metrics: Fields<Technical>,
    /// What is known of the vehicle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vehicle_context: Option<VehicleContext>,
    /// The failure that decided the outcome, or beside a success the gravest of those that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ErrorRecord>,
    /// Codes of further failures that did not decide the outcome.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) further_error_codes: Vec<Code>,
    /// Fields that were too long, and were cut.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) truncated_fields: Vec<String>,
    /// Why the event is kept, and how many it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sampling: Option<SamplingRecord>,
}

/// The longest text that a field holds: bytes.
pub(super) const LONGEST_TEXT: usize = 1024;
/// The most problems that a refusal lists.
const MOST_PROBLEMS: usize = 40;
/// The largest event: bytes.
const LARGEST_EVENT: usize = 64 * 1024;

impl Record {
    /// Adds a failure that does not decide the outcome. The gravest is kept
    /// whole, the others by code.
    pub(super) fn note(&mut self, failure: Failure) {
        if !self.is_told_by(failure.code) {
            return self.further_error_codes.push(failure.code);
        }
        let before = self.error.replace(failure.into());
        self.further_error_codes.extend(before.map(|error| error.code));
    }

    /// Whether a failure with this code, noted now, is the event's error.
    pub(super) fn is_told_by(&self, noted: Code) -> bool {
        let graver = |error: &ErrorRecord| self.success && error.severity < noted.severity();
        self.error.as_ref().is_none_or(graver)
    }

    /// Adds what a shadow says of the trip.
    pub(super) fn set_shadow_trip(&mut self, said: Option<Said<Summary>>) {
        if let (Details::Finalization(trip), Some(said)) = (&mut self.details, said) {
            trip.shadow = Some(ShadowTrip::from(said));
        }
    }

    /// Whether a text of it is longer than a field holds.
    pub(super) fn is_long(&mut self) -> bool {
        let mut longest = 0;
        self.each_text(|_, text| longest = longest.max(text.len()));
        longest > LONGEST_TEXT
    }

    /// Leaves out the problems of a refusal that are too many to be listed.
    pub(super) fn cut_problems(&mut self) {
        if let Details::PluginSwap(swap) = &mut self.details
            && swap.problems.len() > MOST_PROBLEMS
        {
            swap.problems.truncate(MOST_PROBLEMS);
            self.truncated_fields.push("problems".to_owned());
        }
    }

    /// Every text that comes from outside, with the field's name.
    pub(super) fn each_text(&mut self, mut look: impl FnMut(&str, &mut Cow<'static, str>)) {
        let mut at = |name: &str, text: Option<&mut String>| {
            let Some(text) = text else { return };
            let mut cow = Cow::Owned(std::mem::take(text));
            look(name, &mut cow);
            *text = cow.into_owned();
        };
        match &mut self.details {
            Details::Upload(upload) => {
                for (name, text) in [
                    ("user_agent", &mut upload.user_agent),
                    ("app_version", &mut upload.app_version),
                    ("profile_name", &mut upload.profile_name),
                    ("notice", &mut upload.notice),
                ] {
                    at(name, text.as_mut());
                }
                let conflicts = upload.unit_conflicts.iter_mut().flatten();
                conflicts.for_each(|conflict| at("unit_conflicts", Some(conflict)));
            }
            Details::Finalization(trip) => at("profile_name", trip.profile_name.as_mut()),
            Details::ApiRequest(request) => at("user_agent", request.user_agent.as_mut()),
            Details::Import(import) => at("user_agent", import.user_agent.as_mut()),
            Details::Weather(weather) => at("url", Some(&mut weather.url)),
            Details::PluginSwap(swap) => {
                at("origin", Some(&mut swap.origin));
                at("settings", swap.settings.as_mut());
                swap.problems.iter_mut().for_each(|problem| at("problems", Some(problem)));
            }
            Details::ServiceStart(start) => at("pid_catalogue", Some(&mut start.pid_catalogue)),
            _ => {}
        }
        at("client_request_id", self.client_request_id.as_mut());
        if let Some(error) = &mut self.error {
            look("error.message", &mut error.message);
            error.exception_message.iter_mut().for_each(|text| look("error.exception_message", text));
        }
        self.failure_reason.iter_mut().for_each(|reason| look("failure_reason", reason));
    }

    /// The event as one line of JSON, its newline included, with nothing in it
    /// that no event says.
    pub(super) fn write_line(&mut self, key: &IdentityKey) -> serde_json::Result<Vec<u8>> {
        self.clean(key);
        let mut line = Vec::with_capacity(4096);
        serde_json::to_writer(&mut line, self)?;
        if line.len() >= LARGEST_EVENT {
            self.business_metrics = Fields::default();
            self.technical_metrics = Fields::default();
            self.truncated_fields.extend(["business_metrics".to_owned(), "technical_metrics".to_owned()]);
            line.clear();
            serde_json::to_writer(&mut line, self)?;
        }
        line.push(b'\n');
        Ok(line)
    }
}

/// A text, cut to the longest that a field holds.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned()
}

/// The same with a field of an event, which is then listed among those.
pub(super) fn cut_field(name: &str, text: &mut Cow<'static, str>, cut_fields: &mut Vec<String>) {
    if text.len() > LONGEST_TEXT {
        let text = text.to_mut();
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        cut_fields.push(name.to_owned());
    }
}

/// A duration in milliseconds, to the microsecond.
pub(super) fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
