//! Every series in words: what it measures, by which hook, and whether it stops a request.
//!
//! The numbers that the eBPF programs count by are private to them; everything that leaves this
//! crate carries the names given here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tailcut_probe_ebpf::series::{ALLOCATORS, CALLS, Call, FIRST_FIXED, FIXED, Fixed, of_call};

/// Series that are switched on together, since they share hooks: a word of `--series`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Calls that allocate, by every allocator in the process.
    Malloc,
    /// Calls that free.
    Free,
    /// Slow paths inside allocators, where their symbols are known.
    SlowPaths,
    /// Page faults.
    Faults,
    /// System calls that change the memory map.
    Syscalls,
    /// Off-CPU time by its reason, and time spent runnable.
    Sched,
    /// Waits for another thread.
    Futex,
    /// Waits in the kernel's memory management: locks, compaction, reclaim.
    Kernel,
    /// TLB shoot-downs.
    Tlb,
    /// Static probes of `tailcut-pool`, and of allocators that follow the `otel_memory` contract.
    Pool,
    /// Go's collector: its cycles, its stops of the world, what goroutines do for it; and the
    /// runtime's own histograms.
    Gc,
    /// What goroutines do for Go's collector that is hit too often to stay attached.
    GcDetail,
    /// Go's allocator, with its tiers.
    GoAlloc,
}

impl Group {
    /// All groups, as `--series` names them.
    pub const ALL: [Group; 13] = [
        Group::Malloc,
        Group::Free,
        Group::SlowPaths,
        Group::Faults,
        Group::Syscalls,
        Group::Sched,
        Group::Futex,
        Group::Kernel,
        Group::Tlb,
        Group::Pool,
        Group::Gc,
        Group::GcDetail,
        Group::GoAlloc,
    ];

    /// Those whose hits are rare enough to stay attached: pauses, not calls.
    pub const DEFAULT: [Group; 7] = [
        Group::Faults,
        Group::Syscalls,
        Group::Sched,
        Group::Futex,
        Group::Kernel,
        Group::Pool,
        Group::Gc,
    ];

    /// Its word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Malloc => "malloc",
            Group::Free => "free",
            Group::SlowPaths => "slow-paths",
            Group::Faults => "faults",
            Group::Syscalls => "syscalls",
            Group::Sched => "sched",
            Group::Futex => "futex",
            Group::Kernel => "kernel",
            Group::Tlb => "tlb",
            Group::Pool => "pool",
            Group::Gc => "gc",
            Group::GcDetail => "gc-detail",
            Group::GoAlloc => "go-alloc",
        }
    }

    /// Whether its hooks are probe sites in user space that ordinary calls hit: millions of times a
    /// second, so that they are attached in short windows only.
    pub const fn is_windowed(self) -> bool {
        matches!(
            self,
            Group::Malloc | Group::Free | Group::SlowPaths | Group::GcDetail | Group::GoAlloc
        )
    }

    /// Whether it is of Go programs only. In any other it has no series, which is nothing to tell.
    pub const fn is_of_go(self) -> bool {
        matches!(self, Group::Gc | Group::GcDetail | Group::GoAlloc)
    }

    /// Whether its hooks are probe sites in user space.
    pub const fn has_sites(self) -> bool {
        self.is_windowed() || matches!(self, Group::Pool | Group::Gc)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a word of `--series` should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is no series; choose from malloc, free, slow-paths, faults, syscalls, sched, futex, kernel, tlb, pool, \
     gc, gc-detail, go-alloc, default, all"
)]
pub struct UnknownSeries {
    word: String,
}

/// Which groups are traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(BTreeSet<Group>);

impl Selection {
    /// Whether `group` is among them.
    pub fn has(&self, group: Group) -> bool {
        self.0.contains(&group)
    }

    /// The groups, in the order of [`Group::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Group> + '_ {
        self.0.iter().copied()
    }

    /// The same without those for which `keep` says no.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(Group) -> bool) -> Selection {
        Selection(
            self.0
                .iter()
                .copied()
                .filter(|group| keep(*group))
                .collect(),
        )
    }
}

impl Default for Selection {
    fn default() -> Selection {
        Selection(Group::DEFAULT.into_iter().collect())
    }
}

impl FromIterator<Group> for Selection {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Selection {
        Selection(groups.into_iter().collect())
    }
}

impl FromStr for Selection {
    type Err = UnknownSeries;

    /// Words separated by commas; `default` and `all` stand for several.
    fn from_str(text: &str) -> Result<Selection, UnknownSeries> {
        let mut groups = BTreeSet::new();
        for word in text.split(',').map(str::trim) {
            match word {
                "default" => groups.extend(Group::DEFAULT),
                "all" => groups.extend(Group::ALL),
                _ => match Group::ALL.into_iter().find(|group| group.name() == word) {
                    Some(group) => {
                        groups.insert(group);
                    }
                    None => {
                        return Err(UnknownSeries {
                            word: word.to_owned(),
                        });
                    }
                },
            }
        }
        Ok(Selection(groups))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|group| group.name()).collect();
        f.write_str(&words.join(","))
    }
}

/// What a series' values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Lengths of time.
    Nanoseconds,
    /// Numbers of bytes.
    Bytes,
    /// Numbers of other things: objects, pages.
    Things,
}

/// A series in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Number by which the programs count it.
    pub number: u32,
    /// Its name in recordings and on screens, without the allocator's.
    pub name: &'static str,
    /// The group that it belongs to.
    pub group: Group,
    /// What its values are.
    pub unit: Unit,
    /// Whether a thread makes no progress on its request during it.
    pub pause: bool,
    /// Whether all threads of the process pause, not only the one that it was noticed on.
    pub process_wide: bool,
    /// Whether waits for other threads that begin within it are part of it, not causes of their own: who
    /// is stopped by the collector, or works for it, waits for it.
    pub owns_waits: bool,
    /// What it measures, in one line.
    pub what: &'static str,
    /// Where it is measured.
    pub hooks: &'static str,
    /// What an event's detail is, if it has one.
    pub detail: Option<&'static str>,
    /// The allocator's number, for its calls.
    pub allocator: Option<u32>,
}

impl Series {
    /// Whether it is counted by Go's runtime itself, not by a hook.
    pub fn is_of_runtime(&self) -> bool {
        self.number == Fixed::GoSchedulerLatency as u32
            || self.number == Fixed::GoRuntimeGcPauses as u32
    }
}

/// All series, in the order of their numbers.
pub fn all() -> Vec<Series> {
    let calls = (0..ALLOCATORS).flat_map(|allocator| {
        CALLS
            .into_iter()
            .map(move |call| of_allocator(allocator, call))
    });
    calls.chain(FIXED.into_iter().map(fixed)).collect()
}

/// The series of a number, if there is one.
pub fn of_number(number: u32) -> Option<Series> {
    let calls = CALLS.len() as u32;
    if number < FIRST_FIXED {
        let call = CALLS[(number % calls) as usize];
        return Some(of_allocator(number / calls, call));
    }
    FIXED
        .get((number - FIRST_FIXED) as usize)
        .map(|series| fixed(*series))
}

fn of_allocator(allocator: u32, call: Call) -> Series {
    let (name, group, what) = match call {
        Call::Malloc => ("malloc", Group::Malloc, "calls that allocate"),
        Call::Calloc => ("calloc", Group::Malloc, "calls that allocate zeroed memory"),
        Call::Realloc => ("realloc", Group::Malloc, "calls that resize"),
        Call::Aligned => (
            "aligned_alloc",
            Group::Malloc,
            "calls that allocate with an alignment",
        ),
        Call::Free => ("free", Group::Free, "calls that free"),
        Call::Refill => (
            "malloc_refill",
            Group::SlowPaths,
            "a thread's cache is refilled or flushed",
        ),
        Call::Arena => (
            "malloc_arena",
            Group::SlowPaths,
            "the shared arena is searched or merged",
        ),
        Call::OperatingSystem => (
            "malloc_os",
            Group::SlowPaths,
            "the allocator gets memory from the system, or gives it back",
        ),
    };
    Series {
        number: of_call(allocator, call),
        name,
        group,
        unit: Unit::Nanoseconds,
        pause: true,
        process_wide: false,
        owns_waits: false,
        what,
        hooks: "probe sites in the allocator's code",
        detail: Some("bytes"),
        allocator: Some(allocator),
    }
}

fn fixed(series: Fixed) -> Series {
    use Group::{Faults, Free, Futex, Gc, GcDetail, GoAlloc, Kernel, Pool, Sched, Syscalls, Tlb};
    use Unit::{Bytes, Nanoseconds, Things};
    const CALL: &str = "tracepoints sys_enter and sys_exit";
    const FAULT: &str =
        "tracepoints page_fault_user and page_fault_kernel to the software event at its end";
    const SWITCH: &str = "tracepoints sched_switch and sched_wakeup";
    const PROBE: &str = "static probe of tailcut_pool";
    const LOCK: &str = "tracepoints contention_begin and contention_end";
    const WORLD: &str = "probe sites in stopTheWorldWithSema and startTheWorldWithSema";
    const RUNTIME: &str = "the runtime's own histogram, read from its memory";
    let bytes = Some("bytes");
    let goroutine = Some("goroutine");
    let (name, group, unit, pause, what, hooks, detail) = match series {
        Fixed::Mmap => (
            "mmap",
            Syscalls,
            Nanoseconds,
            true,
            "memory is mapped",
            CALL,
            bytes,
        ),
        Fixed::Munmap => (
            "munmap",
            Syscalls,
            Nanoseconds,
            true,
            "memory is unmapped",
            CALL,
            bytes,
        ),
        Fixed::Mremap => (
            "mremap",
            Syscalls,
            Nanoseconds,
            true,
            "a mapping is moved or resized",
            CALL,
            bytes,
        ),
        Fixed::Madvise => (
            "madvise",
            Syscalls,
            Nanoseconds,
            true,
            "pages are given back or advised on",
            CALL,
            bytes,
        ),
        Fixed::Brk => (
            "brk",
            Syscalls,
            Nanoseconds,
            true,
            "the heap's end is moved",
            CALL,
            Some("address"),
        ),
        Fixed::Mprotect => (
            "mprotect",
            Syscalls,
            Nanoseconds,
            true,
            "access rights of pages change",
            CALL,
            bytes,
        ),
        Fixed::PageFault => (
            "page_fault",
            Faults,
            Nanoseconds,
            true,
            "page faults without a device",
            FAULT,
            Some("address"),
        ),
        Fixed::MajorFault => (
            "major_fault",
            Faults,
            Nanoseconds,
            true,
            "page faults that wait for a device",
            FAULT,
            Some("address"),
        ),
        Fixed::Futex => (
            "futex",
            Futex,
            Nanoseconds,
            true,
            "waits for another thread",
            SWITCH,
            Some("system call"),
        ),
        Fixed::OffCpu => (
            "off_cpu",
            Sched,
            Nanoseconds,
            true,
            "blocked, not waiting for work",
            SWITCH,
            Some("system call"),
        ),
        Fixed::Sleep => (
            "sleep",
            Sched,
            Nanoseconds,
            false,
            "waits for work: sockets, timers, children",
            SWITCH,
            Some("system call"),
        ),
        Fixed::Stopped => (
            "stopped",
            Sched,
            Nanoseconds,
            true,
            "stopped by a signal or a debugger",
            SWITCH,
            None,
        ),
        Fixed::Preempted => (
            "preempted",
            Sched,
            Nanoseconds,
            true,
            "lost the CPU while it had work",
            SWITCH,
            None,
        ),
        Fixed::RunQueue => (
            "run_queue",
            Sched,
            Nanoseconds,
            true,
            "runnable again, waiting for a CPU",
            SWITCH,
            None,
        ),
        Fixed::LongRunning => (
            "long_running",
            Sched,
            Nanoseconds,
            false,
            "ran without a pause for over 10 ms",
            SWITCH,
            None,
        ),
        Fixed::MmapLock => (
            "mmap_lock",
            Kernel,
            Nanoseconds,
            true,
            "waits for the lock of the memory map",
            LOCK,
            Some("address of the lock"),
        ),
        Fixed::KernelLock => (
            "kernel_lock",
            Kernel,
            Nanoseconds,
            true,
            "waits for another lock of the kernel",
            LOCK,
            Some("address of the lock"),
        ),
        Fixed::TlbFlush => (
            "tlb_flush",
            Tlb,
            Things,
            false,
            "pages per TLB flush",
            "tracepoint tlb_flush",
            None,
        ),
        Fixed::Compaction => (
            "compaction",
            Kernel,
            Nanoseconds,
            true,
            "memory is compacted for huge pages",
            "tracepoints mm_compaction_begin and _end",
            None,
        ),
        Fixed::Reclaim => (
            "reclaim",
            Kernel,
            Nanoseconds,
            true,
            "pages are reclaimed before one can be had",
            "tracepoints mm_vmscan_direct_reclaim_begin and _end",
            None,
        ),
        Fixed::Lifetime => (
            "lifetime",
            Free,
            Nanoseconds,
            false,
            "allocation to free within one window, of sampled addresses",
            "the sites of malloc and free",
            None,
        ),
        Fixed::PoolRefill => (
            "pool_refill",
            Pool,
            Things,
            false,
            "objects that a magazine took from the depot",
            PROBE,
            None,
        ),
        Fixed::PoolSpill => (
            "pool_spill",
            Pool,
            Things,
            false,
            "objects that a magazine gave to the depot",
            PROBE,
            None,
        ),
        Fixed::PoolSteal => (
            "pool_steal",
            Pool,
            Things,
            false,
            "objects taken from another CPU's magazine",
            PROBE,
            None,
        ),
        Fixed::PoolGrow => (
            "pool_grow",
            Pool,
            Things,
            false,
            "objects made by a growing pool",
            PROBE,
            None,
        ),
        Fixed::PoolShrink => (
            "pool_shrink",
            Pool,
            Things,
            false,
            "objects dropped by a shrinking pool",
            PROBE,
            None,
        ),
        Fixed::PoolExhausted => (
            "pool_exhausted",
            Pool,
            Things,
            false,
            "gets that found no object",
            PROBE,
            None,
        ),
        Fixed::PoolDiscard => (
            "pool_discard",
            Pool,
            Things,
            false,
            "objects rejected instead of recycled",
            PROBE,
            None,
        ),
        Fixed::PoolWait => (
            "pool_wait",
            Pool,
            Nanoseconds,
            true,
            "waits for an object",
            PROBE,
            None,
        ),
        Fixed::PoolLifetime => (
            "pool_lifetime",
            Pool,
            Nanoseconds,
            false,
            "get to put, of sampled objects",
            PROBE,
            None,
        ),
        Fixed::OtelAlloc => (
            "otel_alloc",
            Pool,
            Bytes,
            false,
            "bytes of sampled allocations",
            "static probe otel_memory:alloc",
            None,
        ),
        Fixed::OtelFree => (
            "otel_free",
            Pool,
            Things,
            false,
            "sampled allocations that were freed",
            "static probe otel_memory:free",
            None,
        ),
        Fixed::SampledMalloc => (
            "sampled_malloc",
            Pool,
            Nanoseconds,
            false,
            "allocator calls timed in the process itself, one in N",
            "static probe tailcut_alloc:malloc",
            bytes,
        ),
        Fixed::SampledFree => (
            "sampled_free",
            Pool,
            Nanoseconds,
            false,
            "frees timed in the process itself, one in N",
            "static probe tailcut_alloc:free",
            None,
        ),
        Fixed::GcCycle => (
            "gc_cycle",
            Gc,
            Nanoseconds,
            false,
            "a collection, from the stop that begins it to the end of marking",
            WORLD,
            None,
        ),
        Fixed::GcStwSweepTermination => (
            "gc_stw_sweep_termination",
            Gc,
            Nanoseconds,
            true,
            "all threads are stopped for a collection to begin",
            WORLD,
            Some("reason"),
        ),
        Fixed::GcStwMarkTermination => (
            "gc_stw_mark_termination",
            Gc,
            Nanoseconds,
            true,
            "all threads are stopped for marking to end",
            WORLD,
            Some("reason"),
        ),
        Fixed::GcStwOther => (
            "gc_stw_other",
            Gc,
            Nanoseconds,
            true,
            "all threads are stopped for another reason",
            WORLD,
            Some("reason"),
        ),
        Fixed::GcAssist => (
            "gc_assist",
            Gc,
            Nanoseconds,
            true,
            "a goroutine that allocates marks for the collector, or waits for its credit",
            "probe sites in gcAssistAlloc",
            goroutine,
        ),
        Fixed::GcWorker => (
            "gc_worker",
            Gc,
            Nanoseconds,
            true,
            "a processor marks for the collector, and runs no goroutine meanwhile",
            "probe sites in gcDrain",
            None,
        ),
        Fixed::GcAssistWork => (
            "gc_assist_work",
            GcDetail,
            Nanoseconds,
            false,
            "the marking within assists",
            "probe sites in gcAssistAlloc1",
            None,
        ),
        Fixed::GcSweepAssist => (
            "gc_sweep_assist",
            GcDetail,
            Nanoseconds,
            true,
            "a goroutine that allocates sweeps for the collector",
            "probe sites in deductSweepCredit",
            goroutine,
        ),
        Fixed::GoHeapGrow => (
            "go_heap_grow",
            Gc,
            Nanoseconds,
            true,
            "Go's heap gets address space from the system",
            "probe sites in (*mheap).grow",
            None,
        ),
        Fixed::GoAlloc => (
            "go_alloc",
            GoAlloc,
            Nanoseconds,
            true,
            "calls that allocate in Go's heap",
            "probe sites in mallocgc and its forms for sizes",
            bytes,
        ),
        Fixed::GoAllocRefill => (
            "go_alloc_refill",
            GoAlloc,
            Nanoseconds,
            true,
            "a processor's cache of one size is refilled",
            "probe sites in (*mcache).refill",
            None,
        ),
        Fixed::GoAllocSpan => (
            "go_alloc_span",
            GoAlloc,
            Nanoseconds,
            true,
            "pages are taken from Go's heap",
            "probe sites in (*mheap).alloc",
            None,
        ),
        Fixed::GoAllocOs => (
            "go_alloc_os",
            GoAlloc,
            Nanoseconds,
            true,
            "Go's allocator gets memory from the system",
            "probe sites in sysMap and its like",
            None,
        ),
        Fixed::GoSchedulerLatency => (
            "go_scheduler_latency",
            Gc,
            Nanoseconds,
            false,
            "goroutines that could run wait until they do; one in eight is counted",
            RUNTIME,
            None,
        ),
        Fixed::GoRuntimeGcPauses => (
            "go_runtime_gc_pauses",
            Gc,
            Nanoseconds,
            false,
            "stops of the world by collections, as the runtime counts them",
            RUNTIME,
            None,
        ),
    };
    Series {
        number: series as u32,
        name,
        group,
        unit,
        pause,
        process_wide: matches!(
            series,
            Fixed::GcStwSweepTermination | Fixed::GcStwMarkTermination | Fixed::GcStwOther
        ),
        owns_waits: pause && group == Gc,
        what,
        hooks,
        detail,
        allocator: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_found_by_its_number() {
        for (number, series) in all().into_iter().enumerate() {
            assert_eq!(series.number as usize, number);
            assert_eq!(of_number(series.number), Some(series));
        }
        assert_eq!(of_number(tailcut_probe_ebpf::series::COUNT), None);
    }

    #[test]
    fn words_of_the_command_line_become_groups() {
        let selection: Selection = "default, malloc".parse().unwrap();
        assert!(selection.has(Group::Malloc) && selection.has(Group::Sched));
        assert!(!selection.has(Group::Free));
        let error = "malloc,heap".parse::<Selection>().unwrap_err().to_string();
        assert!(
            error.contains("\"heap\"") && error.contains("slow-paths"),
            "{error}"
        );
        assert!("".parse::<Selection>().is_err());
    }
}
