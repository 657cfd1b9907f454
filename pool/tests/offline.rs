//! A CPU goes offline, and comes back, while threads use a pool.
//!
//! What lies in its magazine is stolen like any other, since magazines are there for every CPU that
//! can exist. Takes the machine's CPU 1 away for a moment, and needs root: by hand only,
//! `cargo test --package tailcut-pool --test offline -- --ignored`.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{both_paths, on_cpu};

const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";

/// Brings the CPU back, whatever happens.
struct Offline;

impl Offline {
    fn new() -> std::io::Result<Self> {
        std::fs::write(SWITCH, "0")?;
        Ok(Offline)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(SWITCH, "1") {
            eprintln!("CPU 1 is still offline ({error}): echo 1 > {SWITCH}");
        }
    }
}

#[test]
#[ignore = "takes CPU 1 offline for a moment: run by hand, as root"]
fn a_cpu_that_goes_offline_takes_no_object_with_it() {
    both_paths(|builder| {
        let pool = builder.capacity(300).build().unwrap();
        let all = || {
            let held: Vec<_> = (0..300)
                .map(|_| pool.try_get().expect("in reach"))
                .collect();
            assert!(pool.try_get().is_err());
            drop(held);
        };
        // Its magazine is full when it goes.
        on_cpu(1, all);
        let offline = Offline::new().expect("root, and a CPU 1 that can be switched");
        all();
        // It comes and goes under threads at work.
        drop(offline);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let held = [(); 50].map(|()| pool.try_get().expect("a share is free"));
                        drop(held);
                    }
                });
            }
            for _ in 0..3 {
                let offline = Offline::new();
                std::thread::yield_now();
                drop(offline.unwrap());
            }
            over.store(true, Ordering::Relaxed);
        });
        all();
    });
}
