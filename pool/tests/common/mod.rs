//! What the tests share: running on both paths, and on a chosen CPU.
#![allow(dead_code, reason = "each test file uses its own part")]

use tailcut_pool::{AsIs, Builder, Pool};

pub mod trial;

/// A builder of the objects that these tests use.
pub type TestBuilder = Builder<fn() -> u64, AsIs>;

/// Runs `test` with the path that this machine offers, and with the portable one.
pub fn both_paths(test: impl Fn(TestBuilder)) {
    let builder = || Pool::builder((|| 0_u64) as fn() -> u64).keep_as_is();
    test(builder());
    test(builder().portable());
}

/// Runs `work` on a thread that is bound to one CPU (to any if the machine has no such CPU).
pub fn on_cpu<R: Send>(cpu: usize, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                bind(cpu);
                work()
            })
            .join()
            .unwrap()
    })
}

/// Binds the calling thread to a CPU, if that CPU is there.
pub fn bind(cpu: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: a zeroed set is valid, and the calls only read it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
