//! The series: each kind of call or pause that the programs count has a number.
//!
//! Numbers are private to one build of programs and user space; recordings carry names. Adding a
//! series means a line here and one in `tailcut-probe`'s catalogue, which says what it is, in words.

/// Allocators that can be told apart in one process.
pub const ALLOCATORS: u32 = 4;

/// Kinds of call that each allocator has.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// `malloc`, `operator new` and their like.
    Malloc,
    /// `calloc`: zeroed.
    Calloc,
    /// `realloc`.
    Realloc,
    /// `aligned_alloc`, `posix_memalign`, `memalign`.
    Aligned,
    /// `free`, sized or not.
    Free,
    /// Inside: a thread's cache is refilled or flushed.
    Refill,
    /// Inside: the shared arena is searched, split or merged.
    Arena,
    /// Inside: memory comes from or goes to the operating system.
    OperatingSystem,
}

/// All kinds of call, in the order of their numbers.
pub const CALLS: [Call; 8] = [
    Call::Malloc,
    Call::Calloc,
    Call::Realloc,
    Call::Aligned,
    Call::Free,
    Call::Refill,
    Call::Arena,
    Call::OperatingSystem,
];

/// The series of `call` of allocator number `allocator`.
pub const fn of_call(allocator: u32, call: Call) -> u32 {
    allocator * CALLS.len() as u32 + call as u32
}

/// First of the series that belong to no allocator.
pub const FIRST_FIXED: u32 = ALLOCATORS * CALLS.len() as u32;

/// Series that belong to no allocator, numbered from [`FIRST_FIXED`].
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "tailcut-probe's catalogue says what each is")]
pub enum Fixed {
    Mmap = FIRST_FIXED,
    Munmap,
    Mremap,
    Madvise,
    Brk,
    Mprotect,
    PageFault,
    MajorFault,
    Futex,
    OffCpu,
    Sleep,
    Stopped,
    Preempted,
    RunQueue,
    LongRunning,
    MmapLock,
    KernelLock,
    TlbFlush,
    Compaction,
    Reclaim,
    Lifetime,
    PoolRefill,
    PoolSpill,
    PoolSteal,
    PoolGrow,
    PoolShrink,
    PoolExhausted,
    PoolDiscard,
    PoolWait,
    PoolLifetime,
    OtelAlloc,
    OtelFree,
    SampledMalloc,
    SampledFree,
    GcCycle,
    GcStwSweepTermination,
    GcStwMarkTermination,
    GcStwOther,
    GcAssist,
    GcWorker,
    GcAssistWork,
    GcSweepAssist,
    GoHeapGrow,
    GoAlloc,
    GoAllocRefill,
    GoAllocSpan,
    GoAllocOs,
    GoSchedulerLatency,
    GoRuntimeGcPauses,
}

/// All of them, in the order of their numbers.
pub const FIXED: [Fixed; 49] = [
    Fixed::Mmap,
    Fixed::Munmap,
    Fixed::Mremap,
    Fixed::Madvise,
    Fixed::Brk,
    Fixed::Mprotect,
    Fixed::PageFault,
    Fixed::MajorFault,
    Fixed::Futex,
    Fixed::OffCpu,
    Fixed::Sleep,
    Fixed::Stopped,
    Fixed::Preempted,
    Fixed::RunQueue,
    Fixed::LongRunning,
    Fixed::MmapLock,
    Fixed::KernelLock,
    Fixed::TlbFlush,
    Fixed::Compaction,
    Fixed::Reclaim,
    Fixed::Lifetime,
    Fixed::PoolRefill,
    Fixed::PoolSpill,
    Fixed::PoolSteal,
    Fixed::PoolGrow,
    Fixed::PoolShrink,
    Fixed::PoolExhausted,
    Fixed::PoolDiscard,
    Fixed::PoolWait,
    Fixed::PoolLifetime,
    Fixed::OtelAlloc,
    Fixed::OtelFree,
    Fixed::SampledMalloc,
    Fixed::SampledFree,
    Fixed::GcCycle,
    Fixed::GcStwSweepTermination,
    Fixed::GcStwMarkTermination,
    Fixed::GcStwOther,
    Fixed::GcAssist,
    Fixed::GcWorker,
    Fixed::GcAssistWork,
    Fixed::GcSweepAssist,
    Fixed::GoHeapGrow,
    Fixed::GoAlloc,
    Fixed::GoAllocRefill,
    Fixed::GoAllocSpan,
    Fixed::GoAllocOs,
    Fixed::GoSchedulerLatency,
    Fixed::GoRuntimeGcPauses,
];

/// Number of series in all.
pub const COUNT: u32 = FIRST_FIXED + FIXED.len() as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_the_order_of_the_numbers() {
        for (place, call) in CALLS.iter().enumerate() {
            assert_eq!(*call as usize, place);
        }
        for (place, fixed) in FIXED.iter().enumerate() {
            assert_eq!(*fixed as usize, FIRST_FIXED as usize + place);
        }
    }
}
