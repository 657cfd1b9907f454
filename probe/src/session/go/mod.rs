//! What a session does for a Go program: sites in its runtime, the runtime's own histograms, and words
//! for what events tell.
//!
//! | file | what |
//! |---|---|
//! | `sites.rs` | which functions are probed for which series |
//! | `behind_calls.rs` | where calls end, seen from their callers |
//! | `processors.rs` | how many goroutines can run at one time |
//! | `histograms.rs` | what the runtime counts by itself, read from its memory |
//! | `reasons.rs` | why the world was stopped, in words |
//!
//! Any other program costs nothing here, and hears nothing of it.

mod behind_calls;
mod histograms;
mod processors;
mod reasons;
mod sites;

use std::collections::HashMap;
use std::path::PathBuf;

use tailcut_probe_ebpf::series::Fixed;

use self::histograms::{Added, RuntimeHistogram};
use self::sites::{GoSites, Known};
use crate::binary::go::{GoProgram, RuntimeLayout};
use crate::binary::sites::{HitCosts, KernelRules};
use crate::binary::survey::Survey;
use crate::catalogue::{Group, Selection, Series};

/// Names of types that are remembered; forgotten all at once when there are more.
const MOST_TYPES: usize = 4_096;

/// A traced process that is a Go program.
pub(crate) struct GoTarget {
    program: GoProgram,
    path: PathBuf,
    goroutine_number: Option<u64>,
    /// By the number of their series.
    histograms: Vec<(u32, RuntimeHistogram)>,
    types: HashMap<u64, String>,
    /// Whether only one goroutine can run at one time, as far as it is known.
    one_at_a_time: bool,
    /// What was asked for and cannot be had, and why.
    pub left_out: Vec<String>,
}

impl GoTarget {
    /// The Go program of a process, if it is one and `selection` asks for anything of Go.
    ///
    /// # Errors
    /// Why nothing of Go can be had of what is a Go program.
    pub fn of(survey: &Survey, selection: &Selection) -> Result<Option<GoTarget>, String> {
        let Some(go) = &survey.go else {
            return Ok(None);
        };
        if !selection.iter().any(Group::is_of_go) {
            return Ok(None);
        }
        let pid = survey.process.pid;
        let program = match GoProgram::of_process(pid) {
            Ok(Some(program)) => program,
            Ok(None) => return Ok(None),
            Err(error) => return Err(format!("gc: {error}")),
        };
        let mut target = GoTarget {
            program,
            path: survey.modules[go.module].openable.clone(),
            goroutine_number: None,
            histograms: Vec::new(),
            types: HashMap::new(),
            one_at_a_time: false,
            left_out: Vec::new(),
        };
        target.one_at_a_time = processors::of(pid, &target.program) == Some(1);
        match &go.layout {
            Ok(layout) => target.use_layout(pid, layout, selection),
            Err(reason) if selection.has(Group::Gc) => {
                let series = "go_scheduler_latency and go_runtime_gc_pauses";
                target.left_out.push(format!("{series}: {reason}"));
            }
            Err(_) => {}
        }
        Ok(Some(target))
    }

    fn use_layout(&mut self, pid: u32, layout: &RuntimeLayout, selection: &Selection) {
        self.goroutine_number = layout.goroutine_number.as_ref().ok().copied();
        if !selection.has(Group::Gc) {
            return;
        }
        let known = [
            (
                Fixed::GoSchedulerLatency,
                "go_scheduler_latency",
                &layout.scheduler_latency,
            ),
            (
                Fixed::GoRuntimeGcPauses,
                "go_runtime_gc_pauses",
                &layout.collector_pauses,
            ),
        ];
        for (series, name, place) in known {
            let opened = place.as_ref().map_err(String::clone).and_then(|place| {
                RuntimeHistogram::open(pid, place).map_err(|error| error.to_string())
            });
            match opened {
                Ok(histogram) => self.histograms.push((series as u32, histogram)),
                Err(reason) => self.left_out.push(format!("{name}: {reason}")),
            }
        }
    }

    /// The sites that `selection` needs.
    pub fn sites(&self, selection: &Selection, costs: &HitCosts) -> GoSites {
        let known = Known {
            program: &self.program,
            path: &self.path,
            goroutine_number: self.goroutine_number,
            rules: KernelRules::running(),
            costs,
        };
        GoSites::of(&known, selection)
    }

    /// Whether all goroutines stand still in a series because there is one processor, which the runtime takes for itself.
    pub fn stands_still_in(&self, series: u32) -> bool {
        self.one_at_a_time && series == Fixed::GcWorker as u32
    }

    /// Whether the runtime counts this series by itself.
    pub fn counts(&self, series: u32) -> bool {
        self.histograms.iter().any(|(number, _)| *number == series)
    }

    /// What the runtime has added to a series that it counts by itself.
    pub fn added(&mut self, series: u32) -> Option<Added> {
        let mut all = self.histograms.iter_mut();
        let (_, histogram) = all.find(|(number, _)| *number == series)?;
        Some(histogram.added())
    }

    /// The name of a type by the address of its description.
    pub fn type_name(&mut self, address: u64) -> String {
        if let Some(name) = self.types.get(&address) {
            return name.clone();
        }
        if self.types.len() >= MOST_TYPES {
            self.types.clear();
        }
        let name = match self.program.type_name(address) {
            Some(name) => name,
            None if address == 0 => "memory without pointers".to_owned(),
            None => format!("type at {address:#x}"),
        };
        self.types.insert(address, name.clone());
        name
    }
}

/// What a detail of an event of Go's runtime says: who did it, or why.
pub(crate) fn by(series: &Series, detail: u64) -> Option<String> {
    match series.detail {
        Some("goroutine") if detail != 0 => Some(format!("goroutine {detail}")),
        Some("reason") => reasons::in_words(detail).map(str::to_owned),
        _ => None,
    }
}
