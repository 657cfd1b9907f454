//! What is measured of a variant, and how each figure is shown: the rows of every table.
//!
//! Terminal, Markdown and HTML all draw from [`MEASURES`]; a figure cannot be in one and look
//! different in another.

use crate::format;
use crate::recording::Stalls;
use crate::summary::VariantSummary;
use crate::variant::Variant;

/// One row of the table of variants.
pub(crate) struct Measure {
    /// The heading under which it stands.
    pub(crate) group: &'static str,
    pub(crate) label: &'static str,
    /// What it means, for who reads the page without the manual.
    pub(crate) help: &'static str,
    pub(crate) cell: fn(&Variant, &Context<'_>) -> Cell,
}

/// What a cell needs to know beyond its own variant.
pub(crate) struct Context<'a> {
    pub(crate) pool: Option<&'a VariantSummary>,
}

/// A figure as text, with what must be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) mark: Mark,
}

/// What must be said of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing.
    None,
    /// It is not there.
    Missing,
    /// The truth is this or worse.
    LowerBound,
    /// It says that something went wrong.
    Bad,
}

impl Cell {
    pub(crate) fn plain(text: String) -> Cell {
        let mark = if text == format::MISSING {
            Mark::Missing
        } else {
            Mark::None
        };
        Cell { text, mark }
    }

    pub(crate) fn missing() -> Cell {
        Cell::plain(format::MISSING.to_owned())
    }
}

// The rows that a comparison of allocators and a load have in common.
pub(crate) const RATE_ACHIEVED: Measure = Measure {
    group: "Load",
    label: "Rate achieved",
    help: "Requests finished by the schedule's end, per second of schedule",
    cell: |variant, _| Cell::plain(format::rate(variant.summary.rate_achieved)),
};
pub(crate) const P50: Measure = Measure {
    group: "Response time",
    label: "P50",
    help: "Intended start to end: waiting included",
    cell: |variant, _| response(variant, variant.summary.p50_ns),
};
pub(crate) const P99: Measure = Measure {
    group: "Response time",
    label: "P99",
    help: "One request in 100 took longer",
    cell: |variant, _| response(variant, variant.summary.p99_ns),
};
pub(crate) const P999: Measure = Measure {
    group: "Response time",
    label: "P99.9",
    help: "One request in 1,000 took longer",
    cell: |variant, _| response(variant, variant.summary.p999_ns),
};
pub(crate) const P9999: Measure = Measure {
    group: "Response time",
    label: "P99.99",
    help: "One request in 10,000 took longer",
    cell: |variant, _| response(variant, variant.summary.p9999_ns),
};
pub(crate) const MAXIMUM: Measure = Measure {
    group: "Response time",
    label: "Maximum",
    help: "The slowest request of all runs",
    cell: |variant, _| response(variant, variant.summary.max_ns),
};
pub(crate) const MEDIAN_SECOND: Measure = Measure {
    group: "Response time",
    label: "P99.9, median second",
    help: "P99.9 of each second; the median over all seconds of all runs",
    cell: |variant, _| response(variant, variant.summary.p999_ns_median_of_seconds),
};

/// All rows, in the order in which they are shown.
pub(crate) const MEASURES: &[Measure] = &[
    RATE_ACHIEVED,
    Measure {
        group: "Load",
        label: "Schedule kept",
        help: "Whether the service kept up; when not, its percentiles are lower bounds",
        cell: |variant, _| schedule(&variant.summary),
    },
    P50,
    P99,
    P999,
    P9999,
    MAXIMUM,
    MEDIAN_SECOND,
    Measure {
        group: "Response time",
        label: "P99.9 against pool",
        help: "How many times the pool's P99.9",
        cell: |variant, context| against_pool(variant, context),
    },
    Measure {
        group: "Service time",
        label: "Service P50",
        help: "The service's start on a request to its end: waiting left out",
        cell: |variant, _| service(variant.summary.service_p50_ns),
    },
    Measure {
        group: "Service time",
        label: "Service P99.9",
        help: "One request in 1,000 took the service itself longer",
        cell: |variant, _| service(variant.summary.service_p999_ns),
    },
    Measure {
        group: "Cost",
        label: "Allocations/request",
        help: "Heap allocations, counted in a separate run after warm-up",
        cell: |variant, _| optional(variant.summary.allocations_per_request, format::count),
    },
    Measure {
        group: "Cost",
        label: "Allocation rate",
        help: "Bytes allocated per second at the rate achieved",
        cell: |variant, _| optional(variant.summary.bytes_per_second, format::bytes_rate),
    },
    Measure {
        group: "Cost",
        label: "CPU in service",
        help: "Share of the workers' time that the service used",
        cell: |variant, _| Cell::plain(format::share(variant.summary.cpu_busy)),
    },
    Measure {
        group: "Cost",
        label: "Peak memory",
        help: "The largest resident set of any run",
        cell: |variant, _| match variant.summary.max_rss_bytes {
            0 => Cell::missing(),
            bytes => Cell::plain(format::memory(bytes)),
        },
    },
    Measure {
        group: "Machine",
        label: "Machine stalls",
        help: "Time that the machine, not the service, took from the workers; sum of all runs",
        cell: |variant, _| match variant.summary.stalls == Stalls::default() {
            // A program that measures itself does not look for them.
            true => Cell::missing(),
            false => Cell::plain(format::millis(variant.summary.stalls_ms)),
        },
    },
];

/// A response time, marked where it is a lower bound.
pub(crate) fn response(variant: &Variant, ns: u64) -> Cell {
    if variant.summary.requests == 0 {
        return Cell::missing();
    }
    if variant.lower_bound() {
        return Cell {
            text: format!("≥ {}", format::nanos(ns)),
            mark: Mark::LowerBound,
        };
    }
    Cell::plain(format::nanos(ns))
}

/// A service time; one of zero is missing.
pub(crate) fn service(ns: u64) -> Cell {
    // Zero means that the series is absent: no clock reads the same twice around a service.
    if ns == 0 {
        return Cell::missing();
    }
    Cell::plain(format::nanos(ns))
}

fn against_pool(variant: &Variant, context: &Context<'_>) -> Cell {
    let pool = match context.pool {
        Some(pool) if pool.p999_ns > 0 && variant.summary.requests > 0 => pool,
        _ => return Cell::missing(),
    };
    // Over a lower bound no ratio says anything.
    if pool.missed_runs > 0 {
        return Cell::missing();
    }
    let ratio = format::ratio(variant.summary.p999_ns as f64 / pool.p999_ns as f64);
    if variant.lower_bound() {
        return Cell {
            text: format!("≥ {ratio}"),
            mark: Mark::LowerBound,
        };
    }
    Cell::plain(ratio)
}

/// Whether the schedule was kept.
pub(crate) fn schedule(summary: &VariantSummary) -> Cell {
    if summary.missed_runs > 0 {
        let text = if summary.runs == 1 {
            "MISSED".to_owned()
        } else {
            format!("MISSED {} of {}", summary.missed_runs, summary.runs)
        };
        return Cell {
            text,
            mark: Mark::Bad,
        };
    }
    if !summary.schedule_kept {
        return Cell {
            text: "unknown".to_owned(),
            mark: Mark::Bad,
        };
    }
    Cell::plain("yes".to_owned())
}

/// Whether runs of it waited for answers instead of following a schedule.
pub(crate) fn closed(variant: &Variant) -> bool {
    let load = variant.summary.load.as_ref();
    load.is_some_and(|load| load.closed_loop)
}

fn optional(value: Option<f64>, show: fn(f64) -> String) -> Cell {
    Cell::plain(value.map_or_else(|| format::MISSING.to_owned(), show))
}
