//! Sums since the exporter began: they only grow, over any number of lives of the target.
//!
//! Sums are kept by the target's name, not by its number, so that a restart goes on where the last
//! process was. A pattern can match processes of many names, and a process can rename itself: the
//! number of names is bounded, the one not seen for longest goes.

use std::collections::BTreeMap;

use super::distribution::Distribution;
use crate::catalogue::{Group, Unit};
use crate::live::{TargetDescription, clean};
use crate::tick::{Cost, LOSSES, SeriesTick, Tick};

/// Names of targets remembered.
const NAMES: usize = 16;
/// Bytes of a label's value; the kernel's names of processes have 15.
const LABEL: usize = 128;

/// Everything that is exported.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// The last is the current one, or was before it ended.
    pub(crate) targets: Vec<TargetTotals>,
    /// Whether a target is observed.
    pub(crate) up: bool,
    /// Times that a session began.
    pub(crate) attached: u64,
    /// Times that one could not, or broke.
    pub(crate) failed: u64,
}

/// What was seen of the processes of one name.
#[derive(Debug, Default)]
pub(crate) struct TargetTotals {
    pub(crate) name: String,
    pub(crate) series: BTreeMap<String, SeriesTotals>,
    /// What was never lost is there with 0, so that a rule sees the first loss as a rise.
    pub(crate) lost: BTreeMap<&'static str, u64>,
    pub(crate) windows: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) programs_ns: u64,
    pub(crate) traps_ns: u64,
    pub(crate) own_cpu_ns: u64,
    pub(crate) hits: u64,
    /// Of the last interval; they mean nothing once the target has ended.
    pub(crate) now: Now,
}

/// The state at the end of an interval.
#[derive(Debug, Default)]
pub(crate) struct Now {
    pub(crate) process: u32,
    pub(crate) allocators: String,
    pub(crate) threads: u32,
    pub(crate) rss_bytes: u64,
    pub(crate) cost: Cost,
}

/// One series.
#[derive(Debug)]
pub(crate) struct SeriesTotals {
    pub(crate) group: Group,
    pub(crate) unit: Unit,
    pub(crate) distribution: Distribution,
    /// Events and bytes, estimated for all the time.
    pub(crate) events: f64,
    pub(crate) bytes: f64,
    pub(crate) under_floor: u64,
    pub(crate) slow: u64,
    pub(crate) sampled: f64,
    pub(crate) floor_ns: u64,
    /// Events and bytes per nanosecond when it was last attached.
    rates: (f64, f64),
}

impl Totals {
    /// A session with a new process begins.
    pub(crate) fn begin(&mut self, target: &TargetDescription) {
        self.attached += 1;
        self.up = true;
        self.select(target);
        let current = self.current();
        // Rates of the process before it say nothing of this one.
        for series in current.series.values_mut() {
            series.rates = (0.0, 0.0);
        }
    }

    /// Its session is over, or none could be had.
    pub(crate) fn end(&mut self) {
        self.up = false;
    }

    /// Adds an interval of the current target.
    pub(crate) fn absorb(&mut self, tick: &Tick, target: &TargetDescription) {
        self.select(target);
        let current = self.current();
        for series in &tick.series {
            current.series_of(series).absorb(series, tick.length_ns);
        }
        for event in &tick.events {
            if let Some(series) = current.series.get_mut(&*clean(&event.name)) {
                series.slow += 1;
            }
        }
        for (what, number) in &tick.lost {
            let lost = current.lost.entry(what).or_default();
            *lost = lost.saturating_add(*number);
        }
        current.windows += tick.windows.len() as u64;
        let grow = |sum: &mut u64, by: u64| *sum = sum.saturating_add(by);
        grow(&mut current.cpu_ns, tick.target_cpu_ns);
        grow(&mut current.programs_ns, tick.cost.programs_ns);
        grow(&mut current.traps_ns, tick.cost.traps_ns);
        grow(&mut current.own_cpu_ns, tick.cost.own_cpu_ns);
        grow(&mut current.hits, tick.cost.hits);
        current.now = Now {
            process: target.process,
            allocators: label(&target.allocators.join(", ")),
            threads: tick.threads,
            rss_bytes: tick.target_rss_bytes,
            cost: tick.cost,
        };
    }

    /// Makes the target of this name the last.
    fn select(&mut self, target: &TargetDescription) {
        let name = label(&target.name);
        let place = self.targets.iter().position(|target| target.name == name);
        let current = match place {
            Some(place) if place + 1 == self.targets.len() => return,
            Some(place) => self.targets.remove(place),
            None => TargetTotals {
                name,
                lost: LOSSES.map(|what| (what, 0)).into(),
                ..TargetTotals::default()
            },
        };
        if self.targets.len() == NAMES {
            self.targets.remove(0);
        }
        self.targets.push(current);
    }

    fn current(&mut self) -> &mut TargetTotals {
        self.targets.last_mut().expect("a target was selected")
    }
}

impl TargetTotals {
    fn series_of(&mut self, tick: &SeriesTick) -> &mut SeriesTotals {
        // The catalogue bounds their number; the allocator's part of a name is the target's.
        let (group, unit) = (tick.series.group, tick.series.unit);
        self.series
            .entry(label(&tick.name))
            .or_insert_with(|| SeriesTotals {
                group,
                unit,
                distribution: Distribution::new(unit),
                events: 0.0,
                bytes: 0.0,
                under_floor: 0,
                slow: 0,
                sampled: 0.0,
                floor_ns: 0,
                rates: (0.0, 0.0),
            })
    }
}

impl SeriesTotals {
    fn absorb(&mut self, tick: &SeriesTick, length_ns: u64) {
        self.distribution.add(&tick.histogram, tick.total);
        self.under_floor = self.under_floor.saturating_add(tick.under_floor);
        self.sampled = tick.sampled;
        self.floor_ns = tick.floor_ns;
        let length = length_ns as f64;
        if length * tick.sampled > 0.0 {
            let per_ns = |amount: u64| amount as f64 / (length * tick.sampled);
            self.rates = (per_ns(tick.histogram.len()), per_ns(tick.bytes));
        }
        // While it is not attached, it is taken to go on as it was when it last was: between two
        // windows of tracing the target does not stand still.
        self.events += self.rates.0 * length;
        self.bytes += self.rates.1 * length;
    }
}

/// A text of the target as a label's value.
fn label(text: &str) -> String {
    clean(text).chars().take(LABEL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Source, SyntheticTarget};

    fn named(name: &str) -> TargetDescription {
        TargetDescription {
            name: name.to_owned(),
            ..SyntheticTarget::new().describe()
        }
    }

    #[test]
    fn sums_go_on_over_a_restart_of_the_target() {
        let mut totals = Totals::default();
        let mut before = 0;
        for life in 1..=3 {
            let mut source = SyntheticTarget::new();
            let target = source.describe();
            totals.begin(&target);
            for _ in 0..5 {
                totals.absorb(&source.tick(), &target);
            }
            totals.end();
            let faults = &totals.targets[0].series["page_fault"];
            assert!(faults.distribution.count() >= before + 5 * 5000);
            before = faults.distribution.count();
            assert_eq!(totals.attached, life);
        }
        assert_eq!(totals.targets.len(), 1);
    }

    #[test]
    fn events_of_a_series_traced_in_windows_are_estimated_for_all_the_time() {
        let mut totals = Totals::default();
        let mut source = SyntheticTarget::new();
        let target = source.describe();
        totals.begin(&target);
        for _ in 0..8 {
            totals.absorb(&source.tick(), &target);
        }
        // Two windows of 2% of a second with 12,000 calls each: 600,000 a second, for 8 seconds.
        let malloc = &totals.targets[0].series["malloc@jemalloc"];
        assert_eq!(malloc.distribution.count(), 24_000);
        assert!(
            (malloc.events - 4_800_000.0).abs() < 1.0,
            "{}",
            malloc.events
        );
    }

    #[test]
    fn a_target_that_renames_itself_cannot_fill_the_memory() {
        let mut totals = Totals::default();
        for number in 0..100 {
            totals.begin(&named(&format!("name {number}")));
        }
        assert_eq!(totals.targets.len(), NAMES);
        assert_eq!(totals.targets.last().unwrap().name, "name 99");
        totals.begin(&named("name 90"));
        assert_eq!(totals.targets.last().unwrap().name, "name 90");
        assert_eq!(totals.targets.len(), NAMES);
    }
}
