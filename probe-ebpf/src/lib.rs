//! What the eBPF programs and user space agree on: series, histograms, records.
//!
//! The programs (`main.rs`, built by `cargo xtask ebpf` for the kernel's virtual machine) and the
//! crate `tailcut-probe` share this library, so that neither can misread the other: every type
//! that crosses the border is `#[repr(C)]`, without padding, and lives here.
#![no_std]

pub mod histogram;
pub mod records;
pub mod series;
pub mod sites;
