//! The calling thread's part in a run: seats the threads, starts them together, writes what they
//! hand over, ends them.

use super::ClockFacts;
use super::interval::{Interval, Timeline};
use super::outcome::{self, RunOutcome};
use super::placement::Placement;
use super::pool_watch::{PoolWatch, Watched};
use super::recorder::{self, LiveSecond, Recorder};
use super::stage::Stage;
use super::stalls::Found;
use super::tally::{Exchange, Totals};
use super::warmup::Judge;
use super::watch::Watch;
use crate::clock::{Clock, Nanos, monotonic_ns};
use crate::error::LoadError;
use crate::host;
use crate::order::generate::Corpus;
use crate::plan::{Form, RunPlan};
use crate::scenario::WarmUp;
use crate::scenario::beside::Beside;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;
use tailcut_report::recording::{ClockPair, State, Writer};

/// How often the calling thread looks for finished intervals and for the stop flag.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A run before its threads are known.
pub(crate) struct Run<'a, C> {
    pub(crate) plan: &'a RunPlan,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) on_second: &'a mut dyn FnMut(&LiveSecond),
    pub(crate) beside: &'a Beside,
    pub(crate) clock: &'a C,
    pub(crate) facts: ClockFacts,
    pub(crate) placement: Placement,
    pub(crate) corpus: &'a Corpus,
}

/// Whether a thread completes requests, and so records them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The first half of the handoff form.
    Front,
    /// A whole service, or the second half.
    Recording,
}

/// One thread's place in the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// Which service, from 0.
    pub(crate) service: u32,
    pub(crate) cpu: u32,
    pub(crate) part: Part,
}

impl Seat {
    /// Its place among all threads of the run.
    pub(crate) fn index(&self, plan: &RunPlan) -> usize {
        match (plan.form, self.part) {
            (Form::Inline, _) => self.service as usize,
            (Form::Handoff, Part::Front) => 2 * self.service as usize,
            (Form::Handoff, Part::Recording) => 2 * self.service as usize + 1,
        }
    }
}

/// What a recording thread is given.
pub(crate) struct Recording {
    pub(crate) first: Box<Interval>,
    pub(crate) exchange: Exchange,
}

/// What a thread leaves behind.
#[derive(Debug, Default)]
pub(crate) struct ThreadEnd {
    pub(crate) totals: Totals,
    pub(crate) found: Found,
    /// Of the rehearsal; nothing from a front, or if it was halted.
    pub(crate) checksum: Option<u64>,
    /// Windows settled since the schedule began.
    pub(crate) settled: u64,
}

type Body<'b> =
    &'b (dyn Fn(&Seat, &Stage, Option<Recording>) -> Result<ThreadEnd, LoadError> + Sync);

impl<C: Clock> Run<'_, C> {
    /// Runs `body` once per seat, each on a thread of its own, and records what they do.
    pub(crate) fn conduct(
        self,
        seats: Vec<Seat>,
        pool: Option<&dyn Watched>,
        body: Body<'_>,
    ) -> Result<RunOutcome, LoadError> {
        let Run {
            plan,
            stop,
            on_second,
            beside,
            clock,
            facts,
            placement,
            ..
        } = self;
        let pair = clock_pair(plan);
        let mut meta =
            outcome::meta_before(plan, &placement, &facts, pair, pool.map(Watched::path));
        let writer = Writer::create(&plan.out_dir, &meta)?;

        let stage = Stage::new(seats.len(), plan.services() as usize);
        let mut links = Vec::new();
        let mut recordings = Vec::new();
        for seat in &seats {
            recordings.push((seat.part == Part::Recording).then(|| {
                let (link, first, exchange) = recorder::link();
                links.push(link);
                Recording { first, exchange }
            }));
        }
        let confinement = placement.confine();

        let ended = thread::scope(|scope| {
            let _halt = stage.halt_on_panic();
            let mut handles = Vec::new();
            for (seat, recording) in seats.iter().zip(recordings) {
                let stage = &stage;
                let thread = move || {
                    let _halt = stage.halt_on_panic();
                    let end = body(seat, stage, recording);
                    if end.is_err() {
                        stage.halt();
                    }
                    end
                };
                let name = format!("load-{}", seat.cpu);
                match thread::Builder::new()
                    .name(name)
                    .spawn_scoped(scope, thread)
                {
                    Ok(handle) => handles.push(handle),
                    Err(cause) => {
                        stage.halt();
                        return Err(LoadError::Spawn(cause));
                    }
                }
            }
            let threads = wait_until_ready(&stage, &handles, stop);
            let timeline = match timeline(plan, &pair) {
                Ok(timeline) => timeline,
                Err(missed) => {
                    stage.halt();
                    meta.state = State::Partial;
                    meta.state_reason = Some(missed.to_string());
                    writer.finish(&meta)?;
                    return Err(missed);
                }
            };
            stage.begin(timeline);
            let judge = match plan.warmup {
                WarmUp::Auto { at_most } => Some(Judge::new(timeline.begin, at_most, links.len())),
                WarmUp::Fixed(_) => None,
            };
            let recorder = Recorder::new(links, writer, timeline, judge);
            let mut watch = Watch::new(plan, &stage, timeline, placement.workers.clone(), &threads);
            let mut pool = PoolWatch::new(pool);
            let beside = (beside, &mut pool);
            let (recorder, halted) =
                attend(recorder, &mut watch, &handles, stop, on_second, beside);
            let ends: Vec<_> = handles.into_iter().map(ScopedJoinHandle::join).collect();
            Ok(outcome::Ended {
                timeline: watch.timeline,
                warm_up: watch.warm_up,
                recorder,
                halted,
                steal: watch.stolen(),
                pool: pool.sizing(),
                ends,
            })
        })?;
        drop(confinement);
        outcome::conclude(plan, &mut meta, ended, clock.drift(), facts.refused)
    }
}

/// The log's resolution: recorded seconds start at whole milliseconds of the recording.
const MILLISECOND: u64 = 1_000_000;

/// When the recording is said to begin: now, or, before an agreed start, less than a millisecond ago, so that the
/// recorded part begins at a whole millisecond.
fn clock_pair(plan: &RunPlan) -> ClockPair {
    let pair = host::clock_pair();
    let Some(start_at) = plan.start_at_unix_ns else {
        return pair;
    };
    let record = start_at + fixed_warm_up(plan).0;
    let back = (pair.unix_ns + MILLISECOND - record % MILLISECOND) % MILLISECOND;
    ClockPair {
        monotonic_ns: pair.monotonic_ns - back,
        unix_ns: pair.unix_ns - back,
    }
}

/// What is known of the warm-up before the run.
fn fixed_warm_up(plan: &RunPlan) -> Nanos {
    match plan.warmup {
        WarmUp::Fixed(length) => length,
        WarmUp::Auto { .. } => Nanos(0),
    }
}

/// When a run begins: at the instant agreed, or 20 ms from now, enough for every thread to wake up.
///
/// # Errors
/// The rehearsal took until after the instant agreed.
fn timeline(plan: &RunPlan, pair: &ClockPair) -> Result<Timeline, LoadError> {
    let warmup = fixed_warm_up(plan);
    let now = monotonic_ns();
    let begin = if let Some(start_at) = plan.start_at_unix_ns {
        let begin = pair.monotonic_ns + start_at.saturating_sub(pair.unix_ns);
        if begin < now + MILLISECOND {
            let late = Nanos(now + MILLISECOND - begin);
            return Err(LoadError::NotReadyInTime { late });
        }
        begin
    } else {
        let earliest = now + 20 * MILLISECOND + warmup.0;
        let waited = (earliest - pair.monotonic_ns).next_multiple_of(MILLISECOND);
        pair.monotonic_ns + waited - warmup.0
    };
    Ok(match plan.warmup {
        WarmUp::Fixed(_) => Timeline::new(Nanos(begin), warmup, plan.duration),
        WarmUp::Auto { .. } => Timeline::undecided(Nanos(begin), plan.duration),
    })
}

type Handle<'s> = ScopedJoinHandle<'s, Result<ThreadEnd, LoadError>>;

/// Waits for the rehearsals. The ready threads' ids; fewer if the run is over before it began.
fn wait_until_ready(stage: &Stage, handles: &[Handle<'_>], stop: &AtomicBool) -> Vec<u32> {
    loop {
        if let Some(threads) = stage.all_ready() {
            return threads;
        }
        if stop.load(Ordering::Relaxed) {
            stage.halt();
        }
        if stage.halt.load(Ordering::Relaxed) || handles.iter().any(ScopedJoinHandle::is_finished) {
            stage.halt();
            return Vec::new();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Records until every thread has ended. Returns whether the run was halted.
fn attend(
    mut recorder: Recorder,
    watch: &mut Watch<'_>,
    handles: &[Handle<'_>],
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    (beside, pool): (&Beside, &mut PoolWatch<'_>),
) -> (Recorder, bool) {
    loop {
        // Asked before the drain: what a thread handed over before it ended is then drained.
        let over = handles.iter().all(ScopedJoinHandle::is_finished);
        let writable = recorder.drain();
        if stop.load(Ordering::Relaxed) || !writable {
            watch.stage.halt();
        }
        if let Some((end, earliest)) = recorder.verdict(Nanos(monotonic_ns())) {
            let second = watch.stage.decision.make(earliest);
            let timeline = watch.timeline.recording_from(second);
            (watch.timeline, watch.warm_up) = (timeline, end);
            recorder.begin_recording(timeline, end);
        }
        let known = watch.timeline.is_decided();
        recorder.beside(&beside.turn(known.then_some(watch.timeline.record)));
        if known && let Some(sample) = pool.turn(Nanos(monotonic_ns()), &watch.timeline) {
            recorder.pool(sample);
        }
        if let Some(second) = watch.second(&mut recorder) {
            on_second(&second);
        }
        if over {
            recorder.beside(&beside.finish());
            recorder.close_all();
            return (recorder, watch.stage.halt.load(Ordering::Relaxed));
        }
        thread::sleep(LOOK_EVERY);
    }
}
