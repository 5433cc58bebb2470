//! The life of a wide event: opened, enriched, finished once. Emitting twice
//! does not compile; dropping it unfinished hands it over as abandoned.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use uuid::Uuid;

use super::details::{
    ApiRequestDetails, ChargingDetails, Details, FinalizationDetails, ImportDetails, PluginSwapDetails,
    ServiceStartDetails, ServiceStopDetails, UploadDetails, WeatherDetails,
};
use super::fields::{Fields, Timings};
use super::ledger::{Counts, Totals};
use super::names::{Business, Technical};
use super::pipeline::{Drained, Pipeline};
use super::record::{FeatureFlags, Operation, Outcome, OutcomeName, Record, SCHEMA_VERSION, cut};
use super::service::{ServiceInfo, ServiceRecord};
use super::sink::{SinkTotals, Sinks, Tail};
use super::taxonomy::{Code, Failure};
use super::vehicle::VehicleContext;
use crate::config::{Config, Secret};
use crate::identity::IdentityKey;
use crate::live::Live;
use crate::plugin_host::{PluginSet, Shadowed, Summary};
use crate::torque::Known;

/// Where events are opened and finished events go. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Process>);

/// What all events of the process have in common.
struct Process {
    service: Arc<ServiceInfo>,
    flags: FeatureFlags,
    /// What no event may say: the tokens that are set.
    tokens: Known,
    pipeline: Pipeline,
}

impl Events {
    /// Starts the event tasks. Must be called on the runtime.
    pub fn start(config: &Config, key: &IdentityKey, sinks: Sinks) -> Self {
        let now = Timestamp::now();
        let service = ServiceInfo {
            version: cut(&config.service.app_version),
            environment: config.service.environment.as_str(),
            deployment_id: config
                .service
                .deployment_id
                .as_deref()
                .map(cut)
                .unwrap_or_else(|| format!("local-{}", hostname())),
            deployed_at: micros(config.service.deployment_timestamp.unwrap_or(now)),
            region: cut(&config.service.region),
            instance_id: Uuid::now_v7(),
        };
        let flags = FeatureFlags {
            weather_integration: config.features.feature_weather,
            enhanced_route_detection: config.features.feature_route_detection,
            predictive_range: config.features.feature_predictive_range,
        };
        Self(Arc::new(Process {
            service: Arc::new(service),
            flags,
            tokens: Known::tokens(config.http.tokens().map(Secret::expose)),
            pipeline: Pipeline::start(config, key.clone(), sinks),
        }))
    }

    /// Opens the event of an operation that begins now. `plugins` is the set
    /// that the whole operation uses.
    pub fn open<D: Opening>(&self, plugins: Arc<PluginSet>, details: D) -> WideEvent<D> {
        WideEvent {
            open: Some(Open {
                details: Box::new(details),
                request_id: Uuid::now_v7(),
                client_request_id: None,
                trace_id: None,
                parent_request_id: None,
                known: self.0.tokens.clone(),
                timings: Timings::default(),
                business: Fields::default(),
                technical: Fields::default(),
                vehicle: None,
                shadow_trip: None,
                noted: Vec::new(),
                plugins,
            }),
            events: self.clone(),
            outcome: None,
            timestamp: micros(Timestamp::now()),
            started: Instant::now(),
        }
    }

    /// Which features are on.
    pub fn flags(&self) -> FeatureFlags {
        self.0.flags
    }

    /// The trips that run, as events tell of them.
    pub fn live(&self) -> &Live {
        self.0.pipeline.live()
    }

    /// The finished events so far, by what they were.
    pub fn counts(&self) -> &Counts {
        self.0.pipeline.counts()
    }

    /// Finished events that wait, by event task.
    pub fn waiting(&self) -> impl Iterator<Item = usize> {
        self.0.pipeline.waiting()
    }

    /// What is deployed: version, environment, deployment id and region.
    pub fn deployment(&self) -> [&str; 4] {
        let ServiceInfo { version, environment, deployment_id, region, .. } = &*self.0.service;
        [version, environment, deployment_id, region]
    }

    /// What became of the finished events so far.
    pub fn totals(&self) -> Totals {
        self.0.pipeline.totals()
    }

    /// What became of the kept events so far, by sink.
    pub fn sinks(&self) -> BTreeMap<&'static str, SinkTotals> {
        self.0.pipeline.sinks().totals()
    }

    /// Those who follow the kept events as they come.
    pub fn tail(&self) -> &Tail {
        self.0.pipeline.sinks().tail()
    }

    /// Where a test makes an event task panic.
    #[cfg(test)]
    pub(super) fn fault(&self) -> &crate::supervision::PanicPoint {
        self.0.pipeline.fault()
    }

    /// Identity of this process.
    pub fn instance_id(&self) -> Uuid {
        self.0.service.instance_id
    }

    /// Waits until all events finished before now are with their sinks, but
    /// not longer than up to that time.
    pub async fn drain(&self, by: Instant) -> Drained {
        self.0.pipeline.drain(by).await
    }

    /// Waits until every sink has taken what waits for it. One that has not at
    /// that time loses it, and takes nothing more: what was counted until then
    /// is what became of each event.
    pub async fn flush(&self, by: Instant) {
        self.0.pipeline.sinks().flush(by).await;
    }

    /// Ends the sinks, with everything written that can be by that time.
    pub async fn close(&self, by: Instant) {
        self.0.pipeline.sinks().close(by).await;
    }
}

/// Details with which an event can be opened.
pub trait Opening: Default + Send + 'static {
    /// The operation they belong to.
    fn operation(&self) -> Operation;
    /// The details in the event.
    fn into_details(self: Box<Self>) -> Details;
    /// Says what an abandoned operation answered.
    fn abandon(&mut self) {}
}

impl Opening for UploadDetails {
    fn operation(&self) -> Operation {
        Operation::TelemetryUpload
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::Upload(self)
    }
    fn abandon(&mut self) {
        self.http_status = Some(500);
    }
}

impl Opening for FinalizationDetails {
    fn operation(&self) -> Operation {
        if self.asked_for { Operation::TripRecalculation } else { Operation::TripFinalization }
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::Finalization(self)
    }
}

impl Opening for ChargingDetails {
    fn operation(&self) -> Operation {
        Operation::ChargingSession
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::Charging(self)
    }
}

impl Opening for WeatherDetails {
    fn operation(&self) -> Operation {
        Operation::ExternalApiWeather
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::Weather(self)
    }
}

impl Opening for ApiRequestDetails {
    fn operation(&self) -> Operation {
        Operation::ApiRequest
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::ApiRequest(self)
    }
}

impl Opening for ImportDetails {
    fn operation(&self) -> Operation {
        Operation::CsvImport
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::Import(self)
    }
    fn abandon(&mut self) {
        self.http_status.get_or_insert(500);
    }
}

impl Opening for PluginSwapDetails {
    fn operation(&self) -> Operation {
        Operation::PluginSwap
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::PluginSwap(self)
    }
}

impl Opening for ServiceStartDetails {
    fn operation(&self) -> Operation {
        Operation::ServiceStart
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::ServiceStart(self)
    }
}

impl Opening for ServiceStopDetails {
    fn operation(&self) -> Operation {
        Operation::ServiceStop
    }
    fn into_details(self: Box<Self>) -> Details {
        Details::ServiceStop(self)
    }
}

/// What an operation adds as it learns it.
pub struct Open<D> {
    /// The fields of this operation: many, and so on the heap.
    pub details: Box<D>,
    /// Identity of this operation.
    pub request_id: Uuid,
    /// The client's own identity of the request.
    pub client_request_id: Option<String>,
    /// The session of the trip, for all that belongs to a trip.
    pub trace_id: Option<Uuid>,
    /// The operation that this one is a part of.
    pub parent_request_id: Option<Uuid>,
    /// What the request is known to say of its sender, and tokens: no text of the
    /// event, or of what is kept of the request, may repeat that.
    pub known: Known,
    /// Where the time went.
    pub timings: Timings,
    /// What it means for the business.
    pub business: Fields<Business>,
    /// What it means for the operator.
    pub technical: Fields<Technical>,
    /// What is known of the vehicle.
    pub vehicle: Option<VehicleContext>,
    /// The trip that a shadow is asked about.
    pub shadow_trip: Option<Shadowed<Summary>>,
    noted: Vec<Failure>,
    plugins: Arc<PluginSet>,
}

/// Why an event has what an operation adds to it.
const OPEN: &str = "an event is open until it is dropped";

/// An operation under way. Finish it with its outcome, once that is durable.
#[must_use = "an event that is dropped unfinished says that the operation was abandoned"]
pub struct WideEvent<D: Opening> {
    /// Nothing once it is dropped.
    open: Option<Open<D>>,
    events: Events,
    pub(super) outcome: Option<Outcome>,
    timestamp: Timestamp,
    started: Instant,
}

impl<D: Opening> WideEvent<D> {
    /// Ends the operation.
    pub fn finish(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// Says that the operation began earlier than its event could be opened.
    pub fn began_before(&mut self, began: Instant) {
        let earlier = self.started.saturating_duration_since(began);
        self.timestamp = micros(self.timestamp.checked_sub(earlier).unwrap_or(self.timestamp));
        self.started = began;
    }

    /// Records a failure that does not decide the outcome.
    pub fn note(&mut self, failure: Failure) {
        self.noted.push(failure);
    }

    /// The plugin set that this operation uses.
    pub fn plugins(&self) -> &Arc<PluginSet> {
        &self.plugins
    }

    /// When the operation began: epoch milliseconds.
    pub fn began_ms(&self) -> i64 {
        self.timestamp.as_millisecond()
    }

    /// The event as it ends then. Nothing is left of it.
    pub(super) fn record(&mut self, ended: Instant) -> Box<Record> {
        let mut open = self.open.take().expect(OPEN);
        let (outcome, success, failure) = match self.outcome.take() {
            Some(Outcome::Success) => (OutcomeName::Success, true, None),
            Some(Outcome::Failure(failure)) => (OutcomeName::Failure, false, Some(failure)),
            Some(Outcome::Rejected(failure)) => (OutcomeName::Rejected, false, Some(failure)),
            None => {
                open.details.abandon();
                let how = if std::thread::panicking() { "panicked" } else { "was abandoned" };
                let failure = Failure::new(Code::E500, format!("the operation {how} before it was finished"));
                (OutcomeName::Abandoned, false, Some(failure))
            }
        };
        let mut record = Box::new(Record {
            known: Some(open.known),
            schema_version: SCHEMA_VERSION,
            operation: open.details.operation(),
            timestamp: self.timestamp,
            request_id: open.request_id,
            client_request_id: open.client_request_id,
            trace_id: open.trace_id,
            parent_request_id: open.parent_request_id,
            duration_ms: super::record::milliseconds(ended.saturating_duration_since(self.started)),
            success,
            outcome,
            failure_reason: failure.as_ref().map(|failure| failure.message.clone().into()),
            details: open.details.into_details(),
            service: ServiceRecord { info: self.events.0.service.clone(), plugins: open.plugins },
            feature_flags: self.events.0.flags,
            performance_breakdown: open.timings,
            business_metrics: open.business,
            technical_metrics: open.technical,
            vehicle_context: open.vehicle,
            error: failure.map(Into::into),
            further_error_codes: Vec::new(),
            truncated_fields: Vec::new(),
            sampling: None,
        });
        open.noted.into_iter().for_each(|failure| record.note(failure));
        record
    }
}

impl<D: Opening> Deref for WideEvent<D> {
    type Target = Open<D>;
    fn deref(&self) -> &Open<D> {
        self.open.as_ref().expect(OPEN)
    }
}

impl<D: Opening> DerefMut for WideEvent<D> {
    fn deref_mut(&mut self) -> &mut Open<D> {
        self.open.as_mut().expect(OPEN)
    }
}

impl<D: Opening> Drop for WideEvent<D> {
    fn drop(&mut self) {
        let ended = Instant::now();
        let trip = self.shadow_trip.take().map(Box::new);
        let record = self.record(ended);
        self.events.0.pipeline.hand_over(record, trip, ended);
    }
}

fn micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "unknown".to_owned())
}
