//! Which metrics there are, from the totals: one list for every format.
//!
//! Names follow Prometheus' habits: base units, `_ratio` for shares of 1, `_total` for counters. A
//! series carries the group that it belongs to, so that a rule can be about memory or about the
//! scheduler without listing series. The command line of the target is not exported, since command
//! lines hold passwords.

use super::distribution::Distribution;
use super::totals::{SeriesTotals, TargetTotals, Totals};
use crate::catalogue::Unit;

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric with all its label sets.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    /// Without the `_total` of a counter.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample<'a>>,
}

/// One label set with its value.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) labels: Vec<(&'static str, &'a str)>,
    pub(crate) value: Value<'a>,
}

/// A sample's value.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Number(f64),
    Distribution(&'a Distribution),
}

/// All metrics. `process` is the number of the current target as text.
pub(crate) fn families<'a>(totals: &'a Totals, process: &'a str) -> Vec<Family<'a>> {
    let mut families = vec![
        single(
            "tailcut_target_up",
            "Whether a target is observed; 0 while the exporter waits for one.",
            Kind::Gauge,
            f64::from(u8::from(totals.up)),
        ),
        single(
            "tailcut_target_attached",
            "Times that a session with a target began.",
            Kind::Counter,
            totals.attached as f64,
        ),
        single(
            "tailcut_target_failures",
            "Times that a session could not begin, or broke.",
            Kind::Counter,
            totals.failed as f64,
        ),
    ];
    for (name, unit, help) in HISTOGRAMS {
        families.push(of_series(totals, name, help, Kind::Histogram, |series| {
            (series.unit == *unit).then_some(Value::Distribution(&series.distribution))
        }));
    }
    for (name, kind, help, value) in OF_SERIES {
        families.push(of_series(totals, name, help, *kind, |series| {
            // The share seen is of now; without a target there is none.
            (*kind != Kind::Gauge || totals.up).then(|| Value::Number(value(series)))
        }));
    }
    for (name, help, value) in SUMS_OF_TARGET {
        let samples = totals.targets.iter().map(|target| Sample {
            labels: vec![("process", &target.name)],
            value: Value::Number(value(target)),
        });
        families.push(Family {
            name,
            help,
            kind: Kind::Counter,
            samples: samples.collect(),
        });
    }
    families.push(cpu_of_probe(totals));
    families.push(lost(totals));
    if let Some(target) = totals.targets.last().filter(|_| totals.up) {
        families.extend(gauges(target, process));
    }
    families.retain(|family| !family.samples.is_empty());
    families
}

const HISTOGRAMS: &[(&str, Unit, &str)] = &[
    (
        "tailcut_series_seconds",
        Unit::Nanoseconds,
        "Lengths of calls and pauses, as they were seen: not scaled by the share seen.",
    ),
    (
        "tailcut_series_size_bytes",
        Unit::Bytes,
        "Sizes in bytes, as they were seen: not scaled by the share seen.",
    ),
    (
        "tailcut_series_things",
        Unit::Things,
        "Numbers of objects or pages, as they were seen: not scaled by the share seen.",
    ),
];

type OfSeries = (&'static str, Kind, &'static str, fn(&SeriesTotals) -> f64);

const OF_SERIES: &[OfSeries] = &[
    (
        "tailcut_series_events",
        Kind::Counter,
        "Events, estimated for all the time from the share in which they were seen.",
        |series| series.events,
    ),
    (
        "tailcut_series_bytes",
        Kind::Counter,
        "Bytes that belonged to the events, estimated likewise.",
        |series| series.bytes,
    ),
    (
        "tailcut_series_slow_events",
        Kind::Counter,
        "Events that took at least their threshold, as they were seen.",
        |series| series.slow as f64,
    ),
    (
        "tailcut_series_under_floor_events",
        Kind::Counter,
        "Events seen that took less than a probe hit costs: their lengths are not known.",
        |series| series.under_floor as f64,
    ),
    (
        "tailcut_series_floor_seconds",
        Kind::Gauge,
        "Lengths below it are mostly the cost of the probe itself.",
        |series| series.floor_ns as f64 * 1e-9,
    ),
    (
        "tailcut_series_sampled_ratio",
        Kind::Gauge,
        "Share of the last interval in which the series was seen, 0 to 1.",
        |series| series.sampled,
    ),
];

type OfTarget = (&'static str, &'static str, fn(&TargetTotals) -> f64);

const SUMS_OF_TARGET: &[OfTarget] = &[
    (
        "tailcut_target_cpu_seconds",
        "CPU time of the target while it was observed.",
        |target| target.cpu_ns as f64 * 1e-9,
    ),
    (
        "tailcut_probe_hits",
        "Hits of probe sites in user space.",
        |target| target.hits as f64,
    ),
    (
        "tailcut_probe_windows",
        "Windows of tracing that ended.",
        |target| target.windows as f64,
    ),
];

fn single(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Family<'static> {
    Family {
        name,
        help,
        kind,
        samples: vec![Sample {
            labels: Vec::new(),
            value: Value::Number(value),
        }],
    }
}

fn of_series<'a>(
    totals: &'a Totals,
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: impl Fn(&'a SeriesTotals) -> Option<Value<'a>>,
) -> Family<'a> {
    let mut samples = Vec::new();
    // Gauges are of the current target.
    let earlier = match kind {
        Kind::Gauge => totals.targets.len().saturating_sub(1),
        Kind::Counter | Kind::Histogram => 0,
    };
    for target in &totals.targets[earlier..] {
        for (series, totals) in &target.series {
            if let Some(value) = value(totals) {
                let labels = vec![
                    ("process", &*target.name),
                    ("group", totals.group.name()),
                    ("series", &**series),
                ];
                samples.push(Sample { labels, value });
            }
        }
    }
    Family {
        name,
        help,
        kind,
        samples,
    }
}

fn cpu_of_probe(totals: &Totals) -> Family<'_> {
    let mut samples = Vec::new();
    for target in &totals.targets {
        for (part, ns) in [
            ("programs", target.programs_ns),
            ("traps", target.traps_ns),
            ("exporter", target.own_cpu_ns),
        ] {
            samples.push(Sample {
                labels: vec![("process", &target.name), ("part", part)],
                value: Value::Number(ns as f64 * 1e-9),
            });
        }
    }
    Family {
        name: "tailcut_probe_cpu_seconds",
        help: "CPU time that tracing took: eBPF programs, traps of probe sites, this exporter.",
        kind: Kind::Counter,
        samples,
    }
}

fn lost(totals: &Totals) -> Family<'_> {
    let mut samples = Vec::new();
    for target in &totals.targets {
        for (what, number) in &target.lost {
            samples.push(Sample {
                labels: vec![("process", &*target.name), ("what", *what)],
                value: Value::Number(*number as f64),
            });
        }
    }
    Family {
        name: "tailcut_lost",
        help: "What was lost before it could be counted or shown.",
        kind: Kind::Counter,
        samples,
    }
}

/// The state of the current target.
fn gauges<'a>(target: &'a TargetTotals, process: &'a str) -> Vec<Family<'a>> {
    let now = &target.now;
    let gauge = |name, help, value: f64| Family {
        name,
        help,
        kind: Kind::Gauge,
        samples: vec![Sample {
            labels: vec![("process", &*target.name)],
            value: Value::Number(value),
        }],
    };
    let mut info = gauge("tailcut_target_info", "The process that is observed.", 1.0);
    let labels = &mut info.samples[0].labels;
    labels.push(("pid", process));
    labels.push(("allocators", &now.allocators));
    vec![
        info,
        gauge(
            "tailcut_target_threads",
            "Threads of the target that were seen and are alive.",
            f64::from(now.threads),
        ),
        gauge(
            "tailcut_target_resident_memory_bytes",
            "Resident memory of the target.",
            now.rss_bytes as f64,
        ),
        gauge(
            "tailcut_probe_cpu_ratio",
            "What tracing cost the target in the last interval, as a share of its CPU time, 0 to 1.",
            now.cost.share,
        ),
        gauge(
            "tailcut_probe_cpu_budget_ratio",
            "The share that tracing may cost, 0 to 1.",
            now.cost.budget,
        ),
        gauge(
            "tailcut_probe_resident_memory_bytes",
            "Resident memory of this exporter.",
            now.cost.own_rss_bytes as f64,
        ),
    ]
}
