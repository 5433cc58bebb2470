//! A histogram with fixed edges, counted without a lock. What is counted, and
//! in which unit, is the business of who counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of values by how large they are.
pub struct Histogram {
    edges: &'static [u64],
    /// One for each edge, for what is no larger, and one for what is larger
    /// than all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Edges, and how many values are no larger.
    pub up_to: Vec<(u64, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl Histogram {
    /// Counts nothing yet. The edges ascend.
    pub fn new(edges: &'static [u64]) -> Self {
        Self {
            edges,
            buckets: (0..=edges.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts one value.
    pub fn observe(&self, value: u64) {
        let bucket = self.edges.partition_point(|edge| *edge < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What it has counted; a value that is counted meanwhile may be missing in
    /// the sum.
    pub fn distribution(&self) -> Distribution {
        let mut count = 0;
        let mut next = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let up_to =
            self.edges.iter().zip(&self.buckets).map(|(edge, bucket)| (*edge, next(bucket))).collect();
        if let Some(largest) = self.buckets.last() {
            next(largest);
        }
        Distribution { up_to, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_an_edge_is_no_larger_than_it() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1000] {
            histogram.observe(value);
        }
        let expected = Distribution { up_to: vec![(10, 2), (20, 4)], count: 6, sum: 1062 };
        assert_eq!(histogram.distribution(), expected);
    }
}
