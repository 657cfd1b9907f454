//! Types shared between the eBPF programs and user space: where the tracing programs will be
//! built.
//!
//! Nothing is here yet; see `tailcut-probe`.
#![no_std]
