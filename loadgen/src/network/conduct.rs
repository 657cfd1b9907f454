//! The calling thread's part in a run: checks what can be checked, starts the workers, writes what they
//! hand over, decides when the warm-up ends, ends them.
//!
//! **Where the workers run.** As within the process they take the highest processors, one each, and all
//! other threads of this process keep off those. The target, if it is on this machine, may run anywhere:
//! the kernel gives it the processors that no worker keeps busy. Where the workers take every processor
//! and the target is on this machine, they are not bound, and never spin ([`worker`](super::worker)).

use super::outcome::{self, Ended};
use super::protocols::{WithSessions, dispatch};
use super::recorder::{Recorder, link};
use super::seat::{Seat, lock, share};
use super::session::MakeSession;
use super::target::NetworkTarget;
use super::timeline::{HaltOnPanic, Shared, Timeline};
use super::tls::TlsClient;
use super::warming::Warming;
use super::watch::Watch;
use super::worker::{Settings, WorkerEnd};
use super::{address, descriptors};
use crate::clock::{self, Clock, Nanos, monotonic_ns};
use crate::engine::interval::histogram;
use crate::engine::placement::{Placement, only_run};
use crate::engine::{ClockFacts, LiveSecond, RunOutcome};
use crate::error::LoadError;
use crate::host;
use crate::plan::Labels;
use crate::scenario::beside::Beside;
use crate::scenario::{Scenario, ScenarioError, Shard, WarmUp};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;
use tailcut_report::recording::{ClockPair, Writer};

/// How often the calling thread looks for finished seconds and for the stop flag.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// From the moment when all connections stand to the start of the schedule: every thread is awake by then.
const RUN_UP: Nanos = Nanos(20_000_000);

/// Loads a server as `scenario` says, and leaves the recording in `dir`.
///
/// `target` is the scenario's, or stands for it (a proxy in front of it); the recording names the
/// scenario's. All connections are made
/// before the schedule begins. See [`crate::scenario::run`] for what else is common to all runs, and
/// the module's head for how requests without an answer count.
///
/// # Errors
/// A scenario that cannot run; a target whose name is not known or to which not all connections can
/// be made within the timeout; too few file descriptors; a recording that cannot be written.
pub fn run(
    scenario: &Scenario,
    target: &NetworkTarget,
    dir: &Path,
    labels: &Labels,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
) -> Result<RunOutcome, LoadError> {
    let nothing = Beside::nothing();
    run_beside(scenario, target, dir, labels, stop, on_second, &nothing)
}

/// As [`run`], with faults and samples that go on beside the load.
///
/// # Errors
/// As [`run`].
pub fn run_beside(
    scenario: &Scenario,
    target: &NetworkTarget,
    dir: &Path,
    labels: &Labels,
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
) -> Result<RunOutcome, LoadError> {
    let _alone = only_run();
    check(scenario)?;
    let address = beside.via().map_or_else(|| address::resolve(target), Ok)?;
    descriptors::ensure(scenario.connections)?;
    let placement = Placement::choose(scenario.workers, scenario.pin)?;
    let crowded = address::is_local(address) && placement.others.is_empty();
    let tls = target
        .tls
        .then(|| TlsClient::new(target, &scenario.tls))
        .transpose()?;
    let settings = Settings {
        address,
        tls: tls.clone(),
        transport: target.transport,
        target: target.to_string(),
        connections: 0,
        pipeline: scenario.pipeline,
        timeout: scenario.timeout,
        spin: !crowded,
        pin: !crowded && scenario.pin,
    };
    let job = Job {
        scenario,
        target,
        dir,
        labels,
        stop,
        on_second,
        beside,
        placement,
        settings,
    };
    dispatch(scenario, target, tls.as_ref(), job)?
}

/// Refuses what cannot run.
fn check(scenario: &Scenario) -> Result<(), ScenarioError> {
    let refuse = |reason: String| Err(ScenarioError::Refused(reason));
    let (connections, workers) = (scenario.connections, scenario.workers);
    if scenario.duration.0 == 0 {
        return refuse(
            "a duration of 0 leaves nothing to measure; give for example 10s".to_owned(),
        );
    }
    if connections < workers {
        return refuse(format!(
            "{connections} connections cannot be shared by {workers} workers; give at least one each"
        ));
    }
    if scenario.pipeline == 0 {
        return refuse("a pipeline of 0 sends nothing; give at least 1".to_owned());
    }
    if scenario.timeout.0 == 0 {
        return refuse("a timeout of 0 leaves no time to answer; give for example 5s".to_owned());
    }
    if let Some(Shard { index, of }) = scenario.shard
        && index >= of
    {
        return refuse(format!(
            "there is no shard {index} of {of}; they are counted from 0"
        ));
    }
    if let Some(start) = scenario.start_at_unix_ns {
        let now = host::clock_pair().unix_ns;
        if start <= now {
            return refuse(format!("the start lies {} in the past", Nanos(now - start)));
        }
    }
    Ok(())
}

/// A run before its protocol is known.
struct Job<'a> {
    scenario: &'a Scenario,
    target: &'a NetworkTarget,
    dir: &'a Path,
    labels: &'a Labels,
    stop: &'a AtomicBool,
    on_second: &'a mut dyn FnMut(&LiveSecond),
    beside: &'a Beside,
    placement: Placement,
    settings: Settings,
}

impl WithSessions for Job<'_> {
    type Output = Result<RunOutcome, LoadError>;

    fn with<M: MakeSession>(self, maker: M) -> Self::Output {
        let source = clock::Source::detect();
        let facts = ClockFacts {
            name: source.name(),
            cost_ns: source.cost_ns(),
            refused: match source {
                clock::Source::Tsc(_) => None,
                clock::Source::Monotonic(_, reason) => Some(reason),
            },
        };
        match source {
            clock::Source::Tsc(clock) => self.conduct(&maker, &clock, facts),
            clock::Source::Monotonic(clock, _) => self.conduct(&maker, &clock, facts),
        }
    }
}

type Handle<'s> = ScopedJoinHandle<'s, Result<WorkerEnd, LoadError>>;

impl Job<'_> {
    fn conduct<C: Clock, M: MakeSession>(
        self,
        maker: &M,
        clock: &C,
        facts: ClockFacts,
    ) -> Result<RunOutcome, LoadError> {
        let Job {
            scenario,
            dir,
            stop,
            on_second,
            beside,
            placement,
            settings,
            ..
        } = self;
        let workers = placement.workers.len();
        let shared = Shared::new(workers);
        // Connection times from before the schedule, of all workers.
        let before = Mutex::new(histogram());
        let confinement = settings.pin.then(|| placement.confine());
        let (links, exchanges): (Vec<_>, Vec<_>) = (0..workers).map(|_| link()).unzip();

        let ended = thread::scope(|scope| {
            let _halt = HaltOnPanic(&shared);
            let mut handles = Vec::new();
            let seats = placement.workers.iter().zip(exchanges).enumerate();
            for (index, (&cpu, exchange)) in seats {
                let seat = Seat {
                    index,
                    cpu,
                    scenario,
                    shared: &shared,
                    before: &before,
                    settings: Settings {
                        connections: share(scenario.connections, index, workers),
                        ..settings.clone()
                    },
                };
                let spawned = thread::Builder::new()
                    .name(format!("load-{cpu}"))
                    .spawn_scoped(scope, move || seat.work(clock, maker, exchange));
                match spawned {
                    Ok(handle) => handles.push(handle),
                    Err(cause) => {
                        shared.halt();
                        return Err(LoadError::Spawn(cause));
                    }
                }
            }
            let Some(threads) = wait_until_ready(&shared, &handles, stop) else {
                return Err(first_failure(handles));
            };
            let pair = host::clock_pair();
            let (begin, pair) = match begin(scenario, pair) {
                Ok(begin) => begin,
                Err(error) => {
                    shared.halt();
                    return Err(error.into());
                }
            };
            let timeline =
                Timeline::new(begin, scenario.warmup, scenario.duration, scenario.timeout);
            let mut meta = outcome::meta_before(&outcome::Before {
                scenario,
                target: self.target,
                labels: self.labels,
                placement: &placement,
                bound: settings.pin,
                facts: &facts,
                clock: pair,
            });
            let writer = match Writer::create(dir, &meta) {
                Ok(writer) => writer,
                Err(error) => {
                    shared.halt();
                    return Err(error.into());
                }
            };
            let timeline = shared.timeline.get_or_init(|| timeline);
            shared.wake();
            let before = std::mem::replace(&mut *lock(&before), histogram());
            let recorder = Recorder::new(links, writer, before);
            let mut watch = Watch::new(scenario, &shared, timeline, &placement.workers, &threads);
            let mut warming = Warming::new(scenario.warmup);
            let (recorder, halted) = attend(
                recorder,
                &mut watch,
                &mut warming,
                &handles,
                stop,
                on_second,
                beside,
            );
            meta.load.warmup_rule = warming.rule();
            let ends = handles.into_iter().map(ScopedJoinHandle::join).collect();
            Ok(Ended {
                meta,
                recorder,
                record: timeline.record(),
                end: timeline.end(),
                begin: timeline.begin,
                halted,
                steal: watch.stolen(),
                ends,
            })
        })?;
        drop(confinement);
        outcome::conclude(scenario, dir, ended, clock.drift(), facts.refused)
    }
}

/// When request 0 is due, and the clocks' pairing moved (by less than a millisecond) so that recorded
/// seconds start at whole milliseconds of the recording, which is the log's resolution.
fn begin(scenario: &Scenario, pair: ClockPair) -> Result<(Nanos, ClockPair), ScenarioError> {
    const MILLISECOND: u64 = 1_000_000;
    let earliest = monotonic_ns() + RUN_UP.0;
    let begin = match scenario.start_at_unix_ns {
        None => earliest,
        Some(start) => {
            let begin = pair
                .monotonic_ns
                .saturating_add(start.saturating_sub(pair.unix_ns));
            if start < pair.unix_ns || begin < earliest {
                return Err(ScenarioError::Refused(
                    "the connections stood only after the start; give a later one".to_owned(),
                ));
            }
            begin
        }
    };
    let warm_up = match scenario.warmup {
        WarmUp::Fixed(length) => length.0,
        WarmUp::Auto { .. } => 0,
    };
    let into = (begin + warm_up - pair.monotonic_ns) % MILLISECOND;
    let back = (MILLISECOND - into) % MILLISECOND;
    let pair = ClockPair {
        monotonic_ns: pair.monotonic_ns - back,
        unix_ns: pair.unix_ns - back,
    };
    Ok((Nanos(begin), pair))
}

/// Waits until all connections stand. The threads' ids; nothing if the run is over before it began.
fn wait_until_ready(
    shared: &Shared,
    handles: &[Handle<'_>],
    stop: &AtomicBool,
) -> Option<Vec<u32>> {
    loop {
        if let Some(threads) = shared.all_ready() {
            return Some(threads);
        }
        if stop.load(Ordering::Relaxed) {
            shared.halt();
        }
        if shared.halted() || handles.iter().any(ScopedJoinHandle::is_finished) {
            shared.halt();
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Why the workers did not get ready.
fn first_failure(handles: Vec<Handle<'_>>) -> LoadError {
    let mut failure = None;
    for (index, handle) in handles.into_iter().enumerate() {
        if let Err(error) = LoadError::of_thread(index, handle.join()) {
            failure = failure.or(Some(error));
        }
    }
    failure.unwrap_or_else(|| {
        ScenarioError::Refused("interrupted before the connections stood".to_owned()).into()
    })
}

/// Records until every worker has ended. Returns whether the run was halted.
fn attend(
    mut recorder: Recorder,
    watch: &mut Watch<'_>,
    warming: &mut Warming,
    handles: &[Handle<'_>],
    stop: &AtomicBool,
    on_second: &mut dyn FnMut(&LiveSecond),
    beside: &Beside,
) -> (Recorder, bool) {
    let (shared, timeline) = (watch.shared, watch.timeline);
    loop {
        // Asked before the drain: what a worker handed over before it ended is then drained.
        let over = handles.iter().all(ScopedJoinHandle::is_finished);
        let writable = recorder.drain(shared, timeline, &mut |second| warming.second(&second));
        if let Some(mark) = warming.decide(timeline, Nanos(monotonic_ns())) {
            recorder.mark(mark);
        }
        recorder.beside(&beside.turn(timeline.record()));
        if stop.load(Ordering::Relaxed) || !writable {
            shared.halt();
        }
        if let Some(second) = watch.second(&mut recorder) {
            on_second(&second);
        }
        if over {
            recorder.beside(&beside.finish());
            return (recorder, shared.halted());
        }
        thread::sleep(LOOK_EVERY);
    }
}
