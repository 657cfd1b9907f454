//! Who calls the allocator: the busiest places of all calls, the dearest of slow ones, and how deep the stacks are.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::stacks::{StackWeight, WeighedStack};
use crate::recording::CallSite;

/// Sites that are shown at most, of each kind.
const MOST: usize = 20;
/// Frames beyond which a stack is called deep.
pub(crate) const DEEP: usize = 15;

/// A place in the code that calls the allocator, over all calls that were seen.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CallSiteSummary {
    /// The function, with its module.
    pub place: String,
    /// The series: `malloc@jemalloc`, `free`, `lifetime`.
    pub series: String,
    /// Calls that were seen.
    pub calls: u64,
    /// Bytes that these asked for.
    pub bytes: u64,
    /// Time in them, in nanoseconds; the probe's own cost of each is in it.
    pub total_ns: u64,
    /// How long sampled objects from here lived on average, in nanoseconds.
    pub mean_lifetime_ns: Option<u64>,
}

/// A place in the code from which slow calls came: those over the probe's threshold.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SlowSiteSummary {
    /// The innermost function of the program itself.
    pub place: String,
    /// The series that took most of the time there: `munmap`.
    pub series: String,
    /// Slow calls and pauses.
    pub count: u64,
    /// Time in them, in nanoseconds.
    pub total_ns: u64,
    /// Its share of the time in all that have a stack, 0 to 1.
    pub share: f64,
    /// Bytes that they were about.
    pub bytes: u64,
}

/// How deep the stacks of slow calls are, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct StackDepth {
    /// Slow calls and pauses with a stack.
    pub stacks: u64,
    /// Half of them have at most so many frames.
    pub median: u64,
    /// The most of any.
    pub max: u64,
    /// Those with more than 15.
    pub deep: u64,
    /// Those that do not reach their root: their depth is a lower bound.
    pub cut: u64,
}

/// Call sites of several runs, by calls.
pub(super) fn busiest<'a>(sites: impl Iterator<Item = &'a CallSite>) -> Vec<CallSiteSummary> {
    let mut all: IndexMap<(&str, &str), CallSiteSummary> = IndexMap::new();
    for site in sites {
        let known = all.entry((&site.series, &site.place));
        let known = known.or_insert_with(|| CallSiteSummary {
            place: site.place.clone(),
            series: site.series.clone(),
            calls: 0,
            bytes: 0,
            total_ns: 0,
            mean_lifetime_ns: None,
        });
        // How many objects a mean is of is not recorded; calls stand for them.
        known.mean_lifetime_ns = match (known.mean_lifetime_ns, site.mean_lifetime_ns) {
            (Some(before), Some(more)) if site.calls > 0 => {
                let sum = known.calls as f64 * before as f64 + site.calls as f64 * more as f64;
                Some((sum / (known.calls as f64 + site.calls as f64)) as u64)
            }
            (before, more) => before.or(more),
        };
        known.calls = known.calls.saturating_add(site.calls);
        known.bytes = known.bytes.saturating_add(site.bytes);
        known.total_ns = known.total_ns.saturating_add(site.total_ns);
    }
    let mut all: Vec<CallSiteSummary> = all.into_values().collect();
    all.sort_by_key(|site| std::cmp::Reverse(site.calls));
    all.truncate(MOST);
    all
}

/// Sites of slow calls, by time. `series` names a stack's series.
pub(super) fn dearest<'a>(
    stacks: impl Iterator<Item = (&'a WeighedStack, &'a str)>,
) -> Vec<SlowSiteSummary> {
    let mut all: IndexMap<&str, IndexMap<&str, StackWeight>> = IndexMap::new();
    let mut time = 0_u64;
    for (stack, series) in stacks {
        time = time.saturating_add(stack.weight.ns);
        let site = all.entry(stack.site()).or_default();
        site.entry(series).or_default().add(stack.weight);
    }
    let mut all: Vec<SlowSiteSummary> = all
        .into_iter()
        .map(|(place, by_series)| {
            let mut whole = StackWeight::default();
            by_series.values().for_each(|weight| whole.add(*weight));
            let dearest = by_series.iter().max_by_key(|(_, weight)| weight.ns);
            SlowSiteSummary {
                place: place.to_owned(),
                series: dearest.map_or_else(String::new, |(series, _)| (*series).to_owned()),
                count: whole.count,
                total_ns: whole.ns,
                share: whole.ns as f64 / time.max(1) as f64,
                bytes: whole.bytes,
            }
        })
        .collect();
    all.sort_by_key(|site| std::cmp::Reverse(site.total_ns));
    all.truncate(MOST);
    all
}

/// `None` without a stack.
pub(super) fn depth<'a>(stacks: impl Iterator<Item = &'a WeighedStack>) -> Option<StackDepth> {
    let mut by_depth: Vec<(u64, u64)> = Vec::new();
    let (mut all, mut deep, mut cut) = (0_u64, 0_u64, 0_u64);
    for stack in stacks {
        let count = stack.weight.count;
        by_depth.push((stack.depth as u64, count));
        all = all.saturating_add(count);
        if stack.depth > DEEP {
            deep = deep.saturating_add(count);
        }
        if stack.cut {
            cut = cut.saturating_add(count);
        }
    }
    by_depth.sort_unstable();
    let mut seen = 0_u64;
    let median = by_depth.iter().find(|(_, count)| {
        seen = seen.saturating_add(*count);
        seen >= all.div_ceil(2)
    });
    Some(StackDepth {
        stacks: all,
        median: median?.0,
        max: by_depth.last()?.0,
        deep,
        cut,
    })
}

#[cfg(test)]
mod tests {
    use super::super::stacks::{Place, StackFrame};
    use super::*;

    fn stack(site: &str, depth: usize, count: u64, ns: u64) -> WeighedStack {
        WeighedStack {
            series: 0,
            weight: StackWeight {
                count,
                ns,
                bytes: 8 * count,
            },
            frames: vec![StackFrame {
                name: site.to_owned(),
                place: Place::Program,
            }],
            depth,
            cut: depth == 3,
        }
    }

    #[test]
    fn the_dearest_site_comes_first_and_is_named_by_what_took_most_of_its_time() {
        let stacks = [
            (stack("settle", 5, 1, 900), "munmap"),
            (stack("settle", 5, 50, 50), "page_fault"),
            (stack("intake", 5, 9, 50), "malloc"),
        ];
        let found = dearest(stacks.iter().map(|(stack, series)| (stack, *series)));
        assert_eq!(found[0].place, "settle");
        assert_eq!((found[0].series.as_str(), found[0].count), ("munmap", 51));
        assert!((found[0].share - 0.95).abs() < 1e-9);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn depth_is_of_calls_and_not_of_stacks() {
        let stacks = [
            stack("a", 3, 1, 1),
            stack("b", 10, 97, 1),
            stack("c", 16, 2, 1),
        ];
        let found = depth(stacks.iter()).expect("there are stacks");
        assert_eq!((found.stacks, found.median, found.max), (100, 10, 16));
        assert_eq!((found.deep, found.cut), (2, 1));
        assert_eq!(depth([].into_iter()), None);
    }

    #[test]
    fn a_site_of_two_runs_is_one_site() {
        let site = |calls, lifetime| CallSite {
            series: "malloc".to_owned(),
            place: "intake".to_owned(),
            calls,
            bytes: u64::MAX,
            total_ns: 5,
            mean_lifetime_ns: lifetime,
        };
        let sites = [site(10, Some(100)), site(30, Some(300)), site(0, None)];
        let found = busiest(sites.iter());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].calls, found[0].mean_lifetime_ns), (40, Some(250)));
    }
}
