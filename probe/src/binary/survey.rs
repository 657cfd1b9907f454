//! Everything that can be traced in a process, in one answer: for `tailcut doctor -p PID`.
//!
//! [`survey`] reads a process, its modules, its allocators with a plan for each function, and its
//! static probes. The answer is data (it serialises), and [`Survey::lines`] is the same as text.
//!
//! Cost: some ms for a small program, tenths of a second for one of 100 MB; the target does not
//! notice.

mod text;

pub use text::Detail;

use super::allocators::{self, Allocator, Kind, OpenModule, Unrecognised};
use super::elf::ElfError;
use super::elf::frames::Frames;
use super::go::{self, SurveyedGo};
use super::notes::{self, Probe};
use super::process::load_order::load_order;
use super::process::{Process, ProcessError};
use super::register::Architecture;
use super::sites::{Code, HitCosts, KernelRules, Plan, Purpose};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a process cannot be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The program that it executes cannot be used.
    #[error("{path}: {source}")]
    Executable {
        /// The program.
        path: String,
        /// What is wrong with it.
        source: ElfError,
    },
}

/// A module in which something was found, or which could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedModule {
    /// The path as the process sees it, fit to be shown.
    pub path: String,
    /// A path that opens exactly this file from here: what a probe is attached to.
    pub openable: std::path::PathBuf,
    /// Whether it was deleted or replaced since.
    pub deleted: bool,
    /// Its build id, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Whether only exported functions have names in it.
    pub stripped: bool,
}

/// How a function is probed.
#[derive(Debug, Clone, Serialize)]
pub struct FunctionPlans {
    /// The function's name, fit to be shown.
    pub function: String,
    /// To see its calls, or why not.
    pub entry_only: Result<Plan, String>,
    /// To see how long they take, or why not.
    pub latency: Result<Plan, String>,
}

/// An allocator with plans for its functions, in the order of [`Allocator::functions`].
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedAllocator {
    /// The allocator. Its `module` is an index into [`Survey::modules`].
    pub allocator: Allocator,
    /// How each of its functions is probed.
    pub plans: Vec<FunctionPlans>,
}

/// A static probe and the module that it is in.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyedProbe {
    /// An index into [`Survey::modules`].
    pub module: usize,
    /// The probe.
    pub probe: Probe,
}

/// Everything that can be traced in a process.
#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    /// Who it is.
    pub process: Process,
    /// What its program runs on.
    pub architecture: Architecture,
    /// Its modules.
    pub modules: Vec<SurveyedModule>,
    /// Its allocators: the one that plain `malloc` reaches first.
    pub allocators: Vec<SurveyedAllocator>,
    /// Signs of allocators whose functions cannot be located.
    pub unrecognised: Vec<Unrecognised>,
    /// What Go built in it: its program, or a library. None in all other processes.
    pub go: Option<SurveyedGo>,
    /// Its static probes, by provider.
    pub probes: BTreeMap<String, Vec<SurveyedProbe>>,
    /// How many bytes of code were made at run time, which no symbols describe.
    pub anonymous_code_bytes: u64,
    /// What else a reader should know.
    pub remarks: Vec<String>,
}

/// Surveys the process `pid` by the rules of the running kernel, with hit costs as measured by the
/// prototype. See [`survey_with`].
///
/// # Errors
///
/// It cannot be looked at, or its program is not one that can be traced.
pub fn survey(pid: u32) -> Result<Survey, SurveyError> {
    survey_with(pid, KernelRules::running(), &HitCosts::default())
}

/// Surveys the process `pid`, with plans by these rules and costs.
///
/// # Errors
///
/// It cannot be looked at, or its program is not one that can be traced.
pub fn survey_with(pid: u32, rules: KernelRules, costs: &HitCosts) -> Result<Survey, SurveyError> {
    let process = Process::open(pid)?;
    let modules = process.modules()?;
    let mut remarks = Vec::new();
    let order = load_order(pid, &modules.files);
    let mut open: Vec<OpenModule> = Vec::new();
    // Of each file that could be opened, its index in `open`.
    let mut opened: Vec<Option<usize>> = Vec::new();
    for module in modules.files {
        let path = module.shown_path();
        let is_executable = process.executable.as_deref().is_some_and(|executable| {
            // The kernel marks a deleted program in the link's text as in maps.
            let text = executable.to_string_lossy();
            text.strip_suffix(" (deleted)").unwrap_or(&text) == module.path.to_string_lossy()
        });
        match OpenModule::open(module, is_executable) {
            Ok(module) => {
                if let Some(error) = &module.without_sections {
                    remarks.push(format!(
                        "{path} was read without its sections and symbols: {error}"
                    ));
                }
                opened.push(Some(open.len()));
                open.push(module);
            }
            Err(source) if is_executable => return Err(SurveyError::Executable { path, source }),
            Err(error) => {
                opened.push(None);
                remarks.push(format!("{path} was left out: {error}"));
            }
        }
    }
    let order: Option<Vec<usize>> =
        order.map(|order| order.into_iter().filter_map(|file| opened[file]).collect());
    let found = match allocators::find(&open, order.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            remarks.push(format!("allocators could not be looked for: {error}"));
            allocators::Allocators::default()
        }
    };
    let architecture = open
        .iter()
        .find(|module| module.is_executable)
        .or(open.first())
        .map_or(Architecture::X86_64, |module| module.image.architecture());
    let go = go::survey(&open, rules, costs, &mut remarks);
    let mut survey = Survey {
        go,
        allocators: with_plans(&open, found.found, rules, costs),
        unrecognised: found.unrecognised,
        modules: open.iter().map(summary).collect(),
        probes: BTreeMap::new(),
        anonymous_code_bytes: modules.anonymous.iter().map(|m| m.end - m.start).sum(),
        process,
        architecture,
        remarks,
    };
    for (index, module) in open.iter().enumerate() {
        match notes::read(&module.image) {
            Ok(probes) => {
                for probe in probes {
                    let provider = survey.probes.entry(probe.provider.clone()).or_default();
                    provider.push(SurveyedProbe {
                        module: index,
                        probe,
                    });
                }
            }
            Err(error) => survey.remarks.push(format!(
                "static probes of {} were left out: {error}",
                module.module.shown_path()
            )),
        }
    }
    if !survey.process.is_still_there() {
        return Err(ProcessError::Gone { pid }.into());
    }
    Ok(survey)
}

fn summary(module: &OpenModule) -> SurveyedModule {
    SurveyedModule {
        path: module.module.shown_path(),
        openable: module.module.openable.clone(),
        deleted: module.module.deleted,
        build_id: module.image.build_id(),
        stripped: !module.symbols.has_static_table(),
    }
}

fn with_plans(
    open: &[OpenModule],
    allocators: Vec<Allocator>,
    rules: KernelRules,
    costs: &HitCosts,
) -> Vec<SurveyedAllocator> {
    // Unwind tables are large, and needed once a module.
    let mut frames: BTreeMap<usize, Option<Frames>> = BTreeMap::new();
    allocators
        .into_iter()
        .map(|allocator| {
            let module = &open[allocator.module];
            let frames = frames
                .entry(allocator.module)
                .or_insert_with(|| Frames::read(&module.image).ok().flatten());
            let plans = allocator
                .functions
                .iter()
                .map(|function| plans_of(module, frames.as_ref(), function, rules, costs))
                .collect();
            SurveyedAllocator { allocator, plans }
        })
        .collect()
}

fn plans_of(
    module: &OpenModule,
    frames: Option<&Frames>,
    function: &allocators::Function,
    rules: KernelRules,
    costs: &HitCosts,
) -> FunctionPlans {
    let code = Code::read(
        &module.image,
        &module.symbols,
        frames,
        &function.name,
        function.address,
        function.length,
    );
    let wanted = function.signature.wanted_arguments();
    let plan = |purpose| match &code {
        Ok(code) => code
            .plan(&wanted, purpose, rules, costs)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    FunctionPlans {
        function: function.name.clone(),
        entry_only: plan(Purpose::EntryOnly),
        latency: plan(Purpose::Latency),
    }
}

impl SurveyedAllocator {
    /// The plans for calls, without slow paths.
    pub fn calls(&self) -> impl Iterator<Item = (&allocators::Function, &FunctionPlans)> {
        self.of_kind(|kind| !matches!(kind, Kind::SlowPath(_)))
    }

    /// The plans for slow paths.
    pub fn slow_paths(&self) -> impl Iterator<Item = (&allocators::Function, &FunctionPlans)> {
        self.of_kind(|kind| matches!(kind, Kind::SlowPath(_)))
    }

    fn of_kind(
        &self,
        wanted: impl Fn(Kind) -> bool,
    ) -> impl Iterator<Item = (&allocators::Function, &FunctionPlans)> {
        let functions = self.allocator.functions.iter().zip(&self.plans);
        functions.filter(move |(function, _)| wanted(function.signature.kind))
    }
}

#[cfg(test)]
mod tests;
