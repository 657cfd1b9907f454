//! Call sites with rates.
//!
//! A session counts each site since it began. A rate is the difference to ten intervals ago,
//! divided by the time in which the site's series was attached meanwhile: series that are traced in
//! short windows would jump between nothing and everything if one second were taken alone.

use std::collections::{HashMap, VecDeque};

use crate::tick::{CallSite, SeriesTick};

/// Intervals that a rate looks back over.
const BACK: usize = 10;

type Key = (String, u64);

/// One call site as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SiteRow {
    pub(crate) site: CallSite,
    /// Over the last ten intervals; since the start if there was no window in them.
    pub(crate) recent: SiteRates,
    /// Since the start.
    pub(crate) since_start: SiteRates,
}

/// Estimates for the whole time; `None` while the series was not attached.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SiteRates {
    pub(crate) calls: Option<f64>,
    pub(crate) bytes: Option<f64>,
}

/// All call sites.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sites {
    rows: Vec<SiteRow>,
    earlier: VecDeque<Reading>,
    /// What had been counted when the figures were last reset.
    base: Reading,
    /// Nanoseconds for which each series has been attached, by name.
    observed: HashMap<String, f64>,
}

/// What had been counted at one moment.
#[derive(Debug, Clone, Default)]
struct Reading {
    counts: HashMap<Key, (u64, u64)>,
    observed: HashMap<String, f64>,
}

impl Sites {
    /// The sites in the order that the session gives: by calls since it began.
    pub(crate) fn rows(&self) -> &[SiteRow] {
        &self.rows
    }

    /// Takes one interval's sites.
    pub(crate) fn absorb(&mut self, sites: Vec<CallSite>, series: &[SeriesTick], length_ns: u64) {
        for tick in series {
            let attached = length_ns as f64 * tick.sampled;
            *self.observed.entry(tick.name.clone()).or_default() += attached;
        }
        let now = Reading {
            counts: sites
                .iter()
                .map(|site| (key(site), (site.calls, site.bytes)))
                .collect(),
            observed: self.observed.clone(),
        };
        let oldest = self.earlier.front();
        self.rows = sites
            .into_iter()
            .map(|site| {
                let since_start = rates(&site, &self.base, &now);
                // A site that has just risen into the list has no earlier reading of its own.
                let recent = match oldest {
                    Some(then) if then.counts.contains_key(&key(&site)) => rates(&site, then, &now),
                    _ => since_start,
                };
                // Nor is there one while no window was open lately.
                SiteRow {
                    site,
                    recent: if recent.calls.is_some() {
                        recent
                    } else {
                        since_start
                    },
                    since_start,
                }
            })
            .collect();
        if self.earlier.len() == BACK {
            self.earlier.pop_front();
        }
        self.earlier.push_back(now);
    }

    /// Counts from here on.
    pub(crate) fn reset(&mut self) {
        if let Some(now) = self.earlier.pop_back() {
            self.base = now;
        }
        self.earlier.clear();
    }
}

fn key(site: &CallSite) -> Key {
    (site.series.clone(), site.address)
}

fn rates(site: &CallSite, then: &Reading, now: &Reading) -> SiteRates {
    let (calls, bytes) = then.counts.get(&key(site)).copied().unwrap_or_default();
    let seconds = (attached(now, &site.series) - attached(then, &site.series)) * 1e-9;
    let per_second =
        |now: u64, then: u64| (seconds > 0.0).then(|| now.saturating_sub(then) as f64 / seconds);
    SiteRates {
        calls: per_second(site.calls, calls),
        bytes: per_second(site.bytes, bytes),
    }
}

/// How long the series of a site had been attached. A site may name it without the allocator
/// (`malloc`) where the series has it (`malloc@jemalloc`).
fn attached(reading: &Reading, series: &str) -> f64 {
    let of_same = |name: &str| name == series || name.split('@').next() == Some(series);
    let times = reading.observed.iter();
    times
        .filter(|(name, _)| of_same(name))
        .map(|(_, attached)| *attached)
        .fold(0.0, f64::max)
}
