//! Maps, and the settings that user space writes before the programs are loaded.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use tailcut_probe_ebpf::histogram::Histogram;
use tailcut_probe_ebpf::records::{
    CallerKey, CallerTotals, GoCall, GoCallKey, LOST, MAX_CALLERS, MAX_GO_CALLS, MAX_OBJECTS,
    MAX_THREADS, MAX_WORLDS, Object, RING_BYTES, Rate, SYSTEM_CALLS, Sizes, SystemCall, Thread,
    VALID, World,
};
use tailcut_probe_ebpf::series;
use tailcut_probe_ebpf::sites::{MAX_SITES, Site};

/// The process that is traced.
#[unsafe(no_mangle)]
pub static TARGET: Global<u32> = Global::new(0);
/// Whether the processes in [`PROCESSES`] are traced, too.
#[unsafe(no_mangle)]
pub static FOLLOW: Global<u32> = Global::new(0);
/// Whether stacks are sent with slow events.
#[unsafe(no_mangle)]
pub static STACKS: Global<u32> = Global::new(0);
/// Offset of `pid` in the kernel's `task_struct`.
#[unsafe(no_mangle)]
pub static TASK_PID: Global<u64> = Global::new(0);
/// Offset of `tgid`.
#[unsafe(no_mangle)]
pub static TASK_TGID: Global<u64> = Global::new(0);
/// Offset of `comm`.
#[unsafe(no_mangle)]
pub static TASK_COMM: Global<u64> = Global::new(0);
/// Offset of the state: `__state`, or `state` before Linux 5.14.
#[unsafe(no_mangle)]
pub static TASK_STATE: Global<u64> = Global::new(0);
/// Offset of `mm`.
#[unsafe(no_mangle)]
pub static TASK_MM: Global<u64> = Global::new(0);
/// Offset of `stack`.
#[unsafe(no_mangle)]
pub static TASK_STACK: Global<u64> = Global::new(0);
/// Distance from the beginning of a kernel stack to the user registers at its end.
#[unsafe(no_mangle)]
pub static STACK_REGISTERS: Global<u64> = Global::new(0);
/// Offset of `mmap_lock` in `mm_struct`.
#[unsafe(no_mangle)]
pub static MM_LOCK: Global<u64> = Global::new(0);
/// A thread that runs for so long without a pause is reported.
#[unsafe(no_mangle)]
pub static LONG_RUNNING_NS: Global<u64> = Global::new(10_000_000);
/// One address in so many is followed from allocation to free; a power of two, less one.
#[unsafe(no_mangle)]
pub static LIFETIME_MASK: Global<u64> = Global::new(1023);
/// Slow events that a CPU may send each second.
#[unsafe(no_mangle)]
pub static EVENTS_PER_SECOND: Global<u64> = Global::new(2000);
/// The same for events of a collector, which come in storms: beside the others, so that neither hides the other.
#[unsafe(no_mangle)]
pub static COLLECTOR_EVENTS_PER_SECOND: Global<u64> = Global::new(20_000);
/// Stacks that a CPU may send each second.
#[unsafe(no_mangle)]
pub static STACKS_PER_SECOND: Global<u64> = Global::new(100);

#[map]
pub static HISTOGRAMS: PerCpuArray<Histogram> = PerCpuArray::with_max_entries(series::COUNT, 0);
/// Of the calls of allocators, by series; the last row is that of Go's.
#[map]
pub static SIZES: PerCpuArray<Sizes> = PerCpuArray::with_max_entries(series::FIRST_FIXED + 1, 0);
/// Nanoseconds from which on an event is sent, by series.
#[map]
pub static THRESHOLDS: Array<u64> = Array::with_max_entries(series::COUNT, 0);
/// When the hooks of a kind were last attached: a beginning before that is of another time.
#[map]
pub static VALID_SINCE: Array<u64> = Array::with_max_entries(VALID, 0);
#[map]
pub static THREADS: LruHashMap<u32, Thread> = LruHashMap::with_max_entries(MAX_THREADS, 0);
/// Processes that are traced beside the target.
#[map]
pub static PROCESSES: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);
#[map]
pub static SITES: Array<Site> = Array::with_max_entries(MAX_SITES, 0);
/// Hits of each site, which tell what the traps cost.
#[map]
pub static HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_SITES, 0);
#[map]
pub static CALLS: Array<SystemCall> = Array::with_max_entries(SYSTEM_CALLS, 0);
#[map]
pub static CALLERS: LruHashMap<CallerKey, CallerTotals> =
    LruHashMap::with_max_entries(MAX_CALLERS, 0);
#[map]
pub static OBJECTS: HashMap<u64, Object> = HashMap::with_max_entries(MAX_OBJECTS, 0);
#[map]
pub static GO_CALLS: LruHashMap<GoCallKey, GoCall> = LruHashMap::with_max_entries(MAX_GO_CALLS, 0);
#[map]
pub static WORLDS: LruHashMap<u32, World> = LruHashMap::with_max_entries(MAX_WORLDS, 0);
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOST, 0);
#[map]
pub static RATES: PerCpuArray<Rate> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
