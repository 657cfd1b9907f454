//! The forms as text: a row each, for a terminal, for Markdown and for the page.

use super::{FormSummary, Incident};
use crate::format;
use crate::report::Report;
use crate::table::Table;

/// A column: its head, what it means, and how a form fills it.
struct Column {
    head: &'static str,
    what: &'static str,
    cell: fn(&FormSummary) -> String,
}

const COLUMNS: [Column; 12] = [
    Column {
        head: "P50",
        what: "response time, from when a request was due to its end",
        cell: |form| time(form, form.p50_ns),
    },
    Column {
        head: "P99",
        what: "",
        cell: |form| time(form, form.p99_ns),
    },
    Column {
        head: "P99.9",
        what: "",
        cell: |form| time(form, form.p999_ns),
    },
    Column {
        head: "max",
        what: "",
        cell: |form| time(form, form.max_ns),
    },
    Column {
        head: "cores",
        what: "CPUs in use: the workers' time in service, and all of what the process's other threads used (of which a collector \
               has some); spinning while idle is left out",
        cell: |form| optional(form.cores_in_use, |cores| format!("{cores:.2}")),
    },
    Column {
        head: "memory",
        what: "the largest resident set",
        cell: |form| optional(form.peak_resident_bytes, format::memory),
    },
    Column {
        head: "allocated",
        what: "bytes a second: by the Go runtime's own account, in Rust from a run that counts",
        cell: |form| optional(form.allocated_bytes_per_second, format::bytes_rate),
    },
    Column {
        head: "allocations",
        what: "per request, likewise",
        cell: |form| {
            optional(form.allocations_per_request, |number| {
                format!("{number:.2}")
            })
        },
    },
    Column {
        head: "GC",
        what: "collections per second",
        cell: |form| {
            let collector = form.collector.as_ref();
            optional(
                collector.and_then(|collector| collector.cycles_per_second),
                format::rate,
            )
        },
    },
    Column {
        head: "in assist",
        what: "share of the workers' time that they spent marking for the collector",
        cell: |form| {
            let collector = form.collector.as_ref();
            optional(
                collector.and_then(|collector| collector.assist_share),
                format::share,
            )
        },
    },
    Column {
        head: "GC pause P99",
        what: "of the pauses in which all threads stand still",
        cell: |form| {
            let collector = form.collector.as_ref();
            optional(
                collector.and_then(|collector| collector.pause_p99_ns),
                format::nanos,
            )
        },
    },
    Column {
        head: "assist P99",
        what: "of single mark assists",
        cell: |form| {
            let collector = form.collector.as_ref();
            optional(
                collector.and_then(|collector| collector.assist_p99_ns),
                format::nanos,
            )
        },
    },
];

/// One row per form; a column in which nobody has a figure is left out.
pub(crate) fn forms(incident: &Incident) -> Table {
    let cells: Vec<Vec<String>> = incident
        .forms
        .iter()
        .map(|form| COLUMNS.iter().map(|column| (column.cell)(form)).collect())
        .collect();
    let told: Vec<usize> = (0..COLUMNS.len())
        .filter(|column| cells.iter().any(|row| row[*column] != format::MISSING))
        .collect();
    let header = told.iter().map(|column| COLUMNS[*column].head.to_owned());
    Table {
        header: std::iter::once(String::new()).chain(header).collect(),
        rows: incident
            .forms
            .iter()
            .zip(&cells)
            .map(|(form, row)| {
                let cells = told.iter().map(|column| row[*column].clone());
                std::iter::once(form.form.clone()).chain(cells).collect()
            })
            .collect(),
    }
}

/// What the columns mean, in sentences.
pub(crate) fn legend(incident: &Incident) -> Vec<String> {
    let table = forms(incident);
    let told = |column: &&Column| {
        !column.what.is_empty() && table.header.iter().any(|head| head == column.head)
    };
    let meanings: Vec<String> = COLUMNS
        .iter()
        .filter(told)
        .map(|column| format!("{}: {}", column.head, column.what))
        .collect();
    let mut legend = vec![format!("{}.", meanings.join("; "))];
    if incident.forms.iter().any(|form| !form.schedule_kept) {
        legend.push(
            "≥ marks a form that missed its schedule: the truth is this or worse, and grows with the run's duration."
                .to_owned(),
        );
    }
    legend
}

/// As text, where there is an incident.
pub(crate) fn of_report(report: &Report) -> Option<Table> {
    report.incident.as_ref().map(forms)
}

fn time(form: &FormSummary, ns: u64) -> String {
    match (ns, form.schedule_kept) {
        (0, _) => format::MISSING.to_owned(),
        (ns, true) => format::nanos(ns),
        (ns, false) => format!("≥ {}", format::nanos(ns)),
    }
}

fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| format::MISSING.to_owned(), show)
}
