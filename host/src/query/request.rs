//! A question as it is asked: filter, groups, figures, order and limit.

use serde_json::Value;

use super::figures::Figure;
use super::{Field, Filter, QueryError};

/// Groups or events of an answer: so many at most,
const LARGEST_LIMIT: usize = 1000;
/// and so many where nobody says.
const LIMIT: usize = 100;
/// Fields that make a group.
const MOST_FIELDS: usize = 4;
/// Figures of a group.
const MOST_FIGURES: usize = 16;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// The fields whose values make a group.
    pub group_by: Vec<Field>,
    /// What is said of each group; the events themselves where there is nothing.
    pub figures: Vec<Figure>,
    /// What comes first.
    pub order: Order,
    /// Groups or events, at most.
    pub limit: usize,
}

/// What comes first.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// The greatest first.
    pub descending: bool,
}

/// What an answer is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// A field of the group, or of the event.
    Field(Field),
    /// A figure.
    Figure(usize),
}

impl Query {
    /// Reads a question.
    ///
    /// # Errors
    /// Anything in it that is unknown, of the wrong type, or too much.
    pub fn parse(value: &Value) -> Result<Self, QueryError> {
        let members = value.as_object().ok_or_else(|| {
            QueryError::wrong_type("the question", "is an object, such as {\"filter\": {\"success\": false}}")
        })?;
        let known = ["filter", "group_by", "figures", "order", "limit"];
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let name: String = name.chars().take(40).collect();
            return Err(QueryError::wrong_type(&name, format!("is unknown: there are {}", known.join(", "))));
        }
        let filter = members.get("filter").map(|filter| Filter::parse(filter, "filter")).transpose()?;
        let group_by = texts(members.get("group_by"), "group_by", MOST_FIELDS)?;
        let group_by =
            group_by.iter().map(|(at, name)| Field::parse(name, at)).collect::<Result<Vec<_>, _>>()?;
        let figures = texts(members.get("figures"), "figures", MOST_FIGURES)?;
        let mut figures =
            figures.iter().map(|(at, name)| Figure::parse(name, at)).collect::<Result<Vec<_>, _>>()?;
        if figures.is_empty() && !group_by.is_empty() {
            figures.push(Figure::Count);
        }
        let order = order(members.get("order"), &group_by, &figures)?;
        let limit = limit(members.get("limit"))?;
        Ok(Self { filter: filter.unwrap_or_else(Filter::everything), group_by, figures, order, limit })
    }

    /// Whether events themselves are asked for.
    pub fn wants_events(&self) -> bool {
        self.figures.is_empty()
    }
}

fn limit(value: Option<&Value>) -> Result<usize, QueryError> {
    let Some(value) = value else { return Ok(LIMIT) };
    let limit = value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.ok_or_else(|| QueryError::wrong_type("limit", "takes a whole number"))?;
    if (1..=LARGEST_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(QueryError::out_of_range("limit", format!("takes 1 to {LARGEST_LIMIT}")))
}

/// A text, or a list of texts, each with its place.
fn texts(value: Option<&Value>, at: &str, most: usize) -> Result<Vec<(String, String)>, QueryError> {
    let wrong = |at: &str| QueryError::wrong_type(at, "takes a text, or a list of texts");
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![(at.to_owned(), text.clone())]),
        Some(Value::Array(items)) if items.len() > most => {
            Err(QueryError::out_of_range(at, format!("takes at most {most}")))
        }
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate().map(|(n, item)| {
                let at = format!("{at}[{n}]");
                let text = item.as_str().ok_or_else(|| wrong(&at))?.to_owned();
                Ok((at, text))
            });
            items.collect()
        }
        Some(_) => Err(wrong(at)),
    }
}

/// Events are sorted by time or duration; groups by what they are made of, or
/// by a figure. A minus in front turns the order round.
fn order(value: Option<&Value>, group_by: &[Field], figures: &[Figure]) -> Result<Order, QueryError> {
    let default = match figures.first() {
        None => Order { by: By::Field(Field::known(Field::TIMESTAMP)), descending: true },
        Some(_) => Order { by: By::Figure(0), descending: true },
    };
    let Some(value) = value else { return Ok(default) };
    let wrong = |message: String| Err(QueryError::wrong_type("order", message));
    let Some(text) = value.as_str() else {
        return wrong("takes a text, such as \"-timestamp\"".to_owned());
    };
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    if figures.is_empty() {
        return match name {
            Field::TIMESTAMP => Ok(Order { by: By::Field(Field::known(Field::TIMESTAMP)), descending }),
            Field::DURATION => Ok(Order { by: By::Field(Field::known(Field::DURATION)), descending }),
            _ => wrong(
                "events are sorted by timestamp or duration_ms; with - in front, the greatest first"
                    .to_owned(),
            ),
        };
    }
    if let Some(figure) = figures.iter().position(|figure| figure.to_string() == name) {
        return Ok(Order { by: By::Figure(figure), descending });
    }
    match group_by.iter().find(|field| field.name() == name) {
        Some(field) => Ok(Order { by: By::Field(field.clone()), descending }),
        None => {
            let names = figures.iter().map(ToString::to_string);
            let names: Vec<_> = names.chain(group_by.iter().map(ToString::to_string)).collect();
            wrong(format!("takes one of {}; with - in front, the greatest first", names.join(", ")))
        }
    }
}
