//! Which events are wanted, as a tree. How it is written lives in `parsing`,
//! what it means in `matching`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Field;

/// Which events.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Those for which all of these hold: all events where there are none.
    All(Vec<Filter>),
    /// Those for which one of these holds.
    Any(Vec<Filter>),
    /// Those for which this does not hold.
    Not(Box<Filter>),
    /// Those whose field stands the test.
    Field(Field, Test),
}

/// What a field is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It, or an item of its list, is one of these.
    OneOf(Vec<Scalar>),
    /// It is of the same type as this, and greater or less.
    Compare(Relation, Scalar),
    /// It is there.
    Exists,
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
}

impl Relation {
    /// The same in SQL, and in most languages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Nothing: events have no field without a value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A time.
    Time(Timestamp),
}

impl Filter {
    /// Which holds of all events.
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// That a field is this.
    pub fn equals(field: Field, scalar: Scalar) -> Self {
        Self::Field(field, Test::OneOf(vec![scalar]))
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> BTreeSet<&Field> {
        match self {
            Self::All(filters) | Self::Any(filters) => filters.iter().flat_map(Self::fields).collect(),
            Self::Not(filter) => filter.fields(),
            Self::Field(field, _) => BTreeSet::from([field]),
        }
    }
}
