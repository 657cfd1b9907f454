//! Which probe sites of a process serve which series: its allocators' functions, and its static
//! probes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tailcut_probe_ebpf::series::{ALLOCATORS, Call, Fixed, of_call};
use tailcut_probe_ebpf::sites::{self, PLACES, Place, Site};

use super::go::GoTarget;
use crate::binary::Register;
use crate::binary::allocators::{Family, Kind, ResultAt, Signature, SizeAt, Tier};
use crate::binary::notes::{Argument, Operand, Probe};
use crate::binary::sites::{HitCost, HitCosts, KernelRules, Plan, Returns};
use crate::binary::survey::{Survey, SurveyedAllocator};
use crate::catalogue::{Group, Selection};
use crate::user_probes::{SiteAt, UserProgram};

/// A site that is to be attached.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub program: UserProgram,
    /// Opens the file that it is in.
    pub path: PathBuf,
    /// Its cookie is its number.
    pub at: SiteAt,
    pub site: Site,
    /// What a hit is to the kernel; none for the return of a call.
    pub hit: Option<HitCost>,
    /// What a hit costs here, in nanoseconds.
    pub cost_ns: u64,
}

impl Planned {
    /// Sets the cost from what was measured.
    pub fn recost(&mut self, costs: &HitCosts) {
        self.cost_ns = u64::from(match self.hit {
            Some(hit) => costs.of(hit),
            None => costs.return_probe,
        });
    }
}

/// All sites of a process that the selected groups need.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserSites {
    pub planned: Vec<Planned>,
    /// Names of the allocators, by their numbers among the series.
    pub allocators: Vec<String>,
    /// What was asked for and is not there, and why.
    pub left_out: Vec<String>,
    /// Series that have a site.
    pub series: Vec<u32>,
}

impl UserSites {
    pub fn of(
        survey: &Survey,
        go: Option<&GoTarget>,
        selection: &Selection,
        costs: &HitCosts,
    ) -> UserSites {
        let mut sites = UserSites::default();
        let wanted = [Group::Malloc, Group::Free, Group::SlowPaths];
        if wanted.iter().any(|group| selection.has(*group)) {
            sites.add_allocators(survey, selection, costs);
        }
        if selection.has(Group::Pool) {
            sites.add_probes(survey, costs);
        }
        if let Some(go) = go {
            let of_go = go.sites(selection, costs);
            sites.planned.extend(of_go.planned);
            sites.left_out.extend(go.left_out.iter().cloned());
            sites.left_out.extend(of_go.left_out);
        }
        for (number, planned) in sites.planned.iter_mut().enumerate() {
            planned.at.cookie = number as u64;
        }
        if sites.planned.len() > sites::MAX_SITES as usize {
            let beyond = sites.planned.len() - sites::MAX_SITES as usize;
            sites.left_out.push(format!(
                "{beyond} probe sites beyond the {} that can be attached at one time",
                sites::MAX_SITES
            ));
            sites.planned.truncate(sites::MAX_SITES as usize);
        }
        sites.series = sites
            .planned
            .iter()
            .map(|planned| planned.site.series)
            .collect();
        sites.series.sort_unstable();
        sites.series.dedup();
        sites
    }

    fn add_allocators(&mut self, survey: &Survey, selection: &Selection, costs: &HitCosts) {
        let known: Vec<&SurveyedAllocator> = survey
            .allocators
            .iter()
            .filter(|one| !one.allocator.functions.is_empty())
            // Rust's own entry points call another allocator, if that one is found.
            .filter(|one| {
                one.allocator.family != Family::RustGlobal || survey.allocators.len() == 1
            })
            .collect();
        for beyond in known.iter().skip(ALLOCATORS as usize) {
            self.left_out.push(format!(
                "{} in {}: more than {ALLOCATORS} allocators in one process",
                beyond.allocator.family, beyond.allocator.path
            ));
        }
        if known.is_empty() {
            let reasons = survey
                .unrecognised
                .iter()
                .map(|one| one.explanation.as_str());
            self.left_out.push(format!(
                "malloc and free: no allocator was recognised in this process. {}",
                reasons.collect::<Vec<_>>().join(" ")
            ));
        }
        for (number, one) in known.into_iter().take(ALLOCATORS as usize).enumerate() {
            self.allocators.push(one.allocator.family.to_string());
            let openable = &survey.modules[one.allocator.module].openable;
            for (function, plans) in one.calls().chain(one.slow_paths()) {
                let (group, call) = meaning(function.signature.kind);
                if !selection.has(group) {
                    continue;
                }
                match &plans.latency {
                    Ok(plan) => self.add_function(
                        of_call(number as u32, call),
                        openable.clone(),
                        &function.signature,
                        plan,
                        costs,
                    ),
                    Err(reason) => self.left_out.push(format!("{}: {reason}", plans.function)),
                }
            }
        }
    }

    fn add_function(
        &mut self,
        series: u32,
        path: PathBuf,
        signature: &Signature,
        plan: &Plan,
        costs: &HitCosts,
    ) {
        let argument = |number: u8| {
            plan.entry
                .arguments
                .iter()
                .find(|place| place.argument == number)
                .map_or(Place::NOWHERE, |place| in_register(place.register))
        };
        let (size, factor) = match signature.size {
            Some(SizeAt::Argument(size)) => (argument(size), Place::NOWHERE),
            Some(SizeAt::Product(count, size)) => (argument(count), argument(size)),
            None => (Place::NOWHERE, Place::NOWHERE),
        };
        let freed = signature.freed.map_or(Place::NOWHERE, argument);
        let entry = Site {
            series,
            action: sites::ENTER,
            stack_depth: plan.entry.stack_offset,
            places: [size, factor, freed],
        };
        let mut add = |program, offset, site, hit| {
            let mut planned = Planned {
                program,
                path: path.clone(),
                at: SiteAt {
                    offset,
                    semaphore: 0,
                    cookie: 0,
                },
                site,
                hit,
                cost_ns: 0,
            };
            planned.recost(costs);
            self.planned.push(planned);
        };
        add(
            UserProgram::CallEnter,
            plan.entry.file_offset,
            entry,
            Some(plan.entry.cost),
        );
        let returned = |register: Option<Register>| match signature.result {
            Some(ResultAt::Returned) => register.map_or(Place::NOWHERE, in_register),
            _ => Place::NOWHERE,
        };
        let leave = |depth, result| Site {
            series,
            action: sites::LEAVE,
            stack_depth: depth,
            places: [result, Place::NOWHERE, Place::NOWHERE],
        };
        match &plan.returns {
            Returns::NotSeen => {}
            Returns::ReturnProbe => {
                const RAX: u32 = 0;
                let result = match signature.result {
                    Some(ResultAt::Returned) => Place::register(RAX),
                    _ => Place::NOWHERE,
                };
                add(
                    UserProgram::CallReturn,
                    plan.entry.file_offset,
                    leave(0, result),
                    None,
                );
            }
            Returns::Sites(exits) => {
                for exit in exits {
                    let depth = exit.stack_offset.unwrap_or(sites::UNKNOWN_DEPTH);
                    add(
                        UserProgram::CallLeave,
                        exit.file_offset,
                        leave(depth, returned(exit.result)),
                        Some(exit.cost),
                    );
                }
            }
        }
    }

    fn add_probes(&mut self, survey: &Survey, costs: &HitCosts) {
        for surveyed in survey.probes.values().flatten() {
            let Some((series, action, program, places)) = probe(&surveyed.probe) else {
                continue;
            };
            let path = survey.modules[surveyed.module].openable.clone();
            let hit = hit_of_probe(&path, &surveyed.probe);
            if hit == HitCost::Refused {
                self.left_out.push(format!(
                    "{}:{} in {}: a five-byte nop there cannot be probed without harm to forked children on this \
                     kernel; build it with one-byte nops",
                    surveyed.probe.provider,
                    surveyed.probe.name,
                    path.display()
                ));
                continue;
            }
            self.planned.push(Planned {
                program,
                path,
                at: SiteAt {
                    offset: surveyed.probe.file_offset,
                    semaphore: surveyed.probe.semaphore_file_offset.unwrap_or(0),
                    cookie: 0,
                },
                site: Site {
                    series: series as u32,
                    action,
                    stack_depth: 0,
                    places,
                },
                hit: Some(hit),
                cost_ns: u64::from(costs.of(hit)),
            });
        }
    }
}

/// What a hit of a static probe is to the kernel: static probes stand on nops, of one byte or five.
fn hit_of_probe(path: &Path, probe: &Probe) -> HitCost {
    let mut bytes = [0; 5];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, probe.file_offset));
    let length = match (read, bytes[0]) {
        (Ok(()), 0x0f) => 5,
        (Ok(()), _) => 1,
        // The kernel will say why.
        (Err(_), _) => return HitCost::Emulated,
    };
    KernelRules::running().cost_of(&bytes[..length], probe.address)
}

fn meaning(kind: Kind) -> (Group, Call) {
    match kind {
        Kind::Malloc => (Group::Malloc, Call::Malloc),
        Kind::Calloc => (Group::Malloc, Call::Calloc),
        Kind::Realloc => (Group::Malloc, Call::Realloc),
        Kind::Aligned => (Group::Malloc, Call::Aligned),
        Kind::Free | Kind::SizedFree => (Group::Free, Call::Free),
        Kind::SlowPath(Tier::Refill) => (Group::SlowPaths, Call::Refill),
        Kind::SlowPath(Tier::Arena) => (Group::SlowPaths, Call::Arena),
        Kind::SlowPath(Tier::OperatingSystem) => (Group::SlowPaths, Call::OperatingSystem),
    }
}

/// What the static probes that are known report, and in which of their arguments.
fn probe(probe: &Probe) -> Option<(Fixed, u32, UserProgram, [Place; PLACES])> {
    use UserProgram::{ProbeCounted, ProbeTimed};
    use sites::{BORN, COUNTED, DIED, TIMED};
    let argument = |number: usize| probe.arguments.get(number).map_or(Place::NOWHERE, place);
    let counted = |series, value| {
        Some((
            series,
            COUNTED,
            ProbeCounted,
            [value, Place::NOWHERE, Place::NOWHERE],
        ))
    };
    let timed = |series, value| {
        Some((
            series,
            TIMED,
            ProbeTimed,
            [value, Place::NOWHERE, Place::NOWHERE],
        ))
    };
    match (probe.provider.as_str(), probe.name.as_str()) {
        ("tailcut_pool", "refill") => counted(Fixed::PoolRefill, argument(2)),
        ("tailcut_pool", "spill") => counted(Fixed::PoolSpill, argument(2)),
        ("tailcut_pool", "steal") => counted(Fixed::PoolSteal, argument(3)),
        ("tailcut_pool", "grow") => counted(Fixed::PoolGrow, argument(1)),
        ("tailcut_pool", "shrink") => counted(Fixed::PoolShrink, argument(1)),
        ("tailcut_pool", "exhausted") => counted(Fixed::PoolExhausted, ONE),
        ("tailcut_pool", "discard") => counted(Fixed::PoolDiscard, ONE),
        ("tailcut_pool", "wait_end") => timed(Fixed::PoolWait, argument(1)),
        ("tailcut_pool", "put") => timed(Fixed::PoolLifetime, argument(2)),
        ("otel_memory", "alloc") => Some((
            Fixed::OtelAlloc,
            BORN,
            ProbeCounted,
            [argument(0), argument(1), argument(2)],
        )),
        ("otel_memory", "free") => Some((
            Fixed::OtelFree,
            DIED,
            ProbeCounted,
            [argument(0), Place::NOWHERE, Place::NOWHERE],
        )),
        ("tailcut_alloc", "malloc") => Some((
            Fixed::SampledMalloc,
            TIMED,
            ProbeTimed,
            [argument(0), argument(1), Place::NOWHERE],
        )),
        ("tailcut_alloc", "free") => timed(Fixed::SampledFree, argument(0)),
        _ => None,
    }
}

/// The number one, for probes that report nothing but that they were hit.
const ONE: Place = Place {
    kind: sites::CONSTANT,
    register: 0,
    size: 8,
    offset: 1,
};

fn in_register(register: Register) -> Place {
    Place::register(u32::from(register.number()))
}

/// An argument that a program cannot read is none.
fn place(argument: &Argument) -> Place {
    let size = i64::from(argument.bytes) * if argument.signed { -1 } else { 1 };
    match &argument.operand {
        Operand::Register(register) => Place {
            size,
            ..in_register(*register)
        },
        Operand::Constant(number) => Place {
            kind: sites::CONSTANT,
            register: 0,
            size,
            offset: *number,
        },
        Operand::Memory {
            base: Some(base),
            index: None,
            displacement,
        } => Place {
            kind: sites::MEMORY,
            register: u32::from(base.number()),
            size,
            offset: *displacement,
        },
        Operand::Memory { .. } | Operand::Unrecognised(_) => Place::NOWHERE,
    }
}
