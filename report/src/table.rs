//! Tables as text, for a terminal or for Markdown.

use crate::before_after::BeforeAfter;
use crate::format;
use crate::load::{self, Story};
use crate::measures::{Context, MEASURES, Measure};
use crate::recording::Stalls;
use crate::variant::{POOL, Variant, label};

/// A table of plain text; the first column names the row, the others are best set flush right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// One name per column; the first is empty.
    pub header: Vec<String>,
    /// Rows of as many cells as the header has.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn of_variants(variants: &[Variant], story: Story) -> Table {
        let (measures, context) = measures(variants, story);
        Table {
            header: header(variants),
            rows: measures
                .iter()
                .map(|measure| {
                    let cells = variants
                        .iter()
                        .map(|variant| (measure.cell)(variant, &context).text);
                    row(measure.label, cells)
                })
                // A row in which nobody has a figure says nothing.
                .filter(|row: &Vec<String>| row[1..].iter().any(|cell| cell != format::MISSING))
                .collect(),
        }
    }

    /// What the machine took away, by variant; `None` when nothing was measured.
    pub(crate) fn of_stalls(variants: &[Variant]) -> Option<Table> {
        type Show = fn(&Stalls) -> String;
        const ROWS: &[(&str, Show)] = &[
            ("In all", |stalls| format::millis(stalls.total_ms)),
            ("Gaps while idle", |stalls| {
                format::count(stalls.idle_gaps as f64)
            }),
            ("their sum", |stalls| format::millis(stalls.idle_gap_ms)),
            ("the longest", |stalls| {
                format::nanos(stalls.idle_gap_max_ns)
            }),
            ("Stalls while busy", |stalls| {
                format::count(stalls.busy_stalls as f64)
            }),
            ("their sum", |stalls| format::millis(stalls.busy_stall_ms)),
            ("Waiting for a core", |stalls| {
                format::millis(stalls.run_queue_wait_ms)
            }),
            ("Stolen by the hypervisor", |stalls| {
                format::millis(stalls.steal_ms)
            }),
            ("Involuntary switches", |stalls| {
                format::count(stalls.involuntary_switches as f64)
            }),
            ("Major page faults", |stalls| {
                format::count(stalls.major_faults as f64)
            }),
            ("Minor page faults", |stalls| {
                format::count(stalls.minor_faults as f64)
            }),
        ];
        let quiet = Stalls::default();
        if variants
            .iter()
            .all(|variant| variant.summary.stalls == quiet)
        {
            return None;
        }
        let cells = |show: Show| {
            variants
                .iter()
                .map(move |variant| show(&variant.summary.stalls))
        };
        Some(Table {
            header: header(variants),
            rows: ROWS
                .iter()
                .map(|(label, show)| row(label, cells(*show)))
                .collect(),
        })
    }

    pub(crate) fn of_comparison(comparison: &BeforeAfter) -> Table {
        let with = |figure: &str, range: &str| match range {
            "" => figure.to_owned(),
            range => format!("{figure} ({range})"),
        };
        Table {
            header: vec![
                String::new(),
                format!("before ({})", label(&comparison.before)),
                format!("after ({})", label(&comparison.after)),
                "change".to_owned(),
                "times less".to_owned(),
                "p".to_owned(),
            ],
            rows: comparison
                .rows
                .iter()
                .map(|row| {
                    vec![
                        row.measure.clone(),
                        with(&row.before, &row.before_range),
                        with(&row.after, &row.after_range),
                        row.change.clone(),
                        with(&row.factor, &row.factor_range),
                        row.p.clone(),
                    ]
                })
                .collect(),
        }
    }
}

/// The rows of the table of variants, and what they need to know.
pub(crate) fn measures(variants: &[Variant], story: Story) -> (&'static [Measure], Context<'_>) {
    match story {
        Story::BeforeAfter => (
            MEASURES,
            Context {
                pool: variants
                    .iter()
                    .find(|variant| variant.name == POOL)
                    .map(|pool| &pool.summary),
            },
        ),
        Story::Load => (load::MEASURES, Context { pool: None }),
    }
}

/// A header whose first column names the rows and whose others are variants.
pub(crate) fn header(variants: &[Variant]) -> Vec<String> {
    row(
        "",
        variants.iter().map(|variant| variant.label().to_owned()),
    )
}

/// A row with its name.
pub(crate) fn row(label: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(label.to_owned()).chain(cells).collect()
}
