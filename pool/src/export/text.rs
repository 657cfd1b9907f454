//! The text format of Prometheus, version 0.0.4.
//!
//! A family (all series of one name) stands together, after its help and type, whatever the number
//! of pools; the figures are read family by family from snapshots that were taken before.
//!
//! The histogram has no `_sum`: buckets by powers of two do not know it, and an invented one would
//! look like a measured mean. Its buckets are exact: the clock counts whole nanoseconds, so that a
//! bucket below 2^i of them ends at 2^i - 1.
//!
//! [Format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).

use std::fmt::{self, Write};

use super::{
    Family, INFO, Kind, LIFETIME, OF_CORE, OF_POOL, SAMPLED, Snapshot, bucket_end, path_label,
    used_cores,
};
use crate::lifetimes::Lifetimes;
use crate::statistics::Statistics;

/// The value of the HTTP header `Content-Type` for this text.
///
/// ```
/// use tailcut_pool::export::PROMETHEUS_CONTENT_TYPE;
///
/// let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {PROMETHEUS_CONTENT_TYPE}\r\n\r\n");
/// # assert!(head.contains("text/plain"));
/// ```
pub const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes pools' figures in the text format of Prometheus.
///
/// Names must differ from each other. They may hold anything; what the format gives a meaning is
/// escaped. See the [module](super) for the series and an example.
///
/// Append other metrics' text before or after it, none that begins with `tailcut_pool_`: write all
/// pools at once.
///
/// ```
/// # use tailcut_pool::Pool;
/// use tailcut_pool::export::{Snapshot, prometheus_text};
///
/// let orders = Pool::builder(|| 0_u64).capacity(10).build()?;
/// let mut body = String::new();
/// prometheus_text(&[Snapshot::of("orders", &orders)], &mut body)?;
/// assert!(body.contains("tailcut_pool_in_use{pool=\"orders\"} 0\n"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `out` refuses; a `String` never does.
pub fn prometheus_text(pools: &[Snapshot<'_>], out: &mut impl Write) -> fmt::Result {
    let rows = pools.iter().map(|pool| Row {
        name: Escaped(pool.name),
        statistics: &pool.statistics,
        lifetimes: pool.lifetimes.as_ref(),
    });
    write_all(rows, out)
}

impl Statistics {
    /// Writes this one pool's figures in the text format of Prometheus, `name` being the value of
    /// the label `pool`. For several pools, or lifetimes, see
    /// [`prometheus_text`](crate::export::prometheus_text).
    ///
    /// ```
    /// # use tailcut_pool::Pool;
    /// let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(10).build()?;
    /// let mut text = String::new();
    /// pool.statistics().to_prometheus_text("orders", &mut text)?;
    /// assert!(text.contains("# TYPE tailcut_pool_in_use gauge\ntailcut_pool_in_use{pool=\"orders\"} 0\n"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `out` refuses; a `String` never does.
    pub fn to_prometheus_text(&self, name: &str, out: &mut impl Write) -> fmt::Result {
        let row = Row {
            name: Escaped(name),
            statistics: self,
            lifetimes: None,
        };
        write_all(std::iter::once(row), out)
    }
}

/// One pool.
#[derive(Clone, Copy)]
struct Row<'r> {
    name: Escaped<'r>,
    statistics: &'r Statistics,
    lifetimes: Option<&'r Lifetimes>,
}

fn write_all<'r>(rows: impl Iterator<Item = Row<'r>> + Clone, out: &mut impl Write) -> fmt::Result {
    for family in &OF_POOL {
        write_family(family, out)?;
        for Row {
            name, statistics, ..
        } in rows.clone()
        {
            let value = (family.read)(statistics);
            writeln!(out, "{}{{pool=\"{name}\"}} {value}", family.name)?;
        }
    }
    for family in &OF_CORE {
        write_family(family, out)?;
        for Row {
            name, statistics, ..
        } in rows.clone()
        {
            for (number, core) in used_cores(statistics) {
                let value = (family.read)(core);
                writeln!(
                    out,
                    "{}{{pool=\"{name}\",core=\"{number}\"}} {value}",
                    family.name
                )?;
            }
        }
    }
    write_head(INFO, "gauge", out)?;
    for Row {
        name, statistics, ..
    } in rows.clone()
    {
        let path = path_label(statistics.path);
        writeln!(out, "{}{{pool=\"{name}\",path=\"{path}\"}} 1", INFO.0)?;
    }
    let sampled = rows.filter_map(|row| Some((row.name, row.lifetimes?)));
    if sampled.clone().next().is_none() {
        return Ok(());
    }
    write_head(SAMPLED, "gauge", out)?;
    for (name, lifetimes) in sampled.clone() {
        writeln!(out, "{}{{pool=\"{name}\"}} {}", SAMPLED.0, lifetimes.one_in)?;
    }
    write_head(LIFETIME, "histogram", out)?;
    for (name, lifetimes) in sampled {
        write_histogram(name, lifetimes, out)?;
    }
    Ok(())
}

fn write_histogram(name: Escaped<'_>, lifetimes: &Lifetimes, out: &mut impl Write) -> fmt::Result {
    let family = LIFETIME.0;
    let mut seen = 0;
    for (index, count) in lifetimes.counts.iter().enumerate() {
        seen += count;
        if index + 1 < lifetimes.counts.len() {
            let end = bucket_end(index);
            writeln!(
                out,
                "{family}_bucket{{pool=\"{name}\",le=\"{end}\"}} {seen}"
            )?;
        } else {
            writeln!(out, "{family}_bucket{{pool=\"{name}\",le=\"+Inf\"}} {seen}")?;
        }
    }
    writeln!(out, "{family}_count{{pool=\"{name}\"}} {seen}")
}

fn write_family<F>(family: &Family<F>, out: &mut impl Write) -> fmt::Result {
    let kind = match family.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    write_head((family.name, family.help), kind, out)
}

fn write_head((name, help): (&str, &str), kind: &str, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A label's value, within its quotes.
#[derive(Clone, Copy)]
struct Escaped<'v>(&'v str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\\', '"', '\n']) {
            let (plain, escape) = match part.as_bytes().last() {
                Some(b'\\') => (&part[..part.len() - 1], "\\\\"),
                Some(b'"') => (&part[..part.len() - 1], "\\\""),
                Some(b'\n') => (&part[..part.len() - 1], "\\n"),
                _ => (part, ""),
            };
            f.write_str(plain)?;
            f.write_str(escape)?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::percpu::Path;
    use crate::statistics::CoreStatistics;

    /// All fields are named, so that a new one cannot be forgotten.
    #[test]
    fn every_figure_of_the_statistics_is_published_once() {
        let statistics = Statistics {
            path: Path::Rseq,
            capacity: 101,
            in_use: 102,
            high_water: 103,
            in_depot: 104,
            loose: 105,
            waiting: 106,
            restarts: 107,
            grown: 108,
            shrunk: 109,
            discarded: 110,
            cores: vec![
                CoreStatistics::default(),
                CoreStatistics {
                    gets: 111,
                    puts: 112,
                    refills: 113,
                    spills: 114,
                    steals: 115,
                    misses: 116,
                    waits: 117,
                    resident: 118,
                },
            ],
        };
        let mut text = String::new();
        statistics.to_prometheus_text("p", &mut text).unwrap();
        for value in 101..=118 {
            let lines = text
                .lines()
                .filter(|line| line.ends_with(&format!(" {value}")));
            assert_eq!(lines.count(), 1, "{value} in\n{text}");
        }
        assert!(text.contains("tailcut_pool_waits_total{pool=\"p\",core=\"1\"} 117\n"));
        assert!(!text.contains("core=\"0\""), "core 0 was never used");
        assert!(text.contains("tailcut_pool_info{pool=\"p\",path=\"rseq\"} 1\n"));
    }

    #[test]
    fn buckets_end_where_the_clock_can_tell() {
        let mut counts = [0; 40];
        (counts[9], counts[10], counts[39]) = (3, 4, 5); // 512 ns on, 1024 ns on, nine minutes on
        let mut text = String::new();
        write_histogram(Escaped("p"), &Lifetimes { one_in: 8, counts }, &mut text).unwrap();
        for line in [
            "_bucket{pool=\"p\",le=\"0.000000511\"} 0\n",
            "_bucket{pool=\"p\",le=\"0.000001023\"} 3\n",
            "_bucket{pool=\"p\",le=\"0.000002047\"} 7\n",
            "_bucket{pool=\"p\",le=\"549.755813887\"} 7\n",
            "_bucket{pool=\"p\",le=\"+Inf\"} 12\n",
            "_count{pool=\"p\"} 12\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(text.lines().count(), 41);
    }

    #[test]
    fn what_ends_a_label_is_escaped() {
        let escaped = |value| Escaped(value).to_string();
        assert_eq!(escaped("orders"), "orders");
        assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
        assert_eq!(escaped("\"\"\\"), r#"\"\"\\"#);
        assert_eq!(escaped("préparé {x=\"y\"}"), r#"préparé {x=\"y\"}"#);
    }
}
