//! One run: its pauses come one at a time, in any order; then its blame is found.

use std::collections::{BTreeMap, HashMap, HashSet};

use hdrhistogram::Histogram;

use super::attribution::{Causes, Group, Rule};
use super::chance::kinds_beyond_chance;
use super::spans::{ALL_THREADS, Span, Spans};
use super::spike::{self, Spike};
use super::summary::{BlameMode, BlameRow, KindBlame, ThreadBlame};
use crate::digest::Second;
use crate::recording::{Load, Meta, Pause, ProbeMeta, SlowRequest, StackTable};
use crate::statistics::total;
use crate::text;

/// Rows by kind and thread that are kept of a run; those with the least time are left out.
const MOST_ROWS: usize = 24;
/// Threads of which the shares are kept.
const MOST_THREADS: usize = 16;
/// Names of who had the CPU that are held.
const MOST_NAMES: usize = 4_096;
/// Frames kept of a stack.
const FRAMES: usize = 6;
/// Waits for other threads.
const WAIT: &str = "futex";
/// No request takes longer, nanoseconds; what does is damaged. Nearly five hours.
const LONGEST: u64 = 1 << 44;

/// What is known of a run's requests before its pauses are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlameInput<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) slow: &'a [SlowRequest],
    /// Service times of all requests.
    pub(crate) service: &'a Histogram<u64>,
    pub(crate) seconds: &'a [Second],
}

/// Whom to blame in one run.
#[derive(Debug, Clone)]
pub(crate) struct RunBlame {
    pub(crate) mode: BlameMode,
    pub(crate) requests: u64,
    pub(crate) not_traced: u64,
    pub(crate) time_ns: u64,
    pub(crate) own_ns: u64,
    pub(crate) unexplained_ns: u64,
    pub(crate) kinds: Vec<KindBlame>,
    pub(crate) rows: Vec<BlameRow>,
    pub(crate) rows_left_out: u64,
    pub(crate) threads: Vec<ThreadBlame>,
    pub(crate) spikes: Vec<Spike>,
    pub(crate) threshold_ns: u64,
    /// Pauses that there was no room for.
    pub(crate) pauses_left_out: u64,
    /// Kinds that no more than chance speaks for, over a network.
    pub(crate) by_chance: Vec<String>,
}

/// Takes pauses.
pub(crate) struct BlameBuilder<'a> {
    input: BlameInput<'a>,
    mode: BlameMode,
    threads: HashSet<u32>,
    spans: Spans,
    names: Vec<String>,
    by_name: HashMap<String, u16>,
}

/// What is known of a run when all its pauses are.
pub(crate) struct Known<'a> {
    pub(crate) probe: &'a ProbeMeta,
    /// The traced time.
    pub(crate) traced: (u64, u64),
    /// The names of the kinds, by their places.
    pub(crate) kinds: &'a [String],
    pub(crate) stacks: &'a StackTable,
    /// When the measured time began.
    pub(crate) start_ns: u64,
}

impl<'a> BlameBuilder<'a> {
    pub(crate) fn new(input: BlameInput<'a>) -> BlameBuilder<'a> {
        BlameBuilder {
            mode: mode(&input.meta.load),
            threads: input.slow.iter().map(|request| request.thread).collect(),
            input,
            spans: Spans::default(),
            names: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// Takes a pause; `kind` is the place of its series, called `name`. One of a whole process is on
    /// [`ALL_THREADS`].
    pub(crate) fn pause(&mut self, pause: &Pause, kind: usize, name: &str) {
        let may_matter = match self.mode {
            BlameMode::OwnThread => {
                let all = pause.thread == ALL_THREADS && !self.input.slow.is_empty();
                all || self.threads.contains(&pause.thread)
            }
            // Workers without work wait for each other, too.
            BlameMode::Coincides => !self.input.slow.is_empty() && name != WAIT,
        };
        if !may_matter {
            return;
        }
        let by = pause.by.as_deref().and_then(|by| self.name(by));
        if let Some(span) = Span::of(pause, kind, by) {
            self.spans.push(span);
        }
    }

    fn name(&mut self, name: &str) -> Option<u16> {
        if let Some(place) = self.by_name.get(name) {
            return Some(*place);
        }
        let place = u16::try_from(self.names.len()).ok()?;
        if self.names.len() == MOST_NAMES {
            return None;
        }
        self.names.push(text::name(name));
        self.by_name.insert(name.to_owned(), place);
        Some(place)
    }

    /// Whether [`BlameBuilder::finish`] has a use for the stacks.
    pub(crate) fn points_to_stacks(&self) -> bool {
        self.spans.list.iter().any(|span| span.stack.is_some())
    }

    /// `None` where no slow request was kept.
    pub(crate) fn finish(self, known: &Known<'_>) -> Option<RunBlame> {
        let (requests, not_traced) = self.judged(known.traced);
        if requests.is_empty() && not_traced == 0 {
            return None;
        }
        let mode = self.mode;
        let meta = self.input.meta;
        let threshold_ns = (known.probe.series.iter())
            .filter(|series| series.pause)
            .map(|series| series.threshold_ns)
            .max()
            .unwrap_or(0);
        let mut blame = RunBlame {
            mode,
            requests: requests.len() as u64,
            not_traced,
            time_ns: 0,
            own_ns: 0,
            unexplained_ns: 0,
            kinds: Vec::new(),
            rows: Vec::new(),
            rows_left_out: 0,
            threads: Vec::new(),
            spikes: Vec::new(),
            threshold_ns,
            pauses_left_out: self.spans.left_out,
            by_chance: Vec::new(),
        };
        let lanes = self.threads.len().max(1) as f64;
        let per_thread = arrivals_per_second(&self.input) / lanes;
        let shown = Shown {
            kinds: known.kinds,
            names: &self.names,
            stacks: known
                .stacks
                .stacks
                .iter()
                .map(|stack| (stack.id, stack))
                .collect(),
            run: meta.run,
            start_ns: known.start_ns,
        };
        let mut spans = self.spans;
        if let Some(waits) = known.kinds.iter().position(|kind| kind == WAIT) {
            let owners: Vec<u16> = (known.probe.series.iter())
                .filter(|series| series.owns_waits)
                .filter_map(|series| known.kinds.iter().position(|kind| *kind == series.name))
                .filter_map(|place| u16::try_from(place).ok())
                .collect();
            spans.without_owned_waits(u16::try_from(waits).unwrap_or(u16::MAX), &owners);
        }
        let mut spans = spans.list;
        let groups = match mode {
            BlameMode::OwnThread => {
                let threads = self.threads.len() as u64;
                let utilisation =
                    utilisation(&self.input, &spans, threads, threshold_ns, per_thread);
                by_thread(requests, spans, utilisation)
            }
            BlameMode::Coincides => {
                let meant = kinds_beyond_chance(&requests, &spans);
                let mut others: Vec<u16> = spans.iter().map(|span| span.kind).collect();
                others.sort_unstable();
                others.dedup();
                others.retain(|kind| !meant.contains(kind));
                blame.by_chance = others.iter().map(|kind| shown.kind(*kind)).collect();
                spans.retain(|span| meant.contains(&span.kind));
                let rule = Rule::Coincides;
                vec![Group {
                    rule,
                    requests,
                    spans,
                }]
            }
        };
        for group in groups {
            let causes = group.causes();
            blame.add(&group, &causes, &shown);
            let told = spike::longest(&group, &causes, &shown, per_thread);
            blame.spikes.extend(told);
        }
        blame.spikes = spike::first(blame.spikes);
        blame
            .kinds
            .sort_by_key(|kind| std::cmp::Reverse(kind.time_ns));
        blame.rows.sort_by_key(|row| std::cmp::Reverse(row.time_ns));
        blame.rows_left_out += blame.rows.len().saturating_sub(MOST_ROWS) as u64;
        blame.rows.truncate(MOST_ROWS);
        blame
            .threads
            .sort_by_key(|thread| std::cmp::Reverse(thread.time_ns));
        blame.threads.truncate(MOST_THREADS);
        Some(blame)
    }

    /// The requests that lie in the traced time, in the order in which they were due, each with its
    /// three times in order; and how many do not, or are damaged.
    fn judged(&self, traced: (u64, u64)) -> (Vec<SlowRequest>, u64) {
        let mut judged: Vec<SlowRequest> = (self.input.slow.iter())
            .filter(|request| request.intended_ns >= traced.0 && request.end_ns <= traced.1)
            .filter(|request| request.response_ns() <= LONGEST)
            .map(|request| {
                let end_ns = request.end_ns.max(request.intended_ns);
                SlowRequest {
                    end_ns,
                    start_ns: request.start_ns.clamp(request.intended_ns, end_ns),
                    ..*request
                }
            })
            .collect();
        let not_traced = (self.input.slow.len() - judged.len()) as u64;
        judged.sort_unstable_by_key(|request| (request.intended_ns, request.end_ns));
        (judged, not_traced)
    }
}

/// Within the process the requests' threads are the service's.
fn mode(load: &Load) -> BlameMode {
    if load.target.is_empty() && load.form != "network" {
        BlameMode::OwnThread
    } else {
        BlameMode::Coincides
    }
}

fn by_thread(requests: Vec<SlowRequest>, spans: Vec<Span>, utilisation: Option<f64>) -> Vec<Group> {
    let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
    for request in requests {
        let group = groups.entry(request.thread).or_insert_with(|| Group {
            rule: Rule::OwnThread { utilisation },
            requests: Vec::new(),
            spans: Vec::new(),
        });
        group.requests.push(request);
    }
    for span in spans {
        if span.thread == ALL_THREADS {
            for group in groups.values_mut() {
                group.spans.push(span);
            }
        } else if let Some(group) = groups.get_mut(&span.thread) {
            group.spans.push(span);
        }
    }
    groups.into_values().collect()
}

/// Requests that became due per second, over all threads; 0 where they followed no schedule.
fn arrivals_per_second(input: &BlameInput<'_>) -> f64 {
    let load = &input.meta.load;
    if load.closed_loop {
        return 0.0;
    }
    match &input.meta.result {
        Some(result) if load.duration_ns > 0 && result.offered > 0 => {
            result.offered as f64 * 1e9 / load.duration_ns as f64
        }
        _ if load.rate_target.is_finite() => load.rate_target.max(0.0),
        _ => 0.0,
    }
}

/// The share of its time that a thread works when it does not pause: arrivals times mean service
/// time, the pauses within it taken off. `None` where that is not known.
fn utilisation(
    input: &BlameInput<'_>,
    spans: &[Span],
    threads: u64,
    threshold_ns: u64,
    per_thread: f64,
) -> Option<f64> {
    let requests = input.service.len();
    if requests == 0 || per_thread <= 0.0 {
        return None;
    }
    let (mut all, mut long) = (0.0, 0.0);
    for value in input.service.iter_recorded() {
        let time = value.value_iterated_to() as f64 * value.count_at_value() as f64;
        all += time;
        if value.value_iterated_to() >= threshold_ns {
            long += time;
        }
    }
    // A pause that was listed lies within a long service, unless the thread was idle.
    let from = input.seconds.first().map_or(0, |second| second.start_ns);
    let last = input.seconds.last();
    let to = last.map_or(u64::MAX, |second| {
        second.start_ns.saturating_add(second.length_ns)
    });
    let measured = spans
        .iter()
        .filter(|span| span.start_ns < to && span.end_ns > from);
    let of_all = |span: &Span| match span.thread {
        ALL_THREADS => span.length_ns().saturating_mul(threads),
        _ => span.length_ns(),
    };
    let paused = total(measured.map(of_all)) as f64;
    let mean_ns = (all - paused.min(long)) / requests as f64;
    Some((mean_ns * per_thread / 1e9).clamp(0.0, 1.0))
}

impl RunBlame {
    fn add(&mut self, group: &Group, causes: &Causes, shown: &Shown<'_>) {
        self.time_ns = self.time_ns.saturating_add(causes.time_ns);
        self.own_ns = self.own_ns.saturating_add(causes.own_ns);
        self.unexplained_ns = self.unexplained_ns.saturating_add(causes.unexplained_ns);
        let mut pauses: Vec<_> = causes.pauses.iter().collect();
        pauses.sort_by_key(|(place, caused)| (std::cmp::Reverse(caused.time_ns), **place));
        let mut by_kind: BTreeMap<u16, u64> = BTreeMap::new();
        for ((kind, _), caused) in &pauses {
            let time = by_kind.entry(*kind).or_default();
            *time = time.saturating_add(caused.time_ns);
        }
        let mut kinds: Vec<KindBlame> = by_kind
            .iter()
            .map(|(kind, time_ns)| KindBlame {
                kind: shown.kind(*kind),
                time_ns: *time_ns,
                requests: group.requests_hit(causes, |span| span.kind == *kind),
            })
            .collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.time_ns));
        if matches!(group.rule, Rule::OwnThread { .. }) {
            self.threads.push(ThreadBlame {
                run: shown.run,
                thread: group.requests.first().map_or(0, |request| request.thread),
                requests: group.requests.len() as u64,
                time_ns: causes.time_ns,
                own_service_ns: causes.own_ns,
                unexplained_ns: causes.unexplained_ns,
                kinds: kinds.clone(),
            });
        }
        for kind in kinds {
            KindBlame::add(&mut self.kinds, kind);
        }
        self.rows_left_out += pauses.len().saturating_sub(MOST_ROWS) as u64;
        for ((kind, thread), caused) in pauses.into_iter().take(MOST_ROWS) {
            let longest = &group.spans[caused.longest as usize];
            self.add_row(BlameRow {
                kind: shown.kind(*kind),
                run: shown.run,
                thread: *thread,
                time_ns: caused.time_ns,
                backlog_ns: caused.backlog_ns,
                requests: group
                    .requests_hit(causes, |span| span.kind == *kind && span.thread == *thread),
                longest_ns: longest.length_ns(),
                by: shown.by(longest),
                stack: shown.stack(longest),
            });
        }
    }

    /// What a pause of all threads did to each of them is one row.
    fn add_row(&mut self, row: BlameRow) {
        let same = |known: &&mut BlameRow| {
            row.thread == ALL_THREADS && known.thread == ALL_THREADS && known.kind == row.kind
        };
        let Some(known) = self.rows.iter_mut().find(same) else {
            self.rows.push(row);
            return;
        };
        known.time_ns = known.time_ns.saturating_add(row.time_ns);
        known.backlog_ns = known.backlog_ns.saturating_add(row.backlog_ns);
        known.requests = known.requests.saturating_add(row.requests);
        if row.longest_ns > known.longest_ns {
            *known = BlameRow {
                time_ns: known.time_ns,
                backlog_ns: known.backlog_ns,
                requests: known.requests,
                ..row
            };
        }
    }
}

/// How what a run holds as numbers is shown.
pub(super) struct Shown<'a> {
    kinds: &'a [String],
    names: &'a [String],
    stacks: HashMap<u32, &'a crate::recording::Stack>,
    pub(super) run: u32,
    start_ns: u64,
}

impl Shown<'_> {
    pub(super) fn kind(&self, kind: u16) -> String {
        self.kinds
            .get(usize::from(kind))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn by(&self, span: &Span) -> Option<String> {
        self.names.get(usize::from(span.by?)).cloned()
    }

    /// The functions, the innermost first.
    pub(super) fn stack(&self, span: &Span) -> Vec<String> {
        let stack = span.stack.and_then(|id| self.stacks.get(&id));
        let frames = stack.into_iter().flat_map(|stack| &stack.frames);
        frames
            .take(FRAMES)
            .map(|frame| text::name(&frame.name))
            .collect()
    }

    /// The first function that is of the program itself rather than of a library or the kernel; the
    /// innermost where all are.
    pub(super) fn function(&self, span: &Span) -> Option<String> {
        let stack = span.stack.and_then(|id| self.stacks.get(&id))?;
        let is_own = |module: &str| {
            !module.is_empty() && !module.starts_with(['[', '/']) && !module.contains(".so")
        };
        let own = stack.frames.iter().find(|frame| is_own(&frame.module));
        let frame = own.or(stack.frames.first())?;
        Some(text::name(&frame.name))
    }

    /// Seconds after the measured time began; before it when negative.
    pub(super) fn second(&self, ns: u64) -> f64 {
        (ns as f64 - self.start_ns as f64) / 1e9
    }
}
