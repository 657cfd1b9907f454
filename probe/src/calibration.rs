//! What probe sites cost on this host, and how short a call they can still tell: measured in this
//! process, before any figure of the target is believed.
//!
//! Two things: the cost of a hit, which the budget is held by: of the trap ([`hit_cost`]), and of our
//! programs, which take about as long again as the empty one it is measured with; and the **floor**: how
//! long a function that does nothing seems to take when its entry and return are probed, which is
//! part of every latency that is measured so. What is shorter is reported as below the floor, and
//! nothing is subtracted.
//!
//! Costs some 0.3 s, nearly all of it waiting for probes to be detached; runs on a thread of its own
//! while the first windows are open.

use std::path::Path;
use std::time::{Duration, Instant};

use tailcut_probe_ebpf::series::{Call, of_call};
use tailcut_probe_ebpf::sites::{ENTER, LEAVE, Place, Site};

use crate::binary::sites::{HitCost, HitCosts};
use crate::host::hit_cost::{self, sites};
use crate::programs::{Programs, Settings};
use crate::session::counters::Counters;
use crate::user_probes::{SiteAt, UserProgram};

/// Time for hits of each kind.
const BUDGET: Duration = Duration::from_millis(40);
/// Calls of an empty function, by which the floor is found, in so many rounds: one in which this
/// thread lost its CPU does not count.
const CALLS: u32 = 400;
const ROUNDS: u32 = 8;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Calibration {
    pub hits: HitCosts,
    /// What the kernel accounts for a program that does nothing, in nanoseconds a run.
    pub empty_program_ns: f64,
    pub floors: Floors,
}

/// What an empty function seems to take, in nanoseconds: the 99th percentile of some hundred calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floors {
    pub called: u64,
    pub emulated: u64,
    pub single_stepped: u64,
}

impl Default for Floors {
    /// Until it is known: as on the machine where this was written.
    fn default() -> Floors {
        Floors {
            called: 1_000,
            emulated: 1_200,
            single_stepped: 14_000,
        }
    }
}

impl Floors {
    /// Of a function whose entry is probed at an instruction of this cost.
    pub fn of(&self, entry: HitCost) -> u64 {
        match entry {
            HitCost::Called => self.called,
            HitCost::Emulated => self.emulated,
            HitCost::SingleStepped | HitCost::Refused => self.single_stepped,
        }
    }
}

/// Measures.
pub(crate) fn calibrate() -> Result<Calibration, Box<dyn std::error::Error + Send + Sync>> {
    let costs = hit_cost::measure(BUDGET)?;
    let (floors, call_ns) = floors()?;
    // Of the two hits of a call, on an emulated instruction, what the empty program does not show.
    let program_ns = ((call_ns - costs.emulated - costs.return_extra) / 2.0).max(0.0);
    let whole = |ns: f64| (ns + program_ns).max(0.0).round() as u32;
    Ok(Calibration {
        hits: HitCosts {
            called: whole(costs.nop5),
            emulated: whole(costs.emulated),
            single_stepped: whole(costs.single_stepped),
            return_probe: whole(costs.return_extra),
        },
        empty_program_ns: costs.program_empty.unwrap_or(0.0),
        floors,
    })
}

/// The floors, and what probing adds to a call whose entry is emulated, in nanoseconds.
fn floors() -> Result<(Floors, f64), Box<dyn std::error::Error + Send + Sync>> {
    let functions = sites::all().ok_or("this machine's instructions are not known")?;
    let functions = [&functions.nop5, &functions.push, &functions.test];
    let this = std::process::id();
    let mut programs = Programs::load(&Settings {
        target: this,
        follow: false,
        stacks: false,
        long_running_ns: u64::MAX,
        lifetime_mask: u64::MAX,
    })?;
    let user = programs.user_programs()?;
    let mut links = Vec::new();
    for (number, function) in functions.iter().enumerate() {
        let number = number as u32;
        let series = of_call(number, Call::Malloc);
        programs.set_threshold(series, u64::MAX)?;
        let place = function
            .place()
            .ok_or("this process's own code was not found")?;
        let site = |action| Site {
            series,
            action,
            stack_depth: 0,
            places: [Place::NOWHERE; 3],
        };
        for (program, action, cookie) in [
            (UserProgram::CallReturn, LEAVE, 2 * number),
            (UserProgram::CallEnter, ENTER, 2 * number + 1),
        ] {
            programs.set_site(cookie, site(action))?;
            let at = SiteAt {
                offset: place.offset,
                semaphore: 0,
                cookie: u64::from(cookie),
            };
            links.extend(user.attach(program, Path::new(&place.path), &[at], this)?);
        }
    }
    let mut counters = Counters::new();
    type Measured = Result<(u64, f64), Box<dyn std::error::Error + Send + Sync>>;
    let mut floor = |number: usize| -> Measured {
        let mut rounds = [0.0; ROUNDS as usize];
        for round in &mut rounds {
            let begin = Instant::now();
            for _ in 0..CALLS / ROUNDS {
                functions[number].call();
            }
            *round = begin.elapsed().as_nanos() as f64 / f64::from(CALLS / ROUNDS);
        }
        rounds.sort_by(f64::total_cmp);
        let seen = counters.difference(&programs, of_call(number as u32, Call::Malloc), 0)?;
        if seen.histogram.len() < u64::from(CALLS) / 2 {
            return Err("probes of this process's own functions were not hit".into());
        }
        Ok((
            seen.histogram.value_at_quantile(0.99),
            rounds[rounds.len() / 2],
        ))
    };
    let (called, emulated, single_stepped) = (floor(0)?, floor(1)?, floor(2)?);
    let floors = Floors {
        called: called.0,
        emulated: emulated.0,
        single_stepped: single_stepped.0,
    };
    Ok((floors, emulated.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    #[test]
    fn dearer_sites_have_higher_floors() {
        if !nix::unistd::geteuid().is_root() {
            return host::testing::skip("only root may attach probes");
        }
        let measured = calibrate().unwrap();
        let floors = measured.floors;
        assert!(
            floors.called > 0 && floors.single_stepped > floors.emulated,
            "{measured:?}"
        );
        assert!(
            measured.hits.single_stepped > measured.hits.emulated,
            "{measured:?}"
        );
    }
}
