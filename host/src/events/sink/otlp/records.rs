//! Events as OpenTelemetry's log records: what has a name there gets it, all
//! else keeps its own, by dotted path.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::attributes;
use crate::events::KeptEvent;

/// Names of what a process is.
const RESOURCE_NAMES: [(&str, &str); 3] = [
    ("environment", "deployment.environment.name"),
    ("region", "cloud.region"),
    ("instance_id", "service.instance.id"),
];
/// Names of what an event has at its top.
const NAMES: [(&str, &str); 4] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("http_status", "http.response.status_code"),
    ("remote_addr", "client.address"),
];

/// One request with all of them. All are of one process, this one.
pub(super) fn request(events: &[Arc<KeptEvent>]) -> ExportLogsServiceRequest {
    let mut resource = Resource::default();
    let mut log_records = Vec::with_capacity(events.len());
    for event in events {
        // What was written by the same process can be read.
        let mut fields: Map<_, _> = serde_json::from_slice(event.line()).unwrap_or_default();
        let mut service = take_object(&mut fields, "service");
        let plugins = service.remove("plugins").unwrap_or_default();
        if resource.attributes.is_empty() {
            resource.attributes = process(service);
        }
        let mut record = record(event, fields);
        attributes::add(&mut record.attributes, "service.plugins".to_owned(), plugins);
        log_records.push(record);
    }
    let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
    let scope_logs = ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() };
    let resource_logs =
        ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

/// What is the same of all events of a process.
fn process(service: Map<String, Value>) -> Vec<KeyValue> {
    let mut resource = Vec::with_capacity(service.len());
    for (name, value) in service {
        let name = renamed(&RESOURCE_NAMES, &name).map_or_else(|| format!("service.{name}"), str::to_owned);
        attributes::add(&mut resource, name, value);
    }
    resource
}

fn record(event: &KeptEvent, mut fields: Map<String, Value>) -> LogRecord {
    for said_elsewhere in ["operation", "timestamp"] {
        fields.remove(said_elsewhere);
    }
    let began_ns = nanoseconds(event.timestamp().as_nanosecond());
    let duration_ms = fields.get("duration_ms").and_then(Value::as_f64).unwrap_or_default();
    let (severity_number, severity_text) = severity(&fields);
    let trace_id = trace_id(&mut fields);
    let mut record = LogRecord {
        time_unix_nano: began_ns,
        // It was seen when it was over.
        observed_time_unix_nano: began_ns.saturating_add((duration_ms * 1e6) as u64),
        severity_number: severity_number.into(),
        severity_text: severity_text.to_owned(),
        trace_id,
        event_name: format!("volttracker.{}", event.operation().as_str()),
        ..LogRecord::default()
    };
    let attributes = &mut record.attributes;
    attributes::add(attributes, "feature_flag".to_owned(), take_object(&mut fields, "feature_flags").into());
    if let Some(Value::Object(error)) = fields.get_mut("error") {
        attributes::add(attributes, "error.type".to_owned(), error.remove("code").unwrap_or_default());
    }
    for (name, value) in fields {
        let name = renamed(&NAMES, &name).map_or(name, str::to_owned);
        attributes::add(attributes, name, value);
    }
    record
}

/// A severity for machines, and the event's own word for it.
fn severity(fields: &Map<String, Value>) -> (SeverityNumber, &'static str) {
    let of_error = fields.get("error").and_then(|error| error.get("severity"));
    match of_error.and_then(Value::as_str) {
        Some("critical") => (SeverityNumber::Fatal, "critical"),
        Some("error") => (SeverityNumber::Error, "error"),
        Some("warning") => (SeverityNumber::Warn, "warning"),
        Some(_) => (SeverityNumber::Info, "info"),
        None if fields.get("success") == Some(&Value::Bool(false)) => (SeverityNumber::Error, "error"),
        None => (SeverityNumber::Info, "info"),
    }
}

/// The trace; one that is no UUID stays a field.
fn trace_id(fields: &mut Map<String, Value>) -> Vec<u8> {
    let session = fields.get("trace_id").and_then(Value::as_str);
    let trace = session.and_then(|session| Uuid::try_parse(session).ok()).filter(|trace| !trace.is_nil());
    let Some(trace) = trace else { return Vec::new() };
    fields.remove("trace_id");
    trace.as_bytes().to_vec()
}

fn nanoseconds(time: i128) -> u64 {
    u64::try_from(time).unwrap_or_default()
}

fn renamed(names: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    names.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| *theirs)
}

/// Every field that has another name there, and that name.
#[cfg(test)]
pub(in crate::events) fn all_names() -> impl Iterator<Item = (String, &'static str)> {
    let of_service = RESOURCE_NAMES.iter().map(|(ours, theirs)| (format!("service.{ours}"), *theirs));
    of_service.chain(NAMES.iter().map(|(ours, theirs)| ((*ours).to_owned(), *theirs)))
}

fn take_object(fields: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match fields.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::ledger::Ledger;
    use crate::events::sink::tests::event;
    use serde_json::json;

    fn sent(fields: &Value) -> LogRecord {
        let line = format!("{fields}\n");
        let mut request = request(&[event(line.as_bytes(), &Arc::<Ledger>::default())]);
        request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0)
    }

    #[test]
    fn severity_is_that_of_the_error_or_else_of_the_outcome() {
        for (fields, number, text) in [
            (json!({"success": true}), SeverityNumber::Info, "info"),
            (json!({"success": true, "error": {"severity": "info"}}), SeverityNumber::Info, "info"),
            (json!({"success": false}), SeverityNumber::Error, "error"),
            (json!({"success": false, "error": {"severity": "warning"}}), SeverityNumber::Warn, "warning"),
            (json!({"success": true, "error": {"severity": "error"}}), SeverityNumber::Error, "error"),
            (json!({"success": false, "error": {"severity": "critical"}}), SeverityNumber::Fatal, "critical"),
        ] {
            let record = sent(&fields);
            assert_eq!((record.severity_number(), record.severity_text.as_str()), (number, text), "{fields}");
        }
    }

    #[test]
    fn a_session_that_is_no_uuid_is_no_trace_and_stays() {
        let session = "0197b5d2-3c4e-4f60-8a7b-9c0d1e2f3a4b";
        let record = sent(&json!({"trace_id": session}));
        assert_eq!(record.trace_id, Uuid::try_parse(session).expect("a UUID").as_bytes());
        assert_eq!(record.attributes, []);
        for unfit in ["trip 7", "00000000-0000-0000-0000-000000000000"] {
            let record = sent(&json!({"trace_id": unfit}));
            assert_eq!((record.trace_id.len(), record.attributes[0].key.as_str()), (0, "trace_id"));
        }
    }
}
