//! The blame of a variant over all its runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::run::RunBlame;
use super::spike::{self, Spike};
use crate::digest::RunDigest;

/// Rows by kind and thread that are kept of a variant.
const MOST_ROWS: usize = 24;
/// Threads whose shares are kept of a variant.
const MOST_THREADS: usize = 16;

/// Why a variant's slow requests were slow, over all runs that were traced.
///
/// Of the slow requests that the recordings kept (the slowest of each second and thread), each with
/// its whole time from when it was due: `by_pauses_ns`, `own_service_ns` and `unexplained_ns` add
/// up to `time_ns`, and the times of `kinds` to `by_pauses_ns`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BlameSummary {
    /// By which rule.
    pub mode: BlameMode,
    /// Runs that were traced and kept slow requests.
    pub runs: u32,
    /// Slow requests that were judged.
    pub requests: u64,
    /// Slow requests outside the traced time, which were not.
    pub requests_not_traced: u64,
    /// Their time, in nanoseconds.
    pub time_ns: u64,
    /// Of it, pauses and the backlog that they left, in nanoseconds.
    pub by_pauses_ns: u64,
    /// Service without pauses, in nanoseconds; 0 over a network, where it cannot be told.
    pub own_service_ns: u64,
    /// What nothing explains, in nanoseconds.
    pub unexplained_ns: u64,
    /// By kind of pause, the most time first.
    pub kinds: Vec<KindBlame>,
    /// By kind and thread, the most time first; at most 24.
    pub rows: Vec<BlameRow>,
    /// Kinds and threads beyond those.
    pub rows_left_out: u64,
    /// By thread of the requests, the most time first, at most 16; empty over a network.
    pub threads: Vec<ThreadBlame>,
    /// The longest single requests, the longest first; at most five.
    pub spikes: Vec<Spike>,
    /// Shorter pauses were not listed one by one, in nanoseconds; 0 for none.
    pub threshold_ns: u64,
    /// Pauses that there was no room for, the shortest of a run.
    pub pauses_left_out: u64,
    /// Kinds that the server paused by, and that slow requests met no more than any moment would;
    /// empty within the process.
    pub by_chance: Vec<String>,
}

/// How a request's time is given to pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlameMode {
    /// To those of the thread that served it, and to the backlog that they left: a cause.
    OwnThread,
    /// To those of any thread of the server that went on meanwhile: a coincidence, which is a cause
    /// where one thread does all the work.
    Coincides,
}

/// The part of one kind of pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KindBlame {
    /// Its series.
    pub kind: String,
    /// Time of slow requests, in nanoseconds.
    pub time_ns: u64,
    /// Requests that any of it fell on; one may count in several kinds.
    pub requests: u64,
}

/// The part of one kind of pause on one thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BlameRow {
    /// Its series.
    pub kind: String,
    /// The run that it is of.
    pub run: u32,
    /// The thread that paused; 0 for all of the process.
    pub thread: u32,
    /// Time of slow requests, in nanoseconds.
    pub time_ns: u64,
    /// Of it, what they waited for the backlog that the pauses left, in nanoseconds.
    pub backlog_ns: u64,
    /// Requests that any of it fell on.
    pub requests: u64,
    /// The longest of the pauses, in nanoseconds.
    pub longest_ns: u64,
    /// Who had the CPU, or the lock, in the longest.
    pub by: Option<String>,
    /// The functions of the longest, the innermost first; at most six.
    pub stack: Vec<String>,
}

/// The shares of one thread's slow requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ThreadBlame {
    /// The run that it is of.
    pub run: u32,
    /// The thread.
    pub thread: u32,
    /// Its slow requests.
    pub requests: u64,
    /// Their time, in nanoseconds.
    pub time_ns: u64,
    /// Service without pauses, in nanoseconds.
    pub own_service_ns: u64,
    /// What nothing explains, in nanoseconds.
    pub unexplained_ns: u64,
    /// By kind of pause, the most time first.
    pub kinds: Vec<KindBlame>,
}

impl BlameSummary {
    /// `None` where no run was traced that kept slow requests.
    pub(crate) fn of(runs: &[&RunDigest]) -> Option<BlameSummary> {
        let blames = runs
            .iter()
            .filter_map(|run| run.pauses.as_ref()?.blame.as_ref());
        blames.fold(None, |sum, run| {
            let mut sum = sum.unwrap_or_else(|| BlameSummary::nothing(run.mode));
            sum.add(run);
            Some(sum)
        })
    }

    fn nothing(mode: BlameMode) -> BlameSummary {
        BlameSummary {
            mode,
            runs: 0,
            requests: 0,
            requests_not_traced: 0,
            time_ns: 0,
            by_pauses_ns: 0,
            own_service_ns: 0,
            unexplained_ns: 0,
            kinds: Vec::new(),
            rows: Vec::new(),
            rows_left_out: 0,
            threads: Vec::new(),
            spikes: Vec::new(),
            threshold_ns: 0,
            pauses_left_out: 0,
            by_chance: Vec::new(),
        }
    }

    /// Exhaustive, so that a new field cannot be forgotten here.
    fn add(&mut self, run: &RunBlame) {
        let RunBlame {
            mode,
            requests,
            not_traced,
            time_ns,
            own_ns,
            unexplained_ns,
            kinds,
            rows,
            rows_left_out,
            threads,
            spikes,
            threshold_ns,
            pauses_left_out,
            by_chance,
        } = run;
        // The weaker claim speaks for all.
        if *mode == BlameMode::Coincides {
            self.mode = *mode;
        }
        let add = |sum: &mut u64, part: u64| *sum = sum.saturating_add(part);
        self.runs += 1;
        add(&mut self.requests, *requests);
        add(&mut self.requests_not_traced, *not_traced);
        add(&mut self.time_ns, *time_ns);
        add(&mut self.own_service_ns, *own_ns);
        add(&mut self.unexplained_ns, *unexplained_ns);
        for kind in kinds {
            add(&mut self.by_pauses_ns, kind.time_ns);
            KindBlame::add(&mut self.kinds, kind.clone());
        }
        self.kinds
            .sort_by_key(|kind| std::cmp::Reverse(kind.time_ns));
        self.rows.extend(rows.iter().cloned());
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.time_ns));
        add(
            &mut self.rows_left_out,
            *rows_left_out + self.rows.len().saturating_sub(MOST_ROWS) as u64,
        );
        self.rows.truncate(MOST_ROWS);
        self.threads.extend(threads.iter().cloned());
        self.threads
            .sort_by_key(|thread| std::cmp::Reverse(thread.time_ns));
        self.threads.truncate(MOST_THREADS);
        self.spikes.extend(spikes.iter().cloned());
        self.spikes = spike::first(std::mem::take(&mut self.spikes));
        self.threshold_ns = self.threshold_ns.max(*threshold_ns);
        add(&mut self.pauses_left_out, *pauses_left_out);
        for kind in by_chance {
            if !self.by_chance.contains(kind) {
                self.by_chance.push(kind.clone());
            }
        }
    }

    /// A part of the slow requests' time, 0 to 1.
    pub(crate) fn share(&self, time_ns: u64) -> f64 {
        time_ns as f64 / self.time_ns.max(1) as f64
    }
}

impl KindBlame {
    /// Adds to the entry of its kind.
    pub(super) fn add(list: &mut Vec<KindBlame>, more: KindBlame) {
        match list.iter_mut().find(|kind| kind.kind == more.kind) {
            Some(kind) => {
                kind.time_ns = kind.time_ns.saturating_add(more.time_ns);
                kind.requests = kind.requests.saturating_add(more.requests);
            }
            None => list.push(more),
        }
    }
}
