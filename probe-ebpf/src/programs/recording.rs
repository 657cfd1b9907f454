//! Counting what happened, and sending what was slow.

use core::arch::asm;

use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_probe_read_user_buf};
use tailcut_probe_ebpf::histogram::{Histogram, bucket_of};
use tailcut_probe_ebpf::records::{EVENT, Event, Lost, STACK, STACK_BYTES, StackCopy, Thread};
use tailcut_probe_ebpf::series::Fixed;

use super::maps::{
    COLLECTOR_EVENTS_PER_SECOND, EVENTS_PER_SECOND, HISTOGRAMS, LOSSES, RATES, RECORDS, STACKS,
    STACKS_PER_SECOND, THRESHOLDS, VALID_SINCE,
};
use super::target::Who;

/// Events from this length on are sent even when many shorter ones have been in the same second.
const LONG_NS: u64 = 1_000_000;

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no conditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Whether a beginning was seen by the hooks that are attached now.
#[inline(always)]
pub fn is_valid(start_ns: u64, hooks: u32) -> bool {
    start_ns != 0
        && VALID_SINCE
            .get(hooks)
            .is_some_and(|since| start_ns >= *since)
}

/// Something that lasted from `start_ns` to `end_ns`.
#[derive(Clone, Copy)]
pub struct Span {
    pub series: u32,
    pub who: Who,
    pub start_ns: u64,
    pub end_ns: u64,
    pub bytes: u64,
    pub detail: u64,
    pub caller: u64,
}

impl Span {
    #[inline(always)]
    pub fn new(series: u32, who: Who, start_ns: u64, end_ns: u64) -> Span {
        Span {
            series,
            who,
            start_ns,
            end_ns,
            bytes: 0,
            detail: 0,
            caller: 0,
        }
    }

    #[inline(always)]
    pub fn length(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// Adds to a number that other programs on this CPU may add to.
#[inline(always)]
pub fn add(place: *mut u64, value: u64) {
    // The library's atomics need more than this target has; the instruction itself is there.
    // SAFETY: `place` lies in a map's value and is aligned; the verifier checks both.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) place, in(reg) value) };
}

/// Hides from the compiler what it knows of a number, so that it keeps the check that shows the
/// verifier the same.
#[inline(always)]
pub fn forget(mut number: u64) -> u64 {
    // SAFETY: copies a register to itself. (Without any instruction, two lines of source would claim
    // one place in the program, which the kernel refuses.)
    unsafe { asm!("{0} = {0}", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}

#[inline(always)]
pub fn lose(what: Lost) {
    if let Some(count) = LOSSES.get_ptr_mut(what as u32) {
        add(count, 1);
    }
}

/// Counts one value of a series.
#[inline(always)]
pub fn count(series: u32, value: u64, bytes: u64) {
    if let Some(histogram) = HISTOGRAMS.get_ptr_mut(series) {
        let bucket = forget(bucket_of(value) as u64) as usize;
        if bucket < tailcut_probe_ebpf::histogram::BUCKETS {
            // SAFETY: the map's value is a histogram, and the bucket was just found to lie in it.
            let place = unsafe { (&raw mut (*histogram).counts).cast::<u64>().add(bucket) };
            add(place, 1);
        }
        // SAFETY: fields of the same value.
        let (total, all_bytes) =
            unsafe { (&raw mut (*histogram).total, &raw mut (*histogram).bytes) };
        add(total, value);
        if bytes != 0 {
            add(all_bytes, bytes);
        }
    }
}

/// Counts a span, and sends it if it was slow. Returns the event's number if its stack is wanted.
#[inline(always)]
pub fn record(span: &Span, by_thread: u32, by_name: &[u8; 16]) -> u64 {
    let length = span.length();
    count(span.series, length, span.bytes);
    match THRESHOLDS.get(span.series) {
        Some(threshold) if length >= *threshold => send(span, by_thread, by_name),
        _ => 0,
    }
}

/// Sends a span to user space, if this CPU has not sent too many in this second.
#[inline(never)]
fn send(span: &Span, by_thread: u32, by_name: &[u8; 16]) -> u64 {
    let Some(rate) = RATES.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the value is this CPU's. An interruption by another program of ours may make both
    // count one event; then one more or less is sent.
    let rate = unsafe { &mut *rate };
    if span.end_ns.saturating_sub(rate.since_ns) >= 1_000_000_000 {
        rate.since_ns = span.end_ns;
        rate.events = 0;
        rate.collector_events = 0;
        rate.stacks = 0;
    }
    // A flood of short events leaves room for long ones, of which there cannot be many.
    let room = if span.length() >= LONG_NS { 2 } else { 1 };
    let (sent, most) = if is_of_collector(span.series) {
        (
            &mut rate.collector_events,
            COLLECTOR_EVENTS_PER_SECOND.load(),
        )
    } else {
        (&mut rate.events, EVENTS_PER_SECOND.load())
    };
    if *sent >= room * most {
        lose(Lost::EventsOverRate);
        return 0;
    }
    *sent += 1;
    // SAFETY: the helper has no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let mut id = 0;
    if STACKS.load() != 0 {
        if rate.stacks < STACKS_PER_SECOND.load() {
            rate.stacks += 1;
            // Unique: two events of one CPU do not end in the same nanosecond.
            id = span.end_ns << 10 | (u64::from(cpu) & 0x3ff);
        } else {
            lose(Lost::Stacks);
        }
    }
    let Some(mut entry) = RECORDS.reserve::<Event>(0) else {
        lose(Lost::EventsRingFull);
        return 0;
    };
    entry.write(Event {
        record: EVENT,
        series: span.series,
        process: span.who.process,
        thread: span.who.thread,
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        detail: span.detail,
        caller: span.caller,
        id,
        cpu,
        by_thread,
        by_name: *by_name,
    });
    entry.submit(0);
    id
}

/// Whether a series is one of what Go's collector does.
#[inline(always)]
fn is_of_collector(series: u32) -> bool {
    series >= Fixed::GcCycle as u32 && series < Fixed::GoAlloc as u32
}

/// Sends registers and stack of the current thread, which must be `who`.
#[inline(never)]
pub fn send_stack(who: &Who, id: u64, ip: u64, sp: u64, bp: u64) {
    let Some(mut entry) = RECORDS.reserve::<StackCopy>(0) else {
        lose(Lost::Stacks);
        return;
    };
    let copy = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the type, and every field is written before it is sent, but
    // for bytes beyond `length`, which user space does not read; the helper checks the addresses.
    unsafe {
        (*copy).record = STACK;
        (*copy).process = who.process;
        (*copy).thread = who.thread;
        (*copy).id = id;
        (*copy).ip = ip;
        (*copy).sp = sp;
        (*copy).bp = bp;
        // In parts, since the stack may end before the copy does.
        const PART: usize = 1 << 10;
        let bytes = (&raw mut (*copy).bytes).cast::<u8>();
        let mut length = 0;
        while length < STACK_BYTES {
            let part = core::slice::from_raw_parts_mut(bytes.add(length), PART);
            if bpf_probe_read_user_buf((sp as *const u8).wrapping_add(length), part).is_err() {
                break;
            }
            length += PART;
        }
        (*copy).length = length as u32;
    }
    entry.submit(0);
}

/// Sends the stack that an earlier event of the current thread asked for.
#[inline(always)]
pub fn send_wanted_stack(who: Who, state: *mut Thread, ip: u64, sp: u64, bp: u64) {
    // SAFETY: the state is a map's value, which stays valid while the program runs.
    let wanted = unsafe { (*state).stack_wanted };
    if wanted != 0 {
        // SAFETY: as above.
        unsafe { (*state).stack_wanted = 0 };
        send_stack(&who, wanted, ip, sp, bp);
    }
}

/// Nobody took the CPU.
pub const NOBODY: [u8; 16] = [0; 16];

/// A value of a per-CPU map is at most as large as the kernel's smallest per-CPU unit.
const _: () = assert!(size_of::<Histogram>() <= 32 << 10);
