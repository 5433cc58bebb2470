//! The event reference in `docs/`, put into words from the schema and the
//! taxonomy: what is not in them is not in it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::events::names::Reason;
use crate::events::sink::renamed;
use crate::events::{Code, Operation, schema};
use crate::tests::docs::assert_is_up_to_date;

const INTRODUCTION: &str = "\
# Events

Each operation has one event, a line of JSON, once it is over. What its fields mean is said here;
[event-schema.json](event-schema.json) says the same to machines (JSON Schema 2020-12; `volttracker events schema` prints
it). Both are made of the code and held to it, and every event that a test sees has to be as they say: an event has no
other fields, and what is not known is left out, never `null`. Numbers are finite, times RFC 3339 in UTC. A text longer
than 1 KB is cut and listed in `truncated_fields`; an event is at most 64 KB, and one that would be longer loses
`business_metrics` and `technical_metrics`.
";
const SAMPLING: &str = "
## Reasons of sampling

An event is kept with `sampling.probability`, for this `sampling.reason`. The host's own reasons, beside which there is no
`sampling.policy`:
";
const REASONS_OF_THE_POLICY: &str = "
All others are words of the policy. That of this repository says `error` (it failed), `slow` (it took longer than
`LOG_SLOW_THRESHOLD_MS`), `critical_event` (a critical flag in `business_metrics`), `heavy_user`, `new_user`, and else
`base_rate`.
";
const CODES: &str = "
## Error codes

A code's category and severity are those of `error`; one that alerts has `error.alert`.
";
const ELSEWHERE: &str = "
## Names at a collector of OpenTelemetry

Events are log records there. A record's event name is `volttracker.` and the operation, its time that of `timestamp`, its
severity that of the error (`critical` is FATAL), its trace the `trace_id` where that is a UUID; `service` is the resource.
`error.code` is `error.type`, `feature_flags.…` is `feature_flag.…`. All else keeps its name, by dotted path, but for:
";

#[test]
fn the_reference_in_docs_is_up_to_date() {
    let text = Reference { schema: schema(), text: INTRODUCTION.to_owned() }.written();
    assert_is_up_to_date("events.md", &text, "reference");
}

struct Reference {
    schema: Json,
    text: String,
}

/// Fields that are objects of one kind, and what defines it.
struct Object {
    paths: Vec<String>,
    definition: String,
}

impl Reference {
    fn written(mut self) -> String {
        self.envelope();
        self.operations();
        self.codes();
        self.text.push_str(SAMPLING);
        self.table(
            "reason",
            Reason::ALL.iter().map(|reason| (format!("`{}`", reason.name), reason.meaning.to_owned())),
        );
        self.text.push_str(REASONS_OF_THE_POLICY);
        self.text.push_str(ELSEWHERE);
        let names = renamed().map(|(ours, theirs)| (format!("`{ours}`"), format!("`{theirs}`")));
        self.table("field", names);
        self.text
    }

    fn envelope(&mut self) {
        self.text.push_str("\n## Every event\n");
        let mut objects = self.fields(&self.schema.clone(), "");
        // An object within an object comes after it.
        while !objects.is_empty() {
            let Object { paths, definition } = objects.remove(0);
            let object = self.definition(&definition);
            writeln!(self.text, "\n### `{}`\n\n{}", paths.join("`, `"), words(&object)).expect("a text");
            let within = self.fields(&object, &paths[0]);
            objects.splice(0..0, within);
        }
    }

    fn operations(&mut self) {
        self.text.push_str("\n## Operations\n\nWhat each has beside the fields of every event.\n");
        let names = self.schema["$defs"]["Operation"]["oneOf"].clone();
        for operation in Operation::ALL {
            let name = operation.as_str();
            let of_name = names.as_array().into_iter().flatten().find(|word| word["const"] == name);
            let meaning = words(of_name.expect("an operation is documented"));
            writeln!(self.text, "\n### `{name}`\n\n{meaning}").expect("a text");
            if operation == Operation::TripRecalculation {
                self.text.push_str("It has the fields of `trip_finalization`.\n");
                continue;
            }
            let of_operation = self.definition(name);
            let details = self.definition(definition_of(&of_operation).expect("it has fields"));
            let objects = self.fields(&details, "");
            for group in ["business_metrics", "technical_metrics", "performance_breakdown"] {
                self.group(&of_operation["properties"][group], group);
            }
            for Object { paths, definition } in objects {
                let object = self.definition(&definition);
                writeln!(self.text, "\n`{}`: {}", paths.join("`, `"), words(&object)).expect("a text");
                self.fields(&object, &paths[0]);
            }
        }
    }

    /// A group of figures, flags or times; nothing of one that has none.
    fn group(&mut self, group: &Json, name: &str) {
        let declared = group["properties"].as_object().into_iter().flatten();
        let families = group["patternProperties"].as_object().into_iter().flatten();
        let families = families.map(|(pattern, value)| (format!("matches `{pattern}`"), value));
        let others = group.get("additionalProperties").filter(|others| others.is_object());
        let all = declared.map(|(name, value)| (format!("`{name}`"), value)).chain(families);
        let all = all.chain(others.map(|value| ("any other".to_owned(), value)));
        let rows: Vec<_> = all.map(|(name, value)| (name, self.kind(value), words(value))).collect();
        if !rows.is_empty() {
            writeln!(self.text, "\n`{name}`:").expect("a text");
            self.table_of_fields(rows.into_iter());
        }
    }

    /// The fields of an object; comes back with those that are objects.
    fn fields(&mut self, object: &Json, path: &str) -> Vec<Object> {
        let required = object["required"].as_array().cloned().unwrap_or_default();
        let (mut rows, mut objects) = (Vec::new(), Vec::<Object>::new());
        for (name, value) in object["properties"].as_object().into_iter().flatten() {
            let always = if required.iter().any(|other| other == name) { "; always there" } else { "" };
            rows.push((format!("`{name}`"), format!("{}{always}", self.kind(value)), words(value)));
            let of_each = value.get("additionalProperties").filter(|each| each.is_object());
            if let Some(definition) = definition_of(of_each.unwrap_or(value))
                && self.definition(definition)["type"] == "object"
            {
                let dot = if path.is_empty() { "" } else { "." };
                let each = if of_each.is_some() { ".…" } else { "" };
                let path = format!("{path}{dot}{name}{each}");
                match objects.iter_mut().find(|other| other.definition == definition) {
                    Some(same) => same.paths.push(path),
                    None => objects.push(Object { paths: vec![path], definition: definition.to_owned() }),
                }
            }
        }
        self.table_of_fields(rows.into_iter());
        objects
    }

    fn codes(&mut self) {
        self.text.push_str(CODES);
        self.text
            .push_str("\n| code | category | severity | alerts | raised when |\n|---|---|---|---|---|\n");
        for code in Code::ALL {
            let (name, meaning) = (code.as_str(), code.meaning());
            let (category, severity) = (code.category().as_str(), code.severity().as_str());
            let alert = if code.alert() { "yes" } else { "" };
            writeln!(self.text, "| {name} | {category} | {severity} | {alert} | {meaning} |")
                .expect("a text");
        }
    }

    fn table(&mut self, of: &str, rows: impl Iterator<Item = (String, String)>) {
        writeln!(self.text, "\n| {of} | |\n|---|---|").expect("a text");
        for (name, meaning) in rows {
            writeln!(self.text, "| {name} | {meaning} |").expect("a text");
        }
    }

    fn table_of_fields(&mut self, rows: impl Iterator<Item = (String, String, String)>) {
        self.text.push_str("\n| field | | |\n|---|---|---|\n");
        for (name, kind, meaning) in rows {
            writeln!(self.text, "| {name} | {kind} | {meaning} |").expect("a text");
        }
    }

    fn definition(&self, name: &str) -> Json {
        self.schema["$defs"][name].clone()
    }

    /// What a value is, in words.
    fn kind(&self, value: &Json) -> String {
        if let Some(name) = definition_of(value) {
            let definition = self.definition(name);
            let choices = definition["oneOf"].as_array().into_iter().flatten();
            let choices: Vec<_> = choices.filter_map(|choice| choice["const"].as_str()).collect();
            return match name {
                "Code" => "[code](#error-codes)".to_owned(),
                "Operation" => "[operation](#operations)".to_owned(),
                _ if choices.is_empty() => "object".to_owned(),
                _ => format!("`{}`", choices.join("`, `")),
            };
        }
        if let Some(choices) = value["enum"].as_array() {
            let choices: Vec<_> = choices.iter().filter_map(Json::as_str).collect();
            return format!("`{}`", choices.join("`, `"));
        }
        if let Some(only) = value.get("const") {
            return format!("`{}`", only.to_string().trim_matches('"'));
        }
        match (value["type"].as_str(), value["format"].as_str()) {
            (Some("string"), Some("date-time")) => "time".to_owned(),
            (Some("string"), Some("uuid")) => "UUID".to_owned(),
            (Some("string"), _) => "text".to_owned(),
            (Some("boolean"), _) => "flag".to_owned(),
            (Some("integer"), _) => "whole number".to_owned(),
            (Some("number"), _) => "number".to_owned(),
            (Some("array"), _) => format!("list, each: {}", self.kind(&value["items"])),
            (Some("object"), _) => "object".to_owned(),
            other => panic!("no word for {other:?}: {value}"),
        }
    }
}

/// What a value is defined by, if it is not by itself.
fn definition_of(value: &Json) -> Option<&str> {
    value["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// What a field, an object or an operation means.
fn words(described: &Json) -> String {
    described["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}
