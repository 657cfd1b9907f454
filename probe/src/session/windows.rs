//! Windows of tracing: probe sites that are attached only as long as the budget allows.
//!
//! A hit of a probe site costs a microsecond or ten, and an allocator is called millions of times a
//! second: so its sites are attached for a few thousand hits, then detached for as long as it takes
//! until that cost is within the budget. If the target calls so seldom that the budget holds, the
//! window stays open. A window is short (some milliseconds), since a busy thread runs many times
//! slower in it; each is recorded, so that whoever reads the recording can tell the probe's own
//! pauses from the target's.
//!
//! Sites are detached on threads of their own, one for each link: the kernel takes 30 to 50 ms to
//! make sure that no CPU is still inside a probe, though the traps go at once; but a site with two
//! links, one for the entry and one for the return, is a trap until both are closed.
//!
//! On a machine that is busy, a thread that should end a window after 4 ms may not run for 20. So
//! while a window is open this thread is one that the scheduler prefers to all ordinary ones
//! (`SCHED_FIFO`, if it may be); it then does nothing but look, once a millisecond, for microseconds.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tailcut_probe_ebpf::records::VALID_PROBES;

use super::usage::{self, Watched};
use super::user_sites::Planned;
use crate::binary::sites::{HitCost, HitCosts};
use crate::programs::{Programs, ProgramsError};
use crate::tick::Window;
use crate::user_probes::{SiteAt, UserProbesError, UserProgram, UserPrograms};

/// A window ends after so many hits, if they come quickly.
const MOST_HITS: u64 = 4_000;
/// It ends after this time at the latest, unless it costs less than the budget.
const LONGEST: Duration = Duration::from_millis(100);
/// Between two windows, even if the budget would allow another.
const SHORTEST_REST: Duration = Duration::from_millis(150);
/// The same for static probes, whose default is to be attached: whoever did not ask for them should
/// not see their windows in a latency.
const SHORTEST_REST_OF_PROBES: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How often an open window is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Probe sites that are attached and detached together.
pub(crate) struct Windows {
    /// What is attached, in words.
    name: String,
    valid: u32,
    pid: u32,
    budget: f64,
    sites: Vec<Planned>,
    state: State,
    closing: Vec<JoinHandle<()>>,
    hits: Vec<u64>,
    /// Of the current interval.
    seen: Seen,
    finished: Vec<Window>,
    /// Why no site can be attached.
    pub failed: Option<String>,
    /// Why some sites cannot be attached; told once.
    pub refused: Option<String>,
}

enum State {
    Closed {
        until: Instant,
    },
    Open {
        links: Vec<OwnedFd>,
        since: Instant,
        since_ns: u64,
        hits: u64,
        traps_ns: u64,
        /// It costs less than the budget, and need not end.
        steady: bool,
    },
}

/// What the windows of an interval saw.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub hits: u64,
    pub traps_ns: u64,
    /// CPU time of the target while sites were attached, less that of the traps: how much of its
    /// work was seen. Wall time would not do, since in a window its threads run slower, and on a
    /// busy machine they may not run at all.
    pub work_ns: u64,
    /// Sites were attached from the interval's beginning to its end.
    pub throughout: bool,
    /// The target's CPU time up to which `work_ns` was added, while a window is open.
    since_cpu_ns: u64,
    /// Of `traps_ns`, what belongs to the time since.
    open_traps_ns: u64,
}

impl Seen {
    /// Share of the target's work in an interval that was seen, if it used `cpu_ns` in it.
    pub fn share(&self, cpu_ns: u64) -> f64 {
        if self.throughout {
            return 1.0;
        }
        let work = cpu_ns.saturating_sub(self.traps_ns).max(1);
        (self.work_ns as f64 / work as f64).min(1.0)
    }
}

impl Windows {
    /// `valid` is the number under which the programs know since when these sites are attached.
    pub fn new(name: &str, valid: u32, pid: u32, budget: f64, sites: Vec<Planned>) -> Windows {
        Windows {
            name: name.to_owned(),
            valid,
            refused: None,
            pid,
            budget,
            hits: vec![0; sites.len()],
            sites,
            state: State::Closed {
                until: Instant::now(),
            },
            closing: Vec::new(),
            seen: Seen::default(),
            finished: Vec::new(),
            failed: None,
        }
    }

    /// Counts with costs that were measured from now on.
    pub fn recost(&mut self, costs: &HitCosts) {
        for planned in &mut self.sites {
            planned.recost(costs);
        }
    }

    /// The dearest entry of each series' sites, which its floor depends on.
    pub fn entry_of(&self, series: u32) -> Option<HitCost> {
        self.sites
            .iter()
            .filter(|planned| planned.site.series == series)
            .filter(|planned| planned.program.begins_calls())
            .filter_map(|planned| planned.hit)
            .max()
    }

    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() || self.failed.is_some()
    }

    /// When [`Windows::step`] should be called next.
    pub fn next_step(&self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        Some(match self.state {
            State::Closed { until } => until,
            State::Open { steady: false, .. } => Instant::now() + LOOK,
            State::Open { .. } => return None,
        })
    }

    /// Opens or ends a window, if it is time. `cpus` is how many CPUs the target keeps busy.
    pub fn step(
        &mut self,
        user: &UserPrograms,
        programs: &mut Programs,
        target: &Watched,
        cpus: f64,
    ) -> Result<(), ProgramsError> {
        if self.is_empty() {
            return Ok(());
        }
        match &self.state {
            State::Closed { until } if Instant::now() >= *until => {
                self.join_closing();
                // What began before belongs to another window: its end was not seen.
                programs.set_valid_since(self.valid, usage::now())?;
                self.open(user, target);
            }
            State::Closed { .. } => {}
            State::Open { .. } => {
                self.count(programs)?;
                self.judge(target, cpus);
            }
        }
        Ok(())
    }

    fn open(&mut self, user: &UserPrograms, target: &Watched) {
        prefer_this_thread(true);
        let since_ns = usage::now();
        match self.attach(user) {
            Ok(links) => {
                self.seen.since_cpu_ns = target.cpu_ns();
                self.seen.open_traps_ns = 0;
                self.state = State::Open {
                    links,
                    since: Instant::now(),
                    since_ns,
                    hits: 0,
                    traps_ns: 0,
                    steady: false,
                };
            }
            Err(error) => {
                prefer_this_thread(false);
                self.failed = Some(error.to_string());
            }
        }
    }

    fn join_closing(&mut self) {
        for closing in self.closing.drain(..) {
            let _ = closing.join();
        }
    }

    fn attach(&mut self, user: &UserPrograms) -> Result<Vec<OwnedFd>, UserProbesError> {
        let mut together: BTreeMap<(usize, &PathBuf), Vec<SiteAt>> = BTreeMap::new();
        for planned in &self.sites {
            let order = UserProgram::ALL
                .iter()
                .position(|program| *program == planned.program)
                .unwrap_or(UserProgram::ALL.len() - 1);
            together
                .entry((order, &planned.path))
                .or_default()
                .push(planned.at);
        }
        let mut links = Vec::new();
        let mut refused = None;
        for ((program, path), sites) in together {
            match user.attach(UserProgram::ALL[program], path, &sites, self.pid) {
                Ok(more) => links.extend(more),
                // One file that cannot be probed does not hide the others.
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if links.is_empty() => Err(error),
            Some(error) => {
                self.refused = Some(error.to_string());
                Ok(links)
            }
            None => Ok(links),
        }
    }

    /// Hits so far were another program's, whose sites had the same numbers.
    pub fn forget_hits(&mut self, programs: &Programs) -> Result<(), ProgramsError> {
        for (planned, last) in self.sites.iter().zip(&mut self.hits) {
            *last = programs.hits(planned.at.cookie as u32)?;
        }
        Ok(())
    }

    /// Reads how often each site was hit.
    fn count(&mut self, programs: &Programs) -> Result<(), ProgramsError> {
        let (mut new_hits, mut new_traps) = (0, 0);
        for (planned, last) in self.sites.iter().zip(&mut self.hits) {
            let now = programs.hits(planned.at.cookie as u32)?;
            let added = now.wrapping_sub(*last);
            *last = now;
            new_hits += added;
            new_traps += added * planned.cost_ns;
        }
        self.seen.hits += new_hits;
        self.seen.traps_ns += new_traps;
        self.seen.open_traps_ns += new_traps;
        if let State::Open { hits, traps_ns, .. } = &mut self.state {
            *hits += new_hits;
            *traps_ns += new_traps;
        }
        Ok(())
    }

    fn judge(&mut self, target: &Watched, cpus: f64) {
        let State::Open {
            since,
            hits,
            traps_ns,
            steady,
            ..
        } = &mut self.state
        else {
            return;
        };
        let open_for = since.elapsed();
        let over_hits = *hits >= MOST_HITS;
        if !over_hits && open_for < LONGEST {
            return;
        }
        let allowed = open_for.as_nanos() as f64 * cpus * self.budget;
        if (*traps_ns as f64) <= allowed {
            *steady = true;
            prefer_this_thread(false);
            return;
        }
        let rest = Duration::from_nanos((*traps_ns as f64 / (self.budget * cpus)) as u64);
        let why = if over_hits { "hits" } else { "time" };
        self.close(why, rest.clamp(self.shortest_rest(), LONGEST_REST), target);
    }

    /// Who takes an interval may be away for long (files are written, names are looked for): a window
    /// that must be ended in time does not stay open meanwhile, and this thread is preferred no more.
    fn leave_alone(&mut self, target: &Watched, cpus: f64) {
        let State::Open {
            since,
            traps_ns,
            steady: false,
            ..
        } = &self.state
        else {
            return;
        };
        let allowed = since.elapsed().as_nanos() as f64 * cpus * self.budget;
        if *traps_ns as f64 <= allowed {
            prefer_this_thread(false);
            return;
        }
        let rest = Duration::from_nanos((*traps_ns as f64 / (self.budget * cpus)) as u64);
        self.close(
            "time",
            rest.clamp(self.shortest_rest(), LONGEST_REST),
            target,
        );
    }

    fn shortest_rest(&self) -> Duration {
        if self.valid == VALID_PROBES {
            SHORTEST_REST_OF_PROBES
        } else {
            SHORTEST_REST
        }
    }

    fn close(&mut self, why: &'static str, rest: Duration, target: &Watched) {
        let closed = State::Closed {
            until: Instant::now() + rest,
        };
        let State::Open {
            links,
            since_ns,
            hits,
            ..
        } = std::mem::replace(&mut self.state, closed)
        else {
            return;
        };
        self.closing = links
            .into_iter()
            .filter_map(|link| {
                std::thread::Builder::new()
                    .name("detach".to_owned())
                    .spawn(move || drop(link))
                    .ok()
            })
            .collect();
        // What a hit costs ends when the traps are gone, which is about now.
        let end_ns = usage::now();
        prefer_this_thread(false);
        self.add_work(target.cpu_ns());
        self.seen.throughout = false;
        self.finished.push(Window {
            series: self.name.clone(),
            start_ns: since_ns,
            end_ns,
            hits,
            ended_by: why,
        });
    }

    fn add_work(&mut self, cpu_ns: u64) {
        let used = cpu_ns.saturating_sub(self.seen.since_cpu_ns);
        // The traps' cost is an estimate: some of the time was certainly the target's own.
        let work = used.saturating_sub(self.seen.open_traps_ns).max(used / 50);
        self.seen.work_ns += work;
        self.seen.since_cpu_ns = cpu_ns;
        self.seen.open_traps_ns = 0;
    }

    /// What was seen since this was last called, and the windows that have ended.
    pub fn take(
        &mut self,
        programs: &Programs,
        target: &Watched,
        cpus: f64,
    ) -> Result<(Seen, Vec<Window>), ProgramsError> {
        if let State::Open { .. } = self.state {
            self.count(programs)?;
            self.add_work(target.cpu_ns());
            self.leave_alone(target, cpus);
        }
        if let State::Open { .. } = self.state {
            let over = {
                let State::Open {
                    since,
                    hits,
                    traps_ns,
                    steady,
                    ..
                } = &mut self.state
                else {
                    unreachable!("just matched");
                };
                let allowed = since.elapsed().as_nanos() as f64 * cpus * self.budget;
                let over = *steady && *traps_ns as f64 > 1.5 * allowed;
                if *steady && !over && since.elapsed() > Duration::from_secs(5) {
                    // Judged by its last seconds, not by its whole life.
                    *since = Instant::now();
                    *hits = 0;
                    *traps_ns = 0;
                }
                over
            };
            if over {
                self.close("cost", self.shortest_rest(), target);
            }
        }
        let seen = self.seen;
        self.seen = Seen {
            since_cpu_ns: seen.since_cpu_ns,
            throughout: matches!(self.state, State::Open { .. }),
            ..Seen::default()
        };
        Ok((seen, std::mem::take(&mut self.finished)))
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if let State::Open { links, .. } = &mut self.state {
            let links = std::mem::take(links);
            self.closing.extend(
                links
                    .into_iter()
                    .filter_map(|link| std::thread::Builder::new().spawn(move || drop(link)).ok()),
            );
            prefer_this_thread(false);
        }
        self.join_closing();
    }
}

/// Asks the scheduler to run this thread before all ordinary ones, or no longer. Threads that it
/// starts meanwhile are preferred, too. Without the privilege nothing changes; and a thread that
/// somebody has put into another class stays there.
pub(super) fn prefer_this_thread(prefer: bool) {
    thread_local! {
        static PREFERRED: Cell<bool> = const { Cell::new(false) };
    }
    // SAFETY: the call takes an integer; 0 is the calling thread.
    let is_ordinary = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
    if prefer == PREFERRED.get() || (prefer && !is_ordinary) {
        return;
    }
    let (policy, priority) = if prefer {
        (libc::SCHED_FIFO, 1)
    } else {
        (libc::SCHED_OTHER, 0)
    };
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the call reads the parameters, which outlive it; 0 is the calling thread.
    let failed = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    PREFERRED.set(prefer && failed == 0);
}
