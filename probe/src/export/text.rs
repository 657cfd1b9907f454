//! The text formats: Prometheus 0.0.4, and OpenMetrics 1.0.
//!
//! See <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. They differ in the names of counters'
//! heads, in how whole numbers are written in `le`, and in the last line. Histograms are written
//! with their classic buckets.

use std::fmt::Write;

use super::distribution::Distribution;
use super::families::{Family, Kind, Sample, Value};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Prometheus,
    OpenMetrics,
}

/// All families as text.
pub(crate) fn encode(families: &[Family<'_>], dialect: Dialect) -> String {
    let mut text = String::with_capacity(64 * 1024);
    for family in families {
        let (head, sample) = match (family.kind, dialect) {
            (Kind::Counter, Dialect::OpenMetrics) => (family.name.to_owned(), "_total"),
            (Kind::Counter, Dialect::Prometheus) => (format!("{}_total", family.name), "_total"),
            _ => (family.name.to_owned(), ""),
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "# HELP {head} {}", family.help);
        let _ = writeln!(text, "# TYPE {head} {kind}");
        for Sample { labels, value } in &family.samples {
            match value {
                Value::Number(number) => {
                    line(&mut text, family.name, sample, labels, None, *number);
                }
                Value::Distribution(distribution) => {
                    histogram(&mut text, family.name, labels, distribution, dialect);
                }
            }
        }
    }
    if dialect == Dialect::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn histogram(
    text: &mut String,
    name: &str,
    labels: &[(&str, &str)],
    distribution: &Distribution,
    dialect: Dialect,
) {
    let count = distribution.count() as f64;
    for (_, bound, below) in distribution.classic() {
        let bound = match dialect {
            Dialect::OpenMetrics => bound,
            Dialect::Prometheus => bound.strip_suffix(".0").unwrap_or(bound),
        };
        line(text, name, "_bucket", labels, Some(bound), below as f64);
    }
    line(text, name, "_bucket", labels, Some("+Inf"), count);
    line(text, name, "_sum", labels, None, distribution.sum());
    line(text, name, "_count", labels, None, count);
}

fn line(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(&str, &str)],
    bound: Option<&str>,
    value: f64,
) {
    text.push_str(name);
    text.push_str(suffix);
    let bound = bound.map(|bound| ("le", bound));
    let mut separator = '{';
    for (name, value) in labels.iter().copied().chain(bound) {
        text.push(separator);
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// A label's value between its quotes: backslash, quote and line feed are escaped.
fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(value: &str) -> [Family<'_>; 1] {
        [Family {
            name: "tailcut_x",
            help: "X.",
            kind: Kind::Counter,
            samples: vec![Sample {
                labels: vec![("process", value)],
                value: Value::Number(3.0),
            }],
        }]
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let text = encode(&counter("a\"b\\c\nd"), Dialect::Prometheus);
        assert!(
            text.ends_with("tailcut_x_total{process=\"a\\\"b\\\\c\\nd\"} 3\n"),
            "{text}"
        );
    }

    #[test]
    fn the_head_of_a_counter_and_the_end_differ_by_dialect() {
        let prometheus = encode(&counter("a"), Dialect::Prometheus);
        assert!(prometheus.contains("# TYPE tailcut_x_total counter"));
        assert!(!prometheus.contains("EOF"));
        let open_metrics = encode(&counter("a"), Dialect::OpenMetrics);
        assert!(open_metrics.contains("# TYPE tailcut_x counter"));
        assert!(open_metrics.contains("tailcut_x_total{"));
        assert!(open_metrics.ends_with("# EOF\n"));
    }
}
