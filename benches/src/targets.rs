//! The targets that tailcut-pool set itself, checked against what was measured in the same run.
//! **To add one**: a line in `TARGETS`.

use serde::Serialize;

use crate::results::{RowResult, WorkloadResult};
use crate::rows::TailcutPortable;
use crate::rows::{Glibc, GoBinary, Jemalloc, Mimalloc, ObjectPool, Opool, REFERENCE};
use crate::source::{Kind, Source};
use crate::workloads::statistics;

/// One target: our figure is at most a factor times another one.
struct Target {
    /// The table in which our row stands.
    workload: &'static str,
    /// Our row.
    row: &'static str,
    /// Which of its figures.
    figure: Figure,
    /// The other figure.
    against: Against,
    /// `None`: the ratio is shown, and nothing was promised.
    factor: Option<f64>,
}

/// Which figure of a row.
#[derive(Clone, Copy)]
enum Figure {
    /// The one that its table is sorted by: above the control, where there is something to subtract.
    Own,
    /// With the control's cost, in a table whose own figures are above it.
    WithControl,
}

/// What our figure is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// A row of the same table.
    Row(&'static str),
    /// The same, or the nanoseconds that it took on the machine where the targets were set.
    RowOr(&'static str, f64),
    /// The fastest row of a group in the same table.
    Best(Group),
    /// Our own row in another table.
    Ourselves(&'static str),
}

/// Rows of a table, without the control and our own.
#[derive(Clone, Copy)]
enum Group {
    /// All of them.
    Others,
    /// Those that serve several threads.
    SharedOthers,
    /// Allocators, asked for what a service asks them.
    Allocators,
    /// Pools in Rust that serve several threads.
    RustPools,
}

impl Group {
    fn holds(self, row: &RowResult) -> bool {
        let other = !matches!(row.kind, Kind::Control | Kind::Tailcut);
        match self {
            Group::Others => other,
            Group::SharedOthers => other && !row.one_thread_only,
            Group::Allocators => row.kind == Kind::Allocator && !row.one_thread_only,
            Group::RustPools => {
                row.kind == Kind::Pool && !row.one_thread_only && row.name != GoBinary::NAME
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Group::Others => "every other row",
            Group::SharedOthers => "every other row that serves several threads",
            Group::Allocators => "the best allocator",
            Group::RustPools => "every other Rust pool that serves several threads",
        }
    }
}

const fn target(workload: &'static str, against: Against, factor: f64) -> Target {
    Target {
        workload,
        row: REFERENCE,
        figure: Figure::Own,
        against,
        factor: Some(factor),
    }
}

/// A place before all rows of the group.
const fn first(workload: &'static str, group: Group) -> Target {
    target(workload, Against::Best(group), 1.0)
}

/// Go 1.19's `sync.Pool` on the machine where the targets were set.
const GO_NS: f64 = 13.9;

const JEMALLOC: &str = <Jemalloc<256> as Source>::NAME;
const PORTABLE: &str = <TailcutPortable<256> as Source>::NAME;

const TARGETS: &[Target] = &[
    // 3.0 of 4.8 ns, the figures of the machine where this target was set.
    target("one-thread", Against::Row(JEMALLOC), 0.625),
    first("one-thread", Group::SharedOthers),
    first("one-thread", Group::Others),
    target("one-thread", Against::RowOr(GoBinary::NAME, GO_NS), 0.25),
    target(
        "one-thread",
        Against::Row(<Opool<256> as Source>::NAME),
        0.15,
    ),
    target(
        "one-thread",
        Against::Row(<ObjectPool<256> as Source>::NAME),
        0.15,
    ),
    Target {
        row: PORTABLE,
        ..first("one-thread", Group::RustPools)
    },
    first("handoff", Group::Others),
    target("handoff", Against::Best(Group::Allocators), 0.4),
    target(
        "handoff",
        Against::Row(<Mimalloc<256> as Source>::NAME),
        0.25,
    ),
    target("handoff", Against::Row(<Glibc<256> as Source>::NAME), 0.03),
    target("threads-64", Against::Ourselves("one-thread"), 1.3),
    // Without filling in, then with it.
    target("order", Against::Best(Group::Allocators), 0.125),
    Target {
        figure: Figure::WithControl,
        ..target("order", Against::Best(Group::Allocators), 0.125)
    },
    target("order-empty", Against::Best(Group::Allocators), 0.125),
    Target {
        row: statistics::READ,
        ..target("statistics", Against::Row(REFERENCE), 1.05)
    },
    Target {
        factor: None,
        ..target("pool-1m", Against::Ourselves("pool-64"), 1.0)
    },
];

/// Whether a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was.
    Pass,
    /// It was not.
    Miss,
    /// Nothing was promised; the ratio is there to be read.
    NoLimit,
    /// A figure that it needs was not measured, or drowned in the control's noise.
    NotMeasured,
}

/// A target and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// In words.
    pub target: String,
    /// The row that our figure is compared with, in which table, if it was measured.
    pub against: Option<String>,
    /// Our figure, in nanoseconds.
    pub ours_ns: Option<f64>,
    /// What it may be at most.
    pub limit_ns: Option<f64>,
    /// Our figure over the other.
    pub ratio: Option<f64>,
    /// The outcome.
    pub verdict: Verdict,
}

/// Checks every target whose workload was measured.
#[must_use]
pub fn check(results: &[WorkloadResult]) -> Vec<Checked> {
    let table = |name: &str| results.iter().find(|result| result.name == name);
    TARGETS
        .iter()
        .filter_map(|target| Some(judge(target, table(target.workload)?, table)))
        .collect()
}

fn judge<'r>(
    target: &Target,
    measured: &'r WorkloadResult,
    table: impl Fn(&str) -> Option<&'r WorkloadResult>,
) -> Checked {
    let figure_of = |row: &RowResult| match target.figure {
        Figure::Own => row.figure_ns(),
        Figure::WithControl => row.median_ns,
    };
    let named = |row: &RowResult| (row.name.clone(), figure_of(row));
    let ours_ns = measured.row(target.row).map(figure_of);
    let other = match target.against {
        Against::Row(row) => measured.row(row).map(named),
        Against::RowOr(row, ns) => Some(measured.row(row).map_or_else(
            || (format!("{row} ({ns} ns, not measured here)"), ns),
            named,
        )),
        Against::Best(group) => best(measured, group, figure_of).map(named),
        Against::Ourselves(workload) => table(workload)
            .and_then(|other| other.row(target.row))
            .map(|row| (format!("{} in {workload}", row.name), figure_of(row))),
    };
    let (against, other_ns) = other.unzip();
    // A figure of nothing above the control drowned in its noise: no ratio to it says anything.
    let other_ns = other_ns.filter(|&ns| ns > 0.0);
    let limit_ns = other_ns.zip(target.factor).map(|(ns, factor)| ns * factor);
    let ratio = ours_ns.zip(other_ns).map(|(ours, other)| ours / other);
    Checked {
        target: target.words(),
        against,
        ours_ns,
        limit_ns,
        ratio,
        verdict: match (ours_ns.zip(limit_ns), ratio, target.factor) {
            (Some((ours, limit)), ..) if ours <= limit => Verdict::Pass,
            (Some(_), ..) => Verdict::Miss,
            (None, Some(_), None) => Verdict::NoLimit,
            _ => Verdict::NotMeasured,
        },
    }
}

/// The group's fastest row, if all rows were measured that could be.
fn best(
    measured: &WorkloadResult,
    group: Group,
    figure_of: impl Fn(&RowResult) -> f64,
) -> Option<&RowResult> {
    let rows = measured.rows.iter().filter(|row| group.holds(row));
    rows.min_by(|a, b| figure_of(a).total_cmp(&figure_of(b)))
        .filter(|_| measured.every_row)
}

impl Target {
    fn words(&self) -> String {
        let part = match self.figure {
            Figure::Own => "",
            Figure::WithControl => ", with the control's cost",
        };
        let other = match self.against {
            Against::Row(row) | Against::RowOr(row, _) => row.to_owned(),
            Against::Best(group) => group.name().to_owned(),
            Against::Ourselves(workload) => workload.to_owned(),
        };
        let limit = match self.factor {
            Some(1.0) => format!("no slower than {other}"),
            Some(factor) => format!("at most {factor} x {other}"),
            None => format!("how many times {other}"),
        };
        format!("{}{part}: {}: {limit}", self.workload, self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;

    fn row(name: &str, kind: Kind, figure_ns: f64) -> RowResult {
        RowResult {
            name: name.to_owned(),
            kind,
            one_thread_only: false,
            note: None,
            median_ns: figure_ns + 10.0,
            min_ns: figure_ns,
            max_ns: figure_ns,
            rounds: 1,
            disturbed_rounds: 0,
            above_control_ns: Some(figure_ns),
            ratio_to_reference: None,
            by_round_ns: vec![],
        }
    }

    fn table(name: &str, rows: Vec<RowResult>) -> WorkloadResult {
        WorkloadResult {
            name: name.to_owned(),
            title: String::new(),
            unit: String::new(),
            figure: workload::Figure::AboveControl,
            every_row: true,
            rows,
            not_measured: vec![],
        }
    }

    fn judged(target: &Target, tables: &[WorkloadResult]) -> Checked {
        let find = |name: &str| tables.iter().find(|table| table.name == name);
        judge(target, find(target.workload).unwrap(), find)
    }

    /// Ours takes 4 ns; a faster one serves one thread only.
    fn mixed() -> WorkloadResult {
        let local = RowResult {
            one_thread_only: true,
            ..row("local", Kind::Pool, 2.0)
        };
        table(
            "here",
            vec![
                row("control", Kind::Control, 0.0),
                local,
                row("ours too", Kind::Tailcut, 3.0),
                row(REFERENCE, Kind::Tailcut, 4.0),
                row("slow alloc", Kind::Allocator, 12.0),
                row("fast alloc", Kind::Allocator, 8.0),
                row("flat alloc", Kind::FlatAllocator, 6.0),
                row(GoBinary::NAME, Kind::Pool, 5.0),
                row("shared pool", Kind::Pool, 7.0),
            ],
        )
    }

    #[test]
    fn first_of_all_counts_rows_for_one_thread_and_first_of_the_shared_does_not() {
        let tables = [mixed()];
        let all = judged(&first("here", Group::Others), &tables);
        assert_eq!(
            (all.verdict, all.against.as_deref()),
            (Verdict::Miss, Some("local"))
        );
        let shared = judged(&first("here", Group::SharedOthers), &tables);
        assert_eq!(
            (shared.verdict, shared.against.as_deref()),
            (Verdict::Pass, Some(GoBinary::NAME))
        );
    }

    #[test]
    fn the_best_of_a_kind_is_its_fastest_row() {
        let best_of = |group| judged(&target("here", Against::Best(group), 0.5), &[mixed()]);
        let allocators = best_of(Group::Allocators);
        assert_eq!(allocators.against.as_deref(), Some("fast alloc"));
        assert_eq!(allocators.limit_ns, Some(4.0));
        assert_eq!(allocators.verdict, Verdict::Pass);
        let pools = best_of(Group::RustPools);
        assert_eq!(pools.against.as_deref(), Some("shared pool"));
        assert_eq!(pools.verdict, Verdict::Miss);
    }

    #[test]
    fn nobody_is_first_where_some_rows_were_not_asked_for() {
        let mut some = mixed();
        some.every_row = false;
        let checked = judged(&first("here", Group::SharedOthers), &[some]);
        assert_eq!(checked.verdict, Verdict::NotMeasured);
    }

    #[test]
    fn a_target_across_tables_compares_the_same_row_and_needs_both_tables() {
        let across = target("many", Against::Ourselves("here"), 1.3);
        let many = |ns| table("many", vec![row(REFERENCE, Kind::Tailcut, ns)]);
        assert_eq!(
            judged(&across, &[mixed(), many(5.0)]).verdict,
            Verdict::Pass
        );
        assert_eq!(
            judged(&across, &[mixed(), many(6.0)]).verdict,
            Verdict::Miss
        );
        assert_eq!(
            judged(&across, &[many(5.0)]).verdict,
            Verdict::NotMeasured,
            "one table is missing"
        );
    }

    #[test]
    fn the_cost_of_the_control_counts_where_a_target_says_so() {
        let with_control = Target {
            figure: Figure::WithControl,
            ..target("here", Against::Best(Group::Allocators), 0.5)
        };
        let checked = judged(&with_control, &[mixed()]);
        assert_eq!((checked.ours_ns, checked.limit_ns), (Some(14.0), Some(9.0)));
        assert_eq!(checked.verdict, Verdict::Miss);
    }

    #[test]
    fn a_ratio_without_a_limit_is_shown_and_not_judged() {
        let shown = Target {
            factor: None,
            ..target("many", Against::Ourselves("here"), 1.0)
        };
        let many = table("many", vec![row(REFERENCE, Kind::Tailcut, 6.0)]);
        let checked = judged(&shown, &[mixed(), many]);
        assert_eq!(
            (checked.verdict, checked.ratio),
            (Verdict::NoLimit, Some(1.5))
        );
    }

    #[test]
    fn a_peer_that_was_not_measured_stands_with_the_figure_it_once_took_if_there_is_one() {
        let tables = [mixed()];
        let once = target("here", Against::RowOr("gone", 20.0), 0.25);
        assert_eq!(judged(&once, &tables).limit_ns, Some(5.0));
        let never = target("here", Against::Row("gone"), 0.25);
        assert_eq!(judged(&never, &tables).verdict, Verdict::NotMeasured);
        let drowned = target("here", Against::Row("control"), 0.25);
        assert_eq!(judged(&drowned, &tables).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn every_target_names_a_workload_that_exists() {
        let names: Vec<_> = workload::all().iter().map(|table| table.name).collect();
        for target in TARGETS {
            assert!(names.contains(&target.workload), "{}", target.workload);
            if let Against::Ourselves(other) = target.against {
                assert!(names.contains(&other), "{other}");
            }
        }
    }
}
