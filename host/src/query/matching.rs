//! Whether an event is one that a filter wants: what its words mean.
//!
//! As in MongoDB: what is not there equals `null`, differs from every value and
//! is neither greater nor less than any; values of different types are never
//! equal, and neither is greater. A list equals what one of its items equals.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::Field;
use super::filter::{Filter, Relation, Scalar, Test};

impl Filter {
    /// Whether it holds of an event.
    pub fn matches(&self, event: &Value) -> bool {
        self.matches_where(&|field| field.of(event))
    }

    /// Whether it holds where fields have these values.
    pub fn matches_where<'a>(&self, value_of: &impl Fn(&Field) -> Option<&'a Value>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches_where(value_of)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches_where(value_of)),
            Self::Not(filter) => !filter.matches_where(value_of),
            Self::Field(field, test) => test.is_stood_by(value_of(field).filter(|value| !value.is_null())),
        }
    }
}

impl Test {
    fn is_stood_by(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists, value) => value.is_some(),
            (Self::OneOf(scalars), None) => scalars.contains(&Scalar::Null),
            (Self::OneOf(scalars), Some(Value::Array(items))) => {
                items.iter().any(|item| scalars.iter().any(|scalar| scalar.equals(item)))
            }
            (Self::OneOf(scalars), Some(value)) => scalars.iter().any(|scalar| scalar.equals(value)),
            (Self::Compare(..), None) => false,
            (Self::Compare(relation, scalar), Some(value)) => {
                scalar.ordering_of(value).is_some_and(|ordering| relation.holds(ordering))
            }
        }
    }
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl Scalar {
    fn equals(&self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Bool(is) => value.as_bool() == Some(*is),
            Self::Number(_) | Self::Text(_) | Self::Time(_) => {
                self.ordering_of(value) == Some(Ordering::Equal)
            }
        }
    }

    /// How a value stands to it; nothing where they cannot be compared.
    fn ordering_of(&self, value: &Value) -> Option<Ordering> {
        match self {
            Self::Number(number) => value.as_f64()?.partial_cmp(number),
            Self::Text(text) => Some(value.as_str()?.cmp(text)),
            Self::Time(time) => Some(value.as_str()?.parse::<Timestamp>().ok()?.cmp(time)),
            Self::Null | Self::Bool(_) => None,
        }
    }
}
