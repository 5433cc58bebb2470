//! From a function's name and the JSON of its arguments to a question. An error
//! says which argument is wrong, and where.

use serde_json::{Map, Value};

use super::super::questions::Ask;
use super::super::world::kebab;

/// What can be asked of a plugin of any slot.
pub(super) enum Request<Q> {
    Describe,
    Configure(Vec<(String, String)>),
    Ask(Q),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {
    settings: Vec<(String, String)>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Reads one call: `function` as the contract or JSON writes it, and one JSON
/// object with the arguments by name; an empty text is one without any.
pub(super) fn read<W: Ask>(function: &str, arguments: &str) -> Result<Request<W::Question>, String> {
    let function = function.replace('-', "_");
    let known: Vec<&str> = W::EXPORTS.iter().flat_map(|(_, functions)| *functions).copied().collect();
    if !known.contains(&function.as_str()) {
        let slot = W::SLOT;
        return Err(format!("no function `{function}` in the world {slot}; there are {}", known.join(", ")));
    }
    let arguments = object(arguments)?;
    let told = |fault: Fault| fault.told(&function);
    match function.as_str() {
        "describe" => typed::<Nothing>(arguments.into()).map(|Nothing {}| Request::Describe).map_err(told),
        "configure" => {
            typed::<Configure>(arguments.into()).map(|given| Request::Configure(given.settings)).map_err(told)
        }
        _ => {
            let question = Map::from_iter([(function.clone(), arguments.into())]);
            typed::<W::Question>(question.into()).map(Request::Ask).map_err(told)
        }
    }
}

/// What is wrong with arguments, and at which path.
struct Fault {
    path: String,
    problem: String,
}

impl Fault {
    /// A question is the arguments under their function's name: that name is
    /// no part of the place.
    fn told(self, function: &str) -> String {
        let place = self.path.strip_prefix(function).unwrap_or(&self.path);
        let place = place.strip_prefix('.').unwrap_or(place);
        // Serde speaks of Rust's types.
        let problem = match self.problem.split_once("expected struct ") {
            Some((found, _)) => format!("{found}expected an object"),
            None => self.problem,
        };
        // At the top these are arguments, which serde calls fields too.
        let top = place.is_empty() || problem.contains(&format!("field `{place}`"));
        if top {
            let problem = problem.replacen(" field ", " argument ", 1).replace("no fields", "no arguments");
            return format!("{problem} (of the function {})", kebab(function));
        }
        format!("argument {place}: {problem}")
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err("the arguments are not one JSON object, such as {\"stats\": {…}}".to_owned()),
        Err(error) => Err(format!("the arguments are not JSON: {error}")),
    }
}

/// The value as `T`, without a field that `T` does not know.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Fault> {
    let mut unknown = None;
    let mut note = |path: serde_ignored::Path<'_>| {
        unknown.get_or_insert(path.to_string());
    };
    let read = serde_path_to_error::deserialize(serde_ignored::Deserializer::new(value, &mut note));
    let read = read.map_err(|error| {
        let path = error.path().to_string();
        Fault { path: if path == "." { String::new() } else { path }, problem: error.inner().to_string() }
    })?;
    match unknown {
        None => Ok(read),
        Some(path) => Err(Fault { path, problem: "there is no such field".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::world::{SamplingPolicy, TripCalculator, UsageTier};
    use super::*;
    use insta::assert_snapshot;

    fn fault<W: Ask>(function: &str, arguments: &str) -> String {
        match read::<W>(function, arguments) {
            Ok(_) => panic!("{arguments} is taken"),
            Err(fault) => fault,
        }
    }

    #[test]
    fn an_optional_argument_or_field_may_be_left_out() {
        assert!(read::<TripCalculator>("condition", "").is_ok());
        let usage = r#"{"usage": {"gas_miles": 3}}"#;
        assert!(read::<TripCalculator>("cost-of", usage).is_ok());
        assert!(read::<TripCalculator>("cost_of", usage).is_ok());
        assert!(read::<UsageTier>("describe", "").is_ok());
        assert!(read::<UsageTier>("configure", r#"{"settings": [["a", "b"]]}"#).is_ok());
    }

    #[test]
    fn a_fault_names_function_argument_and_place() {
        let classify = |arguments: &str| fault::<UsageTier>("classify", arguments);
        assert_snapshot!(fault::<UsageTier>("clasify", "{}"), @"no function `clasify` in the world usage-tier; there are describe, configure, classify");
        assert_snapshot!(classify(""), @"missing argument `stats` (of the function classify)");
        assert_snapshot!(classify("[]"), @r#"the arguments are not one JSON object, such as {"stats": {…}}"#);
        assert_snapshot!(classify("{"), @"the arguments are not JSON: EOF while parsing an object at line 1 column 1");
        assert_snapshot!(classify(r#"{"stat": 1}"#), @"unknown argument `stat`, expected `stats` (of the function classify)");
        assert_snapshot!(classify(r#"{"stats": 3}"#), @"argument stats: invalid type: integer `3`, expected an object");
        assert_snapshot!(classify(r#"{"stats": {"total_miles": 1}}"#), @"argument stats: missing field `total_trips`");
        assert_snapshot!(
            classify(r#"{"stats": {"total_trips": "40", "total_miles": 1, "account_age_days": 2}}"#),
            @r#"argument stats.total_trips: invalid type: string "40", expected u32"#
        );
        assert_snapshot!(
            classify(r#"{"stats": {"total_trips": 4, "total_miles": 1, "account_age_days": 2, "avg_mpg": 3}}"#),
            @"argument stats.avg_mpg: there is no such field"
        );
        let summarize = |readings: &str| {
            let arguments = format!(r#"{{"trip": {{"start_time_ms": 1}}, "readings": {readings}}}"#);
            fault::<TripCalculator>("summarize", &arguments)
        };
        assert_snapshot!(summarize(r#"[{"time_ms": 1, "soc": 1}, {"time_ms": 2, "soc": "high"}]"#), @r#"argument readings[1].soc: invalid type: string "high", expected f64"#);
        assert_snapshot!(summarize(r#"[{"soc": 1}]"#), @"argument readings[0]: missing field `time_ms`");
        assert_snapshot!(summarize(r#"[{"time_ms": 2}, {"time_ms": 1}]"#), @"argument readings: reading 1 is earlier than the one before it");
        assert_snapshot!(fault::<SamplingPolicy>("decide", r#"{"event": []}"#), @"argument event: invalid type: sequence, expected a map");
        assert_snapshot!(fault::<UsageTier>("describe", r#"{"a": 1}"#), @"unknown argument `a`, there are no arguments (of the function describe)");
        assert_snapshot!(fault::<UsageTier>("configure", r#"{"settings": {"a": 1}}"#), @"argument settings: invalid type: map, expected a sequence");
    }
}
