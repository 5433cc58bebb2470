//! Metrics as they are written down. Nothing gets in that is not a family with
//! a meaning, and no sample with other labels than its family's.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::families::{Family, Kind};
use crate::histogram::Distribution;

/// Metrics of one moment.
#[derive(Default)]
pub(super) struct Exposition(Vec<MetricFamily>);

impl Exposition {
    /// Adds counts, or what goes up and down, by their labels.
    pub(super) fn add<const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([String; N], f64)>,
    ) {
        let metrics = samples.into_iter().map(|(values, value)| {
            let mut metric = labelled(family, values);
            match family.kind {
                Kind::Counter => {
                    let mut counter = Counter::default();
                    counter.set_value(value);
                    metric.set_counter(counter);
                }
                Kind::Gauge | Kind::Histogram { .. } => {
                    let mut gauge = Gauge::default();
                    gauge.set_value(value);
                    metric.set_gauge(gauge);
                }
            }
            metric
        });
        self.push(family, metrics.collect());
    }

    /// Adds one number.
    pub(super) fn add_one(&mut self, family: &Family, value: f64) {
        self.add(family, [([], value)]);
    }

    /// Adds distributions, by their labels.
    pub(super) fn add_distributions<const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([String; N], Distribution)>,
    ) {
        let metrics = samples.into_iter().map(|(values, distribution)| {
            let mut metric = labelled(family, values);
            metric.set_histogram(histogram(family, &distribution));
            metric
        });
        self.push(family, metrics.collect());
    }

    fn push(&mut self, family: &Family, metrics: Vec<Metric>) {
        // A family without a sample is left out: there is nothing to say of it.
        if metrics.is_empty() {
            return;
        }
        let mut written = MetricFamily::default();
        written.set_name(family.name.to_owned());
        written.set_help(family.help.to_owned());
        written.set_field_type(match family.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram { .. } => MetricType::HISTOGRAM,
        });
        written.set_metric(metrics);
        self.0.push(written);
    }

    /// The text that Prometheus reads.
    pub(super) fn into_text(self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }
}

fn labelled<const N: usize>(family: &Family, values: [String; N]) -> Metric {
    debug_assert_eq!(family.labels.len(), N, "{}", family.name);
    let pair = |(name, value): (&&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value);
        pair
    };
    Metric::from_label(family.labels.iter().zip(values).map(pair).collect())
}

fn histogram(family: &Family, distribution: &Distribution) -> Histogram {
    let bucket = |(edge, count): &(u64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(family.in_base_unit(*edge));
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(distribution.up_to.iter().map(bucket).collect());
    histogram.set_sample_count(distribution.count);
    histogram.set_sample_sum(family.in_base_unit(distribution.sum));
    histogram
}
