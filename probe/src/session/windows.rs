//! Windows of tracing: probe sites that are attached only as long as the budget allows.
//!
//! A hit of a probe site costs a microsecond or ten, and an allocator is called millions of times a
//! second: so its sites are attached for a few thousand hits, then detached for as long as it takes
//! until that cost is within the budget. If the target calls so seldom that the budget holds, the
//! window stays open. A window is short (some milliseconds), since a busy thread runs many times
//! slower in it; each is recorded, so that whoever reads the recording can tell the probe's own
//! pauses from the target's.
//!
//! Sites are detached on another thread: the kernel takes 30 to 50 ms to make sure that no CPU is
//! still inside a probe, though the traps themselves go at once.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::usage;
use super::user_sites::Planned;
use crate::programs::{Programs, ProgramsError};
use crate::tick::Window;
use crate::user_probes::{SiteAt, UserProbesError, UserProgram, UserPrograms};

/// A window ends after so many hits, if they come quickly.
const MOST_HITS: u64 = 4_000;
/// It ends after this time at the latest, unless it costs less than the budget.
const LONGEST: Duration = Duration::from_millis(100);
/// Between two windows, even if the budget would allow another.
const SHORTEST_REST: Duration = Duration::from_millis(150);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How often an open window is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Probe sites that are attached and detached together.
pub(crate) struct Windows {
    /// What is attached, in words.
    name: String,
    pid: u32,
    budget: f64,
    sites: Vec<Planned>,
    state: State,
    closing: Option<JoinHandle<()>>,
    hits: Vec<u64>,
    /// Of the current interval.
    seen: Seen,
    finished: Vec<Window>,
    /// Why the sites cannot be attached.
    pub failed: Option<String>,
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
    /// How long the target would have taken for what it did while sites were attached, in
    /// nanoseconds: the time itself, less that of the traps.
    pub attached_ns: f64,
    /// From when on `attached_ns` has not been added yet, while a window is open.
    since_ns: u64,
    /// Of `traps_ns`, what belongs to that time.
    open_traps_ns: u64,
}

impl Windows {
    pub fn new(name: String, pid: u32, budget: f64, sites: Vec<Planned>) -> Windows {
        Windows {
            name,
            pid,
            budget,
            hits: vec![0; sites.len()],
            sites,
            state: State::Closed {
                until: Instant::now(),
            },
            closing: None,
            seen: Seen::default(),
            finished: Vec::new(),
            failed: None,
        }
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
        programs: &Programs,
        cpus: f64,
    ) -> Result<(), ProgramsError> {
        if self.is_empty() {
            return Ok(());
        }
        match &self.state {
            State::Closed { until } if Instant::now() >= *until => self.open(user),
            State::Closed { .. } => {}
            State::Open { .. } => {
                self.count(programs)?;
                self.judge(cpus);
            }
        }
        Ok(())
    }

    fn open(&mut self, user: &UserPrograms) {
        if let Some(closing) = self.closing.take() {
            // It has had a rest in which to end.
            let _ = closing.join();
        }
        let since_ns = usage::now();
        match self.attach(user) {
            Ok(links) => {
                self.seen.since_ns = since_ns;
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
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    fn attach(&self, user: &UserPrograms) -> Result<Vec<OwnedFd>, UserProbesError> {
        let mut together: BTreeMap<(usize, &PathBuf), Vec<SiteAt>> = BTreeMap::new();
        for planned in &self.sites {
            // Returns first: a call that begins while sites are being attached has its end seen.
            let order = match planned.program {
                UserProgram::CallReturn => 0,
                UserProgram::CallLeave => 1,
                UserProgram::ProbeTimed => 2,
                UserProgram::ProbeCounted => 3,
                UserProgram::CallEnter => 4,
            };
            together
                .entry((order, &planned.path))
                .or_default()
                .push(planned.at);
        }
        const PROGRAMS: [UserProgram; 5] = [
            UserProgram::CallReturn,
            UserProgram::CallLeave,
            UserProgram::ProbeTimed,
            UserProgram::ProbeCounted,
            UserProgram::CallEnter,
        ];
        let mut links = Vec::new();
        for ((program, path), sites) in together {
            links.extend(user.attach(PROGRAMS[program], path, &sites, self.pid)?);
        }
        Ok(links)
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

    fn judge(&mut self, cpus: f64) {
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
            return;
        }
        let rest = Duration::from_nanos((*traps_ns as f64 / (self.budget * cpus)) as u64);
        let why = if over_hits { "hits" } else { "time" };
        self.close(why, rest.clamp(SHORTEST_REST, LONGEST_REST), cpus);
    }

    fn close(&mut self, why: &'static str, rest: Duration, cpus: f64) {
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
        let end_ns = usage::now();
        self.closing = std::thread::Builder::new()
            .name("detach".to_owned())
            .spawn(move || drop(links))
            .ok();
        self.add_attached(end_ns, cpus);
        self.finished.push(Window {
            series: self.name.clone(),
            start_ns: since_ns,
            end_ns,
            hits,
            ended_by: why,
        });
    }

    fn add_attached(&mut self, now_ns: u64, cpus: f64) {
        let wall = now_ns.saturating_sub(self.seen.since_ns) as f64;
        let slowed = self.seen.open_traps_ns as f64 / cpus.max(1.0);
        // The traps' cost is an estimate: some of the time was certainly the target's.
        self.seen.attached_ns += (wall - slowed).max(wall * 0.02);
        self.seen.since_ns = now_ns;
        self.seen.open_traps_ns = 0;
    }

    /// What was seen since this was last called, and the windows that have ended.
    pub fn take(
        &mut self,
        programs: &Programs,
        cpus: f64,
    ) -> Result<(Seen, Vec<Window>), ProgramsError> {
        if let State::Open { .. } = self.state {
            self.count(programs)?;
            self.add_attached(usage::now(), cpus);
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
                self.close("cost", SHORTEST_REST, cpus);
            }
        }
        let seen = self.seen;
        self.seen = Seen {
            since_ns: seen.since_ns,
            ..Seen::default()
        };
        Ok((seen, std::mem::take(&mut self.finished)))
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            let _ = closing.join();
        }
    }
}
