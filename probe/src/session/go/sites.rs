//! Which functions of Go's runtime serve which series, and where they are probed.
//!
//! Names are those of Go 1.17 to 1.27. A function that a program lacks, or that cannot be probed, costs its series,
//! with the reason; stops of the world are told apart by several functions, and need them all.

use std::path::Path;

use tailcut_probe_ebpf::series::Fixed;
use tailcut_probe_ebpf::sites::{
    self, GOROUTINE_REGISTER, Place, Site, WORLD_MARK_TERMINATION, WORLD_START, WORLD_STARTED,
    WORLD_STOP, WORLD_SWEEP_TERMINATION,
};

use super::behind_calls::{Calls, calls_of, calls_within};
use super::reasons::NOT_TOLD;
use crate::binary::Register;
use crate::binary::go::{GoFunction, GoProgram};
use crate::binary::sites::{HitCost, HitCosts, KernelRules, Plan, Purpose, Returns};
use crate::catalogue::{Group, Selection};
use crate::session::user_sites::Planned;
use crate::user_probes::{SiteAt, UserProgram};

/// The least release that tells why the world is stopped.
const TELLS_REASONS: (u16, u16) = (1, 21);

/// The sites of a Go program, and what is left out.
#[derive(Debug, Default)]
pub(crate) struct GoSites {
    pub planned: Vec<Planned>,
    pub left_out: Vec<String>,
}

/// What is known of the program beside its functions.
pub(crate) struct Known<'a> {
    pub program: &'a GoProgram,
    /// Opens its file.
    pub path: &'a Path,
    /// Offset of the goroutine's number in `runtime.g`.
    pub goroutine_number: Option<u64>,
    pub rules: KernelRules,
    pub costs: &'a HitCosts,
}

/// The places of a function's arguments at its entry: bytes, detail.
#[derive(Clone, Copy)]
enum Reports {
    Nothing,
    /// The goroutine's number.
    Goroutine,
    /// This argument: flags.
    Flags(u8),
    /// These arguments: bytes, and the address of a type.
    Allocation(u8, u8),
}

impl GoSites {
    /// The sites that `selection` needs.
    pub fn of(known: &Known<'_>, selection: &Selection) -> GoSites {
        let mut sites = GoSites::default();
        if selection.has(Group::Gc) {
            sites.add_world(known);
        }
        let of_goroutines = [Group::Gc, Group::GcDetail, Group::GoAlloc];
        if !known.program.passes_registers()
            && of_goroutines.iter().any(|group| selection.has(*group))
        {
            // The register that is read as the goroutine holds something else there.
            sites.left_out.push(format!(
                "calls of goroutines (assists, allocations): {} passes arguments on the stack; it takes Go 1.17 or newer",
                known.program.version()
            ));
            return sites;
        }
        let calls = [
            (
                Fixed::GcAssist,
                Group::Gc,
                "runtime.gcAssistAlloc",
                Reports::Goroutine,
            ),
            (
                Fixed::GcWorker,
                Group::Gc,
                "runtime.gcDrain",
                Reports::Flags(1),
            ),
            (
                Fixed::GoHeapGrow,
                Group::Gc,
                "runtime.(*mheap).grow",
                Reports::Nothing,
            ),
            (
                Fixed::GcAssistWork,
                Group::GcDetail,
                "runtime.gcAssistAlloc1",
                Reports::Nothing,
            ),
            (
                Fixed::GcSweepAssist,
                Group::GcDetail,
                "runtime.deductSweepCredit",
                Reports::Goroutine,
            ),
            (
                Fixed::GoAllocRefill,
                Group::GoAlloc,
                "runtime.(*mcache).refill",
                Reports::Nothing,
            ),
            (
                Fixed::GoAllocSpan,
                Group::GoAlloc,
                "runtime.(*mheap).alloc",
                Reports::Nothing,
            ),
            (
                Fixed::GoAllocOs,
                Group::GoAlloc,
                "runtime.sysMap",
                Reports::Nothing,
            ),
        ];
        for (series, group, name, reports) in calls {
            if !selection.has(group) {
                continue;
            }
            match known.program.function(name) {
                Some(function) => sites.add_call(known, series, &function, reports),
                None => sites.left_out.push(no_function(name)),
            }
        }
        if selection.has(Group::GoAlloc) {
            let entries = known.program.allocation_entries();
            if entries.is_empty() {
                sites.left_out.push(no_function("runtime.mallocgc"));
            }
            for entry in entries {
                let reports = Reports::Allocation(entry.size, entry.type_description);
                sites.add_call(known, Fixed::GoAlloc, &entry.function, reports);
            }
        }
        sites
    }

    /// Stops of the world.
    fn add_world(&mut self, known: &Known<'_>) {
        let mut planned = Vec::new();
        let hits = [
            (
                "runtime.stopTheWorldWithSema",
                Purpose::EntryOnly,
                WORLD_STOP,
            ),
            (
                "runtime.(*gcControllerState).startCycle",
                Purpose::EntryOnly,
                WORLD_SWEEP_TERMINATION,
            ),
            (
                "runtime.gcMarkTermination",
                Purpose::EntryOnly,
                WORLD_MARK_TERMINATION,
            ),
            (
                "runtime.startTheWorldWithSema",
                Purpose::Latency,
                WORLD_START,
            ),
        ];
        for (name, purpose, action) in hits {
            let Some(function) = known.program.function(name) else {
                self.left_out.push(no_function(name));
                return;
            };
            let tells = action == WORLD_STOP
                && known
                    .program
                    .version()
                    .at_least(TELLS_REASONS.0, TELLS_REASONS.1);
            let wanted: &[u8] = if tells { &[0] } else { &[] };
            let plan = match known.plan(&function, wanted, purpose) {
                Ok(plan) => plan,
                Err(reason) => {
                    self.left_out.push(reason);
                    return;
                }
            };
            let reason = match (tells, argument(&plan, 0)) {
                (true, Some(place)) => Place { size: 1, ..place },
                _ => Place {
                    kind: sites::CONSTANT,
                    offset: NOT_TOLD as i64,
                    ..Place::NOWHERE
                },
            };
            // Which series it is of is known when it ends.
            let site = |action| Site {
                series: Fixed::GcStwOther as u32,
                action,
                stack_depth: 0,
                places: [reason, Place::NOWHERE, Place::NOWHERE],
            };
            let mut add = |offset, action, hit| {
                let hit: (u64, HitCost) = (offset, hit);
                planned.push(known.planned(UserProgram::GoWorld, hit, site(action)));
            };
            add(plan.entry.file_offset, action, plan.entry.cost);
            let Returns::Sites(exits) = &plan.returns else {
                continue;
            };
            // The runtime reads its clock, and then looks whether there is work for another thread, which
            // may take long: it is a pause of nobody.
            let wakep = known.program.function("runtime.wakep");
            let clock = wakep.map(|wakep| calls_within(known, &function, &wakep));
            match clock.as_deref() {
                Some([(offset, cost)]) => add(*offset, WORLD_STARTED, *cost),
                _ => {
                    for exit in exits {
                        add(exit.file_offset, WORLD_STARTED, exit.cost);
                    }
                }
            }
        }
        self.planned.extend(planned);
    }

    /// A function whose calls are timed.
    fn add_call(
        &mut self,
        known: &Known<'_>,
        series: Fixed,
        function: &GoFunction,
        reports: Reports,
    ) {
        let wanted = match reports {
            Reports::Allocation(bytes, type_description) => vec![bytes, type_description],
            Reports::Flags(flags) => vec![flags],
            Reports::Goroutine | Reports::Nothing => Vec::new(),
        };
        let plan = match known.plan(function, &wanted, Purpose::Latency) {
            Ok(plan) => plan,
            Err(reason) => return self.left_out.push(reason),
        };
        let Returns::Sites(exits) = &plan.returns else {
            self.left_out.push(format!(
                "{}: its end cannot be seen without a return probe, which would crash a Go program",
                function.name
            ));
            return;
        };
        let exits: Vec<(u64, HitCost)> = (exits.iter())
            .map(|exit| (exit.file_offset, exit.cost))
            .collect();
        let own = Calls {
            begins: vec![(plan.entry.file_offset, plan.entry.cost)],
            ends: exits,
        };
        let is_dear =
            |hits: &[(u64, HitCost)]| hits.iter().any(|(_, cost)| *cost > HitCost::Emulated);
        // Compiled code of any package may call those that allocate.
        let is_internal = !matches!(reports, Reports::Allocation(..));
        let calls = match is_internal && (is_dear(&own.begins) || is_dear(&own.ends)) {
            true => calls_of(known, function).unwrap_or(own),
            false => own,
        };
        let here = |number| argument(&plan, number).unwrap_or(Place::NOWHERE);
        let places = match reports {
            Reports::Nothing => [Place::NOWHERE; 2],
            Reports::Goroutine => [
                Place::NOWHERE,
                known
                    .goroutine_number
                    .map_or(Place::NOWHERE, |offset| Place {
                        kind: sites::MEMORY,
                        register: GOROUTINE_REGISTER,
                        size: 8,
                        offset: offset as i64,
                    }),
            ],
            Reports::Flags(flags) => [Place::NOWHERE, here(flags)],
            Reports::Allocation(bytes, type_description) => [here(bytes), here(type_description)],
        };
        let site = |action, [bytes, detail]: [Place; 2]| Site {
            series: series as u32,
            action,
            stack_depth: 0,
            places: [bytes, detail, Place::NOWHERE],
        };
        let begin = site(sites::ENTER, places);
        let end = site(sites::LEAVE, [Place::NOWHERE; 2]);
        for (hits, program, site) in [
            (calls.begins, UserProgram::GoEnter, begin),
            (calls.ends, UserProgram::GoLeave, end),
        ] {
            let planned = hits.into_iter();
            self.planned
                .extend(planned.map(|hit| known.planned(program, hit, site)));
        }
    }
}

impl Known<'_> {
    fn plan(&self, function: &GoFunction, wanted: &[u8], purpose: Purpose) -> Result<Plan, String> {
        self.program
            .plan(function, wanted, purpose, self.rules, self.costs)
            .map_err(|error| format!("{}: {error}", function.name))
    }

    fn planned(&self, program: UserProgram, (offset, hit): (u64, HitCost), site: Site) -> Planned {
        Planned {
            program,
            path: self.path.to_owned(),
            at: SiteAt {
                offset,
                semaphore: 0,
                cookie: 0,
            },
            site,
            hit: Some(hit),
            cost_ns: u64::from(self.costs.of(hit)),
        }
    }
}

fn argument(plan: &Plan, number: u8) -> Option<Place> {
    let found = plan.entry.arguments.iter();
    let mut found = found.filter(|place| place.argument == number);
    let register: Register = found.next()?.register;
    Some(Place::register(u32::from(register.number())))
}

fn no_function(name: &str) -> String {
    format!("{name}: this program has no function of that name")
}
