//! Allocator and pause latency of a live process: where `tailcut record`, `top` and `doctor` will
//! be built.
//!
//! Nothing is here yet, and no command pretends otherwise. The place is kept so that the arrows of
//! `ARCHITECTURE.md` are drawn once: this crate will use `tailcut-probe-ebpf` for the types that
//! it shares with the kernel side, and `tailcut-report`'s recording to write what it sees.

#[cfg(target_os = "linux")]
pub mod stacks;
