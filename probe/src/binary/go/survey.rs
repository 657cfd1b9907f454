//! What can be traced in a Go program, for a reader and for a session.
//!
//! Cost: besides reading the program, one pass over its functions for each that is looked up, and
//! over its debug information.

use super::{AllocationEntry, BuildInfo, GoProgram, GoVersion, TableForm};
use super::{GoFunction, RuntimeLayout};
use crate::binary::allocators::OpenModule;
use crate::binary::sites::{HitCosts, KernelRules, Plan, Purpose};
use serde::Serialize;

/// A function of Go's runtime that is worth a probe.
struct Wanted {
    name: &'static str,
    arguments: &'static [u8],
    purpose: Purpose,
    /// What it shows, for a reader.
    shows: &'static str,
}

const fn wanted(
    name: &'static str,
    arguments: &'static [u8],
    purpose: Purpose,
    shows: &'static str,
) -> Wanted {
    Wanted {
        name,
        arguments,
        purpose,
        shows,
    }
}

/// The functions by which the collector and the allocator's slow paths are traced. Receivers are argument 0.
const WANTED: [Wanted; 11] = [
    wanted("runtime.gcStart", &[], Purpose::EntryOnly, "collections"),
    wanted(
        "runtime.(*gcControllerState).startCycle",
        &[],
        Purpose::EntryOnly,
        "collections",
    ),
    wanted(
        "runtime.gcMarkTermination",
        &[],
        Purpose::EntryOnly,
        "collections",
    ),
    wanted(
        "runtime.stopTheWorldWithSema",
        &[],
        Purpose::Latency,
        "stopping the world",
    ),
    wanted(
        "runtime.startTheWorldWithSema",
        &[],
        Purpose::Latency,
        "stopping the world",
    ),
    wanted(
        "runtime.gcAssistAlloc",
        &[0],
        Purpose::Latency,
        "mark assist",
    ),
    wanted(
        "runtime.gcAssistAlloc1",
        &[0],
        Purpose::Latency,
        "mark assist: the work alone",
    ),
    wanted(
        "runtime.deductSweepCredit",
        &[0],
        Purpose::Latency,
        "sweep assist",
    ),
    wanted(
        "runtime.(*mcache).refill",
        &[1],
        Purpose::Latency,
        "allocation: refill",
    ),
    wanted(
        "runtime.(*mheap).alloc",
        &[1],
        Purpose::Latency,
        "allocation: a span",
    ),
    wanted(
        "runtime.(*mheap).grow",
        &[1],
        Purpose::Latency,
        "allocation: from the operating system",
    ),
];

/// How a function of Go's runtime is probed.
#[derive(Debug, Clone, Serialize)]
pub struct GoFunctionPlan {
    /// The function's name.
    pub function: String,
    /// What a probe there shows, for a reader.
    pub shows: String,
    /// Where it is; none if the program has no such function.
    pub place: Option<GoFunction>,
    /// How it is probed, or why not.
    pub plan: Result<Plan, String>,
}

/// A function that allocates, and how it is probed: size and type are its arguments 0 and 1.
#[derive(Debug, Clone, Serialize)]
pub struct GoAllocationPlan {
    /// The function, and what its arguments hold.
    pub entry: AllocationEntry,
    /// How it is probed, or why not.
    pub plan: Result<Plan, String>,
}

/// What can be traced in a Go program.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedGo {
    /// Its module: an index into [`Survey::modules`](crate::binary::survey::Survey::modules).
    pub module: usize,
    /// The version of Go that it was built with.
    pub version: GoVersion,
    /// What it says about its build.
    pub build: BuildInfo,
    /// The form of its table of functions.
    pub table: TableForm,
    /// How many functions that has.
    pub functions: usize,
    /// Whether it has a symbol table besides.
    pub has_symbol_table: bool,
    /// Whether the kernel places it at any address.
    pub position_independent: bool,
    /// The functions of the collector and of the allocator's slow paths.
    pub plans: Vec<GoFunctionPlan>,
    /// The functions through which it allocates: `mallocgc` first.
    pub allocations: Vec<GoAllocationPlan>,
    /// Where the runtime keeps what can be read without probes, or why that is not known.
    pub layout: Result<RuntimeLayout, String>,
    /// What cannot be traced in this program and why, for a reader.
    pub left_out: Vec<String>,
}

impl GoProgram {
    /// The answer to what can be traced in it, with plans by these rules and costs. `module` is
    /// passed on.
    #[must_use]
    pub fn survey(&self, module: usize, rules: KernelRules, costs: &HitCosts) -> SurveyedGo {
        let plans: Vec<GoFunctionPlan> = WANTED
            .iter()
            .map(|wanted| {
                let place = self.function(wanted.name);
                let plan = match &place {
                    None => Err("this program has no such function".to_owned()),
                    Some(place) => self
                        .plan(place, wanted.arguments, wanted.purpose, rules, costs)
                        .map_err(|error| error.to_string()),
                };
                GoFunctionPlan {
                    function: wanted.name.to_owned(),
                    shows: wanted.shows.to_owned(),
                    place,
                    plan,
                }
            })
            .collect();
        let allocations: Vec<GoAllocationPlan> = self
            .allocation_entries()
            .into_iter()
            .map(|entry| {
                let wanted = [entry.size, entry.type_description];
                let plan = self
                    .plan(&entry.function, &wanted, Purpose::Latency, rules, costs)
                    .map_err(|error| error.to_string());
                GoAllocationPlan { entry, plan }
            })
            .collect();
        let layout = self.runtime_layout().map_err(|error| error.to_string());
        SurveyedGo {
            module,
            version: self.version().clone(),
            build: self.build().clone(),
            table: self.table_form(),
            functions: self.function_count(),
            has_symbol_table: self.has_symbol_table(),
            position_independent: self.is_position_independent(),
            left_out: self.left_out(&layout, allocations.is_empty()),
            plans,
            allocations,
            layout,
        }
    }

    fn left_out(
        &self,
        layout: &Result<RuntimeLayout, String>,
        no_allocations: bool,
    ) -> Vec<String> {
        let mut left_out = Vec::new();
        if !self.passes_registers() {
            left_out.push(format!(
                "goroutines, sizes and types: {} passes arguments on the stack (Go 1.17 and newer use registers)",
                self.version()
            ));
        }
        if no_allocations {
            left_out.push("allocations: it has no runtime.mallocgc".to_owned());
        }
        if let Err(reason) = &self.module_data {
            left_out.push(format!("names of types: {reason}"));
        }
        match layout {
            Err(reason) => left_out.push(format!("the runtime's own figures: {reason}")),
            Ok(layout) => {
                let parts = [
                    (
                        "numbers of goroutines",
                        layout.goroutine_number.as_ref().err(),
                    ),
                    ("scheduler latency", layout.scheduler_latency.as_ref().err()),
                    (
                        "the runtime's own figures of its pauses",
                        layout.collector_pauses.as_ref().err(),
                    ),
                ];
                for (part, reason) in parts {
                    left_out.extend(reason.map(|reason| format!("{part}: {reason}")));
                }
            }
        }
        if self.version().is_beyond_known() {
            left_out.push(format!(
                "nothing else, but {} is not known to this version of tailcut (up to {}): functions are found by \
                 name, the runtime's data by its debug information only",
                self.version(),
                super::NEWEST_KNOWN
            ));
        }
        left_out
    }
}

/// Looks for a Go program among the modules of a process: the executable first, then libraries that
/// Go built. None if there is none; what could not be read is in `remarks`.
pub(in crate::binary) fn survey(
    open: &[OpenModule],
    rules: KernelRules,
    costs: &HitCosts,
    remarks: &mut Vec<String>,
) -> Option<SurveyedGo> {
    let mut order: Vec<usize> = (0..open.len()).collect();
    order.sort_by_key(|index| !open[*index].is_executable);
    let mut found: Option<SurveyedGo> = None;
    for index in order {
        let module = &open[index];
        let path = module.module.shown_path();
        match GoProgram::read(module) {
            Ok(None) => {}
            Ok(Some(program)) if found.is_none() => {
                found = Some(program.survey(index, rules, costs));
            }
            Ok(Some(_)) => {
                remarks.push(format!(
                    "{path} was built by Go too; only one Go program is traced"
                ));
            }
            Err(error) => remarks.push(format!("{path}: {error}")),
        }
    }
    found
}
