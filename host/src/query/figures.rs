//! What is said of a group of events: figures, each with how many stored events
//! stand behind it and how many that is without sampling.

use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Field, Kind, QueryError};

/// What is said of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// How many events there were.
    Count,
    /// Something about the values of a field.
    Of(Statistic, Field),
}

/// Something about values, of which each counts as often as its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The least value that so many percent are not above.
    Percentile(u8),
}

impl FromStr for Statistic {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "avg" => Ok(Self::Avg),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            "p50" => Ok(Self::Percentile(50)),
            "p95" => Ok(Self::Percentile(95)),
            "p99" => Ok(Self::Percentile(99)),
            _ => Err(()),
        }
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Avg => f.write_str("avg"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Of(statistic, field) => write!(f, "{statistic}({field})"),
        }
    }
}

impl Figure {
    /// Reads a figure that stands at `at`.
    ///
    /// # Errors
    /// There is no such figure, or it is none of such a field.
    pub(super) fn parse(text: &str, at: &str) -> Result<Self, QueryError> {
        if text == "count" {
            return Ok(Self::Count);
        }
        let parts = text.strip_suffix(')').and_then(|text| text.split_once('('));
        let figure = parts.and_then(|(name, field)| Some((name.parse().ok()?, field)));
        let Some((statistic, field)) = figure else {
            let shown: String = text.chars().take(40).collect();
            let message = format!(
                "there is no figure {shown:?}: there are count, avg(FIELD), min(FIELD), max(FIELD), p50(FIELD), \
                 p95(FIELD) and p99(FIELD)"
            );
            return Err(QueryError::wrong_type(at, message));
        };
        let field = Field::parse(field, at)?;
        match field.kind() {
            Kind::Number | Kind::Any => Ok(Self::Of(statistic, field)),
            Kind::Text | Kind::Bool | Kind::Time => {
                Err(QueryError::wrong_type(at, format!("{field} holds no numbers")))
            }
        }
    }
}

/// How many events stand behind something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct Sample {
    /// Stored events.
    pub sample_size: u64,
    /// How many events those stand for: the sum of their `sampling.rate`.
    pub estimated_total: f64,
}

/// A figure of a group.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnsweredFigure {
    /// Its name, as it was asked for.
    pub figure: String,
    /// Nothing where no event has such a number.
    pub value: Option<f64>,
    /// The events behind it.
    #[serde(flatten)]
    pub sample: Sample,
}

/// A group, and what is said of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnsweredGroup {
    /// The values that make the group, by field; `null` where it is not there.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub by: Map<String, Value>,
    /// The figures, in the order in which they were asked for.
    pub figures: Vec<AnsweredFigure>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = EventFigures)]
pub struct Answer {
    /// The fields that make a group.
    pub group_by: Vec<String>,
    /// The groups, as many as were asked for.
    pub groups: Vec<AnsweredGroup>,
    /// How many groups there are.
    pub group_count: usize,
    /// All events that the filter wants.
    pub matched: Sample,
}
