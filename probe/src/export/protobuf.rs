//! The protobuf format, which alone carries native histograms.
//!
//! The messages are those of `io.prometheus.client` (<https://github.com/prometheus/client_model>,
//! `metrics.proto`), as far as they are used here, declared by hand: that saves a build step and a
//! compiler for a schema that cannot change in what it has. A body is a row of `MetricFamily`, each
//! preceded by its length.
//!
//! Histograms carry both kinds of buckets, so that a server without native histograms, which may
//! ask for this format as well, reads the classic ones.

use prost::Message;

use super::distribution::{Distribution, SCHEMA};
use super::families::{self, Kind, Value};

/// Everything up to here counts as zero: nothing but 0 itself, since values are whole nanoseconds.
const ZERO_THRESHOLD: f64 = 1e-10;

/// All families, each preceded by its length.
pub(crate) fn encode(families: &[families::Family<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    for family in families {
        let encoded = message(family).encode_length_delimited(&mut bytes);
        // A vector grows as needed, which is all that can go wrong.
        debug_assert!(encoded.is_ok());
    }
    bytes
}

fn message(family: &families::Family<'_>) -> MetricFamily {
    let (name, kind) = match family.kind {
        Kind::Counter => (format!("{}_total", family.name), MetricType::Counter),
        Kind::Gauge => (family.name.to_owned(), MetricType::Gauge),
        Kind::Histogram => (family.name.to_owned(), MetricType::Histogram),
    };
    let metrics = family.samples.iter().map(|sample| {
        let label = |(name, value): &(&str, &str)| LabelPair {
            name: Some((*name).to_owned()),
            value: Some((*value).to_owned()),
        };
        let mut metric = Metric {
            label: sample.labels.iter().map(label).collect(),
            ..Metric::default()
        };
        match (&sample.value, family.kind) {
            (Value::Number(value), Kind::Counter) => {
                metric.counter = Some(Number {
                    value: Some(*value),
                });
            }
            (Value::Number(value), _) => {
                metric.gauge = Some(Number {
                    value: Some(*value),
                });
            }
            (Value::Distribution(distribution), _) => {
                metric.histogram = Some(histogram(distribution));
            }
        }
        metric
    });
    MetricFamily {
        name: Some(name),
        help: Some(family.help.to_owned()),
        r#type: Some(kind.into()),
        metric: metrics.collect(),
    }
}

fn histogram(distribution: &Distribution) -> Histogram {
    let classic = distribution.classic().map(|(bound, _, below)| Bucket {
        cumulative_count: Some(below),
        upper_bound: Some(bound),
    });
    let (spans, deltas) = spans(distribution.exponential());
    Histogram {
        sample_count: Some(distribution.count()),
        sample_sum: Some(distribution.sum()),
        bucket: classic.collect(),
        schema: Some(SCHEMA),
        zero_threshold: Some(ZERO_THRESHOLD),
        zero_count: Some(distribution.zeros()),
        positive_span: spans,
        positive_delta: deltas,
    }
}

/// Buckets as runs of neighbours (distance from the end of the last run, length), and counts as
/// differences to the bucket before.
fn spans(buckets: impl Iterator<Item = (i32, u64)>) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut deltas = Vec::new();
    let mut next = 0;
    let mut before = 0;
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if index == next => span.length = Some(span.length() + 1),
            // The first distance is from 0, thus the index itself.
            _ => spans.push(BucketSpan {
                offset: Some(index - next),
                length: Some(1),
            }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        before = count;
        next = index + 1;
    }
    // Without any bucket a span of none marks the histogram as a native one all the same.
    if spans.is_empty() {
        spans.push(BucketSpan {
            offset: Some(0),
            length: Some(0),
        });
    }
    (spans, deltas)
}

#[derive(Clone, PartialEq, prost::Message)]
struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    r#type: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

/// `Gauge` and `Counter`: they have their value at the same place.
#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buckets that a reader makes of spans and deltas.
    fn read(spans: &[BucketSpan], deltas: &[i64]) -> Vec<(i32, u64)> {
        let mut buckets = Vec::new();
        let (mut index, mut count) = (0, 0);
        let mut deltas = deltas.iter();
        for span in spans {
            index += span.offset();
            for _ in 0..span.length() {
                count += deltas.next().unwrap();
                buckets.push((index, count as u64));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    #[test]
    fn buckets_come_back_from_spans_and_deltas() {
        for buckets in [
            vec![],
            vec![(-300, 7)],
            vec![(-3, 5), (-2, 1), (0, 9), (1, 9), (2, 2), (40, 1)],
        ] {
            let (spans, deltas) = spans(buckets.iter().copied());
            assert_eq!(read(&spans, &deltas), buckets);
        }
    }

    #[test]
    fn neighbours_share_a_span() {
        let (spans, _) = spans([(5, 1), (6, 1), (9, 1)].into_iter());
        let lengths: Vec<_> = spans
            .iter()
            .map(|span| (span.offset(), span.length()))
            .collect();
        assert_eq!(lengths, [(5, 2), (2, 1)]);
    }
}
