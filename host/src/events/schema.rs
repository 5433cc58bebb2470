//! The published contract of events: a JSON Schema made of the structs that are
//! written and of the names that are declared. It refuses what they do not have.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::details::{
    ApiRequestDetails, ChargingDetails, FinalizationDetails, ImportDetails, PluginSwapDetails,
    ServiceStartDetails, ServiceStopDetails, UploadDetails, WeatherDetails,
};
use super::names::{Business, Declared, Group, Kind, Reason, Technical, Timing};
use super::record::{LONGEST_TEXT, Operation, Record};

/// What a calculator's own figures are called.
const OWN_FIGURE: &str = "A figure of the calculator's own, under the name that it gives it.";
/// Times of an operation whose names are made as it goes, as a pattern.
const TIMES_OF_TRIP: (&str, &str) = (
    "^[a-z][a-z0-9_]*_ms$",
    "A stage of the calculation, under the name that the calculator gives it: by custom `calculate_basics`, \
     `process_gas_mode`, `calculate_efficiency`.",
);
const TIMES_OF_WEATHER: (&str, &str) = ("^request_attempt_[1-9][0-9]*_ms$", "One attempt at the request.");

/// The schema of an event.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(tidy));
    let mut generator = settings.into_generator();
    let operations = Operation::ALL.map(|operation| (operation, of_operation(&mut generator, operation)));
    let mut schema = generator.into_root_schema_for::<Record>().to_value();
    schema["title"] = "A wide event of VoltTracker".into();
    // Each was closed by itself, but together they are one object.
    open(&mut schema);
    for (_, of_operation) in &operations {
        if let Some(details) = of_operation["$ref"].as_str() {
            open(&mut schema["$defs"][details.trim_start_matches("#/$defs/")]);
        }
    }
    // It is added when the event is written.
    schema["required"].as_array_mut().expect("a record has fields").push("sampling".into());
    schema["unevaluatedProperties"] = false.into();
    let reasons = Reason::ALL.map(|Reason { name, meaning }| json!({"const": name, "description": meaning}));
    let of_policy = json!({"description": "A word of the policy's."});
    schema["$defs"]["SamplingRecord"]["properties"]["reason"]["anyOf"] =
        reasons.into_iter().chain([of_policy]).collect();
    let mut rules = vec![outcomes()];
    for (operation, of_operation) in operations {
        let name = operation.as_str();
        rules.push(json!({
            "if": {"properties": {"operation": {"const": name}}},
            "then": {"$ref": format!("#/$defs/{name}")},
        }));
        schema["$defs"][name] = of_operation;
    }
    schema["allOf"] = rules.into();
    schema
}

/// What an operation's events have beside the envelope.
fn of_operation(generator: &mut SchemaGenerator, operation: Operation) -> Value {
    let details = match operation {
        Operation::TelemetryUpload => generator.subschema_for::<UploadDetails>(),
        Operation::TripFinalization | Operation::TripRecalculation => {
            generator.subschema_for::<FinalizationDetails>()
        }
        Operation::ChargingSession => generator.subschema_for::<ChargingDetails>(),
        Operation::ExternalApiWeather => generator.subschema_for::<WeatherDetails>(),
        Operation::ApiRequest => generator.subschema_for::<ApiRequestDetails>(),
        Operation::CsvImport => generator.subschema_for::<ImportDetails>(),
        Operation::PluginSwap => generator.subschema_for::<PluginSwapDetails>(),
        Operation::ServiceStart => generator.subschema_for::<ServiceStartDetails>(),
        Operation::ServiceStop => generator.subschema_for::<ServiceStopDetails>(),
    };
    let mut business = group::<Business>(operation);
    let mut times = group::<Timing>(operation);
    let time = |meaning: &str| json!({"type": "number", "minimum": 0, "description": meaning});
    for declared in declared::<Timing>(operation) {
        times["properties"][declared.name] = time(declared.meaning);
    }
    match operation {
        Operation::TripFinalization | Operation::TripRecalculation => {
            business["additionalProperties"] = json!({"type": "number", "description": OWN_FIGURE});
            let (pattern, meaning) = TIMES_OF_TRIP;
            times["patternProperties"] = json!({pattern: time(meaning)});
        }
        Operation::ExternalApiWeather => {
            let (pattern, meaning) = TIMES_OF_WEATHER;
            times["patternProperties"] = json!({pattern: time(meaning)});
        }
        _ => {}
    }
    let mut schema = details.to_value();
    schema["properties"] = json!({
        "business_metrics": business,
        "technical_metrics": group::<Technical>(operation),
        "performance_breakdown": times,
    });
    schema
}

/// A group of an operation's events: it has no names but these.
fn group<G: Group>(operation: Operation) -> Value {
    let names = declared::<G>(operation).map(|Declared { name, kind, meaning, .. }| {
        let value = match kind {
            Kind::Flag => json!({"type": "boolean", "description": meaning}),
            Kind::Count => json!({"type": "integer", "minimum": 0, "description": meaning}),
            Kind::Number => json!({"type": "number", "description": meaning}),
            Kind::Word => json!({"type": "string", "maxLength": 64, "description": meaning}),
        };
        ((*name).to_owned(), value)
    });
    json!({"type": "object", "properties": names.collect::<Map<_, _>>(), "additionalProperties": false})
}

fn declared<G: Group>(operation: Operation) -> impl Iterator<Item = &'static Declared> {
    G::DECLARED.iter().filter(move |declared| declared.operations.contains(&operation))
}

/// What success and failure have to say.
fn outcomes() -> Value {
    let success = json!({"outcome": {"const": "success"}, "failure_reason": false});
    json!({
        "if": {"properties": {"success": {"const": true}}},
        "then": {"properties": success},
        "else": {
            "properties": {"outcome": {"not": {"const": "success"}}},
            "required": ["failure_reason", "error"],
        },
    })
}

fn open(schema: &mut Value) {
    schema.as_object_mut().map(|schema| schema.remove("additionalProperties"));
}

/// Says what holds of every event: what is not known is absent, objects have
/// no other fields, and texts are short.
fn tidy(schema: &mut Schema) {
    refuse_null(schema);
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    let format = schema.get("format").and_then(Value::as_str);
    let is_known = matches!(format, Some("date-time" | "uuid"));
    if !is_known {
        schema.remove("format");
    }
    let is_text = schema.get("type") == Some(&"string".into());
    if is_text && !is_known && schema.get("enum").is_none() && schema.get("const").is_none() {
        schema.insert("maxLength".to_owned(), LONGEST_TEXT.into());
    }
}

fn refuse_null(schema: &mut Schema) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    let Some(Value::Array(mut choices)) = schema.remove("anyOf") else { return };
    choices.retain(|choice| *choice != json!({"type": "null"}));
    match (choices.len(), choices.pop()) {
        (1, Some(Value::Object(only))) => schema.ensure_object().extend(only),
        (_, last) => {
            choices.extend(last);
            schema.insert("anyOf".to_owned(), choices.into());
        }
    }
}
