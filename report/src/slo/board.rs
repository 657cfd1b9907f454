//! Each second judged, and the worst of them.

use std::cmp::Reverse;
use std::collections::HashMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::health::Health;
use super::targets::{Origin, ServiceClass, Targets};
use crate::digest::RunDigest;

/// Seconds over their target that are named of each variant.
const WORST: usize = 10;
/// Pauses that are named of a second, each of another kind.
const NAMED: usize = 3;

/// The service level of one variant over all its runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SloSummary {
    /// What a second must keep: `P99 ≤ 5 ms`.
    pub targets: Vec<String>,
    /// Where these come from.
    pub origin: Origin,
    /// The class of services that has such targets.
    pub class: ServiceClass,
    /// Objectives that say nothing of a single second, as they were written.
    pub not_by_second: Vec<String>,
    /// Pauses longer than this are held against a second over its target, in nanoseconds: two
    /// fifths of the strictest target, and 50 ms at most.
    pub pause_limit_ns: u64,
    /// Whether a probe looked for pauses in every run; without one none can be named.
    pub traced: bool,
    /// Seconds with requests, over all runs.
    pub seconds: u64,
    /// Those that kept all targets.
    pub seconds_within: u64,
    /// Their share, 0 to 1.
    pub share_within: f64,
    /// Seconds over a target in which a pause over the limit lies.
    pub seconds_over_with_pause: u64,
    /// The same by kind of pause; a second may count in several.
    pub paused_by: IndexMap<String, u64>,
    /// The seconds that were most over their targets, worst first; at most ten.
    pub worst: Vec<BrokenSecond>,
    /// One figure for the whole.
    pub health: Health,
}

/// A second over its targets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BrokenSecond {
    /// Which run of the variant.
    pub run: u32,
    /// Which second of the run, from 1.
    pub second: u64,
    /// Requests due in it.
    pub requests: u64,
    /// Response time, in nanoseconds.
    pub p99_ns: u64,
    /// Response time, in nanoseconds.
    pub p999_ns: u64,
    /// Response time, in nanoseconds.
    pub max_ns: u64,
    /// How many times its limit the worst of its figures is.
    pub times_target: f64,
    /// The pauses over the limit that lie in it: the longest of each kind, the longest first, at
    /// most three.
    pub pauses: Vec<BreakingPause>,
}

/// A pause in a second over its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BreakingPause {
    /// Its series: `munmap`.
    pub kind: String,
    /// The thread that paused, as the host numbers it; 0 for all of the process.
    pub thread: u32,
    /// Its whole length, in nanoseconds.
    pub length_ns: u64,
}

/// What is to be said of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecondState {
    /// It kept all targets.
    Within,
    /// It did not, and no pause over the limit is known in it.
    Over,
    /// It did not, and one is.
    OverWithPause,
}

impl SloSummary {
    /// `None` where no second was measured.
    pub(crate) fn of(runs: &[&RunDigest]) -> Option<SloSummary> {
        let targets = Targets::of(runs.iter().map(|run| &run.meta));
        let limit_ns = targets.pause_limit_ns();
        let mut seconds = 0;
        let mut within = 0;
        let mut with_pause = 0;
        let mut paused_by: IndexMap<String, u64> = IndexMap::new();
        let mut worst: Vec<BrokenSecond> = Vec::new();
        for run in runs {
            let pauses = pauses_by_second(run, limit_ns);
            for (place, second) in run.seconds.iter().enumerate() {
                seconds += 1;
                if targets.hold(second) {
                    within += 1;
                    continue;
                }
                let found = &pauses[place];
                with_pause += u64::from(!found.is_empty());
                for pause in found.iter().filter_map(|place| breaking(run, *place)) {
                    *paused_by.entry(pause.kind).or_default() += 1;
                }
                let times_target = targets.excess(second);
                let at = worst.partition_point(|known| known.times_target >= times_target);
                if at < WORST {
                    worst.insert(
                        at,
                        BrokenSecond {
                            run: run.meta.run,
                            second: place as u64 + 1,
                            requests: second.requests,
                            p99_ns: second.p99_ns,
                            p999_ns: second.p999_ns,
                            max_ns: second.max_ns,
                            times_target,
                            pauses: found
                                .iter()
                                .take(NAMED)
                                .filter_map(|place| breaking(run, *place))
                                .collect(),
                        },
                    );
                    worst.truncate(WORST);
                }
            }
        }
        if seconds == 0 {
            return None;
        }
        paused_by.sort_by(|_, a, _, b| b.cmp(a));
        let share_within = within as f64 / seconds as f64;
        Some(SloSummary {
            health: Health::of(runs, &targets, share_within),
            targets: targets.latency.iter().map(|target| target.text()).collect(),
            origin: targets.origin,
            class: targets.class(),
            pause_limit_ns: limit_ns,
            not_by_second: targets.not_by_second,
            traced: runs.iter().all(|run| run.pauses.is_some()),
            seconds,
            seconds_within: within,
            share_within,
            seconds_over_with_pause: with_pause,
            paused_by,
            worst,
        })
    }

    /// Seconds that broke a target.
    pub fn seconds_over(&self) -> u64 {
        self.seconds - self.seconds_within
    }
}

/// What is to be said of each second of a run.
pub(crate) fn second_states(run: &RunDigest, targets: &Targets) -> Vec<SecondState> {
    let pauses = pauses_by_second(run, targets.pause_limit_ns());
    run.seconds
        .iter()
        .zip(pauses)
        .map(
            |(second, pauses)| match (targets.hold(second), pauses.as_slice()) {
                (true, _) => SecondState::Within,
                (false, []) => SecondState::Over,
                (false, _) => SecondState::OverWithPause,
            },
        )
        .collect()
}

/// By second, the longest pause over the limit of each kind that lies in it, in whole or in part;
/// the longest first. They are places in the digest's `longest_by_second`.
fn pauses_by_second(run: &RunDigest, limit_ns: u64) -> Vec<Vec<usize>> {
    let mut by_second: Vec<Vec<usize>> = vec![Vec::new(); run.seconds.len()];
    let Some(digest) = &run.pauses else {
        return by_second;
    };
    let pauses = &digest.longest_by_second;
    let mut longest: Vec<usize> = (0..pauses.len())
        .filter(|place| pauses[*place].length_ns > limit_ns)
        .collect();
    longest.sort_by_key(|place| Reverse(pauses[*place].length_ns));
    // The longest takes its seconds first, and what comes later jumps over those that are taken: a
    // recording of pauses as long as itself costs no more than any other.
    let mut free: HashMap<usize, Vec<usize>> = HashMap::new();
    for place in longest {
        let pause = &pauses[place];
        let end_ns = pause.start_ns.saturating_add(pause.length_ns);
        let free = free
            .entry(pause.series)
            .or_insert_with(|| (0..=run.seconds.len()).collect());
        let begin = run.seconds.partition_point(|second| {
            second.start_ns.saturating_add(second.length_ns) <= pause.start_ns
        });
        let mut second = next_free(free, begin);
        while run
            .seconds
            .get(second)
            .is_some_and(|second| second.start_ns < end_ns)
        {
            by_second[second].push(place);
            free[second] = second + 1;
            second = next_free(free, second);
        }
    }
    by_second
}

/// The first second from `from` on that is not taken; shortens the way for whoever asks next.
fn next_free(free: &mut [usize], from: usize) -> usize {
    let mut end = from;
    while free[end] != end {
        end = free[end];
    }
    let mut step = from;
    while free[step] != end {
        step = std::mem::replace(&mut free[step], end);
    }
    end
}

/// A pause of a run's digest by its place.
fn breaking(run: &RunDigest, place: usize) -> Option<BreakingPause> {
    let digest = run.pauses.as_ref()?;
    let pause = digest.longest_by_second.get(place)?;
    Some(BreakingPause {
        kind: digest.series.get(pause.series)?.meta.name.clone(),
        thread: pause.thread,
        length_ns: pause.length_ns,
    })
}

/// In words, of each second of a run over its targets, the pauses in it; empty for the others.
pub(crate) fn second_pauses(run: &RunDigest, targets: &Targets) -> Vec<Vec<BreakingPause>> {
    let pauses = pauses_by_second(run, targets.pause_limit_ns());
    let seconds = run.seconds.iter().zip(pauses);
    seconds
        .map(|(second, pauses)| {
            let over = !targets.hold(second);
            let named = pauses.iter().take(if over { NAMED } else { 0 });
            named.filter_map(|place| breaking(run, *place)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Second;
    use crate::pauses::{PauseDigestBuilder, SecondPause};
    use crate::recording::{Meta, ProbeMeta, Recording, SeriesMeta, StackTable, State};

    const S: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    /// A run whose seconds have these P99s, in ms, and these pauses: series, start, length.
    fn run(p99_ms: &[u64], pauses: &[(usize, u64, u64)]) -> RunDigest {
        let mut digest = RunDigest::of_recording(Recording {
            dir: "run".into(),
            meta: Meta {
                run: 1,
                state: State::Complete,
                ..Meta::default()
            },
            intervals: Vec::new(),
            slow: Vec::new(),
            marks: Vec::new(),
            resources: Vec::new(),
            pool: Vec::new(),
            not_read: 0,
            torn: false,
            pauses: None,
        });
        digest.seconds = p99_ms
            .iter()
            .zip(100u64..)
            .map(|(p99, at)| Second {
                start_ns: at * S,
                length_ns: S,
                requests: 1_000,
                p50_ns: 1,
                p99_ns: p99 * MS,
                p999_ns: 2 * p99 * MS,
                max_ns: 3 * p99 * MS,
                heat: Vec::new(),
            })
            .collect();
        let series = ["munmap", "off_cpu"].map(|name| SeriesMeta {
            name: name.to_owned(),
            pause: true,
            ..SeriesMeta::default()
        });
        let meta = ProbeMeta {
            series: series.to_vec(),
            ..ProbeMeta::default()
        };
        let builder = PauseDigestBuilder::new(&meta, digest.load_of(&[]));
        let mut traced = builder.finish(&StackTable::default());
        traced.longest_by_second = pauses
            .iter()
            .map(|(series, start_ns, length_ns)| SecondPause {
                series: *series,
                thread: 7,
                start_ns: *start_ns,
                length_ns: *length_ns,
            })
            .collect();
        digest.pauses = Some(traced);
        digest
    }

    fn states(run: &RunDigest) -> String {
        let targets = Targets::of([&run.meta].into_iter());
        second_states(run, &targets)
            .iter()
            .map(|state| match state {
                SecondState::Within => '.',
                SecondState::Over => 'o',
                SecondState::OverWithPause => 'P',
            })
            .collect()
    }

    #[test]
    fn a_second_is_told_apart_by_whether_a_pause_over_the_limit_lies_in_it() {
        let pauses = [
            (0, 101 * S, 3 * MS),            // in a second over its target
            (0, 102 * S, 3 * MS),            // in one within
            (0, 103 * S + 999 * MS, 2 * MS), // at the limit of 2 ms, not over it
            (1, 104 * S + 999 * MS, 4 * MS), // reaches into the next
        ];
        let run = run(&[1, 9, 5, 9, 9, 9, 9], &pauses);
        assert_eq!(states(&run), ".P.oPPo");
    }

    #[test]
    fn the_worst_seconds_come_first_and_name_the_longest_pause_of_each_kind() {
        let pauses = [
            (0, 100 * S, 20 * MS),
            (0, 101 * S, 3 * MS),
            (0, 101 * S + 5, 14 * MS),
            (1, 101 * S + 9, 900 * MS),
        ];
        let run = run(&[6, 50, 4], &pauses);
        let summary = SloSummary::of(&[&run]).expect("three seconds");
        assert_eq!((summary.seconds, summary.seconds_within), (3, 1));
        assert_eq!(summary.seconds_over_with_pause, 2);
        assert_eq!(summary.paused_by["munmap"], 2);
        let worst: Vec<u64> = summary.worst.iter().map(|second| second.second).collect();
        assert_eq!(worst, [2, 1]);
        assert_eq!(summary.worst[0].times_target, 10.0);
        let named: Vec<(&str, u64)> = summary.worst[0]
            .pauses
            .iter()
            .map(|pause| (pause.kind.as_str(), pause.length_ns / MS))
            .collect();
        assert_eq!(named, [("off_cpu", 900), ("munmap", 14)]);
    }

    #[test]
    fn pauses_as_long_as_the_run_cost_no_more_than_others() {
        let seconds = 50_000;
        let pauses: Vec<_> = (0..seconds)
            .map(|at| (0, (100 + at) * S, u64::MAX - at))
            .collect();
        let run = run(&vec![9; seconds as usize], &pauses);
        assert_eq!(states(&run), "P".repeat(seconds as usize));
    }

    #[test]
    fn a_long_run_names_ten_seconds_and_counts_all() {
        let p99: Vec<u64> = (0..3_600).collect();
        let summary = SloSummary::of(&[&run(&p99, &[])]).expect("an hour");
        assert_eq!(summary.seconds_over(), 3_594);
        assert_eq!(summary.worst.len(), WORST);
        assert_eq!(summary.worst[0].second, 3_600);
    }
}
