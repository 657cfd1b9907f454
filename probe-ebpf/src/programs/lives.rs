//! Threads and processes that come and go.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tailcut_probe_ebpf::records::{EXECUTED, EXITED, Event, FORKED, LIFE, Lost};

use super::maps::{FOLLOW, PROCESSES, RATES, RECORDS, TASK_PID, TASK_TGID, THREADS};
use super::recording::{NOBODY, lose, now};
use super::target::{Who, current, read_u32};

/// `sched_process_fork(parent, child)`: the parent is current.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    let Some(who) = current() else { return 0 };
    let child: *const u8 = ctx.arg(1);
    let process = read_u32(child, TASK_TGID.load()).unwrap_or(0);
    let thread = read_u32(child, TASK_PID.load()).unwrap_or(0);
    if process != who.process && FOLLOW.load() != 0 {
        if PROCESSES.insert(process, who.process, 0).is_err() {
            lose(Lost::Threads);
        }
    }
    // Another thread may have had that number.
    let _ = THREADS.remove(thread);
    tell(who, FORKED, u64::from(thread));
    0
}

/// `sched_process_exec(task, old pid, ...)`.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(_ctx: RawTracePointContext) -> i32 {
    if let Some(who) = current() {
        tell(who, EXECUTED, 0);
    }
    0
}

/// `sched_process_exit(task)`: the thread is current.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(_ctx: RawTracePointContext) -> i32 {
    let Some(who) = current() else { return 0 };
    tell(who, EXITED, u64::from(who.thread == who.process));
    if who.thread == who.process {
        // Another process may get its number. (Threads that outlive their first are lost with it.)
        let _ = PROCESSES.remove(who.process);
    }
    let is_running = THREADS.get_ptr(who.thread).is_some_and(|state| {
        // SAFETY: a map's value, valid while the program runs.
        unsafe { (*state).switched_in_ns != 0 }
    });
    // Else the scheduler's hook does it at its last switch: it would make the state anew.
    if !is_running || who.thread == who.process {
        let _ = THREADS.remove(who.thread);
    }
    0
}

#[inline(always)]
fn tell(who: Who, what: u32, detail: u64) {
    /// Threads that begin and end are told of at most so often a second, on each CPU.
    const MOST: u64 = 200;
    let is_thread = what == FORKED || (what == EXITED && detail == 0);
    if is_thread && let Some(rate) = RATES.get_ptr_mut(0) {
        // SAFETY: as in `recording::send`, which begins its seconds.
        unsafe {
            (*rate).lives += 1;
            if now().saturating_sub((*rate).lives_since_ns) >= 1_000_000_000 {
                (*rate).lives_since_ns = now();
                (*rate).lives = 0;
            }
            if (*rate).lives > MOST {
                return;
            }
        }
    }
    let Some(mut entry) = RECORDS.reserve::<Event>(0) else {
        lose(Lost::EventsRingFull);
        return;
    };
    let now = now();
    entry.write(Event {
        record: LIFE,
        series: what,
        process: who.process,
        thread: who.thread,
        start_ns: now,
        end_ns: now,
        detail,
        caller: 0,
        id: 0,
        cpu: 0,
        by_thread: 0,
        by_name: NOBODY,
    });
    entry.submit(0);
}
