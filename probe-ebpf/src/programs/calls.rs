//! Probe sites in user space: calls of allocators, and static probes.
//!
//! One pair of programs serves all allocators: the attach cookie names the [`Site`]. A call is known
//! by the address at which its return address lies on the stack: a return without that beginning is
//! another call's, and a beginning that a longer stack has left behind (a `longjmp`, a window of
//! tracing that opened in between) is forgotten. A call that the allocator makes to itself counts
//! once, as the outer one.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use tailcut_probe_ebpf::records::{
    CallerKey, CallerTotals, Lost, Object, SIZE_CLASSES, Thread, VALID_CALLS, VALID_PROBES,
};
use tailcut_probe_ebpf::series::{CALLS, Call, FIRST_FIXED, Fixed};
use tailcut_probe_ebpf::sites::{BORN, DIED, Site, UNKNOWN_DEPTH};

use super::maps::{CALLERS, LIFETIME_MASK, OBJECTS, SIZES, THREADS};
use super::recording::{NOBODY, Span, add, count, forget, is_valid, lose, now, record, send_stack};
use super::registers::{Registers, send_if_slow, site_of};
use super::target::{Who, current, state_of};

/// A call begins.
#[uprobe]
pub fn call_enter(ctx: ProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        enter(who, site, &registers);
    }
    0
}

/// A call is about to return: a site before its return instruction.
#[uprobe]
pub fn call_leave(ctx: ProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        let slot = if site.stack_depth == UNKNOWN_DEPTH {
            None
        } else {
            Some(registers.sp().wrapping_add(site.stack_depth))
        };
        leave(who, site, &registers, slot);
    }
    0
}

/// A call has returned.
#[uretprobe]
pub fn call_return(ctx: RetProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        // The return address has been popped already.
        let slot = registers.sp().wrapping_sub(8);
        leave(who, site, &registers, Some(slot));
    }
    0
}

/// A static probe that reports a length of time.
#[uprobe]
pub fn probe_timed(ctx: ProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        let length = registers.value(&site.places[0]);
        let end_ns = now();
        let mut span = Span::new(site.series, who, end_ns.saturating_sub(length), end_ns);
        span.bytes = registers.value(&site.places[1]);
        span.detail = registers.value(&site.places[2]);
        let id = record(&span, 0, &NOBODY);
        if id != 0 {
            send_stack(&who, id, registers.ip, registers.sp(), registers.bp());
        }
    }
    0
}

/// A static probe that reports a number of things.
#[uprobe]
pub fn probe_counted(ctx: ProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        let first = registers.value(&site.places[0]);
        let second = registers.value(&site.places[1]);
        match site.action {
            BORN => {
                count(site.series, second, registers.value(&site.places[2]));
                // Sampled by the process itself.
                remember(first, now(), second, 0);
            }
            DIED => {
                count(site.series, 1, 0);
                forget_object(who, first, VALID_PROBES);
            }
            _ => count(site.series, first, second),
        }
    }
    0
}

#[inline(always)]
fn enter(who: Who, site: &Site, registers: &Registers) {
    let Some(state) = state_of(who.thread) else {
        return;
    };
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    let state = unsafe { &mut *state };
    let slot = registers.sp().wrapping_add(site.stack_depth);
    if is_inner(site.series) {
        if is_valid(state.inner_ns, VALID_CALLS) && slot < state.inner_slot {
            return;
        }
        state.inner_slot = slot;
        state.inner_ns = now();
        return;
    }
    if is_valid(state.allocator_ns, VALID_CALLS) && slot < state.allocator_slot {
        return;
    }
    // SAFETY: the helper checks the address.
    let caller = unsafe { bpf_probe_read_user(slot as *const u64) }.unwrap_or(0);
    let mut bytes = registers.value(&site.places[0]);
    if site.places[1].kind != 0 {
        bytes = bytes.wrapping_mul(registers.value(&site.places[1]));
    }
    if site.places[2].kind != 0 {
        died(who, registers.value(&site.places[2]));
    }
    state.allocator_bytes = bytes;
    state.allocator_caller = caller;
    state.allocator_slot = slot;
    state.allocator_ns = now();
}

#[inline(always)]
fn leave(who: Who, site: &Site, registers: &Registers, slot: Option<u64>) {
    let end_ns = now();
    let Some(state) = THREADS.get_ptr_mut(who.thread) else {
        return lose(Lost::Returns);
    };
    // SAFETY: a map's value, valid while the program runs, of the current thread.
    let state = unsafe { &mut *state };
    if is_inner(site.series) {
        if is_valid(state.inner_ns, VALID_CALLS)
            && slot.unwrap_or(state.inner_slot) == state.inner_slot
        {
            let span = Span::new(site.series, who, state.inner_ns, end_ns);
            state.inner_ns = 0;
            send_if_slow(&span, registers);
        }
        return;
    }
    if !is_valid(state.allocator_ns, VALID_CALLS) {
        // A return whose beginning was not seen. A call may pass two of the ways out that are
        // probed, of which the first counts: so only a return probe is sure to have lost one.
        if site.stack_depth == 0 {
            lose(Lost::Returns);
        }
        return;
    }
    if slot.unwrap_or(state.allocator_slot) != state.allocator_slot {
        // An inner call's.
        return;
    }
    finish(who, site, registers, state, end_ns);
}

#[inline(always)]
fn finish(who: Who, site: &Site, registers: &Registers, state: &mut Thread, end_ns: u64) {
    let mut span = Span::new(site.series, who, state.allocator_ns, end_ns);
    state.allocator_ns = 0;
    span.bytes = state.allocator_bytes;
    span.detail = span.bytes;
    span.caller = state.allocator_caller;
    if site.series < FIRST_FIXED {
        sized(site.series, span.bytes);
    }
    if site.places[0].kind != 0 {
        born(&span, registers.value(&site.places[0]));
    }
    called(&span);
    send_if_slow(&span, registers);
}

/// Calls of a slow path are timed within the calls of the allocator.
#[inline(always)]
fn is_inner(series: u32) -> bool {
    series < FIRST_FIXED && series % CALLS.len() as u32 >= Call::Refill as u32
}

/// Whether the object at `address` is one of those whose lives are followed. Both ends of a life
/// come to the same answer.
#[inline(always)]
fn is_sampled(address: u64) -> bool {
    // Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, section 6.4.
    let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    hash & LIFETIME_MASK.load() == 0
}

#[inline(always)]
fn born(span: &Span, address: u64) {
    if is_sampled(address) {
        remember(address, span.end_ns, span.bytes, span.caller);
    }
}

#[inline(always)]
fn remember(address: u64, born_ns: u64, bytes: u64, caller: u64) {
    if address == 0 {
        return;
    }
    let object = Object {
        born_ns,
        bytes,
        caller,
    };
    if OBJECTS.insert(address, object, 0).is_err() {
        lose(Lost::Objects);
    }
}

#[inline(always)]
fn died(who: Who, address: u64) {
    if is_sampled(address) {
        forget_object(who, address, VALID_CALLS);
    }
}

#[inline(always)]
fn forget_object(who: Who, address: u64, sites: u32) {
    let Some(object) = OBJECTS.get_ptr(address) else {
        return;
    };
    // SAFETY: a map's value, valid while the program runs.
    let Object {
        born_ns,
        bytes,
        caller,
    } = unsafe { *object };
    let _ = OBJECTS.remove(address);
    if !is_valid(born_ns, sites) {
        // While no site was attached it may have died, and another have taken its place.
        return;
    }
    let lived = now().saturating_sub(born_ns);
    count(Fixed::Lifetime as u32, lived, bytes);
    let key = CallerKey {
        caller,
        process: who.process,
        series: Fixed::Lifetime as u32,
    };
    add_to(&key, bytes, 0, lived);
}

/// Counts a call by its size, in the row of its series.
#[inline(always)]
pub fn sized(row: u32, bytes: u64) {
    if let Some(sizes) = SIZES.get_ptr_mut(row) {
        let class = forget(63 - u64::from((bytes | 1).leading_zeros())) as usize;
        if class < SIZE_CLASSES {
            // SAFETY: the map's value is an array of so many classes.
            add(
                unsafe { (&raw mut (*sizes).calls).cast::<u64>().add(class) },
                1,
            );
        }
    }
}

/// Counts a call for the place that made it.
#[inline(always)]
pub fn called(span: &Span) {
    let key = CallerKey {
        caller: span.caller,
        process: span.who.process,
        series: span.series,
    };
    add_to(&key, span.bytes, span.length(), 0);
}

#[inline(always)]
fn add_to(key: &CallerKey, bytes: u64, total_ns: u64, lifetime_ns: u64) {
    if CALLERS.get_ptr(*key).is_none() {
        /// Does not overwrite what another CPU has just put there.
        const NO_EXIST: u64 = 1;
        let _ = CALLERS.insert(*key, CallerTotals::default(), NO_EXIST);
    }
    let Some(totals) = CALLERS.get_ptr_mut(*key) else {
        return lose(Lost::Callers);
    };
    // SAFETY: fields of a map's value, changed by atomic adds only.
    unsafe {
        add(&raw mut (*totals).calls, 1);
        add(&raw mut (*totals).bytes, bytes);
        add(&raw mut (*totals).total_ns, total_ns);
        if lifetime_ns != 0 {
            add(&raw mut (*totals).lifetimes, 1);
            add(&raw mut (*totals).lifetime_ns, lifetime_ns);
        }
    }
}
