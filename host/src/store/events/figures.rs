//! Figures of groups. Events whose fields have equal values come as one row;
//! durations, of which hardly two are equal, come as a histogram, and in detail
//! only from the buckets in which percentiles lie.

use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

use super::columns::{Holds, column_of};
use super::narrowing::{Arguments, Bound, Narrowed, narrow};
use super::reading::parsed;
use super::{AskError, EventStore, in_time};
use crate::query::{Answer, Field, Groups, Measured, Query, QueryError, Row, Sample, Spread};
use crate::store::StoreError;
use crate::store::open::Engine;

/// What a histogram says of a bucket: all of it, or no more than percentiles
/// need, which takes half as long.
const SPREAD: &str =
    "e.duration_bucket, MIN(e.duration_ms), MAX(e.duration_ms), SUM(e.duration_ms * e.sampling_rate)";
const BUCKET: &str = "e.duration_bucket, CAST(0 AS DOUBLE PRECISION), CAST(0 AS DOUBLE PRECISION), \
                      CAST(0 AS DOUBLE PRECISION)";

/// How the measured field comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Field,
    Histogram { with_range: bool },
    Detail,
}

impl EventStore {
    /// What is asked of groups of events.
    ///
    /// # Errors
    /// The question asks for too much, or the store does not answer in time.
    pub async fn figures(&self, query: &Query) -> Result<Answer, AskError> {
        in_time(async {
            // Both looks see the same events.
            let begin = match self.engine {
                Engine::Sqlite => "BEGIN",
                Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            };
            let mut transaction = self.reads.begin_with(begin).await?;
            let answer = self.gather(&mut transaction, query).await;
            transaction.rollback().await?;
            answer
        })
        .await
    }

    async fn gather(
        &self,
        transaction: &mut Transaction<'static, Any>,
        query: &Query,
    ) -> Result<Answer, AskError> {
        let mut arguments = Arguments::new(self.engine);
        let narrowed = narrow(&query.filter, &mut arguments);
        let mut groups = Groups::new(query, &narrowed.rest);
        let form = if groups.measure_apart(Field::DURATION) {
            Form::Histogram { with_range: groups.wants_range() }
        } else {
            Form::Field
        };
        let look = Look { narrowed: &narrowed, fields: groups.fields().to_vec(), form };
        look.each(transaction, arguments, "", |row| groups.add(&row)).await?;
        let buckets = groups.wanted_buckets();
        if !buckets.is_empty() {
            let mut arguments = Arguments::new(self.engine);
            let narrowed = narrow(&query.filter, &mut arguments);
            let look = Look { narrowed: &narrowed, form: Form::Detail, ..look };
            let buckets = arguments.bind_all(buckets.into_iter().map(Bound::Whole));
            let mut only = format!(" AND e.duration_bucket IN ({buckets})");
            only += &within(&groups, query, &mut arguments);
            let detail = |row| {
                groups.detail(&row);
                Ok(())
            };
            look.each(transaction, arguments, &only, detail).await?;
        }
        Ok(groups.answer())
    }
}

/// A condition that names the groups' values, where a column holds them: an
/// index leads from there to buckets.
fn within(groups: &Groups<'_>, query: &Query, arguments: &mut Arguments) -> String {
    let mut conditions = String::new();
    for (place, field) in query.group_by.iter().enumerate() {
        if let Some(column) = column_of(field).filter(|column| column.holds == Holds::Text)
            && let Some(texts) = groups.texts(place).filter(|texts| texts.len() <= 100)
        {
            let places = arguments.bind_all(texts.into_iter().map(|text| Bound::Text(text.to_owned())));
            conditions += &format!(" AND {} IN ({places})", arguments.column(column));
        }
    }
    conditions
}

/// One look at the rows.
struct Look<'a> {
    narrowed: &'a Narrowed,
    fields: Vec<Field>,
    form: Form,
}

impl Look<'_> {
    /// Takes the rows one by one, as they come.
    async fn each(
        &self,
        transaction: &mut Transaction<'static, Any>,
        mut arguments: Arguments,
        only: &str,
        mut take: impl FnMut(Row) -> Result<(), QueryError>,
    ) -> Result<(), AskError> {
        let (columns, grouped) = self.columns(&mut arguments);
        let places: Vec<_> = (1..=grouped).map(|place| place.to_string()).collect();
        let groups = if grouped == 0 { String::new() } else { format!("GROUP BY {}", places.join(", ")) };
        let text = format!(
            "SELECT {} FROM {} WHERE {}{only} {groups}",
            columns.join(", "),
            arguments.tables(),
            self.narrowed.conditions,
        );
        let mut rows = arguments.query(text).fetch(&mut **transaction);
        while let Some(row) = rows.try_next().await? {
            take(self.read(&row)?)?;
        }
        Ok(())
    }

    /// What is selected, and by how many columns of it rows become one.
    fn columns(&self, arguments: &mut Arguments) -> (Vec<String>, usize) {
        let column = |field| match column_of(field) {
            Some(column) => arguments.column(column).to_owned(),
            None => arguments.json(field),
        };
        let mut columns: Vec<_> = self.fields.iter().map(column).collect();
        let mut grouped = columns.len();
        match self.form {
            Form::Field => {}
            Form::Histogram { with_range } => {
                grouped += 1;
                columns.push(if with_range { SPREAD } else { BUCKET }.to_owned());
            }
            Form::Detail => {
                grouped += 2;
                columns.extend(["e.duration_bucket".to_owned(), "e.duration_ms".to_owned()]);
            }
        }
        columns.extend(["COUNT(*)".to_owned(), "SUM(e.sampling_rate)".to_owned()]);
        (columns, grouped)
    }

    fn read(&self, row: &AnyRow) -> Result<Row, StoreError> {
        let values = self.fields.iter().enumerate().map(|(place, field)| match column_of(field) {
            Some(column) => column.read(row, place),
            None => json(row, place),
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let next = values.len();
        let (measured, next) = match self.form {
            Form::Field => (Measured::Field, next),
            Form::Histogram { .. } => (Measured::Spread(spread(row, next)?), next + 4),
            Form::Detail => (Measured::Detail(row.try_get(next)?, row.try_get(next + 1)?), next + 2),
        };
        let sample_size: i64 = row.try_get(next)?;
        let sample = Sample {
            sample_size: sample_size.unsigned_abs(),
            // There is no sum of nothing.
            estimated_total: row.try_get::<Option<f64>, _>(next + 1)?.unwrap_or_default(),
        };
        Ok(Row { values, sample, measured })
    }
}

fn spread(row: &AnyRow, next: usize) -> Result<Spread, StoreError> {
    Ok(Spread {
        bucket: row.try_get(next)?,
        min: row.try_get(next + 1)?,
        max: row.try_get(next + 2)?,
        weighted_sum: row.try_get(next + 3)?,
    })
}

fn json(row: &AnyRow, place: usize) -> Result<Option<Value>, StoreError> {
    let text: Option<&str> = row.try_get(place)?;
    text.map(parsed).transpose()
}
