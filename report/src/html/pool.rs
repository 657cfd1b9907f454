//! The page's part on pools: tables for the template, lines for the script.
//!
//! Some numbers a second of each pool: 150 KB for an hour.

use serde::Serialize;

use crate::format;
use crate::pool::{OnePool, tables};
use crate::report::Report;
use crate::table::Table;

/// What the template shows.
pub(super) struct Section {
    pub(super) usage: Table,
    pub(super) sizing: Option<Table>,
    /// A sentence each, with whose pool it is about where there are several.
    pub(super) advice: Vec<String>,
    /// Whether there are seconds to draw.
    pub(super) charts: bool,
    /// The charts in words.
    pub(super) text: String,
    /// Samples of pools that are not shown; empty for none.
    pub(super) left_out: String,
}

/// `None` where no pool was sampled.
pub(super) fn section(report: &Report) -> Option<Section> {
    let usage = tables::usage(report)?;
    let pools = tables::pools(report);
    let advice = pools.iter().flat_map(|(variant, pool)| {
        let whose = match pools.len() {
            1 => String::new(),
            _ => format!("{}: ", tables::label(variant, pool)),
        };
        pool.advice
            .iter()
            .map(move |sentence| format!("{whose}{sentence}"))
    });
    let text = pools.iter().map(|(variant, pool)| {
        format!(
            "{}: {} of {} in use at most, {} on average",
            tables::label(variant, pool),
            format::count(pool.in_use_max as f64),
            format::count(pool.capacity as f64),
            format::count(pool.in_use_mean)
        )
    });
    let digests = || report.runs.iter().filter_map(|run| run.pools.as_ref());
    let left_out: u64 = digests().map(|digest| digest.left_out).sum();
    Some(Section {
        usage,
        sizing: tables::sizing(report),
        advice: advice.collect(),
        charts: digests()
            .flat_map(|digest| &digest.pools)
            .any(|pool| pool.seconds.iter().any(Option::is_some)),
        text: format!(
            "Line chart over the seconds of all runs; {}",
            text.collect::<Vec<_>>().join("; ")
        ),
        left_out: match left_out {
            0 => String::new(),
            count => format!(
                "{} samples of further pools are not shown.",
                format::count(count as f64)
            ),
        },
    })
}

/// What the script draws.
#[derive(Serialize)]
pub(super) struct PoolData {
    /// Names of pools over all runs.
    names: Vec<String>,
    uses: Vec<Use>,
}

/// One pool in one run, by second.
#[derive(Serialize)]
struct Use {
    /// The run's place in the list of all runs under load.
    run: usize,
    /// The pool's place in the list of names.
    pool: usize,
    capacity: u64,
    /// From where on the rule says to push back; absent where none was given.
    push_back: Option<u64>,
    most: Vec<Option<u64>>,
    mean: Vec<Option<u64>>,
    /// Refills, spills, steals, misses and waits.
    events: [Vec<Option<u64>>; 5],
}

/// `None` where there is nothing to draw. `loaded` are the runs under load, as places in the report's list.
pub(super) fn data(report: &Report, loaded: &[usize]) -> Option<PoolData> {
    let mut names: Vec<String> = Vec::new();
    let mut uses = Vec::new();
    for (run, place) in loaded.iter().enumerate() {
        let Some(digest) = &report.runs[*place].pools else {
            continue;
        };
        let threshold = digest
            .sizing
            .as_ref()
            .map(|sizing| sizing.back_pressure_at as f64 / sizing.capacity.max(1) as f64);
        for pool in &digest.pools {
            let known = names.iter().position(|name| *name == pool.name);
            let name = known.unwrap_or_else(|| {
                names.push(pool.name.clone());
                names.len() - 1
            });
            let push_back = threshold.map(|share| (pool.capacity as f64 * share).ceil() as u64);
            uses.push(one(run, name, pool, push_back));
        }
    }
    (!uses.is_empty()).then_some(PoolData { names, uses })
}

fn one(run: usize, name: usize, pool: &OnePool, push_back: Option<u64>) -> Use {
    use crate::pool::PoolSecond;
    let by_second = |of: &dyn Fn(&PoolSecond) -> u64| -> Vec<Option<u64>> {
        pool.seconds
            .iter()
            .map(|second| second.as_ref().map(of))
            .collect()
    };
    Use {
        run,
        pool: name,
        capacity: pool.capacity,
        push_back,
        most: by_second(&|second| second.in_use_max),
        mean: by_second(&|second| second.in_use_mean().round() as u64),
        events: [
            by_second(&|second| second.refills),
            by_second(&|second| second.spills),
            by_second(&|second| second.steals),
            by_second(&|second| second.misses),
            by_second(&|second| second.waits),
        ],
    }
}
