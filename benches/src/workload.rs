//! What is measured: each workload is a title, where its threads run, and its rows made ready.
//! **To add one**: write the measured loop as a generic function over a source, in a file below
//! `workloads`, and name it in [`all`].

use crate::placement::Placement;
use crate::rows::{GoBinary, GoWorkload};
use crate::source::{Kind, Source};
use crate::workloads::{
    bulk, cold, crowd, handoff, live, one_thread, order, statistics, traced, two_pools, ways,
};

/// A row made ready: runs its workload so many times, and returns the nanoseconds of the measured
/// part (times the cores that worked at once). An error ends the row.
pub type Run = Box<dyn FnMut(u64) -> Result<f64, String>>;

/// Makes the rows of a workload, on the thread that will measure them.
pub type MakeRows = Box<dyn Fn(&Context) -> Vec<Row> + Send + Sync>;

/// One line of a table.
pub struct Row {
    /// The row's name.
    pub name: &'static str,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Whether an object must stay on the thread that took it, so that nothing is synchronised.
    pub one_thread_only: bool,
    /// What a reader must know to compare it with the others.
    pub note: Option<&'static str>,
    /// How to measure it, or why that cannot be done.
    pub run: Result<Run, String>,
}

impl Row {
    /// The row of source `S`.
    pub fn new<S: Source>(
        source: Result<S, String>,
        mut measure: impl FnMut(&S, u64) -> f64 + 'static,
    ) -> Row {
        let run = source.map(|source| -> Run {
            Box::new(move |repetitions| Ok(measure(&source, repetitions)))
        });
        Row::of::<S>(run)
    }

    /// The row of source `S`, measured in whatever way.
    pub fn of<S: Source>(run: Result<Run, String>) -> Row {
        Row {
            one_thread_only: S::CONFINED.is_some(),
            note: S::ARENA,
            ..Row::named(S::NAME, S::KIND, run)
        }
    }

    /// A row that any number of threads can share.
    pub fn named(name: &'static str, kind: Kind, run: Result<Run, String>) -> Row {
        Row {
            name,
            kind,
            one_thread_only: false,
            note: None,
            run,
        }
    }

    /// A row that cannot be measured.
    #[must_use]
    pub fn absent(name: &'static str, kind: Kind, why: &str) -> Row {
        Row::named(name, kind, Err(why.to_owned()))
    }

    /// The row of Go's `sync.Pool`.
    #[must_use]
    pub fn go(binary: &Result<GoBinary, String>, workload: GoWorkload) -> Row {
        let run = binary.clone().map(|binary| -> Run {
            Box::new(move |repetitions| binary.run(workload, repetitions))
        });
        Row::named(GoBinary::NAME, Kind::Pool, run)
    }
}

/// How a workload's figures are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// As they are.
    Whole,
    /// Above those of the control row, which any source would pay.
    AboveControl,
}

/// One table.
pub struct Workload {
    /// The short name: what `--only` matches, and the key in the JSON.
    pub name: &'static str,
    /// What happens in it, for the table's head.
    pub title: String,
    /// What the nanoseconds are per.
    pub unit: &'static str,
    /// How many such units one repetition has.
    pub units: f64,
    /// How the figures are to be read.
    pub figure: Figure,
    /// How long a row's round should take, at least, in milliseconds.
    pub round_ms: f64,
    /// The fewest repetitions that show more than the beginning and the end.
    pub fewest: u64,
    /// How many cores it cannot do without.
    pub cores: usize,
    /// Whether its thread stays on the first core. (Then a round during which the kernel gave a
    /// core to another program is measured again: it shows the machine, not the row.)
    pub pinned: bool,
    /// Makes the rows.
    pub rows: MakeRows,
}

/// What rows are made from.
pub struct Context {
    /// Which cores to use.
    pub placement: Placement,
    /// Go's row.
    pub go: Result<GoBinary, String>,
}

/// Every workload, in the order of the tables.
#[must_use]
pub fn all() -> Vec<Workload> {
    let mut all = vec![
        one_thread::workload::<256>("one-thread", 1024),
        handoff::workload("handoff", handoff::Consumer::OnlyReturns),
        handoff::workload("handoff-read", handoff::Consumer::Reads),
        bulk::workload("bulk-return", bulk::Part::Return),
        bulk::workload("bulk-cycle", bulk::Part::Cycle),
        order::workload("order", order::Content::FilledIn),
        order::workload("order-empty", order::Content::Empty),
        two_pools::workload("two-pools"),
        cold::workload("cold"),
        ways::workload("ways"),
        statistics::workload("statistics"),
        traced::workload("traced"),
    ];
    all.extend([("threads-2", 2), ("threads-8", 8), ("threads-64", 64)].map(crowd::workload));
    all.push(one_thread::workload::<64>("size-64", 1024));
    all.push(one_thread::workload::<1024>("size-1k", 1024));
    all.push(one_thread::workload::<65_536>("size-64k", 64));
    let pools = [
        ("pool-64", 64),
        ("pool-1k", 1000),
        ("pool-32k", 32_000),
        ("pool-1m", 1_000_000),
    ];
    all.extend(pools.map(live::workload));
    all
}
