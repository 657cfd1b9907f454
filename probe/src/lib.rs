//! Allocator and pause latency of a live process, by eBPF.
//!
//! A session attaches programs to the kernel's scheduler, memory management and system calls, and
//! to probe sites in the process's own allocator; counts what they see in the kernel; and gives a
//! [`tick::Tick`] each second. `tailcut record` writes them, `top` shows them, `serve` exports them.
//!
//! | module | what |
//! |---|---|
//! | [`catalogue`] | every series in words |
//! | [`session`] | one process traced, from attaching to detaching |
//! | [`tick`] | what is seen in an interval |
//! | [`record`](mod@record) | an interval into a recording |
//! | [`live`] | the live view, the plain table, JSON lines |
//! | [`export`] | Prometheus |
//! | [`target_choice`] | which process: by number, name or unit |
//! | [`binary`] | what can be traced in a process, and where exactly |
//! | [`stacks`] | unwinding, symbols, flame graphs |
//! | [`host`] | what kernel, user and host allow |
//! | [`stop`] | ending in order on a signal |

#[cfg(target_os = "linux")]
pub mod binary;
#[cfg(target_os = "linux")]
mod calibration;
pub mod catalogue;
#[cfg(target_os = "linux")]
pub mod export;
#[cfg(target_os = "linux")]
pub mod host;
#[cfg(target_os = "linux")]
mod layout;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
pub mod record;
#[cfg(target_os = "linux")]
pub mod session;
#[cfg(target_os = "linux")]
pub mod stacks;
#[cfg(target_os = "linux")]
pub mod stop;
#[cfg(target_os = "linux")]
mod system_calls;
#[cfg(target_os = "linux")]
pub mod target_choice;
pub mod tick;
#[cfg(target_os = "linux")]
mod user_probes;

#[cfg(target_os = "linux")]
pub use layout::LayoutError;
#[cfg(target_os = "linux")]
pub use programs::ProgramsError;
#[cfg(target_os = "linux")]
pub use session::{Options, Session, SessionError};

/// `CLOCK_MONOTONIC`, in nanoseconds: what all times in ticks and recordings are.
#[cfg(target_os = "linux")]
pub fn now_ns() -> u64 {
    session::usage::now()
}
