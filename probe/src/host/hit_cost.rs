//! What one hit of a user probe costs on this host, measured in this process.
//!
//! The cost decides what may be traced at all, and differs tenfold with the instruction that the
//! probe replaces: a 5-byte nop may be patched into a call (Linux 6.18 on x86-64), a `push` is
//! carried out by the kernel after the trap, anything else is executed out of line under single
//! step, with a second trap. So the cost is measured, not looked up by version: four functions of
//! a few instructions each (`sites`) are called some thousands of times, with and without a probe
//! that runs the empty program.
//!
//! There are two ways to attach, and both are tried, the better first: by one link for many places
//! (Linux 6.10), and by one perf event a place. On the machine where this was written a hit costs
//! 0.05 us less by the first, and detaching takes 30 to 50 ms instead of 90 ms for every place, one
//! after the other: the kernel waits until no CPU can still be inside a probe, for perf events
//! under a lock.
//!
//! What is left behind is nothing. What it costs: the given budget for the hits, plus attaching
//! and detaching, which are measured too. Only this process is hit.

pub(crate) mod sites;

use std::hint::black_box;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::system_calls::{
    AttachType, EMPTY_PROGRAM, ProgramType, enable_statistics, has_uprobe_links, link_to_event,
    link_uprobe, load_program, open_uprobe, run_statistics,
};
use super::uprobe_pmu::UprobePmu;
use sites::Site;

/// Calls in one round; the cost is the median of the rounds' means, so that a round in which this
/// thread was preempted does not count.
const CALLS: u32 = 100;

/// Rounds of each kind, however small the budget.
const LEAST_ROUNDS: u32 = 5;

/// What one hit costs here, in nanoseconds beyond the call without a probe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HitCosts {
    /// On a 5-byte nop, as compilers and static probes place them.
    pub nop5: f64,
    /// Whether the kernel turned that nop into a call, read from the patched code itself.
    pub nop5_is_a_call: bool,
    /// On an instruction that the kernel emulates (`push`).
    pub emulated: f64,
    /// On an instruction that must be single-stepped (`test`).
    pub single_stepped: f64,
    /// What a probe on the return adds to one on the entry.
    pub return_extra: f64,
    /// What the kernel accounts for a run of a program that does nothing: the part of every
    /// program's `run_time_ns` that is the clock's. `None` where statistics cannot be enabled.
    pub program_empty: Option<f64>,
    /// How the probes were attached, and so which way these are the costs of.
    pub attached_by: AttachedBy,
    /// How long attaching took where it took longest, which is the first place in a process, in
    /// milliseconds.
    pub attach_ms: f64,
    /// How long detaching all four probes at once took, in milliseconds.
    pub detach_ms: f64,
}

/// A way to attach a program to places in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachedBy {
    /// One link for any number of places (`BPF_TRACE_UPROBE_MULTI`).
    OneLink,
    /// A perf event and a link for each place.
    PerfEvents,
}

/// Why the cost could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum HitCostError {
    /// The instructions to be probed are written for x86-64 only.
    #[error("the cost of a hit is measured on x86-64 only")]
    Architecture,
    /// See [`UprobePmu::read`](super::uprobe_pmu::UprobePmu::read).
    #[error(transparent)]
    NoUprobes(#[from] super::uprobe_pmu::UprobePmuError),
    /// The kernel refused the empty program.
    #[error("the kernel does not load a BPF program: {0}")]
    Load(#[source] io::Error),
    /// The kernel refused the probe.
    #[error("the kernel does not attach a probe to this process: {0}")]
    Attach(#[source] io::Error),
    /// The probed function lies in no mapped file.
    #[error("cannot find this process's own code in /proc/self/maps")]
    OwnCode,
    /// The probes were attached, but the program did not run.
    #[error("the probes were attached, but hitting them did not run the program")]
    NoHits,
}

/// Measures the costs, spending about `budget` on hits; see the [module](self) for what comes on
/// top.
///
/// # Errors
/// If this process may not load and attach probes, or the machine has none.
pub fn measure(budget: Duration) -> Result<HitCosts, HitCostError> {
    let sites = sites::all().ok_or(HitCostError::Architecture)?;
    let share = budget / 5;

    let _alone = alone();
    let bare = [&sites.nop5, &sites.push, &sites.test].map(|site| median_call(site, share / 10));
    let mut prober = Prober::new(&sites.nop5)?;
    prober.attach(&sites.push, false)?;
    prober.attach(&sites.test, false)?;
    let nop5 = median_call(&sites.nop5, share) - bare[0];
    let nop5_is_a_call = sites.nop5.is_a_call();
    let emulated = median_call(&sites.push, share) - bare[1];
    let single_stepped = median_call(&sites.test, share) - bare[2];
    let program_empty = prober.program_alone(&sites.push, share)?;
    prober.attach(&sites.push, true)?;
    let return_extra = median_call(&sites.push, share) - bare[1] - emulated;

    Ok(HitCosts {
        nop5,
        nop5_is_a_call,
        emulated,
        single_stepped,
        return_extra,
        program_empty,
        attached_by: prober.attached_by(),
        attach_ms: milliseconds(prober.longest_attach),
        detach_ms: milliseconds(prober.detach()),
    })
}

/// Held while the sites are probed: two measurements in one process would hit each other's probes.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The empty program and where it is attached.
struct Prober {
    /// Perf events if there is one, else one link.
    pmu: Option<UprobePmu>,
    program: OwnedFd,
    /// What must be closed to detach.
    attached: Vec<Attached>,
    longest_attach: Duration,
}

/// A link, and the perf event it belongs to, if any. Closing both detaches.
type Attached = (OwnedFd, Option<OwnedFd>);

impl Prober {
    /// A prober of the better way that this kernel has, with a first probe.
    fn new(site: &Site) -> Result<Self, HitCostError> {
        if has_uprobe_links(AttachType::UprobeMulti).map_err(HitCostError::Load)? {
            Self::attaching_by(AttachedBy::OneLink, site)
        } else {
            Self::attaching_by(AttachedBy::PerfEvents, site)
        }
    }

    fn attaching_by(way: AttachedBy, site: &Site) -> Result<Self, HitCostError> {
        let (attach, pmu) = match way {
            AttachedBy::OneLink => (AttachType::UprobeMulti, None),
            AttachedBy::PerfEvents => (AttachType::Unsaid, Some(UprobePmu::read()?)),
        };
        let program = load_program(ProgramType::Kprobe, attach, 0, &EMPTY_PROGRAM)
            .map_err(HitCostError::Load)?;
        let mut prober = Self {
            pmu,
            program,
            attached: Vec::new(),
            longest_attach: Duration::ZERO,
        };
        prober.attach(site, false)?;
        Ok(prober)
    }

    fn attached_by(&self) -> AttachedBy {
        match self.pmu {
            None => AttachedBy::OneLink,
            Some(_) => AttachedBy::PerfEvents,
        }
    }

    fn attach(&mut self, site: &Site, on_return: bool) -> Result<(), HitCostError> {
        let place = site.place().ok_or(HitCostError::OwnCode)?;
        let start = Instant::now();
        let attached = match self.pmu {
            None => link_uprobe(&self.program, &place, on_return).map(|link| (link, None)),
            Some(pmu) => open_uprobe(pmu, &place, on_return).and_then(|event| {
                let link = link_to_event(&self.program, &event)?;
                Ok((link, Some(event)))
            }),
        };
        self.attached.push(attached.map_err(HitCostError::Attach)?);
        self.longest_attach = self.longest_attach.max(start.elapsed());
        Ok(())
    }

    /// What the kernel accounts for one run of the program, in nanoseconds.
    fn program_alone(&self, site: &Site, time: Duration) -> Result<Option<f64>, HitCostError> {
        // Refused to all but administrators, who may have enabled them for everybody.
        let enabled = enable_statistics();
        let Ok(before) = run_statistics(&self.program) else {
            return Ok(None);
        };
        median_call(site, time);
        let after = run_statistics(&self.program).map_err(HitCostError::Load)?;
        match after.count - before.count {
            0 if enabled.is_err() => Ok(None),
            0 => Err(HitCostError::NoHits),
            runs => Ok(Some(
                (after.nanoseconds - before.nanoseconds) as f64 / runs as f64,
            )),
        }
    }

    /// Closes everything at once, since each waits for the kernel.
    fn detach(self) -> Duration {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for attached in self.attached {
                scope.spawn(move || drop(attached));
            }
        });
        start.elapsed()
    }
}

/// Nanoseconds of one call, the median of rounds for about as long as said.
fn median_call(site: &Site, time: Duration) -> f64 {
    let start = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < LEAST_ROUNDS as usize || start.elapsed() < time {
        let round = Instant::now();
        for _ in 0..CALLS {
            black_box(site).call();
        }
        rounds.push(round.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    median(&mut rounds)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::super::privileges::{NOTHING, keep_only};
    use super::*;

    fn costs() -> Option<HitCosts> {
        match measure(Duration::from_millis(20)) {
            Ok(costs) => Some(costs),
            Err(reason) => {
                crate::host::testing::skip(&reason.to_string());
                None
            }
        }
    }

    #[test]
    fn a_hit_costs_more_where_the_kernel_has_more_to_do() {
        let Some(costs) = costs() else { return };
        eprintln!("{costs:?}");
        // Traps take time on any machine; the factor between the forms is the machine's.
        assert!(costs.emulated > 50.0, "{costs:?}");
        assert!(costs.single_stepped > costs.emulated, "{costs:?}");
        assert!(costs.return_extra > 0.0, "{costs:?}");
        if costs.nop5_is_a_call {
            assert!(costs.nop5 < costs.emulated, "{costs:?}");
        }
        let program = costs.program_empty.unwrap_or(0.0);
        assert!(program < costs.emulated, "{costs:?}");
    }

    /// A probe whose hits are seen by what a call costs: ten times as much.
    fn is_probed(site: &Site, bare: f64) -> bool {
        median_call(site, Duration::ZERO) > 10.0 * bare
    }

    /// On a thread of its own, which ends without capabilities.
    fn probe_then_keep_nothing(way: AttachedBy) -> Result<(), HitCostError> {
        let probing = move || {
            let sites = sites::all().ok_or(HitCostError::Architecture)?;
            let _alone = alone();
            let bare = median_call(&sites.push, Duration::ZERO);
            let mut prober = Prober::attaching_by(way, &sites.push)?;
            keep_only(NOTHING).unwrap();

            assert!(is_probed(&sites.push, bare), "{way:?}");
            assert!(run_statistics(&prober.program).is_ok(), "{way:?}");
            let again = prober.attach(&sites.test, false);
            assert_eq!(again.is_ok(), way == AttachedBy::OneLink, "{again:?}");
            prober.detach();
            assert!(!is_probed(&sites.push, bare), "{way:?}");
            Ok(())
        };
        std::thread::spawn(probing).join().unwrap()
    }

    #[test]
    fn without_capabilities_probes_stay_and_come_off_and_links_can_be_set_anew() {
        if matches!(has_uprobe_links(AttachType::UprobeMulti), Ok(false)) {
            return; // Linux before 6.10: there is only the other way, tested below.
        }
        if let Err(reason) = probe_then_keep_nothing(AttachedBy::OneLink) {
            crate::host::testing::skip(&reason.to_string());
        }
    }

    #[test]
    fn without_capabilities_perf_events_stay_and_come_off_but_cannot_be_opened_anew() {
        if let Err(reason) = probe_then_keep_nothing(AttachedBy::PerfEvents) {
            crate::host::testing::skip(&reason.to_string());
        }
    }
}
