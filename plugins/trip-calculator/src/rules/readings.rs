//! A trip's readings as the rules read them: columns in time order, fetched
//! one by one. Where they come from is not known here.

use super::number::known;

/// Where columns come from: the host, or a test.
pub trait Source {
    /// Time of each reading: epoch milliseconds.
    fn times(&self) -> Vec<i64>;

    /// One field of all readings, NaN where a reading has none; nothing where
    /// no reading has a value for it.
    fn column(&self, name: &str) -> Option<Vec<f64>>;
}

/// A column's length is not the number of readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Name of the column.
    pub column: String,
    /// How many values it has.
    pub values: usize,
    /// How many readings there are.
    pub readings: usize,
}

impl std::fmt::Display for Misshapen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { column, values, readings } = self;
        write!(f, "column `{column}` has {values} values for {readings} readings")
    }
}

/// The readings of one trip in time order.
pub struct Readings<'a> {
    source: &'a dyn Source,
    times: Vec<i64>,
    /// Where each reading is in the source, if that is not in time order.
    order: Option<Vec<u32>>,
}

impl<'a> Readings<'a> {
    /// Reads the times. Unordered readings are sorted, those of the same time
    /// keep their order.
    #[must_use]
    pub fn new(source: &'a dyn Source) -> Self {
        let times = source.times();
        if times.is_sorted() {
            return Self { source, times, order: None };
        }
        let mut order: Vec<(i64, u32)> = times.into_iter().zip(0..).collect();
        order.sort_by_key(|(time, _)| *time);
        let (times, order) = order.into_iter().unzip();
        Self { source, times, order: Some(order) }
    }

    /// Time of each reading: epoch milliseconds, ascending.
    #[must_use]
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// One field of all readings in time order; empty where no reading has a
    /// value.
    ///
    /// # Errors
    /// The column has not one value for each reading.
    pub fn column(&self, name: &str) -> Result<Column, Misshapen> {
        let Some(values) = self.source.column(name) else {
            return Ok(Column(Vec::new()));
        };
        if values.len() != self.times.len() {
            return Err(Misshapen {
                column: name.to_owned(),
                values: values.len(),
                readings: self.times.len(),
            });
        }
        let Some(order) = &self.order else {
            return Ok(Column(values));
        };
        let at = |place: &u32| values.get(*place as usize).copied();
        Ok(Column(order.iter().filter_map(at).collect()))
    }
}

/// One field of all readings; empty where no reading has a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column(pub Vec<f64>);

impl Column {
    /// The value in reading `index`, if it has one.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<f64> {
        self.0.get(index).copied().and_then(known)
    }

    /// All values with the index of their reading.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (usize, f64)> {
        let values = self.0.iter().enumerate();
        values.filter(|(_, v)| v.is_finite()).map(|(i, v)| (i, *v))
    }

    /// The first value.
    #[must_use]
    pub fn first(&self) -> Option<f64> {
        self.values().next().map(|(_, value)| value)
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.values().next_back().map(|(_, value)| value)
    }

    /// The last value in reading `index` or before it, else the first one
    /// after it.
    #[must_use]
    pub fn near(&self, index: usize) -> Option<f64> {
        let end = self.0.len().min(index.saturating_add(1));
        let before = self.0.get(..end)?.iter().rev().copied().find_map(known);
        before.or_else(|| self.0.get(end..)?.iter().copied().find_map(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unordered;

    impl Source for Unordered {
        fn times(&self) -> Vec<i64> {
            vec![20, 10, 20]
        }

        fn column(&self, name: &str) -> Option<Vec<f64>> {
            match name {
                "soc" => Some(vec![2.0, 1.0, 3.0]),
                "short" => Some(vec![2.0]),
                _ => None,
            }
        }
    }

    #[test]
    fn unordered_readings_are_sorted_and_equal_times_keep_their_order() {
        let readings = Readings::new(&Unordered);

        assert_eq!(readings.times(), [10, 20, 20]);
        assert_eq!(readings.column("soc"), Ok(Column(vec![1.0, 2.0, 3.0])));
    }

    #[test]
    fn a_column_of_the_wrong_length_is_refused() {
        let refusal = Readings::new(&Unordered).column("short").map_err(|e| e.to_string());

        assert_eq!(refusal, Err("column `short` has 1 values for 3 readings".into()));
    }

    #[test]
    fn an_absent_column_has_no_values() {
        let column = Readings::new(&Unordered).column("rpm").expect("absent is fine");

        assert_eq!((column.first(), column.at(0), column.near(5)), (None, None, None));
    }

    #[test]
    fn near_looks_back_then_ahead() {
        let column = Column(vec![f64::NAN, 5.0, f64::NAN, 6.0]);

        assert_eq!([0, 1, 2, 3, 9].map(|i| column.near(i)), [5.0, 5.0, 5.0, 6.0, 6.0].map(Some));
    }
}
