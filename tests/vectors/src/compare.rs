//! When two answers agree, and what ours is where the reference's is not.

use serde_json::Value;

/// What our rule gives in one case, where that is not the reference's answer,
/// and why.
#[derive(Debug, Clone)]
pub struct Ours {
    pub(crate) id: String,
    answer: Answer,
    pub(crate) why: &'static str,
    pub(crate) marked: bool,
}

#[derive(Debug, Clone)]
enum Answer {
    Whole(Value),
    Changes(Value),
    TheSame,
}

impl Ours {
    /// Our whole answer in a case.
    #[must_use]
    pub fn instead(id: &str, answer: Value, why: &'static str) -> Self {
        Self { id: id.to_owned(), answer: Answer::Whole(answer), why, marked: true }
    }

    /// The reference's answer but for these fields.
    #[must_use]
    pub fn but(id: &str, changes: Value, why: &'static str) -> Self {
        Self { id: id.to_owned(), answer: Answer::Changes(changes), why, marked: true }
    }

    /// The reference's answer, by another way.
    #[must_use]
    pub fn the_same(id: &str, why: &'static str) -> Self {
        Self { id: id.to_owned(), answer: Answer::TheSame, why, marked: true }
    }

    /// A conflict that was found since: the file does not mark the case.
    #[must_use]
    pub fn found_since(self) -> Self {
        Self { marked: false, ..self }
    }

    /// Whether our answer is another one than the reference's.
    pub(crate) fn differs(&self) -> bool {
        !matches!(self.answer, Answer::TheSame)
    }

    /// Our answer, given the reference's.
    pub(crate) fn answer(&self, reference: &Value) -> Value {
        match &self.answer {
            Answer::Whole(answer) => answer.clone(),
            Answer::TheSame => reference.clone(),
            Answer::Changes(changes) => {
                let mut answer = reference.clone();
                let fields = answer.as_object_mut().expect("fields change in an object");
                fields.extend(changes.as_object().expect("changes are fields").clone());
                answer
            }
        }
    }
}

/// Whether `found` says what is expected. Numbers are compared as such, and
/// what an object does not name is absent. Of the fields of the answer itself
/// only those that `found` names are compared, as some of the reference's have
/// no place in ours.
pub fn agree(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            found.iter().all(|(name, value)| same(expected.get(name).unwrap_or(&Value::Null), value))
        }
        _ => same(expected, found),
    }
}

fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            let equal = |name| same(a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
            a.keys().chain(b.keys()).all(equal)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_agree_as_numbers_and_what_is_absent_is_null() {
        assert!(agree(&json!({"a": 70, "b": 1}), &json!({"a": 70.0, "c": null})));
        assert!(!agree(&json!({"a": 70}), &json!({"a": 71})));
        assert!(!agree(&json!({"a": null}), &json!({"a": 0})));
        assert!(!agree(&json!([1]), &json!([1, 2])));
        assert!(!agree(&json!({"a": {"b": 1, "c": 2}}), &json!({"a": {"b": 1}})));
    }

    #[test]
    fn changes_replace_fields_and_a_whole_answer_replaces_all() {
        let reference = json!({"a": 1, "b": 2});
        let changed = Ours::but("x", json!({"b": 3}), "why").answer(&reference);
        assert_eq!(changed, json!({"a": 1, "b": 3}));
        assert_eq!(Ours::instead("x", json!({"c": 3}), "why").answer(&reference), json!({"c": 3}));
        assert_eq!(Ours::the_same("x", "why").answer(&reference), reference);
    }
}
