//! A filter as conditions on rows. What columns can say is decided there; of
//! the rest, conditions leave out most of what does not match, never what does,
//! and `query` decides. So an answer does not depend on how an engine compares.

use jiff::Timestamp;
use sqlx::any::AnyArguments;
use sqlx::query::Query as SqlQuery;
use sqlx::{Any, AssertSqlSafe};

use super::columns::{Column, Holds, bucket_of, column_of};
use crate::query::{Field, Filter, Relation, Scalar, Test};
use crate::store::open::Engine;

/// Whole numbers up to here are exact as doubles, and compare alike everywhere.
const EXACT: f64 = 9_007_199_254_740_992.0;
const EVERY_ROW: &str = "1 = 1";
const NO_ROW: &str = "1 = 0";
/// What events say of their service is kept apart from them.
pub(super) const SERVICE: &str = "service";

/// Values of a statement, each bound and none written into its text; and the
/// tables beside `events` that the text speaks of.
pub(super) struct Arguments {
    engine: Engine,
    values: Vec<Bound>,
    needs_bodies: bool,
    needs_services: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Bound {
    Text(String),
    Whole(i64),
    Number(f64),
    Bool(bool),
}

impl Arguments {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, values: Vec::new(), needs_bodies: false, needs_services: false }
    }

    /// `events`, with the tables beside it that were spoken of up to here.
    pub(super) fn tables(&self) -> String {
        let bodies = if self.needs_bodies { " JOIN event_bodies b ON b.id = e.id" } else { "" };
        let services = if self.needs_services { " JOIN event_services s ON s.id = e.service_id" } else { "" };
        format!("events e{bodies}{services}")
    }

    /// The name of a column.
    pub(super) fn column(&mut self, column: Column) -> &'static str {
        self.needs_services |= column.name.starts_with("s.");
        column.name
    }

    /// The place of a value.
    pub(super) fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// The places of some values.
    pub(super) fn bind_all(&mut self, values: impl IntoIterator<Item = Bound>) -> String {
        let places: Vec<_> = values.into_iter().map(|value| self.bind(value)).collect();
        places.join(", ")
    }

    /// The value of a field, as JSON.
    pub(super) fn json(&mut self, field: &Field) -> String {
        match self.engine {
            Engine::Sqlite => {
                let (body, path) = self.path(field);
                format!("({body} -> {path})")
            }
            Engine::Postgres => format!("CAST({} AS TEXT)", self.postgres_json(field)),
        }
    }

    /// All of an event, and what it says of its service, each as JSON.
    pub(super) fn bodies(&mut self) -> &'static str {
        (self.needs_bodies, self.needs_services) = (true, true);
        match self.engine {
            Engine::Sqlite => "json(b.body), s.body",
            Engine::Postgres => "CAST(b.body AS TEXT), CAST(s.body AS TEXT)",
        }
    }

    /// The JSON in which a field is, and its way there: what an event says of
    /// its service is not in its own body.
    fn place<'f>(&mut self, field: &'f Field) -> (&'static str, impl Iterator<Item = &'f str> + use<'f>) {
        let is_of_service = field.parts().next() == Some(SERVICE);
        self.needs_services |= is_of_service;
        self.needs_bodies |= !is_of_service;
        (if is_of_service { "s.body" } else { "b.body" }, field.parts().skip(usize::from(is_of_service)))
    }

    fn path(&mut self, field: &Field) -> (&'static str, String) {
        let (body, parts) = self.place(field);
        let path = parts.fold("$".to_owned(), |path, part| format!("{path}.\"{part}\""));
        (body, self.bind(Bound::Text(path)))
    }

    fn postgres_json(&mut self, field: &Field) -> String {
        let (body, parts) = self.place(field);
        let parts = self.bind_all(parts.map(|part| Bound::Text(part.to_owned())));
        if parts.is_empty() { body.to_owned() } else { format!("jsonb_extract_path({body}, {parts})") }
    }

    /// The query of a text with these values.
    pub(super) fn query(self, text: String) -> SqlQuery<'static, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(text));
        self.values.into_iter().fold(query, |query, value| match value {
            Bound::Text(text) => query.bind(text),
            Bound::Whole(number) => query.bind(number),
            Bound::Number(number) => query.bind(number),
            Bound::Bool(is) => query.bind(is),
        })
    }
}

/// What a filter asks of rows.
pub(super) struct Narrowed {
    /// Conditions that all rows of matching events fulfil.
    pub(super) conditions: String,
    /// What is still to be decided of those that do.
    pub(super) rest: Filter,
}

/// A condition, and whether it says all that its filter does.
struct Condition {
    text: String,
    is_exact: bool,
}

/// The conditions of a filter.
pub(super) fn narrow(filter: &Filter, arguments: &mut Arguments) -> Narrowed {
    let (mut conditions, mut rest) = (EVERY_ROW.to_owned(), Vec::new());
    for part in parts(filter) {
        let bound = arguments.values.len();
        let Some(condition) = condition_of(part, arguments) else {
            // PostgreSQL refuses values that stand nowhere.
            arguments.values.truncate(bound);
            rest.push(part.clone());
            continue;
        };
        conditions += &format!(" AND {}", condition.text);
        if !condition.is_exact {
            rest.push(part.clone());
        }
    }
    Narrowed { conditions, rest: Filter::All(rest) }
}

/// What must all hold.
fn parts(filter: &Filter) -> Vec<&Filter> {
    match filter {
        Filter::All(filters) => filters.iter().flat_map(parts).collect(),
        part => vec![part],
    }
}

/// A condition that holds of all rows of matching events, if there is one.
fn condition_of(filter: &Filter, arguments: &mut Arguments) -> Option<Condition> {
    match filter {
        Filter::All(filters) => joined(filters, " AND ", EVERY_ROW, arguments),
        Filter::Any(filters) => joined(filters, " OR ", NO_ROW, arguments),
        Filter::Not(filter) => {
            let condition = condition_of(filter, arguments)?;
            // What leaves too little out leaves too much out when turned round.
            let text = format!("NOT COALESCE({}, {NO_ROW})", condition.text);
            condition.is_exact.then_some(Condition { text, ..condition })
        }
        Filter::Field(field, test) => match column_of(field) {
            Some(column) => {
                let text = column_condition(column, test, arguments)?;
                Some(Condition { text, is_exact: true })
            }
            None => {
                let text = body_condition(field, test, arguments)?;
                Some(Condition { text, is_exact: false })
            }
        },
    }
}

fn joined(filters: &[Filter], by: &str, none: &str, arguments: &mut Arguments) -> Option<Condition> {
    let conditions = filters.iter().map(|filter| condition_of(filter, arguments));
    let conditions: Vec<_> = conditions.collect::<Option<_>>()?;
    let texts: Vec<_> = conditions.iter().map(|condition| condition.text.as_str()).collect();
    Some(Condition {
        text: if texts.is_empty() { none.to_owned() } else { format!("({})", texts.join(by)) },
        is_exact: conditions.iter().all(|condition| condition.is_exact),
    })
}

/// What says exactly as much as a test of a column.
fn column_condition(column: Column, test: &Test, arguments: &mut Arguments) -> Option<String> {
    let (name, holds) = (arguments.column(column), column.holds);
    Some(match (holds, test) {
        (Holds::MaybeText, Test::Exists) => format!("{name} IS NOT NULL"),
        (_, Test::Exists) => EVERY_ROW.to_owned(),
        (Holds::Bool, Test::OneOf(scalars)) => {
            // Written out, so that the index of failures is seen to fit.
            let is = |is: bool| scalars.contains(&Scalar::Bool(is));
            match (is(true), is(false)) {
                (true, true) => EVERY_ROW.to_owned(),
                (true, false) => format!("{name} = 1"),
                (false, true) => format!("{name} = 0"),
                (false, false) => NO_ROW.to_owned(),
            }
        }
        (_, Test::OneOf(scalars)) => one_of(column, scalars, arguments),
        (Holds::Duration, Test::Compare(relation, Scalar::Number(number))) => {
            // What is greater is in no lower bucket: the index begins with those.
            let or_equal = if relation.as_str().starts_with('>') { ">=" } else { "<=" };
            let bucket = arguments.bind(Bound::Whole(bucket_of(*number)));
            let number = arguments.bind(Bound::Number(*number));
            format!("(e.duration_bucket {or_equal} {bucket} AND {name} {} {number})", relation.as_str())
        }
        (Holds::Number, Test::Compare(relation, Scalar::Number(number))) => {
            format!("{name} {} {}", relation.as_str(), arguments.bind(Bound::Number(*number)))
        }
        (Holds::Time, Test::Compare(relation, Scalar::Time(time))) => {
            let us = arguments.bind(Bound::Whole(rounded_us(*relation, *time)));
            format!("{name} {} {us}", relation.as_str())
        }
        // How texts follow each other depends on a database's language.
        (_, Test::Compare(..)) => return None,
    })
}

/// That a column holds one of these.
fn one_of(column: Column, scalars: &[Scalar], arguments: &mut Arguments) -> String {
    let (name, holds) = (arguments.column(column), column.holds);
    let values: Vec<_> = scalars.iter().filter_map(|scalar| at_rest(holds, scalar)).collect();
    let equals = match values.len() {
        0 => NO_ROW.to_owned(),
        1 => format!("{name} = {}", arguments.bind_all(values)),
        _ => format!("{name} IN ({})", arguments.bind_all(values)),
    };
    if holds == Holds::MaybeText && scalars.contains(&Scalar::Null) {
        return format!("({equals} OR {name} IS NULL)");
    }
    equals
}

/// A value as it rests in a column; nothing where none can be equal to it.
fn at_rest(holds: Holds, scalar: &Scalar) -> Option<Bound> {
    match (holds, scalar) {
        (Holds::Text | Holds::MaybeText, Scalar::Text(text)) => Some(Bound::Text(text.clone())),
        (Holds::Number | Holds::Duration, Scalar::Number(number)) => Some(Bound::Number(*number)),
        (Holds::Time, Scalar::Time(time)) => {
            (time.as_nanosecond() % 1000 == 0).then(|| Bound::Whole(time.as_microsecond()))
        }
        _ => None,
    }
}

/// The microsecond that divides times as that time does.
fn rounded_us(relation: Relation, time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    let down = ns.div_euclid(1000);
    let us = match relation {
        Relation::Greater | Relation::LessOrEqual => down,
        Relation::GreaterOrEqual | Relation::Less => down + i128::from(ns.rem_euclid(1000) != 0),
    };
    // A time is within ten thousand years of 1970.
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// What leaves out most events that do not stand a test. Lists are left in
/// where one of their items may: SQLite and PostgreSQL see them as greater than
/// any number, which no comparison with one is true of.
fn body_condition(field: &Field, test: &Test, arguments: &mut Arguments) -> Option<String> {
    match test {
        Test::Compare(relation, Scalar::Number(number)) if number.abs() < EXACT => {
            let (value, number) = compared(field, &[Scalar::Number(*number)], arguments)?;
            Some(format!("{value} {} {number}", relation.as_str()))
        }
        Test::OneOf(scalars) if !scalars.is_empty() => {
            let (value, scalars) = compared(field, scalars, arguments)?;
            let is_list = match arguments.engine {
                Engine::Sqlite => {
                    let (body, path) = arguments.path(field);
                    format!("json_type({body}, {path})")
                }
                Engine::Postgres => format!("jsonb_typeof({})", arguments.postgres_json(field)),
            };
            Some(format!("({value} IN ({scalars}) OR {is_list} = 'array')"))
        }
        Test::Exists | Test::Compare(..) | Test::OneOf(_) => None,
    }
}

/// A field of the body and some values, as the engine compares them.
fn compared(field: &Field, scalars: &[Scalar], arguments: &mut Arguments) -> Option<(String, String)> {
    let value = match arguments.engine {
        Engine::Sqlite => {
            let (body, path) = arguments.path(field);
            format!("json_extract({body}, {path})")
        }
        Engine::Postgres => arguments.postgres_json(field),
    };
    let mut places = Vec::with_capacity(scalars.len());
    for scalar in scalars {
        // A text that was prepared once stands for values of these types.
        let (value, of_type) = match scalar {
            Scalar::Text(text) => (Bound::Text(text.clone()), "TEXT"),
            Scalar::Number(number) if number.abs() < EXACT => (Bound::Number(*number), "DOUBLE PRECISION"),
            Scalar::Bool(is) => (Bound::Bool(*is), "BOOLEAN"),
            Scalar::Number(_) | Scalar::Null | Scalar::Time(_) => return None,
        };
        let place = arguments.bind(value);
        places.push(match arguments.engine {
            Engine::Sqlite => place,
            Engine::Postgres => format!("to_jsonb(CAST({place} AS {of_type}))"),
        });
    }
    Some((value, places.join(", ")))
}
