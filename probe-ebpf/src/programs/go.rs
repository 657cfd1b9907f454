//! Probe sites in Go's runtime: its collector, and its allocator.
//!
//! **Calls** are known by the goroutine that makes them, which Go code keeps in a register (`R14`,
//! since Go 1.17: the internal ABI of amd64). A call that parks may end on another thread, whose pause
//! it then is; a goroutine's stack may move meanwhile, so places on it mean nothing. A site that a call passes
//! twice (the check of the stack's room, which grows the stack and begins again) begins it anew.
//!
//! **Marking in the background** is of a goroutine of the runtime's on its thread's own stack, where the register holds that
//! stack's goroutine: one for each thread, so that it tells calls apart as well. Marking that only uses a processor which nobody
//! wants holds up nobody, and is passed over.
//!
//! **Stops of the world** are one at a time in a process. What is hit between the stop and the start says which it
//! is: `startCycle` that it is a collection's sweep termination, `gcMarkTermination` its mark
//! termination. The ends are where the runtime reads its own clock for `MemStats.PauseNs`: sweep termination
//! lasts until all threads have been started, mark termination until they are about to be.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use tailcut_probe_ebpf::records::{
    GoCall, GoCallKey, VALID_ASSISTS, VALID_CALLS, VALID_WORLD, World,
};
use tailcut_probe_ebpf::series::{FIRST_FIXED, Fixed};
use tailcut_probe_ebpf::sites::{
    Site, WORLD_MARK_TERMINATION, WORLD_START, WORLD_STARTED, WORLD_STOP, WORLD_SWEEP_TERMINATION,
};

use super::calls::{called, sized};
use super::maps::{GO_CALLS, WORLDS};
use super::recording::{Span, is_valid, now};
use super::registers::{Registers, send_if_slow, site_of};
use super::target::{Who, current};

/// Among the flags of `gcDrain` (`runtime/mgcmark.go`, all releases since Go 1.10): the processor was idle.
const DRAIN_IDLE: u64 = 1 << 2;

/// A call of a Go function begins. Places: bytes, detail.
#[uprobe]
pub fn go_enter(ctx: ProbeContext) -> u32 {
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        let key = key_of(who, site, &registers);
        let call = GoCall {
            bytes: registers.value(&site.places[0]),
            detail: registers.value(&site.places[1]),
            start_ns: now(),
        };
        if site.series == Fixed::GcWorker as u32 && call.detail & DRAIN_IDLE != 0 {
            return 0;
        }
        let _ = GO_CALLS.insert(key, call, 0);
    }
    0
}

/// A call of a Go function is about to return.
#[uprobe]
pub fn go_leave(ctx: ProbeContext) -> u32 {
    let end_ns = now();
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
    {
        let registers = Registers::read(ctx.regs);
        let key = key_of(who, site, &registers);
        // Of two ways out that a call passes the first counts: the other finds nothing.
        if let Some(call) = GO_CALLS.get_ptr(key) {
            // SAFETY: a map's value, valid while the program runs.
            let call = unsafe { *call };
            let _ = GO_CALLS.remove(key);
            if is_valid(call.start_ns, hooks_of(site.series)) {
                finish(who, site, &registers, &call, end_ns);
            }
        }
    }
    0
}

/// All threads of a Go process are stopped, or started again.
#[uprobe]
pub fn go_world(ctx: ProbeContext) -> u32 {
    let now = now();
    if let Some(who) = current()
        && let Some(site) = site_of(ctx.as_ptr())
        && let Some(world) = world_of(who.process)
    {
        let registers = Registers::read(ctx.regs);
        // SAFETY: a map's value, valid while the program runs; stops of a process follow each other.
        let world = unsafe { &mut *world };
        if site.action == WORLD_STOP {
            world.reason = registers.value(&site.places[0]);
            world.phase = 0;
            world.stop_ns = now;
            return 0;
        }
        if !is_valid(world.stop_ns, VALID_WORLD) {
            return 0;
        }
        match site.action {
            WORLD_SWEEP_TERMINATION => {
                world.phase = u64::from(WORLD_SWEEP_TERMINATION);
                world.cycle_ns = world.stop_ns;
            }
            WORLD_MARK_TERMINATION => world.phase = u64::from(WORLD_MARK_TERMINATION),
            WORLD_START if world.phase == u64::from(WORLD_MARK_TERMINATION) => {
                started(who, world, &registers, now);
            }
            WORLD_STARTED => started(who, world, &registers, now),
            _ => {}
        }
    }
    0
}

/// The world runs again.
#[inline(always)]
fn started(who: Who, world: &mut World, registers: &Registers, now: u64) {
    let is_end = world.phase == u64::from(WORLD_MARK_TERMINATION);
    let series = if is_end {
        Fixed::GcStwMarkTermination
    } else if world.phase == u64::from(WORLD_SWEEP_TERMINATION) {
        Fixed::GcStwSweepTermination
    } else {
        Fixed::GcStwOther
    };
    let mut span = Span::new(series as u32, who, world.stop_ns, now);
    span.detail = world.reason;
    let cycle_ns = world.cycle_ns;
    world.stop_ns = 0;
    if is_end {
        world.cycle_ns = 0;
        if is_valid(cycle_ns, VALID_WORLD) {
            let cycle = Span::new(Fixed::GcCycle as u32, who, cycle_ns, now);
            send_if_slow(&cycle, registers);
        }
    }
    send_if_slow(&span, registers);
}

#[inline(always)]
fn world_of(process: u32) -> Option<*mut World> {
    if let Some(world) = WORLDS.get_ptr_mut(process) {
        return Some(world);
    }
    WORLDS.insert(process, World::default(), 0).ok()?;
    WORLDS.get_ptr_mut(process)
}

#[inline(always)]
fn key_of(who: Who, site: &Site, registers: &Registers) -> GoCallKey {
    GoCallKey {
        goroutine: registers.goroutine(),
        process: who.process,
        series: site.series,
    }
}

#[inline(always)]
fn finish(who: Who, site: &Site, registers: &Registers, call: &GoCall, end_ns: u64) {
    let mut span = Span::new(site.series, who, call.start_ns, end_ns);
    span.bytes = call.bytes;
    if site.series == Fixed::GoAlloc as u32 {
        span.detail = call.bytes;
        // Types take the place of callers.
        span.caller = call.detail;
        sized(FIRST_FIXED, call.bytes);
        called(&span);
    } else {
        span.detail = call.detail;
    }
    send_if_slow(&span, registers);
}

/// Which sites a series' are attached with.
#[inline(always)]
fn hooks_of(series: u32) -> u32 {
    if series == Fixed::GcAssist as u32
        || series == Fixed::GcWorker as u32
        || series == Fixed::GoHeapGrow as u32
    {
        VALID_ASSISTS
    } else {
        VALID_CALLS
    }
}
