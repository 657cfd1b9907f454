//! Allocator and pause latency of a live process, by eBPF.
//!
//! A session attaches programs to the kernel's scheduler, memory management and system calls, and
//! to probe sites in the process's own allocator; counts what they see in the kernel; and gives a
//! [`tick::Tick`] each second. `tailcut record` writes them, `top` shows them, `serve` exports them.
//!
//! | module | what |
//! |---|---|
//! | [`catalogue`] | every series in words |
//! | [`export`] | the exporter: Prometheus text and native histograms over HTTP |
//! | [`live`] | the live view: screen, plain table, JSON lines |
//! | [`stop`] | the flag that asks a session to end, and the signals that raise it |
//! | [`target_choice`] | which process: by number, name or systemd unit |
//! | [`tick`] | what is seen in an interval |

pub mod catalogue;
#[cfg(target_os = "linux")]
pub mod export;
pub mod live;
pub mod stop;
#[cfg(target_os = "linux")]
pub mod target_choice;
pub mod tick;
