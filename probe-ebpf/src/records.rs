//! What the programs send and keep: records in the ring buffer, states in maps.

/// Bytes of a thread's stack that accompany a slow event.
pub const STACK_BYTES: usize = 8 << 10;

/// Bytes of the ring buffer: about 400 stacks, or 40,000 events without.
pub const RING_BYTES: u32 = 4 << 20;

/// Threads that can be followed at one time.
pub const MAX_THREADS: u32 = 16 << 10;

/// Hooks that are attached and detached together, for which beginnings are valid since the last
/// attaching only: number of the scheduler's.
pub const VALID_SCHEDULER: u32 = 0;
/// Number of the system calls'.
pub const VALID_SYSTEM_CALLS: u32 = 1;
/// Number of the page faults'.
pub const VALID_FAULTS: u32 = 2;
/// Number of those of locks, compaction and reclaim.
pub const VALID_KERNEL: u32 = 3;
/// Number of the allocators' calls, and of objects that were born in them.
pub const VALID_CALLS: u32 = 4;
/// Number of objects that static probes told of.
pub const VALID_PROBES: u32 = 5;
/// Number of those where Go's runtime stops and starts all threads.
pub const VALID_WORLD: u32 = 6;
/// Number of those in what goroutines do for Go's collector.
pub const VALID_ASSISTS: u32 = 7;
/// How many there are.
pub const VALID: u32 = 8;

/// Calls of Go functions that can be under way at one time; beyond it the oldest are forgotten.
pub const MAX_GO_CALLS: u32 = 16 << 10;

/// Processes whose collections can be followed at one time.
pub const MAX_WORLDS: u32 = 1024;

/// Call sites that are told apart.
pub const MAX_CALLERS: u32 = 8 << 10;

/// Sampled objects that can be alive at one time.
pub const MAX_OBJECTS: u32 = 64 << 10;

/// First word of a record: an [`Event`].
pub const EVENT: u32 = 1;
/// First word of a record: a [`StackCopy`].
pub const STACK: u32 = 2;
/// First word of a record: an [`Event`] whose start and end are when a process or thread of the
/// target began, ended, or executed another program; its series is [`FORKED`], ...
pub const LIFE: u32 = 3;

/// A thread or process was made; the detail is its id.
pub const FORKED: u32 = 1;
/// A thread ended; the detail is 1 if it was the last of its process.
pub const EXITED: u32 = 2;
/// The process executes another program now.
pub const EXECUTED: u32 = 3;

/// A call or pause that took at least its series' threshold.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// [`EVENT`] or [`LIFE`].
    pub record: u32,
    /// Number of the series.
    pub series: u32,
    /// The process, as the initial pid namespace numbers it.
    pub process: u32,
    /// The thread, likewise.
    pub thread: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    /// Likewise.
    pub end_ns: u64,
    /// Bytes, address, number of a system call: the series says.
    pub detail: u64,
    /// Return address of the call, if known, else 0.
    pub caller: u64,
    /// Number by which a later [`StackCopy`] refers to this event, or 0.
    pub id: u64,
    /// CPU that it was noticed on.
    pub cpu: u32,
    /// Thread that took the CPU, if that is what happened, else 0.
    pub by_thread: u32,
    /// Its name.
    pub by_name: [u8; 16],
}

/// The registers and the top of the stack of a thread at a slow event.
#[repr(C)]
pub struct StackCopy {
    /// [`STACK`].
    pub record: u32,
    /// Bytes that could be read.
    pub length: u32,
    /// The process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// The event that it belongs to.
    pub id: u64,
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer; `bytes` begins there.
    pub sp: u64,
    /// Frame pointer, if the code uses it as one.
    pub bp: u64,
    /// Memory from `sp` upwards.
    pub bytes: [u8; STACK_BYTES],
}

/// State of a thread that waits for its first CPU.
pub const NEVER_RAN: u32 = u32::MAX;

/// What is known of a thread between two events. Zero stands for "not known" in each time.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Thread {
    /// When it last got a CPU.
    pub switched_in_ns: u64,
    /// When it last lost it; 0 while it has one.
    pub switched_out_ns: u64,
    /// When it became runnable again.
    pub woken_ns: u64,
    /// Its state when it lost the CPU, as the kernel numbers it; 0 is runnable; [`NEVER_RAN`].
    pub state: u32,
    /// System call that it was in, or -1.
    pub system_call: i32,
    /// Thread that took the CPU from it.
    pub by_thread: u32,
    /// Series of the system call that is being timed.
    pub call_series: u32,
    /// Its name.
    pub by_name: [u8; 16],
    /// When the system call began that is being timed.
    pub call_ns: u64,
    /// Its argument: bytes.
    pub call_bytes: u64,
    /// When the page fault began.
    pub fault_ns: u64,
    /// Its address.
    pub fault_address: u64,
    /// When it began to wait for a lock in the kernel.
    pub lock_ns: u64,
    /// Address of the lock.
    pub lock: u64,
    /// When direct reclaim began.
    pub reclaim_ns: u64,
    /// When compaction began.
    pub compaction_ns: u64,
    /// When the allocator was called.
    pub allocator_ns: u64,
    /// Where that call's return address lies: tells a nested call from one that never returned.
    pub allocator_slot: u64,
    /// Bytes asked for.
    pub allocator_bytes: u64,
    /// Return address of the call.
    pub allocator_caller: u64,
    /// The same for a slow path inside the allocator.
    pub inner_ns: u64,
    /// Where the slow path's return address lies.
    pub inner_slot: u64,
    /// Event whose stack is to be sent when this thread is next seen, or 0.
    pub stack_wanted: u64,
}

/// Key of a call of a Go function that is under way.
///
/// Not by thread and place on the stack, as other calls: a goroutine may park in the call and go on on
/// another thread, and its stack may move.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GoCallKey {
    /// Address of the goroutine (`runtime.g`) that calls.
    pub goroutine: u64,
    /// Its process.
    pub process: u32,
    /// Series of the call.
    pub series: u32,
}

/// A call of a Go function that is under way.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct GoCall {
    /// When it began.
    pub start_ns: u64,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// The type of what is allocated, or the goroutine's number.
    pub detail: u64,
}

/// Where the collector of a Go process stands. Zero stands for "not known" in each time.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct World {
    /// When all threads began to be stopped.
    pub stop_ns: u64,
    /// When the stop began that began the collection.
    pub cycle_ns: u64,
    /// Why all threads are stopped, as the runtime numbers reasons.
    pub reason: u64,
    /// Which stop of a collection it is: [`WORLD_SWEEP_TERMINATION`](crate::sites::WORLD_SWEEP_TERMINATION)
    /// or [`WORLD_MARK_TERMINATION`](crate::sites::WORLD_MARK_TERMINATION); 0 for none of them.
    pub phase: u64,
}

/// A sampled object that is alive.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// When it was allocated.
    pub born_ns: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Return address of the allocating call.
    pub caller: u64,
}

/// Key of a call site.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerKey {
    /// Return address.
    pub caller: u64,
    /// Process.
    pub process: u32,
    /// Series of the call.
    pub series: u32,
}

/// What a call site did.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct CallerTotals {
    /// Calls.
    pub calls: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Nanoseconds in them.
    pub total_ns: u64,
    /// Lifetimes known of objects allocated there.
    pub lifetimes: u64,
    /// Their sum in nanoseconds.
    pub lifetime_ns: u64,
}

/// What was lost or refused, each with a count of its own.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Slow events beyond the number that is sent each second.
    EventsOverRate,
    /// Slow events that found the ring buffer full.
    EventsRingFull,
    /// Stacks that found it full, or were beyond their number.
    Stacks,
    /// Threads beyond [`MAX_THREADS`].
    Threads,
    /// Call sites beyond [`MAX_CALLERS`].
    Callers,
    /// Sampled objects beyond [`MAX_OBJECTS`].
    Objects,
    /// Returns whose beginning was not seen.
    Returns,
}

/// Number of kinds of [`Lost`].
pub const LOST: u32 = 7;

/// Size classes of allocations: powers of two.
pub const SIZE_CLASSES: usize = 48;

/// Calls and bytes by size class, of one series on one CPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Calls that asked for less than 2^(n+1) bytes, and at least 2^n.
    pub calls: [u64; SIZE_CLASSES],
}

/// Limits of what one CPU sends in a second.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rate {
    /// When the second began.
    pub since_ns: u64,
    /// Events sent since.
    pub events: u64,
    /// Stacks sent since.
    pub stacks: u64,
    /// Threads told of that began or ended, in a second of their own.
    pub lives: u64,
    /// When that began.
    pub lives_since_ns: u64,
    /// Events of a collector sent since, which have limits of their own.
    pub collector_events: u64,
}

/// Class of a system call as a reason to be off the CPU.
pub const WAITS_FOR_WORK: u8 = 1;
/// It waits for work if its sleep can be interrupted (a socket or pipe), else for a device.
pub const WAITS_FOR_INPUT: u8 = 2;
/// It waits for another thread.
pub const WAITS_FOR_FUTEX: u8 = 3;

/// System calls that the programs know by number.
pub const SYSTEM_CALLS: u32 = 512;

/// What the programs do with a system call.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemCall {
    /// Series that times it, plus one; 0 if it is not timed.
    pub series_plus_one: u32,
    /// Offset in the kernel's `pt_regs` of the argument that is a number of bytes.
    pub bytes_register: u16,
    /// Why a thread that blocks in it is off the CPU: 0, or one of the classes.
    pub class: u8,
    /// Keeps the type free of padding.
    pub unused: u8,
}
