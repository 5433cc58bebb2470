//! JSON as OpenTelemetry's attributes: dotted paths to typed values. Which of
//! them has another name there is not known here.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde_json::Value;

/// Adds what is in `value`, by its path. An object is its fields.
pub(super) fn add(attributes: &mut Vec<KeyValue>, path: String, value: Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                add(attributes, format!("{path}.{name}"), value);
            }
        }
        value => attributes.extend(any(value).map(|value| attribute(path, value))),
    }
}

pub(super) fn attribute(key: String, value: Any) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The value as it is; nothing of null.
fn any(value: Value) -> Option<Any> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => Any::BoolValue(flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Any::IntValue(integer),
            None => Any::DoubleValue(number.as_f64()?),
        },
        Value::String(text) => Any::StringValue(text),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| AnyValue { value: any(value) }).collect();
            Any::ArrayValue(ArrayValue { values })
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().filter_map(|(name, value)| Some(attribute(name, any(value)?)));
            Any::KvlistValue(KeyValueList { values: fields.collect() })
        }
    })
}
