//! The eBPF programs in the kernel: loading them, attaching them, and their maps.
//!
//! The built object is part of this crate (`probe/programs/`, from `probe-ebpf/`), so that a user
//! needs no eBPF toolchain. A program is loaded when it is first attached; the maps exist from the
//! beginning.

use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues, RingBuf};
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya::programs::{PerfEvent, Program, ProgramError, RawTracePoint};
use aya::util::online_cpus;
use aya::{Ebpf, EbpfError, EbpfLoader, Pod};
use tailcut_probe_ebpf::histogram::Histogram;
use tailcut_probe_ebpf::records::{CallerKey, CallerTotals, LOST, Sizes, SystemCall};
use tailcut_probe_ebpf::series;
use tailcut_probe_ebpf::sites::Site;

use crate::layout::{Layout, LayoutError};
use crate::system_calls;
use crate::user_probes::{UserProbesError, UserPrograms};

static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("TAILCUT_PROBE_OBJECT"));

/// A type of the shared library, as the map functions want it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub T);

// SAFETY: the types of the shared library are `#[repr(C)]`, of integers only, without padding.
unsafe impl Pod for Shared<Histogram> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Sizes> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Site> {}
// SAFETY: as above.
unsafe impl Pod for Shared<SystemCall> {}
// SAFETY: as above.
unsafe impl Pod for Shared<CallerKey> {}
// SAFETY: as above.
unsafe impl Pod for Shared<CallerTotals> {}

/// Why the kernel did not take the programs.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The kernel's types could not be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Maps could not be made, or the object not be read.
    #[error("cannot load the eBPF programs: {}", chain(.0))]
    Load(#[source] EbpfError),
    /// A program could not be loaded or attached.
    #[error("cannot attach {program}: {}", chain(.source))]
    Attach {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: ProgramError,
    },
    /// A map could not be read or written.
    #[error("cannot use the map {map} of the eBPF programs: {}", chain(.source))]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The embedded object lacks a program or map that this version knows.
    #[error("the embedded eBPF object has no {0}: it does not belong to this version of tailcut")]
    Foreign(String),
    /// The CPUs of the machine could not be listed.
    #[error("cannot list the machine's CPUs: {0}")]
    Cpus(#[source] std::io::Error),
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// What the programs are told when they are loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub target: u32,
    pub follow: bool,
    pub stacks: bool,
    pub long_running_ns: u64,
    pub lifetime_mask: u64,
}

/// Detaches when it is dropped.
pub(crate) type Link = Box<dyn Send>;

/// The loaded object.
pub(crate) struct Programs {
    ebpf: Ebpf,
    cpus: Vec<u32>,
}

impl Programs {
    pub fn load(settings: &Settings) -> Result<Programs, ProgramsError> {
        Programs::load_object(OBJECT, settings)
    }

    fn load_object(object: &[u8], settings: &Settings) -> Result<Programs, ProgramsError> {
        let layout = Layout::of_kernel()?;
        let words = [u32::from(settings.follow), u32::from(settings.stacks)];
        let ebpf = EbpfLoader::new()
            .override_global("TARGET", &settings.target, true)
            .override_global("FOLLOW", &words[0], true)
            .override_global("STACKS", &words[1], true)
            .override_global("LONG_RUNNING_NS", &settings.long_running_ns, true)
            .override_global("LIFETIME_MASK", &settings.lifetime_mask, true)
            .override_global("TASK_PID", &layout.task_pid, true)
            .override_global("TASK_TGID", &layout.task_tgid, true)
            .override_global("TASK_COMM", &layout.task_comm, true)
            .override_global("TASK_STATE", &layout.task_state, true)
            .override_global("TASK_MM", &layout.task_mm, true)
            .override_global("TASK_STACK", &layout.task_stack, true)
            .override_global("STACK_REGISTERS", &layout.stack_registers, true)
            .override_global("MM_LOCK", &layout.mm_lock, true)
            .load(object)
            .map_err(ProgramsError::Load)?;
        let cpus = online_cpus().map_err(|(_, error)| ProgramsError::Cpus(error))?;
        let mut programs = Programs { ebpf, cpus };
        let mut calls: Array<&mut MapData, Shared<SystemCall>> = programs.map_mut("CALLS")?;
        for (number, call) in system_calls::table() {
            calls
                .set(number, Shared(call), 0)
                .map_err(in_map("CALLS"))?;
        }
        Ok(programs)
    }

    /// Attaches the raw tracepoint program `name` to `tracepoint`.
    pub fn attach_tracepoint(
        &mut self,
        name: &str,
        tracepoint: &str,
    ) -> Result<Link, ProgramsError> {
        let attach = |program: &mut RawTracePoint| {
            if program.fd().is_err() {
                program.load()?;
            }
            let id = program.attach(tracepoint)?;
            program.take_link(id)
        };
        let link = attach(self.program(name)?).map_err(in_program(name))?;
        Ok(Box::new(link))
    }

    /// Attaches the perf event program `name` to each occurrence of a software event, on all CPUs.
    pub fn attach_software_event(
        &mut self,
        name: &str,
        event: SoftwareEvent,
    ) -> Result<Vec<Link>, ProgramsError> {
        let cpus = self.cpus.clone();
        let attach = |program: &mut PerfEvent| {
            if program.fd().is_err() {
                program.load()?;
            }
            let mut links = Vec::with_capacity(cpus.len());
            for cpu in cpus {
                let id = program.attach(
                    PerfEventConfig::Software(event),
                    PerfEventScope::AllProcessesOneCpu { cpu },
                    SamplePolicy::Period(1),
                    false,
                )?;
                links.push(Box::new(program.take_link(id)?) as Link);
            }
            Ok(links)
        };
        attach(self.program(name)?).map_err(in_program(name))
    }

    /// Loads the programs that serve probe sites in user space.
    pub fn user_programs(&self) -> Result<UserPrograms, UserProbesError> {
        UserPrograms::load(OBJECT, |name| {
            let data = match self.ebpf.map(name)? {
                Map::Array(data)
                | Map::PerCpuArray(data)
                | Map::HashMap(data)
                | Map::LruHashMap(data)
                | Map::RingBuf(data) => data,
                _ => return None,
            };
            Some(data.fd().as_fd().as_raw_fd())
        })
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, ProgramsError>
    where
        &'a mut P: TryFrom<&'a mut Program>,
    {
        self.ebpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| ProgramsError::Foreign(format!("program {name}")))
    }

    fn map_mut<'a, M>(&'a mut self, name: &'static str) -> Result<M, ProgramsError>
    where
        M: TryFrom<&'a mut Map, Error = MapError>,
    {
        self.ebpf
            .map_mut(name)
            .ok_or_else(|| ProgramsError::Foreign(format!("map {name}")))?
            .try_into()
            .map_err(in_map(name))
    }

    fn map<'a, M>(&'a self, name: &'static str) -> Result<M, ProgramsError>
    where
        M: TryFrom<&'a Map, Error = MapError>,
    {
        self.ebpf
            .map(name)
            .ok_or_else(|| ProgramsError::Foreign(format!("map {name}")))?
            .try_into()
            .map_err(in_map(name))
    }

    /// The ring buffer; can be taken once.
    pub fn take_records(&mut self) -> Result<RingBuf<MapData>, ProgramsError> {
        self.ebpf
            .take_map("RECORDS")
            .ok_or_else(|| ProgramsError::Foreign("map RECORDS".to_owned()))?
            .try_into()
            .map_err(in_map("RECORDS"))
    }

    pub fn set_threshold(&mut self, series: u32, nanoseconds: u64) -> Result<(), ProgramsError> {
        let mut thresholds: Array<&mut MapData, u64> = self.map_mut("THRESHOLDS")?;
        thresholds
            .set(series, nanoseconds, 0)
            .map_err(in_map("THRESHOLDS"))
    }

    /// Beginnings that the hooks of this number saw before now no longer count.
    pub fn set_valid_since(&mut self, hooks: u32, now_ns: u64) -> Result<(), ProgramsError> {
        let mut since: Array<&mut MapData, u64> = self.map_mut("VALID_SINCE")?;
        since.set(hooks, now_ns, 0).map_err(in_map("VALID_SINCE"))
    }

    pub fn set_site(&mut self, number: u32, site: Site) -> Result<(), ProgramsError> {
        let mut sites: Array<&mut MapData, Shared<Site>> = self.map_mut("SITES")?;
        sites.set(number, Shared(site), 0).map_err(in_map("SITES"))
    }

    /// Adds a process to those that are traced.
    pub fn add_process(&mut self, process: u32) -> Result<(), ProgramsError> {
        let mut processes: HashMap<&mut MapData, u32, u32> = self.map_mut("PROCESSES")?;
        processes.insert(process, 0, 0).map_err(in_map("PROCESSES"))
    }

    /// What each CPU has counted of a series.
    pub fn histogram(&self, series: u32) -> Result<PerCpuValues<Shared<Histogram>>, ProgramsError> {
        debug_assert!(series < series::COUNT);
        let histograms: PerCpuArray<&MapData, Shared<Histogram>> = self.map("HISTOGRAMS")?;
        histograms.get(&series, 0).map_err(in_map("HISTOGRAMS"))
    }

    /// Calls by size class, summed over all CPUs.
    pub fn sizes(&self, series: u32) -> Result<Vec<u64>, ProgramsError> {
        let sizes: PerCpuArray<&MapData, Shared<Sizes>> = self.map("SIZES")?;
        let values = sizes.get(&series, 0).map_err(in_map("SIZES"))?;
        let mut sum = vec![0; tailcut_probe_ebpf::records::SIZE_CLASSES];
        for value in values.iter() {
            for (total, calls) in sum.iter_mut().zip(value.0.calls) {
                *total += calls;
            }
        }
        Ok(sum)
    }

    /// Hits of a site, over all CPUs.
    pub fn hits(&self, site: u32) -> Result<u64, ProgramsError> {
        let hits: PerCpuArray<&MapData, u64> = self.map("HITS")?;
        let values = hits.get(&site, 0).map_err(in_map("HITS"))?;
        Ok(values.iter().sum())
    }

    /// What was lost, by kind, over all CPUs.
    pub fn losses(&self) -> Result<[u64; LOST as usize], ProgramsError> {
        let losses: PerCpuArray<&MapData, u64> = self.map("LOSSES")?;
        let mut all = [0; LOST as usize];
        for (kind, total) in all.iter_mut().enumerate() {
            let values = losses.get(&(kind as u32), 0).map_err(in_map("LOSSES"))?;
            *total = values.iter().sum();
        }
        Ok(all)
    }

    /// Totals of every call site.
    pub fn callers(&self) -> Result<Vec<(CallerKey, CallerTotals)>, ProgramsError> {
        let callers: HashMap<&MapData, Shared<CallerKey>, Shared<CallerTotals>> =
            self.map("CALLERS")?;
        // An entry that is evicted while the table is read is one that is hardly used.
        Ok(callers
            .iter()
            .filter_map(Result::ok)
            .map(|(key, totals)| (key.0, totals.0))
            .collect())
    }

    /// Name, runs and nanoseconds in them of each program that is loaded, as far as the kernel
    /// accounted them.
    pub fn runs(&self) -> Vec<(&str, u64, u64)> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                let nanoseconds = info.run_time().as_nanos() as u64;
                Some((name, info.run_count(), nanoseconds))
            })
            .collect()
    }
}

fn in_map(map: &'static str) -> impl Fn(MapError) -> ProgramsError {
    move |source| ProgramsError::Map { map, source }
}

fn in_program(program: &str) -> impl Fn(ProgramError) -> ProgramsError + '_ {
    move |source| ProgramsError::Attach {
        program: program.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    /// Every program passes the verifier of this kernel and can be attached.
    #[test]
    fn the_kernel_takes_every_program() {
        if !nix::unistd::geteuid().is_root() {
            return host::testing::skip("the kernel takes eBPF programs from root only");
        }
        let settings = Settings {
            target: std::process::id(),
            follow: false,
            stacks: true,
            long_running_ns: 10_000_000,
            lifetime_mask: 0,
        };
        let mut programs = Programs::load(&settings).unwrap();
        let names: Vec<String> = programs
            .ebpf
            .programs()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            let program = programs.ebpf.program_mut(&name).unwrap();
            let loaded = match program {
                Program::RawTracePoint(program) => program.load(),
                Program::PerfEvent(program) => program.load(),
                // By `user_programs`.
                Program::UProbe(_) => Ok(()),
                other => panic!("{name} is of type {other:?}"),
            };
            loaded.unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
        }
        programs.user_programs().unwrap();
    }
}
