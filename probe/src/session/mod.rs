//! A session: one process traced, from attaching to detaching.
//!
//! The programs count in the kernel. Once an interval, [`Session::next`] reads what they have added
//! and gives it as a [`Tick`]; in between it only takes slow events from the ring buffer. Dropping
//! the session detaches everything, and so does the kernel if this process is killed: nothing of a
//! session outlives it.

mod accounting;
mod attached;
mod calibrating;
pub(crate) mod counters;
mod go;
mod incoming;
mod lives;
mod names;
mod options;
mod source;
pub(crate) mod usage;
mod user_sites;
mod windows;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use tailcut_probe_ebpf::records::{
    CallerKey, Event, Lost, VALID_ASSISTS, VALID_CALLS, VALID_PROBES, VALID_WORLD,
};
use tailcut_probe_ebpf::series::{FIRST_FIXED, Fixed};

use self::accounting::{Accounting, SAMPLE, Sample};
use self::attached::Attached;
use self::calibrating::Calibrating;
use self::counters::{Counters, Difference};
use self::go::GoTarget;
use self::incoming::Record;
use self::lives::Lives;
use self::names::Names;
pub use self::options::Options;
pub(crate) use self::options::threshold_of_pause;
use self::usage::Watched;
use self::user_sites::{Planned, UserSites};
use self::windows::{Seen, Windows};
use crate::binary::sites::{HitCosts, KernelRules};
use crate::binary::survey::{Survey, SurveyError, survey_with};
use crate::catalogue::{self, Group, Series};
use crate::programs::{Programs, ProgramsError, Settings};
use crate::record::About;
use crate::stacks::{StacksError, WeightKind};
use crate::system_calls;
use crate::target_choice::ProcessTable;
use crate::tick::{CallSite, Cost, LOSSES, SeriesTick, SlowEvent, Tick, Window};
use crate::user_probes::{UserProbesError, UserPrograms};
use tailcut_report::recording::{FloorEntry, StackTable, Target};

/// Why a session cannot begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The target is not there.
    #[error("there is no process {pid}: {source}")]
    NoProcess {
        /// Its number.
        pid: u32,
        /// What the kernel says.
        source: io::Error,
    },
    /// This process numbers processes otherwise than the kernel's programs do.
    #[error(
        "tailcut runs in a pid namespace of its own (a container), where process {pid} has another number than the \
         kernel's programs see: run it in the host's (`docker run --pid=host`, `nsenter -t 1 -p`)"
    )]
    Namespace {
        /// The number that was asked for.
        pid: u32,
    },
    /// It cannot be looked at, or is of a kind that cannot be traced.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The kernel refuses.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The kernel refuses the programs that serve probe sites.
    #[error(transparent)]
    UserProbes(#[from] UserProbesError),
    /// Waiting for events failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[source] io::Error),
}

/// A process that is traced.
pub struct Session {
    options: Options,
    pid: u32,
    watched: Watched,
    /// Before `programs`: hooks go before the maps that they use.
    attached: Attached,
    /// Probe sites in user space: attached and detached apart.
    windows: [Windows; SETS],
    user: Option<UserPrograms>,
    records: RingBuf<MapData>,
    programs: Programs,
    counters: Counters,
    series: Vec<(Series, String)>,
    target: Target,
    left_out: Vec<String>,
    /// How many CPUs the target kept busy in the last interval, at least one.
    busy_cpus: f64,
    lives: Lives,
    events: Vec<SlowEvent>,
    /// When the current interval began.
    since_ns: u64,
    deadline: Instant,
    before: Readings,
    ended: bool,
    /// When to look at the target's code again.
    look_again_at: Option<Instant>,
    accounting: Accounting,
    calibration: Calibrating,
    names: Option<Names>,
    go: Option<GoTarget>,
}

/// What is only known as a sum since the beginning.
#[derive(Debug, Clone, Copy, Default)]
struct Readings {
    target_cpu_ns: u64,
    own_cpu_ns: u64,
    losses: [u64; tailcut_probe_ebpf::records::LOST as usize],
}

impl Session {
    /// Attaches to process `pid`. The first interval begins when this returns.
    ///
    /// # Errors
    /// [`SessionError::NoProcess`] if there is none; [`SessionError::Survey`] if it cannot be looked
    /// at; [`SessionError::Programs`] if the kernel takes none of the programs: without privileges,
    /// say.
    pub fn attach(pid: u32, options: Options) -> Result<Session, SessionError> {
        let watched =
            Watched::open(pid).map_err(|source| SessionError::NoProcess { pid, source })?;
        if !in_first_pid_namespace() {
            return Err(SessionError::Namespace { pid });
        }
        let costs = HitCosts::default();
        let survey = survey_with(pid, KernelRules::running(), &costs)?;
        let mut programs = Programs::load(&Settings {
            target: pid,
            follow: options.follow,
            stacks: options.stacks,
            long_running_ns: options.long_running.as_nanos() as u64,
            lifetime_mask: options
                .lifetime_fraction
                .checked_next_power_of_two()
                .map_or(u64::MAX, |fraction| fraction - 1),
        })?;
        let user = if options.series.iter().any(Group::has_sites) {
            Some(programs.user_programs()?)
        } else {
            None
        };
        let (go, sites) = sites_of(&survey, &options, &costs);
        let mut left_out = sites.left_out.clone();
        let (series, windows) = prepare(&mut programs, pid, &options, go.as_ref(), sites)?;
        let records = programs.take_records()?;
        let attached = Attached::attach(&mut programs, &options.series)?;
        left_out.extend(attached.left_out.iter().cloned());
        // With the hooks attached: what is forked from now on is seen, what was before is listed.
        if options.follow {
            for process in descendants_of(pid) {
                if let Err(error) = programs.add_process(process) {
                    left_out.push(format!("process {process} and its like: {error}"));
                    break;
                }
            }
        }
        let calibration = Calibrating::start(windows.iter().any(|one| !one.is_empty()));
        // Without names a session is still worth having.
        let names = match Names::new(pid) {
            Ok(names) => Some(names),
            Err(error) => {
                left_out.push(format!("names of functions: {error}"));
                None
            }
        };
        let before = Readings {
            target_cpu_ns: watched.cpu_ns(),
            own_cpu_ns: usage::own_cpu_ns(),
            ..Readings::default()
        };
        let mut session = Session {
            deadline: Instant::now() + options.interval,
            options,
            pid,
            watched,
            attached,
            windows,
            user,
            records,
            programs,
            counters: Counters::new(),
            series,
            target: target_of(&survey),
            left_out,
            busy_cpus: 1.0,
            lives: Lives::default(),
            events: Vec::new(),
            since_ns: usage::now(),
            before,
            ended: false,
            look_again_at: None,
            accounting: Accounting::new(),
            calibration,
            names,
            go,
        };
        session.step()?;
        // Whoever attached may be busy for a while before the first interval is asked for.
        windows::prefer_this_thread(false);
        Ok(session)
    }

    /// The target's process number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When the current interval began: `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn interval_start_ns(&self) -> u64 {
        self.since_ns
    }

    /// The target, as it was when it was attached to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Calls of each allocating series by size, since the session began: the n-th number is of those
    /// of at least 2^n bytes, and less than twice that.
    ///
    /// # Errors
    /// [`SessionError::Programs`] if the kernel no longer answers.
    pub fn sizes(&self) -> Result<Vec<(String, Vec<u64>)>, SessionError> {
        self.series
            .iter()
            .filter_map(|(series, name)| Some((sizes_row(series)?, name)))
            .map(|(row, name)| Ok((name.clone(), self.programs.sizes(row)?)))
            .collect()
    }

    /// What was asked for and cannot be had, with the reason.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What a recording says of this session.
    pub fn about(&self) -> About {
        About {
            target: self.target.clone(),
            left_out: self.left_out.clone(),
            floor: self.floor_entries(),
            // Without them the rest of a recording is still true.
            sizes: self.sizes().unwrap_or_default(),
            ..About::default()
        }
    }

    /// What hits of probe sites cost here, and what the shortest call seems to take.
    fn floor_entries(&self) -> Vec<FloorEntry> {
        let Some(measured) = self.calibration.measured() else {
            return Vec::new();
        };
        let entry = |site: &str, ns: u64| FloorEntry {
            site: site.to_owned(),
            ns,
        };
        vec![
            entry("a hit that is called", u64::from(measured.hits.called)),
            entry("a hit that is emulated", u64::from(measured.hits.emulated)),
            entry(
                "a hit that is single-stepped",
                u64::from(measured.hits.single_stepped),
            ),
            entry(
                "the return of a call",
                u64::from(measured.hits.return_probe),
            ),
            entry("an empty function, entry called", measured.floors.called),
            entry(
                "an empty function, entry emulated",
                measured.floors.emulated,
            ),
            entry(
                "an empty function, entry single-stepped",
                measured.floors.single_stepped,
            ),
        ]
    }

    /// The stacks of all events so far, by the numbers that events refer to.
    pub fn take_stacks(&mut self) -> StackTable {
        self.names.as_mut().map(Names::table).unwrap_or_default()
    }

    /// The stacks of all events so far as folded lines, and as a flame graph in SVG.
    ///
    /// # Errors
    /// [`StacksError::NothingToDraw`] if no stack has come: none was asked for, or no event was slow.
    pub fn flame_graph(&mut self, kind: WeightKind) -> Result<(Vec<String>, Vec<u8>), StacksError> {
        match &mut self.names {
            Some(names) => names.flame_graph(kind),
            None => Err(StacksError::NothingToDraw {
                weight: kind.unit(),
            }),
        }
    }

    /// As [`Session::next`], but no later than `until`.
    ///
    /// # Errors
    /// As [`Session::next`].
    pub fn next_before(
        &mut self,
        stop: &AtomicBool,
        until: Option<Instant>,
    ) -> Result<Option<Tick>, SessionError> {
        if let Some(until) = until {
            self.deadline = self.deadline.min(until);
        }
        self.next(stop)
    }

    /// Waits for the end of the interval, of the target, or until `stop` is set, and says what was
    /// seen. After a tick that [ended](Tick::ended) there are none.
    ///
    /// # Errors
    /// [`SessionError`] if the kernel no longer answers.
    pub fn next(&mut self, stop: &AtomicBool) -> Result<Option<Tick>, SessionError> {
        if self.ended {
            return Ok(None);
        }
        while !self.is_over() && !stop.load(Ordering::Relaxed) {
            // Woken by a signal, `stop` may be set before the wait begins: so it is a short one.
            self.watch(Duration::from_millis(100))?;
        }
        self.end_interval().map(Some)
    }

    /// Whether the current interval, or the target, has come to its end.
    fn is_over(&self) -> bool {
        self.ended || Instant::now() >= self.deadline
    }

    /// Takes what comes for a while, or until the interval is over.
    fn watch(&mut self, patience: Duration) -> Result<(), SessionError> {
        let now = Instant::now();
        let mut wake = self.deadline.min(now + patience);
        let steps = self.windows.iter().filter_map(Windows::next_step);
        for next in steps.chain(self.attached.next_step()) {
            wake = wake.min(next);
        }
        self.ended |= self.wait(wake.saturating_duration_since(now))?;
        self.take_records();
        self.step()
    }

    fn end_interval(&mut self) -> Result<Tick, SessionError> {
        self.take_records();
        let tick = self.tick()?;
        // A late reader gets a longer interval, not a burst of short ones.
        self.deadline = (self.deadline + self.options.interval).max(Instant::now());
        Ok(tick)
    }

    /// The target executes another program: its code is looked at once more, as soon as its
    /// libraries have been loaded.
    fn look_again(&mut self) -> Result<(), SessionError> {
        const UNTIL_LOADED: Duration = Duration::from_millis(200);
        if std::mem::take(&mut self.lives.executed) {
            self.look_again_at = Some(Instant::now() + UNTIL_LOADED);
        }
        if self.look_again_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.look_again_at = None;
        // What is attached to the old program's files goes first: sites get its numbers, and nobody
        // looks at an open window while the files are read.
        for windows in &mut self.windows {
            *windows = Windows::new("", VALID_CALLS, self.pid, self.options.budget, Vec::new());
        }
        let costs = match self.calibration.measured() {
            Some(measured) => measured.hits,
            None => HitCosts::default(),
        };
        let survey = match survey_with(self.pid, KernelRules::running(), &costs) {
            Ok(survey) => survey,
            // It ended: that is noticed elsewhere.
            Err(_) => return Ok(()),
        };
        if let Some(names) = &mut self.names {
            names.refresh();
        }
        let (go, sites) = sites_of(&survey, &self.options, &costs);
        self.left_out = sites.left_out.clone();
        self.left_out.extend(self.attached.left_out.iter().cloned());
        self.target = target_of(&survey);
        let (pid, options) = (self.pid, &self.options);
        (self.series, self.windows) =
            prepare(&mut self.programs, pid, options, go.as_ref(), sites)?;
        self.go = go;
        for windows in &mut self.windows {
            windows.forget_hits(&self.programs)?;
        }
        Ok(())
    }

    /// Opens and closes windows.
    fn step(&mut self) -> Result<(), SessionError> {
        self.look_again()?;
        match self.accounting.step(&self.programs) {
            Sample::None => {}
            // What rests would cost what it costs while it does not.
            Sample::Began => self.attached.attach_all(&mut self.programs, SAMPLE)?,
            Sample::Ended => {
                let allowed = self.options.budget * self.busy_cpus * 1e9;
                self.attached.judge(&self.accounting.by_program, allowed);
            }
        }
        self.attached.step(&mut self.programs)?;
        if let Some(measured) = self.calibration.step() {
            self.accounting.empty_ns = measured.empty_program_ns;
            for windows in &mut self.windows {
                windows.recost(&measured.hits);
            }
        }
        let Session {
            windows,
            user: Some(user),
            programs,
            left_out,
            busy_cpus,
            watched,
            ..
        } = self
        else {
            return Ok(());
        };
        for one in windows {
            let worked = one.failed.is_none();
            one.step(user, programs, watched, *busy_cpus)?;
            if worked && let Some(reason) = &one.failed {
                left_out.push(reason.clone());
            }
            if let Some(reason) = one.refused.take()
                && !left_out.contains(&reason)
            {
                left_out.push(reason);
            }
        }
        Ok(())
    }

    /// Waits for records or for the target's end. Says whether the target has ended.
    fn wait(&self, timeout: Duration) -> Result<bool, SessionError> {
        let mut waiting = [
            libc::pollfd {
                fd: self.watched.handle().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            },
            libc::pollfd {
                fd: self.records.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            },
        ];
        let milliseconds = timeout.as_millis().max(1) as i32;
        // SAFETY: the array outlives the call, which is told its length.
        let ready = unsafe { libc::poll(waiting.as_mut_ptr(), waiting.len() as u64, milliseconds) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(false),
                _ => Err(SessionError::Wait(error)),
            };
        }
        Ok(waiting[0].revents != 0)
    }

    fn take_records(&mut self) {
        let Session {
            records,
            lives,
            events,
            pid,
            names,
            series,
            ..
        } = self;
        incoming::drain(records, |record| match record {
            Record::Slow(event) => {
                if let Some(names) = names
                    && event.id != 0
                {
                    names.expect(event.id, events.len());
                }
                events.extend(slow_event(&event, series));
            }
            Record::Life(event) => lives.take(*pid, &event),
            Record::Stack(stack) => {
                if let Some(names) = names {
                    names.take(&stack, events);
                }
            }
        });
    }

    /// The busiest places in the target's code.
    fn call_sites(&mut self) -> Result<Vec<CallSite>, SessionError> {
        const MOST: usize = 20;
        let Some(names) = &mut self.names else {
            return Ok(Vec::new());
        };
        if self.windows[0].is_empty() {
            return Ok(Vec::new());
        }
        let mut callers = self.programs.callers()?;
        callers.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.calls));
        callers.truncate(MOST);
        // In their place allocations of Go have the type of what is allocated.
        let is_type = |key: &CallerKey| key.series == Fixed::GoAlloc as u32;
        let addresses: Vec<u64> = callers
            .iter()
            .map(|(key, _)| if is_type(key) { 0 } else { key.caller })
            .collect();
        let mut symbols = names.of_return_addresses(&addresses);
        if let Some(go) = &mut self.go {
            for ((key, _), symbol) in callers.iter().zip(&mut symbols) {
                if is_type(key) {
                    *symbol = go.type_name(key.caller);
                }
            }
        }
        let sites = callers
            .into_iter()
            .zip(symbols)
            .map(|((key, totals), symbol)| {
                let series = self
                    .series
                    .iter()
                    .find(|(series, _)| series.number == key.series)
                    .map_or_else(|| "lifetime".to_owned(), |(_, name)| name.clone());
                CallSite {
                    series,
                    address: key.caller,
                    symbol,
                    calls: totals.calls,
                    bytes: totals.bytes,
                    total_ns: totals.total_ns,
                    mean_lifetime_ns: totals.lifetime_ns.checked_div(totals.lifetimes),
                }
            });
        Ok(sites.collect())
    }

    fn take_windows(&mut self) -> Result<([Seen; SETS], Vec<Window>), SessionError> {
        let mut all = Vec::new();
        let mut seen = [Seen::default(); SETS];
        for (set, seen) in self.windows.iter_mut().zip(&mut seen) {
            let (of_set, closed) = set.take(&self.programs, &self.watched, self.busy_cpus)?;
            *seen = of_set;
            all.extend(closed);
        }
        Ok((seen, all))
    }

    fn tick(&mut self) -> Result<Tick, SessionError> {
        let now = usage::now();
        let length_ns = now.saturating_sub(self.since_ns);
        let readings = Readings {
            // It can no longer be read once the target has ended.
            target_cpu_ns: self.watched.cpu_ns().max(self.before.target_cpu_ns),
            own_cpu_ns: usage::own_cpu_ns(),
            losses: self.programs.losses()?,
        };
        let before = std::mem::replace(&mut self.before, readings);
        let target_cpu_ns = readings.target_cpu_ns - before.target_cpu_ns;
        let (seen, windows) = self.take_windows()?;
        let mut series = Vec::with_capacity(self.series.len());
        for (one, name) in &self.series {
            let floor_ns = (self.windows.iter())
                .find_map(|set| set.entry_of(one.number))
                .map_or(0, |entry| self.calibration.floors().of(entry));
            let difference = match &mut self.go {
                Some(go) if one.is_of_runtime() => Difference::of_runtime(go, one.number),
                _ => self
                    .counters
                    .difference(&self.programs, one.number, floor_ns)?,
            };
            let sampled = match set_of(one) {
                Some(set) => seen[set].share(target_cpu_ns),
                // The runtime follows one in eight of a goroutine's waits: `gTrackingPeriod`.
                None if one.number == Fixed::GoSchedulerLatency as u32 => 1.0 / 8.0,
                None => self.attached.seen(one.group, length_ns),
            };
            series.push(SeriesTick {
                name: name.clone(),
                series: one.clone(),
                histogram: difference.histogram,
                total: difference.total,
                bytes: difference.bytes,
                sampled,
                floor_ns,
                under_floor: difference.under_floor,
            });
        }
        if let Some(names) = &mut self.names {
            names.forget_waiting();
        }
        let call_sites = self.call_sites()?;
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.end_ns);
        let rates = self.accounting.rates();
        let seconds = length_ns as f64 * 1e-9;
        let (runs, programs_ns) = (rates.runs * seconds, self.attached.cost_ns(length_ns));
        // The budget of a target that is idle is a share of one CPU: of nothing it would be nothing.
        let reference_ns = target_cpu_ns.max(length_ns).max(1);
        self.busy_cpus = reference_ns as f64 / length_ns.max(1) as f64;
        let hits = seen.iter().map(|seen| seen.hits).sum();
        let traps_ns = seen.iter().map(|seen| seen.traps_ns).sum::<u64>();
        let tick = Tick {
            start_ns: self.since_ns,
            length_ns,
            series,
            events,
            call_sites,
            cost: Cost {
                runs: runs as u64,
                programs_ns: programs_ns as u64,
                hits,
                traps_ns,
                share: (programs_ns + traps_ns as f64) / reference_ns as f64,
                budget: self.options.budget,
                own_cpu_ns: readings.own_cpu_ns.saturating_sub(before.own_cpu_ns),
                own_rss_bytes: usage::own_rss_bytes(),
            },
            threads: self.watched.threads(),
            target_cpu_ns,
            target_rss_bytes: self.watched.rss_bytes(),
            lost: lost(&readings.losses, &before.losses),
            windows,
            lives: self.lives.take_all(),
            ended: self.ended,
        };
        self.since_ns = now;
        self.attached.begin_interval();
        Ok(tick)
    }
}

/// Sets of probe sites in user space, each attached and detached by itself.
const SETS: usize = 4;
/// What is attached, and the number under which the programs know since when it is.
const SET_NAMES: [(&str, u32); SETS] = [
    ("allocator calls", VALID_CALLS),
    ("static probes", VALID_PROBES),
    ("stops of the world", VALID_WORLD),
    ("marking", VALID_ASSISTS),
];

/// The set that a series' sites are in.
fn set_of(series: &Series) -> Option<usize> {
    match series.group {
        group if group.is_windowed() => Some(0),
        Group::Pool => Some(1),
        Group::Gc if series.number == Fixed::GcWorker as u32 => Some(3),
        Group::Gc if series.process_wide || series.name == "gc_cycle" => Some(2),
        Group::Gc if series.is_of_runtime() => None,
        Group::Gc => Some(3),
        _ => None,
    }
}

/// The row of a series among those that count sizes, if it has one.
fn sizes_row(series: &Series) -> Option<u32> {
    match series.group {
        Group::Malloc => Some(series.number),
        Group::GoAlloc if series.number == Fixed::GoAlloc as u32 => Some(FIRST_FIXED),
        _ => None,
    }
}

/// The Go program in a process, if there is one, and all sites that are wanted.
fn sites_of(survey: &Survey, options: &Options, costs: &HitCosts) -> (Option<GoTarget>, UserSites) {
    let (go, refused) = match GoTarget::of(survey, &options.series) {
        Ok(go) => (go, None),
        Err(reason) => (None, Some(reason)),
    };
    let mut sites = UserSites::of(survey, go.as_ref(), &options.series, costs);
    sites.left_out.extend(refused);
    (go, sites)
}

/// Whether processes have the same numbers here as in the kernel's programs.
fn in_first_pid_namespace() -> bool {
    // `PROC_PID_INIT_INO` in the kernel's `include/linux/proc_ns.h`.
    const FIRST: &str = "pid:[4026531836]";
    // Where it cannot be told, nobody has made another.
    std::fs::read_link("/proc/self/ns/pid").map_or(true, |name| name.as_os_str() == FIRST)
}

/// Processes that `pid` has forked already, and those that they have.
fn descendants_of(pid: u32) -> Vec<u32> {
    let all = ProcessTable::here().all().unwrap_or_default();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        found.extend(
            all.iter()
                .filter(|process| process.parent == parent)
                .map(|process| process.pid),
        );
    }
    found.remove(0);
    found
}

/// Tells the programs of the sites and thresholds; gives the series and the windows.
#[allow(
    clippy::type_complexity,
    reason = "both belong to the session and to nobody else"
)]
fn prepare(
    programs: &mut Programs,
    pid: u32,
    options: &Options,
    go: Option<&GoTarget>,
    sites: UserSites,
) -> Result<(Vec<(Series, String)>, [Windows; SETS]), ProgramsError> {
    for planned in &sites.planned {
        programs.set_site(planned.at.cookie as u32, planned.site)?;
    }
    let series = series_of(options, go, &sites);
    for (series, _) in &series {
        programs.set_threshold(series.number, options.threshold_of(series))?;
    }
    let mut sets: [Vec<Planned>; SETS] = Default::default();
    for planned in sites.planned {
        let series = catalogue::of_number(planned.site.series);
        if let Some(set) = series.as_ref().and_then(set_of) {
            sets[set].push(planned);
        }
    }
    let mut named = SET_NAMES.into_iter();
    let windows = sets.map(|sites| {
        let (name, valid) = named.next().expect("as many names as sets");
        Windows::new(name, valid, pid, options.budget, sites)
    });
    Ok((series, windows))
}

/// The series that have a hook, with their names.
fn series_of(options: &Options, go: Option<&GoTarget>, sites: &UserSites) -> Vec<(Series, String)> {
    catalogue::all()
        .into_iter()
        .filter(|series| options.series.has(series.group))
        .filter(|series| match series.group {
            _ if series.is_of_runtime() => go.is_some_and(|go| go.counts(series.number)),
            // Three series are counted at the same sites.
            Group::Gc if set_of(series) == Some(2) => {
                sites.series.contains(&(Fixed::GcStwOther as u32))
            }
            // Lives are those of sites that are named otherwise.
            group if group.has_sites() => {
                series.name == "lifetime" || sites.series.contains(&series.number)
            }
            _ => true,
        })
        .map(|series| {
            let name = match series.allocator {
                Some(number) if sites.allocators.len() > 1 => {
                    format!("{}@{}", series.name, sites.allocators[number as usize])
                }
                _ => series.name.to_owned(),
            };
            let stands_still = go.is_some_and(|go| go.stands_still_in(series.number));
            let process_wide = series.process_wide || stands_still;
            (
                Series {
                    process_wide,
                    ..series
                },
                name,
            )
        })
        .collect()
}

fn target_of(survey: &Survey) -> Target {
    Target {
        process: survey.process.pid,
        name: survey.process.name.clone(),
        executable: survey
            .process
            .executable
            .as_ref()
            .map(|path| crate::binary::printable(path.as_os_str().as_encoded_bytes()))
            .unwrap_or_default(),
        command: vec![survey.process.command_line.clone()],
        allocators: survey
            .allocators
            .iter()
            .map(|one| match &one.allocator.version {
                Some(version) => format!("{} {version}", one.allocator.family),
                None => one.allocator.family.to_string(),
            })
            .collect(),
        threads: survey.process.threads,
    }
}

/// `known` are the session's series with their names: an event bears its series' name, the allocator's included.
fn slow_event(event: &Event, known: &[(Series, String)]) -> Option<SlowEvent> {
    let series = catalogue::of_number(event.series)?;
    let named = known.iter().find(|(one, _)| one.number == event.series);
    let by = match event.by_thread {
        0 if series.group.is_of_go() => go::by(&series, event.detail),
        0 if series.detail == Some("system call") => {
            let number = event.detail as u32;
            Some(match (number as i32, system_calls::name(number)) {
                (-1, _) => "a page fault or an interrupt".to_owned(),
                (_, Some(name)) => name.to_owned(),
                (_, None) => format!("system call {number}"),
            })
        }
        0 => None,
        thread => Some(format!("{}/{thread}", printable(&event.by_name))),
    };
    Some(SlowEvent {
        series: event.series,
        name: named.map_or_else(|| series.name.to_owned(), |(_, name)| name.clone()),
        pause: series.pause,
        process: event.process,
        thread: event.thread,
        cpu: event.cpu,
        start_ns: event.start_ns,
        end_ns: event.end_ns,
        detail: event.detail,
        bytes: (series.detail == Some("bytes")).then_some(event.detail),
        by,
        caller: (event.caller != 0).then_some(event.caller),
        stack: None,
    })
}

/// A thread names itself as it likes.
fn printable(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&name[..end.unwrap_or(name.len())])
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn lost(now: &[u64], before: &[u64]) -> Vec<(&'static str, u64)> {
    const KINDS: [Lost; LOSSES.len()] = [
        Lost::EventsOverRate,
        Lost::EventsRingFull,
        Lost::Stacks,
        Lost::Threads,
        Lost::Callers,
        Lost::Objects,
        Lost::Returns,
    ];
    LOSSES
        .into_iter()
        .zip(KINDS)
        .map(|(name, kind)| {
            let kind = kind as usize;
            (name, now[kind].saturating_sub(before[kind]))
        })
        .filter(|(_, count)| *count != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_thread_name_is_made_printable() {
        assert_eq!(printable(b"evil\x1b[2J\0rest"), "evil?[2J");
        assert_eq!(printable(b"0123456789abcdef"), "0123456789abcdef");
    }

    #[test]
    fn only_what_was_lost_in_the_interval_is_said() {
        let mut now = [5; 7];
        now[2] = 9;
        assert_eq!(lost(&now, &[5; 7]), [("stacks", 4)]);
    }
}
