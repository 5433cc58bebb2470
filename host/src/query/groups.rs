//! Gathers the figures of groups. Where rows come from is not known here; they
//! may be many events of equal values in one, and what is measured may come as
//! a histogram first and in detail only where a percentile lies.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::figures::{Answer, AnsweredFigure, AnsweredGroup, Figure, Sample, Statistic};
use super::{By, Field, Filter, Query, QueryError};

/// Groups of one answer.
const MOST_GROUPS: usize = 10_000;
/// Values that are kept for percentiles.
const MOST_VALUES: usize = 2_000_000;
/// Of a sum of weights: what adding them in another order may change.
const ROUNDING: f64 = 1e-9;

/// Events whose fields have equal values.
#[derive(Debug)]
pub struct Row {
    /// The values, in the order of [`Groups::fields`].
    pub values: Vec<Option<Value>>,
    /// The events.
    pub sample: Sample,
    /// What is measured, where it is not among the fields.
    pub measured: Measured,
}

/// The values of the measured field in a row.
#[derive(Debug, Clone, Copy)]
pub enum Measured {
    /// They are among its fields.
    Field,
    /// They lie close to each other.
    Spread(Spread),
    /// They are all this, in a bucket.
    Detail(i64, f64),
}

/// Values that lie close to each other.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Values of a higher bucket are greater.
    pub bucket: i64,
    /// The least of them.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their sum, each as often as its event counts.
    pub weighted_sum: f64,
}

/// The figures of groups, as they grow.
pub struct Groups<'a> {
    query: &'a Query,
    /// What of the filter is not decided yet.
    rest: &'a Filter,
    fields: Vec<Field>,
    /// The fields that figures are about, and whether that takes each value.
    measured: Vec<(Field, bool)>,
    groups: Vec<Group>,
    index: HashMap<String, usize>,
    matched: Sample,
    values: usize,
}

struct Group {
    key: Vec<Value>,
    sample: Sample,
    measures: Vec<Measure>,
}

#[derive(Default, Clone)]
struct Measure {
    sample: Sample,
    weighted_sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    /// Each value and how often it counts; with a histogram only those of the
    /// buckets in which percentiles lie.
    values: BTreeMap<i64, Vec<(f64, f64)>>,
    /// How often values of each bucket count, where there is a histogram.
    histogram: BTreeMap<i64, f64>,
}

impl<'a> Groups<'a> {
    /// No group yet. `rest` is what of the query's filter is to be decided here.
    pub fn new(query: &'a Query, rest: &'a Filter) -> Self {
        let measured = measured(query);
        let fields =
            rest.fields().into_iter().chain(&query.group_by).chain(measured.iter().map(|(field, _)| field));
        let fields: BTreeSet<_> = fields.cloned().collect();
        let fields = fields.into_iter().collect();
        let (groups, index, matched) = (Vec::new(), HashMap::new(), Sample::default());
        let mut all = Self { query, rest, fields, measured, groups, index, matched, values: 0 };
        if query.group_by.is_empty() {
            // What is said of all events is said of none, too.
            all.group(Vec::new());
        }
        all
    }

    /// Takes a field out of those that rows have to bring: what is measured of
    /// it comes as [`Measured`]. Says whether that can be.
    pub fn measure_apart(&mut self, name: &str) -> bool {
        let only = matches!(&self.measured[..], [(field, _)] if field.name() == name);
        let is_free = |field: &Field| field.name() != name;
        if !only || !self.query.group_by.iter().all(is_free) || !self.rest.fields().into_iter().all(is_free) {
            return false;
        }
        self.fields.retain(is_free);
        true
    }

    /// Whether anything but percentiles is asked of what is measured.
    pub fn wants_range(&self) -> bool {
        let of_range = |figure: &Figure| {
            matches!(figure, Figure::Of(Statistic::Avg | Statistic::Min | Statistic::Max, _))
        };
        self.query.figures.iter().any(of_range)
    }

    /// The fields whose values a row brings.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Adds events.
    ///
    /// # Errors
    /// There are more groups, or values, than an answer may have.
    pub fn add(&mut self, row: &Row) -> Result<(), QueryError> {
        let Some(group) = self.group_of(row) else { return Ok(()) };
        if self.groups.len() > MOST_GROUPS {
            let message = format!("makes more than {MOST_GROUPS} groups: narrow the filter");
            return Err(QueryError::out_of_range("group_by", message));
        }
        add(&mut self.matched, row.sample);
        add(&mut self.groups[group].sample, row.sample);
        for n in 0..self.measured.len() {
            let (field, takes_each) = &self.measured[n];
            let (value, takes_each) = (self.value_of(row, field).and_then(Value::as_f64), *takes_each);
            let measure = &mut self.groups[group].measures[n];
            match (row.measured, value) {
                (Measured::Spread(spread), _) => measure.add_spread(spread, row.sample),
                (Measured::Field, Some(value)) => {
                    measure.add(value, row.sample);
                    if takes_each {
                        measure.values.entry(0).or_default().push((value, row.sample.estimated_total));
                        self.values += 1;
                    }
                }
                (Measured::Field, None) | (Measured::Detail(..), _) => {}
            }
        }
        if self.values > MOST_VALUES {
            let message = format!("would take more than {MOST_VALUES} values: narrow the filter");
            return Err(QueryError::out_of_range("figures", message));
        }
        Ok(())
    }

    /// The buckets in which percentiles lie: what has to come in detail.
    pub fn wanted_buckets(&self) -> BTreeSet<i64> {
        let mut buckets = BTreeSet::new();
        for group in &self.groups {
            for figure in &self.query.figures {
                if let Figure::Of(Statistic::Percentile(percent), field) = figure {
                    let measure = &group.measures[self.place_of(field)];
                    buckets.extend(measure.bucket_of(*percent).map(|(bucket, _)| bucket));
                }
            }
        }
        buckets
    }

    /// The groups' values of the field at that place, where all are texts.
    pub fn texts(&self, place: usize) -> Option<BTreeSet<&str>> {
        self.groups.iter().map(|group| group.key[place].as_str()).collect()
    }

    /// Adds the values of a bucket in detail.
    pub fn detail(&mut self, row: &Row) {
        let (Measured::Detail(bucket, value), Some(group)) = (row.measured, self.group_of(row)) else {
            return;
        };
        for measure in &mut self.groups[group].measures {
            measure.values.entry(bucket).or_default().push((value, row.sample.estimated_total));
        }
    }

    /// The group of a row that the rest of the filter wants.
    fn group_of(&mut self, row: &Row) -> Option<usize> {
        if !self.rest.matches_where(&|field| self.value_of(row, field)) {
            return None;
        }
        let value_of = |field| self.value_of(row, field).cloned().unwrap_or_default();
        let key = self.query.group_by.iter().map(value_of).collect();
        Some(self.group(key))
    }

    fn group(&mut self, key: Vec<Value>) -> usize {
        let text = Value::from_iter(key.iter().cloned()).to_string();
        *self.index.entry(text).or_insert_with(|| {
            let measures = vec![Measure::default(); self.measured.len()];
            self.groups.push(Group { key, sample: Sample::default(), measures });
            self.groups.len() - 1
        })
    }

    fn value_of<'r>(&self, row: &'r Row, field: &Field) -> Option<&'r Value> {
        row.values[self.fields.iter().position(|known| known == field)?].as_ref()
    }

    fn place_of(&self, field: &Field) -> usize {
        self.measured.iter().position(|(known, _)| known == field).unwrap_or_default()
    }

    /// The answer.
    pub fn answer(mut self) -> Answer {
        let group_count = self.groups.len();
        let groups = std::mem::take(&mut self.groups);
        let mut answered: Vec<_> = groups.into_iter().map(|group| self.answered(group)).collect();
        answered.sort_by(|a, b| self.order(a, b));
        answered.truncate(self.query.limit);
        let group_by = self.query.group_by.iter().map(ToString::to_string).collect();
        Answer { group_by, groups: answered, group_count, matched: self.matched }
    }

    fn answered(&self, mut group: Group) -> AnsweredGroup {
        for measure in &mut group.measures {
            measure.values.values_mut().for_each(|values| values.sort_by(|a, b| a.0.total_cmp(&b.0)));
        }
        let figure = |figure: &Figure| {
            let (value, sample) = match figure {
                Figure::Count => (Some(group.sample.estimated_total), group.sample),
                Figure::Of(statistic, field) => {
                    let measure = &group.measures[self.place_of(field)];
                    (measure.value(*statistic), measure.sample)
                }
            };
            AnsweredFigure { figure: figure.to_string(), value, sample }
        };
        let figures = self.query.figures.iter().map(figure).collect();
        let names = self.query.group_by.iter().map(ToString::to_string);
        AnsweredGroup { by: names.zip(group.key).collect(), figures }
    }

    /// Which group comes first: what has no value comes last.
    fn order(&self, a: &AnsweredGroup, b: &AnsweredGroup) -> Ordering {
        let order = &self.query.order;
        let turned = |ordering: Ordering| if order.descending { ordering.reverse() } else { ordering };
        let first = match &order.by {
            By::Figure(n) => match (a.figures[*n].value, b.figures[*n].value) {
                (Some(a), Some(b)) => turned(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
            By::Field(field) => match (&a.by[field.name()], &b.by[field.name()]) {
                (Value::Null, Value::Null) => Ordering::Equal,
                (Value::Null, _) => Ordering::Greater,
                (_, Value::Null) => Ordering::Less,
                (a, b) => turned(compare(a, b)),
            },
        };
        first.then_with(|| compare_all(&a.by, &b.by))
    }
}

/// The fields that figures are about, and whether that takes each value.
fn measured(query: &Query) -> Vec<(Field, bool)> {
    let mut measured: BTreeMap<&Field, bool> = BTreeMap::new();
    for figure in &query.figures {
        if let Figure::Of(statistic, field) = figure {
            *measured.entry(field).or_default() |= matches!(statistic, Statistic::Percentile(_));
        }
    }
    measured.into_iter().map(|(field, takes_each)| (field.clone(), takes_each)).collect()
}

fn add(all: &mut Sample, more: Sample) {
    all.sample_size += more.sample_size;
    all.estimated_total += more.estimated_total;
}

fn compare_all(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    a.values()
        .zip(b.values())
        .map(|(a, b)| compare(a, b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Values of different types follow each other by type.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) | Value::Object(_) => 4,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) if rank(a) == rank(b) => a.to_string().cmp(&b.to_string()),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

impl Measure {
    fn add(&mut self, value: f64, sample: Sample) {
        self.add_range(value, value, value * sample.estimated_total, sample);
    }

    fn add_spread(&mut self, spread: Spread, sample: Sample) {
        self.add_range(spread.min, spread.max, spread.weighted_sum, sample);
        *self.histogram.entry(spread.bucket).or_default() += sample.estimated_total;
    }

    fn add_range(&mut self, min: f64, max: f64, weighted_sum: f64, sample: Sample) {
        add(&mut self.sample, sample);
        self.weighted_sum += weighted_sum;
        self.min = Some(self.min.map_or(min, |least| least.min(min)));
        self.max = Some(self.max.map_or(max, |greatest| greatest.max(max)));
    }

    fn value(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Avg if self.sample.estimated_total > 0.0 => {
                Some(self.weighted_sum / self.sample.estimated_total)
            }
            Statistic::Avg => None,
            Statistic::Min => self.min,
            Statistic::Max => self.max,
            Statistic::Percentile(percent) => self.percentile(percent),
        }
    }

    /// How much of the values a percentile leaves below it, or at it.
    fn share(&self, percent: u8) -> f64 {
        self.sample.estimated_total * (f64::from(percent) / 100.0 - ROUNDING)
    }

    /// The bucket in which a percentile lies, and how often values below it count.
    fn bucket_of(&self, percent: u8) -> Option<(i64, f64)> {
        let (share, mut below) = (self.share(percent), 0.0);
        for (bucket, weight) in &self.histogram {
            if below + weight >= share {
                return Some((*bucket, below));
            }
            below += weight;
        }
        None
    }

    /// The least value that so many percent are not above.
    fn percentile(&self, percent: u8) -> Option<f64> {
        let (bucket, mut below) = self.bucket_of(percent).unwrap_or_default();
        let (values, share) = (self.values.get(&bucket)?, self.share(percent));
        let reached = values.iter().find(|(_, weight)| {
            below += weight;
            below >= share
        });
        reached.or(values.last()).map(|(value, _)| *value)
    }
}
