//! One run's pauses reduced to what a report shows of them, in one pass over log and list.
//!
//! Bounded by series and seconds, however many pauses there are; only blame holds something for each
//! pause, up to a limit of its own (see [`blame`](crate::blame)).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use hdrhistogram::Histogram;

use super::cleaned::cleaned;
use crate::allocator::{Role, StackWeigher, WeighedStacks};
use crate::blame::spans::ALL_THREADS;
use crate::blame::{BlameBuilder, BlameInput, Known, RunBlame};
use crate::digest::Second;
use crate::recording::{self, Interval, Pause, ProbeMeta, SeriesMeta, StackTable, Unit};
use crate::statistics::{maximum, quantile};
use crate::text;

/// Series of a run at most; no probe has as many.
const MOST_SERIES: usize = 64;
/// The longest pauses kept of each kind: more than a page shows.
const LONGEST: usize = 10;
/// Pauses drawn over the seconds of a run at most.
const MOST_MARKS: usize = 1_000;
/// Frames kept of a pause's stack.
const FRAMES: usize = 16;

/// What a report knows of the pauses of one run.
#[derive(Debug, Clone)]
pub(crate) struct PauseDigest {
    /// What was traced, its texts clean.
    pub(crate) meta: ProbeMeta,
    pub(crate) series: Vec<SeriesDigest>,
    /// The longest pauses of each kind, the longest of all first.
    pub(crate) longest: Vec<DigestedPause>,
    /// The longest pause of each kind in each measured second, in the order of time.
    pub(crate) marks: Vec<Mark>,
    /// The same in short, of all seconds, in the order of seconds: what the service level is judged by.
    pub(crate) longest_by_second: Vec<SecondPause>,
    /// Pauses of the measured seconds that are not among them.
    pub(crate) unmarked: u64,
    /// `None` where no slow request was kept.
    pub(crate) blame: Option<RunBlame>,
    /// Intervals and pauses that were recorded and are in none of the figures.
    pub(crate) ignored: u64,
    /// The stacks of what is the allocator's.
    pub(crate) stacks: WeighedStacks,
}

/// One series of a run.
#[derive(Debug, Clone)]
pub(crate) struct SeriesDigest {
    pub(crate) meta: SeriesMeta,
    /// All its values.
    pub(crate) whole: Histogram<u64>,
    /// Second by second.
    pub(crate) seconds: Vec<Second>,
}

/// A pause as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DigestedPause {
    /// Its series, as a place in the digest's list.
    pub(crate) series: usize,
    pub(crate) process: u32,
    pub(crate) thread: u32,
    pub(crate) start_ns: u64,
    pub(crate) length_ns: u64,
    pub(crate) detail: Option<u64>,
    pub(crate) by: Option<String>,
    /// Its functions, the innermost first.
    pub(crate) stack: Vec<String>,
}

/// A pause on the chart of the measured seconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// When it began, in seconds of the run: 2.25 is a quarter into the third.
    pub(crate) second: f64,
    pub(crate) pause: DigestedPause,
}

/// The longest pause of a kind that began in a measured second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecondPause {
    /// Its series, as a place in the digest's list.
    pub(crate) series: usize,
    pub(crate) thread: u32,
    pub(crate) start_ns: u64,
    pub(crate) length_ns: u64,
}

impl PauseDigest {
    /// Start and end of tracing on `CLOCK_MONOTONIC`: what the probe says, or what it recorded.
    pub(crate) fn span(&self) -> (u64, u64) {
        let seconds = || self.series.iter().flat_map(|series| &series.seconds);
        let end = |second: &Second| second.start_ns.saturating_add(second.length_ns);
        let start_ns = match self.meta.start_ns {
            0 => seconds().map(|second| second.start_ns).min().unwrap_or(0),
            start_ns => start_ns,
        };
        // A probe that was killed wrote intervals after it last said how far it was.
        let recorded = seconds().map(end).max().unwrap_or(0);
        (start_ns, self.meta.end_ns.max(recorded).max(start_ns))
    }

    /// Length of the traced time in nanoseconds.
    pub(crate) fn traced_ns(&self) -> u64 {
        let (start_ns, end_ns) = self.span();
        end_ns - start_ns
    }
}

/// Takes intervals and pauses one at a time.
pub(crate) struct PauseDigestBuilder<'a> {
    digest: PauseDigest,
    /// Places of the series by name.
    places: HashMap<String, usize>,
    /// The open second of each series.
    pending: Vec<Option<Interval>>,
    longest: Vec<Vec<Pause>>,
    /// The longest pause by measured second and series.
    marks: BTreeMap<(usize, usize), Pause>,
    in_seconds: u64,
    blame: BlameBuilder<'a>,
    stacks: StackWeigher,
    /// The seconds of the load, if there was one, in the order of time.
    measured: &'a [Second],
}

impl<'a> PauseDigestBuilder<'a> {
    /// `load` is what ran meanwhile, if anything did.
    pub(crate) fn new(meta: &ProbeMeta, load: BlameInput<'a>) -> PauseDigestBuilder<'a> {
        let meta = cleaned(meta);
        let series = meta.series.clone();
        let mut builder = PauseDigestBuilder {
            digest: PauseDigest {
                meta,
                series: Vec::new(),
                longest: Vec::new(),
                marks: Vec::new(),
                longest_by_second: Vec::new(),
                unmarked: 0,
                blame: None,
                ignored: 0,
                stacks: WeighedStacks::default(),
            },
            places: HashMap::new(),
            pending: Vec::new(),
            longest: Vec::new(),
            marks: BTreeMap::new(),
            in_seconds: 0,
            blame: BlameBuilder::new(load),
            stacks: StackWeigher::default(),
            measured: load.seconds,
        };
        for series in series {
            builder.add_series(series);
        }
        builder
    }

    /// Takes an interval; those of a series come in the order of time.
    pub(crate) fn interval(&mut self, interval: Interval) {
        let Some(place) = self.place(&interval.series, false) else {
            self.digest.ignored += 1;
            return;
        };
        let series = &mut self.digest.series[place];
        if series.whole.is_empty() {
            series.whole = interval.histogram.clone();
            series.whole.auto(true);
        } else {
            recording::add(&mut series.whole, &interval.histogram);
        }
        match &mut self.pending[place] {
            Some(open) if open.start_monotonic_ns == interval.start_monotonic_ns => {
                recording::add(&mut open.histogram, &interval.histogram);
            }
            pending => series.close(pending.replace(interval)),
        }
    }

    /// Takes a pause, in any order.
    pub(crate) fn pause(&mut self, mut pause: Pause) {
        // A probe lists single pauses of a series before its first interval.
        let Some(place) = self.place(&pause.kind, true) else {
            self.digest.ignored += 1;
            return;
        };
        let meta = &self.digest.series[place].meta;
        if Role::of(&meta.name).is_some() {
            let detail = meta.detail.as_deref().unwrap_or_default();
            let has_bytes = detail.starts_with("bytes");
            self.stacks.pause(&pause, place, has_bytes);
        }
        if !meta.pause {
            return;
        }
        let target = self.digest.meta.target.process;
        // With its children traced, too, another process stands still then.
        let is_of_target = target == 0 || pause.process == 0 || pause.process == target;
        if meta.process_wide && is_of_target {
            pause.thread = ALL_THREADS;
        }
        let kind = &self.digest.series[place].meta.name;
        self.blame.pause(&pause, place, kind);
        if let Some(second) = second_of(self.measured, pause.start_ns) {
            self.in_seconds += 1;
            let mark = self.marks.entry((second, place));
            let mark = mark.or_insert_with(|| pause.clone());
            if pause.length_ns() > mark.length_ns() {
                *mark = pause.clone();
            }
        }
        let longest = &mut self.longest[place];
        let at = longest.partition_point(|known| known.length_ns() >= pause.length_ns());
        if at < LONGEST {
            longest.insert(at, pause);
            longest.truncate(LONGEST);
        }
    }

    /// Counts pauses that whoever reads the recording had no room for.
    pub(crate) fn ignore(&mut self, pauses: u64) {
        self.digest.ignored += pauses;
    }

    /// Whether [`PauseDigestBuilder::finish`] has a use for the stacks.
    pub(crate) fn points_to_stacks(&self) -> bool {
        let mut shown = self.longest.iter().flatten().chain(self.marks.values());
        shown.any(|pause| pause.stack.is_some())
            || self.blame.points_to_stacks()
            || self.stacks.points_to_stacks()
    }

    /// What came of it.
    pub(crate) fn finish(mut self, stacks: &StackTable) -> PauseDigest {
        for (series, pending) in self.digest.series.iter_mut().zip(self.pending) {
            series.close(pending);
        }
        let table = stacks;
        self.digest.stacks = self.stacks.finish(stacks);
        let stacks: HashMap<u32, Vec<String>> = stacks
            .stacks
            .iter()
            .map(|stack| {
                let frames = stack.frames.iter().take(FRAMES);
                (
                    stack.id,
                    frames.map(|frame| text::name(&frame.name)).collect(),
                )
            })
            .collect();
        let show = |series: usize, pause: &Pause| DigestedPause {
            series,
            process: pause.process,
            thread: pause.thread,
            start_ns: pause.start_ns,
            length_ns: pause.length_ns(),
            detail: pause.detail,
            by: pause.by.as_deref().map(text::name),
            stack: pause
                .stack
                .and_then(|id| stacks.get(&id).cloned())
                .unwrap_or_default(),
        };
        let kinds: Vec<String> = self
            .digest
            .series
            .iter()
            .map(|series| series.meta.name.clone())
            .collect();
        let longest = self.longest.iter().enumerate();
        self.digest.longest = longest
            .flat_map(|(series, pauses)| pauses.iter().map(move |pause| (series, pause)))
            .map(|(series, pause)| show(series, pause))
            .collect();
        self.digest
            .longest
            .sort_by_key(|pause| Reverse(pause.length_ns));

        let by_second = self.marks.iter();
        self.digest.longest_by_second = by_second
            .map(|((_, series), pause)| SecondPause {
                series: *series,
                thread: pause.thread,
                start_ns: pause.start_ns,
                length_ns: pause.length_ns(),
            })
            .collect();

        let mut marks: Vec<(usize, usize, Pause)> = self
            .marks
            .into_iter()
            .map(|((second, series), pause)| (second, series, pause))
            .collect();
        marks.sort_by_key(|(_, _, pause)| Reverse(pause.length_ns()));
        marks.truncate(MOST_MARKS);
        marks.sort_by_key(|(_, _, pause)| pause.start_ns);
        self.digest.unmarked = self.in_seconds - marks.len() as u64;
        self.digest.marks = marks
            .iter()
            .map(|(second, series, pause)| Mark {
                second: *second as f64 + within(&self.measured[*second], pause.start_ns),
                pause: show(*series, pause),
            })
            .collect();
        let traced = self.digest.span();
        self.digest.blame = self.blame.finish(&Known {
            probe: &self.digest.meta,
            traced,
            kinds: &kinds,
            stacks: table,
            start_ns: self
                .measured
                .first()
                .map_or(traced.0, |second| second.start_ns),
        });
        self.digest
    }

    /// The place of a series, which is made for a name that the probe did not describe.
    fn place(&mut self, name: &str, pause: bool) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        let name = text::name(name);
        if let Some(place) = self.places.get(&name) {
            return Some(*place);
        }
        self.add_series(SeriesMeta {
            name,
            pause,
            ..SeriesMeta::default()
        })
    }

    fn add_series(&mut self, meta: SeriesMeta) -> Option<usize> {
        let place = self.digest.series.len();
        if place == MOST_SERIES || self.places.contains_key(&meta.name) {
            return None;
        }
        self.places.insert(meta.name.clone(), place);
        self.digest.series.push(SeriesDigest {
            meta,
            whole: recording::empty(),
            seconds: Vec::new(),
        });
        self.pending.push(None);
        self.longest.push(Vec::new());
        Some(place)
    }
}

impl SeriesDigest {
    fn close(&mut self, interval: Option<Interval>) {
        if let Some(interval) = interval.filter(|interval| !interval.histogram.is_empty()) {
            self.seconds.push(Second {
                start_ns: interval.start_monotonic_ns,
                length_ns: interval.length_ns,
                requests: interval.histogram.len(),
                p50_ns: quantile(&interval.histogram, 0.5),
                p99_ns: quantile(&interval.histogram, 0.99),
                p999_ns: quantile(&interval.histogram, 0.999),
                max_ns: maximum(&interval.histogram),
                heat: Vec::new(),
            });
        }
    }

    /// Whether its values are times.
    pub(crate) fn is_time(&self) -> bool {
        self.meta.unit == Unit::Nanoseconds
    }
}

/// The measured second in which an instant lies.
fn second_of(seconds: &[Second], ns: u64) -> Option<usize> {
    let after = seconds.partition_point(|second| second.start_ns <= ns);
    let place = after.checked_sub(1)?;
    (ns - seconds[place].start_ns < seconds[place].length_ns).then_some(place)
}

/// How far into a second an instant lies, 0 to 1.
fn within(second: &Second, ns: u64) -> f64 {
    let share = ns.saturating_sub(second.start_ns) as f64 / second.length_ns.max(1) as f64;
    share.clamp(0.0, 1.0)
}
