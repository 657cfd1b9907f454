//! The rows of the table of variants where a load generator's runs are shown.
//!
//! Those that mean the same as in a comparison of allocators are taken from there
//! ([`measures::MEASURES`](crate::measures::MEASURES)).

use super::LoadSummary;
use crate::format;
use crate::measures::{
    Cell, MAXIMUM, MEDIAN_SECOND, Mark, Measure, P50, P99, P999, P9999, RATE_ACHIEVED, closed,
    schedule, service,
};
use crate::variant::Variant;

/// All rows, in the order in which they are shown.
pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        group: "Load",
        label: "Rate asked for",
        help: "Requests per second that the schedule held",
        cell: |variant, _| match variant.summary.rate_target {
            _ if closed(variant) => Cell::plain("as fast as answered".to_owned()),
            0.0 => Cell::missing(),
            rate => Cell::plain(format::rate(rate)),
        },
    },
    RATE_ACHIEVED,
    Measure {
        group: "Load",
        label: "Schedule kept",
        help: "Whether the target kept up; when not, its percentiles are lower bounds",
        cell: |variant, _| match closed(variant) {
            true => Cell::plain("none (closed loop)".to_owned()),
            false => schedule(&variant.summary),
        },
    },
    Measure {
        group: "Load",
        label: "Failed",
        help: "Requests that failed or were never answered, of those due; the kinds stand below",
        cell: |variant, _| match load(variant) {
            Some(load) if load.offered > 0 => part(load.failed, load.offered),
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Load",
        label: "Never answered",
        help: "Requests without an answer when the run was cut; they count in the response times at their age",
        cell: |variant, _| match load(variant) {
            Some(load) if load.offered > 0 => part(variant.summary.unserved, load.offered),
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Load",
        label: "of these never sent",
        help: "No connection had a free place for them",
        cell: |variant, _| match load(variant) {
            Some(load) if load.unsent > 0 => part(load.unsent, load.offered),
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Load",
        label: "Connections made anew",
        help: "Because others were lost or closed during the recorded part",
        cell: |variant, _| match load(variant) {
            Some(load) if load.reconnects > 0 => Cell::plain(format::count(load.reconnects as f64)),
            _ => Cell::missing(),
        },
    },
    P50,
    P99,
    P999,
    P9999,
    MAXIMUM,
    MEDIAN_SECOND,
    Measure {
        group: "Service time",
        label: "Service P50",
        help: "Send to end of the answer, within the process start to end: waiting in front of it left out",
        cell: |variant, _| service(variant.summary.service_p50_ns),
    },
    Measure {
        group: "Service time",
        label: "Service P99.9",
        help: "One request in 1,000 took longer from its send on",
        cell: |variant, _| service(variant.summary.service_p999_ns),
    },
    Measure {
        group: "Target",
        label: "CPU",
        help: "CPU time of the target per time: 100% is one core",
        cell: |variant, _| match load(variant).and_then(|load| load.resources.as_ref()) {
            Some(used) if used.cores_mean > 0.0 => Cell::plain(format::share(used.cores_mean)),
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Target",
        label: "Peak memory",
        help: "The largest resident set of the target while it was measured",
        cell: |variant, _| match load(variant).and_then(|load| load.resources.as_ref()) {
            Some(used) if used.peak_rss_bytes > 0 => {
                Cell::plain(format::memory(used.peak_rss_bytes))
            }
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Generator",
        label: "Bottleneck",
        help: "Who kept the rate from being higher or the times from being lower, as far as the generator can tell",
        cell: |variant, _| match load(variant).and_then(|load| load.generator.as_ref()) {
            Some(generator) if generator.bottleneck == "generator" => Cell {
                text: "the generator".to_owned(),
                mark: Mark::Bad,
            },
            Some(generator) => Cell::plain(match generator.bottleneck.as_str() {
                "target" => "the target".to_owned(),
                "machine" => "the machine".to_owned(),
                other => other.to_owned(),
            }),
            None => Cell::missing(),
        },
    },
    Measure {
        group: "Generator",
        label: "Late sends, P99.9",
        help: "How late the generator itself sent, beside what the target made it wait",
        cell: |variant, _| lateness(variant, |generator| generator.lateness_p999_ns),
    },
    Measure {
        group: "Generator",
        label: "Late sends, maximum",
        help: "The latest send that the target was not to blame for",
        cell: |variant, _| lateness(variant, |generator| generator.lateness_max_ns),
    },
    Measure {
        group: "Generator",
        label: "Its workers busy",
        help: "Share of their time in which they were not idle",
        cell: |variant, _| match load(variant).and_then(|load| load.generator.as_ref()) {
            Some(generator) => Cell::plain(format::share(generator.busy)),
            None => Cell::missing(),
        },
    },
    Measure {
        group: "Generator",
        label: "CPU in service",
        help: "Share of the workers' time that a service within the process used",
        cell: |variant, _| match load(variant) {
            Some(load) if load.target.is_empty() => {
                Cell::plain(format::share(variant.summary.cpu_busy))
            }
            _ => Cell::missing(),
        },
    },
    Measure {
        group: "Generator",
        label: "Its peak memory",
        help: "The largest resident set of the generating process",
        cell: |variant, _| match variant.summary.max_rss_bytes {
            0 => Cell::missing(),
            bytes => Cell::plain(format::memory(bytes)),
        },
    },
    Measure {
        group: "Generator",
        label: "Machine stalls",
        help: "Time that the machine took from the workers; sum of all runs",
        cell: |variant, _| Cell::plain(format::millis(variant.summary.stalls_ms)),
    },
];

fn load(variant: &Variant) -> Option<&LoadSummary> {
    variant.summary.load.as_ref()
}

/// A number of requests with its share of all; one among a million does not read 0%.
fn part(number: u64, of: u64) -> Cell {
    if number == 0 {
        return Cell::plain("none".to_owned());
    }
    let share = format::share(number as f64 / of.max(1) as f64);
    Cell {
        text: format!("{} ({share})", format::count(number as f64)),
        mark: Mark::Bad,
    }
}

fn lateness(variant: &Variant, of: fn(&crate::recording::Generator) -> u64) -> Cell {
    match load(variant).and_then(|load| load.generator.as_ref()) {
        Some(generator) => Cell::plain(format::nanos(of(generator))),
        None => Cell::missing(),
    }
}
