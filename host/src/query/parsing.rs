//! A filter as it is written: MongoDB's words as JSON. Every mistake is told
//! with its place.

use serde_json::{Map, Value};

use super::filter::{Filter, Relation, Scalar, Test};
use super::{Field, Kind, QueryError};

/// Conditions in one filter.
const MOST_CONDITIONS: usize = 100;
/// Values in one list.
const MOST_VALUES: usize = 200;
/// The longest text that is looked for: bytes.
const LONGEST_TEXT: usize = 1024;
/// Filters within filters.
const DEEPEST: usize = 16;
const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists and $not; $and, $or and $not stand where a field does";

impl Filter {
    /// Reads a filter that stands at `at`.
    ///
    /// # Errors
    /// An operator nobody knows, a value of the wrong type, or too much of
    /// anything.
    pub fn parse(value: &Value, at: &str) -> Result<Self, QueryError> {
        Parser { conditions: 0, depth: 0 }.filter(value, at)
    }
}

struct Parser {
    conditions: usize,
    depth: usize,
}

impl Parser {
    fn filter(&mut self, value: &Value, at: &str) -> Result<Filter, QueryError> {
        let members = object(value, at, "a filter is an object, such as {\"success\": false}")?;
        self.deeper(at)?;
        let all = members.iter().map(|(name, value)| {
            let at = format!("{at}.{name}");
            match name.as_str() {
                "$and" => Ok(Filter::All(self.filters(value, &at)?)),
                "$or" => Ok(Filter::Any(self.filters(value, &at)?)),
                "$not" => Ok(Filter::Not(Box::new(self.filter(value, &at)?))),
                name if name.starts_with('$') => Err(unknown(name, &at)),
                name => self.field(&Field::parse(name, &at)?, value, &at),
            }
        });
        let all = all.collect::<Result<_, _>>();
        self.depth -= 1;
        Ok(Filter::All(all?))
    }

    fn filters(&mut self, value: &Value, at: &str) -> Result<Vec<Filter>, QueryError> {
        match value.as_array() {
            Some(filters) if !filters.is_empty() => {
                let filters = filters.iter().enumerate();
                filters.map(|(n, filter)| self.filter(filter, &format!("{at}[{n}]"))).collect()
            }
            _ => Err(QueryError::wrong_type(at, "takes a list of filters, one at least")),
        }
    }

    fn field(&mut self, field: &Field, value: &Value, at: &str) -> Result<Filter, QueryError> {
        match value {
            Value::Object(operators) => self.operators(field, operators, at),
            Value::Array(_) => {
                Err(QueryError::wrong_type(at, "is no list: {\"$in\": [...]} asks for one of several values"))
            }
            value => self.is_one_of(field, vec![scalar(field, value, at)?], at),
        }
    }

    fn operators(
        &mut self,
        field: &Field,
        operators: &Map<String, Value>,
        at: &str,
    ) -> Result<Filter, QueryError> {
        if operators.is_empty() {
            return Err(QueryError::wrong_type(at, format!("takes a value, or operators: {OPERATORS}")));
        }
        self.deeper(at)?;
        let all = operators.iter().map(|(operator, value)| {
            let at = format!("{at}.{operator}");
            self.operator(field, operator, value, &at)
        });
        let mut all: Vec<_> = all.collect::<Result<_, _>>()?;
        self.depth -= 1;
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn operator(
        &mut self,
        field: &Field,
        operator: &str,
        value: &Value,
        at: &str,
    ) -> Result<Filter, QueryError> {
        let not = |filter| Filter::Not(Box::new(filter));
        match operator {
            "$eq" => self.is_one_of(field, vec![scalar(field, value, at)?], at),
            "$ne" => self.is_one_of(field, vec![scalar(field, value, at)?], at).map(not),
            "$in" => self.is_one_of(field, scalars(field, value, at)?, at),
            "$nin" => self.is_one_of(field, scalars(field, value, at)?, at).map(not),
            "$gt" => self.compared(field, Relation::Greater, value, at),
            "$gte" => self.compared(field, Relation::GreaterOrEqual, value, at),
            "$lt" => self.compared(field, Relation::Less, value, at),
            "$lte" => self.compared(field, Relation::LessOrEqual, value, at),
            "$exists" => {
                let exists = value.as_bool();
                let exists = exists.ok_or_else(|| QueryError::wrong_type(at, "takes true or false"))?;
                let there = self.tested(field, Test::Exists, at)?;
                Ok(if exists { there } else { not(there) })
            }
            "$not" => {
                let operators = object(value, at, "takes operators, such as {\"$gte\": 5}")?;
                self.operators(field, operators, at).map(not)
            }
            operator if operator.starts_with('$') => Err(unknown(operator, at)),
            name => {
                let message = format!(
                    "a field takes a value or operators; write \"{field}.{name}\" for a field within"
                );
                Err(QueryError::wrong_type(at, message))
            }
        }
    }

    fn is_one_of(&mut self, field: &Field, scalars: Vec<Scalar>, at: &str) -> Result<Filter, QueryError> {
        self.tested(field, Test::OneOf(scalars), at)
    }

    fn compared(
        &mut self,
        field: &Field,
        relation: Relation,
        value: &Value,
        at: &str,
    ) -> Result<Filter, QueryError> {
        let scalar = match scalar(field, value, at)? {
            Scalar::Null | Scalar::Bool(_) => {
                return Err(QueryError::wrong_type(at, "takes a number, a time or a text"));
            }
            Scalar::Text(text) => text.parse().map_or(Scalar::Text(text), Scalar::Time),
            scalar => scalar,
        };
        self.tested(field, Test::Compare(relation, scalar), at)
    }

    fn tested(&mut self, field: &Field, test: Test, at: &str) -> Result<Filter, QueryError> {
        self.conditions += 1;
        if self.conditions > MOST_CONDITIONS {
            return Err(QueryError::out_of_range(
                at,
                format!("a filter has at most {MOST_CONDITIONS} conditions"),
            ));
        }
        Ok(Filter::Field(field.clone(), test))
    }

    fn deeper(&mut self, at: &str) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(QueryError::out_of_range(at, format!("a filter is at most {DEEPEST} deep")));
        }
        Ok(())
    }
}

fn unknown(operator: &str, at: &str) -> QueryError {
    QueryError::wrong_type(at, format!("there is no operator {operator}: there are {OPERATORS}"))
}

fn object<'a>(value: &'a Value, at: &str, wanted: &str) -> Result<&'a Map<String, Value>, QueryError> {
    value.as_object().ok_or_else(|| QueryError::wrong_type(at, wanted))
}

fn scalars(field: &Field, value: &Value, at: &str) -> Result<Vec<Scalar>, QueryError> {
    let values = value.as_array().ok_or_else(|| QueryError::wrong_type(at, "takes a list of values"))?;
    if values.len() > MOST_VALUES {
        return Err(QueryError::out_of_range(at, format!("takes at most {MOST_VALUES} values")));
    }
    values.iter().enumerate().map(|(n, value)| scalar(field, value, &format!("{at}[{n}]"))).collect()
}

/// A value that a field of that kind can have.
fn scalar(field: &Field, value: &Value, at: &str) -> Result<Scalar, QueryError> {
    let wanted =
        |what: &str| Err(QueryError::wrong_type(at, format!("{field} is {what}, and {value} is none")));
    match (field.kind(), value) {
        (_, Value::Null) => Ok(Scalar::Null),
        (Kind::Time, value) => match value.as_str().and_then(|text| text.parse().ok()) {
            Some(time) => Ok(Scalar::Time(time)),
            None => wanted("a time, such as \"2026-01-05T14:30:00Z\""),
        },
        (Kind::Number | Kind::Any, Value::Number(number)) => match number.as_f64() {
            Some(number) if number.is_finite() => Ok(Scalar::Number(number)),
            _ => Err(QueryError::out_of_range(at, "is too large a number")),
        },
        (Kind::Bool | Kind::Any, Value::Bool(is)) => Ok(Scalar::Bool(*is)),
        (Kind::Text | Kind::Any, Value::String(text)) => {
            if text.len() > LONGEST_TEXT {
                return Err(QueryError::out_of_range(at, format!("takes at most {LONGEST_TEXT} bytes")));
            }
            if text.contains('\0') {
                return Err(QueryError::wrong_type(at, "must not contain NUL"));
            }
            Ok(Scalar::Text(text.clone()))
        }
        (Kind::Number, _) => wanted("a number"),
        (Kind::Bool, _) => wanted("true or false"),
        (Kind::Text, _) => wanted("a text"),
        (Kind::Any, _) => Err(QueryError::wrong_type(at, "takes a text, a number, true, false or null")),
    }
}
